#!/bin/sh
# On the machine that an image is made of, as root: waits until it has all that a worker needs, and lets ONNX Runtime calculate
# on the GPU, in the container. Its last line says that it did: Azure hands on no exit status.
set -eu

image=$1
rest_seconds=10

# Each bound is some times what it should take: this machine costs money.
wait_until() {
  what=$1 looks_left=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    looks_left=$((looks_left - 1))
    if [ "$looks_left" -eq 0 ]; then
      echo "bake: waited in vain until $what"
      "$@" || exit 1
    fi
    sleep "$rest_seconds"
  done
}

wait_until 'cloud-init has written framefleet-image' 60 which framefleet-image
wait_until 'Docker answers' 60 docker info
wait_until 'the driver answers' 120 nvidia-smi

RUNTIME_DIRECTORY=/run timeout 1800 framefleet-image
docker image inspect "$image" >/dev/null

# With no more rights than a worker has, and without a network.
timeout 300 docker run --rm --network none --gpus all --read-only --tmpfs /tmp:mode=1777 \
  --user 65532:65532 --cap-drop ALL --security-opt no-new-privileges \
  "$image" node worker/engine/probe.ts cuda 0

echo 'bake: ready'
