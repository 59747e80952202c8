#!/bin/sh
# Runs as root on the instance from which an image is baked. Waits until everything that a worker needs is installed, then tests ONNX
# Runtime on the GPU in the container. Prints `bake: ready` as its last line on success, because Azure returns no exit status.
set -eu

image=$1
poll_seconds=10

# Each limit is several times the expected duration. It must end, because the instance costs money.
wait_until() {
  condition=$1 polls_left=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    polls_left=$((polls_left - 1))
    if [ "$polls_left" -eq 0 ]; then
      echo "bake: timed out waiting until $condition"
      "$@" || exit 1
    fi
    sleep "$poll_seconds"
  done
}

wait_until 'cloud-init has written framefleet-image' 60 which framefleet-image
wait_until 'Docker responds' 60 docker info
wait_until 'the driver responds' 120 nvidia-smi

RUNTIME_DIRECTORY=/run timeout 1800 framefleet-image
docker image inspect "$image" >/dev/null

# With the restrictions of a worker, and without network access.
timeout 300 docker run --rm --network none --gpus all --read-only --tmpfs /tmp:mode=1777 \
  --user 65532:65532 --cap-drop ALL --security-opt no-new-privileges \
  "$image" node worker/engine/probe.ts cuda 0

echo 'bake: ready'
