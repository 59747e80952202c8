#!/usr/bin/env bash
# Bakes a machine image for the scale sets: Azure's image for GPU work with the worker's container in it.
#
#   infra/terraform/bake/bake-image.sh [--help]
#
# Starts one machine on demand, of the fleet's size and in the workers' subnet, without a public address; lets it fetch the
# container and calculate on its GPU; takes away what is of this one machine; and keeps its disk as an image version. The machine,
# its disk and its network card go, however this ends. Prints a line for terraform.tfvars, and nothing else, on stdout.
#
# Needs an applied infra/terraform, `az login`, and quota on demand for one machine.

# A version in a gallery, not a managed image: of one of those, 20 machines can start at a time; a gallery has a copy for
# each 20. Uniform scale sets with ephemeral disks take both. Without Trusted Launch, like the scale sets: Secure Boot refuses a
# driver that was built on the machine. Second generation: the newer GPUs take nothing else.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ground=$(dirname "$here")
readonly here ground
readonly looks_max=60 look_seconds=10
readonly removals_max=4 removal_seconds=60

say() { printf '%s\n' "$*" >&2; }
step() { say "bake-image: $1"; }

# What went wrong, and what to do next. Why, the failed command has said itself.
fail() {
  say "bake-image: $1"
  say "  $2"
  exit 1
}

# An output of Terraform.
fleet() {
  terraform -chdir="$ground" output -raw "$1" ||
    fail "Terraform has no output $1." 'Apply the ground first: terraform -chdir=infra/terraform apply'
}

azure() { az "$@" --subscription "$subscription" --only-show-errors; }

# Runs one of the scripts beside this one on the machine. It went well if it says so at its end.
on_machine() {
  local script=$1 last_line=$2 parameter=${3:-} said
  said=$(azure vm run-command invoke --resource-group "$bakery" --name bake --command-id RunShellScript \
    --scripts "@$here/$script" ${parameter:+--parameters "$parameter"} --query 'value[0].message' --output tsv) || return 1
  grep -qx "$last_line" <<<"$said" && return
  say "$said"
  return 1
}

wait_until_off() {
  local look power
  for ((look = 0; look < looks_max; look++)); do
    power=$(azure vm get-instance-view --resource-group "$bakery" --name bake --output tsv \
      --query "instanceView.statuses[?starts_with(code, 'PowerState/')].code | [0]") || power=unknown
    [[ $power == PowerState/stopped ]] && return
    sleep "$look_seconds"
  done
  return 1
}

# Made once, and found again ever after. The group outlives the fleet: terraform knows nothing of it.
make_gallery() {
  azure group create --name "$images" --location "$location" --tags system=framefleet --output none &&
    azure sig create --resource-group "$images" --gallery-name "$group" --location "$location" --output none &&
    azure sig image-definition create --resource-group "$images" --gallery-name "$group" --gallery-image-definition worker \
      --location "$location" --publisher framefleet --offer worker --sku gpu --os-type Linux --os-state Generalized \
      --hyper-v-generation V2 --features 'SecurityType=Standard IsAcceleratedNetworkSupported=True' --output none
}

is_bakery_gone() { [[ $(azure group exists --name "$bakery") == false ]]; }
# 3 is what `show` ends with where there is nothing to show.
is_version_gone() {
  local status=0
  azure sig image-version show "${version_words[@]}" --output none 2>/dev/null || status=$?
  [[ $status == 3 ]]
}

# Again and again: after a machine that never came, Azure keeps its network card for minutes. (In a trap, a bare `return` would
# give the status of whatever the signal met.)
remove() {
  local what=$1 is_gone=$2 removal
  shift 2
  for ((removal = 0; removal < removals_max; removal++)); do
    ((removal == 0)) || sleep "$removal_seconds"
    "$is_gone" && return 0
    azure "$@" && return 0
  done
  say "bake-image: $what is still there, and costs money."
  say "  Remove it: az $* --subscription $subscription"
  return 1
}

work=
bakery=
version_words=()
is_kept=false
# Whatever happened. A second Ctrl-C must not leave a machine behind.
leave() {
  local status=$?
  trap - EXIT
  trap '' HUP INT TERM
  [[ -z $work ]] || rm -rf "$work"
  if [[ -n $bakery ]]; then
    step "removing the machine, its disk and its network card; this takes minutes"
    remove "The resource group $bakery" is_bakery_gone group delete --name "$bakery" --yes || status=1
  fi
  if [[ ${#version_words[@]} -gt 0 && $is_kept == false ]]; then
    remove 'An image version that was not finished' is_version_gone \
      sig image-version delete "${version_words[@]}" || status=1
  fi
  exit "$status"
}

case ${1:-} in
  '') ;;
  --help | -h)
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *)
    say "bake-image: expected no argument or --help, received $1"
    exit 2
    ;;
esac
for program in az terraform ssh-keygen; do
  command -v "$program" >/dev/null || fail "There is no $program here." 'See infra/terraform/README.md for what a desk needs.'
done

subnet=$(fleet worker_subnet)
location=$(fleet location)
size=$(fleet worker_size)
identity=$(fleet worker_identity)
machine_image=$(fleet worker_machine_image)
worker_image=$(fleet worker_image)
replicas=$(fleet worker_image_replicas)
IFS=/ read -r _ _ subscription _ group _ <<<"$subnet"
images="$group-images"
# The day, and its second: three whole numbers, and the newest is the greatest.
version="$(date -u +%Y%m%d).0.$(($(date +%s) % 86400))"

azure account show --output none ||
  fail "You are not logged in to subscription $subscription." 'Log in: az login'

trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
work=$(mktemp -d)
fleet bake_boot >"$work/boot.yaml"
# Azure wants a key; nobody keeps it, and nobody could reach the machine with it.
ssh-keygen -q -t ed25519 -N '' -C bake -f "$work/key"

# A group of its own, so that whatever is in it goes with it.
bakery="$group-bake-$(date -u +%Y%m%d%H%M%S)"
step "starting a machine ($size) in the group $bakery"
azure group create --name "$bakery" --location "$location" --tags system=framefleet --output none ||
  fail 'The group for the machine could not be made.' 'You need the right to make resource groups: Contributor of the subscription.'
azure vm create --resource-group "$bakery" --name bake --location "$location" --size "$size" --image "$machine_image" \
  --security-type Standard --subnet "$subnet" --public-ip-address '' --nsg '' --assign-identity "$identity" \
  --custom-data "$work/boot.yaml" --admin-username framefleet --ssh-key-values "$work/key.pub" --output none ||
  fail 'Azure started no machine.' "Quota: it needs one on demand (az vm list-usage --location $location). Security type: az feature register --namespace Microsoft.Compute --name UseStandardSecurityType, then az provider register --namespace Microsoft.Compute."

step "waiting for its driver and $worker_image, and for CUDA in it"
on_machine ready.sh 'bake: ready' "$worker_image" ||
  fail 'The machine is not what a worker needs.' 'The end of its report is above. It fetches from the registry alone, and needs a way out: nat_gateway = true.'

step 'taking away what is of this machine'
on_machine strip.sh 'bake: stripping' ||
  fail 'The machine could not be stripped.' 'Its report is above. Bake again: nothing of it is left.'
wait_until_off ||
  fail "The machine did not switch itself off within $((looks_max * look_seconds)) s." 'Something in infra/terraform/bake/strip.sh failed there. Bake again, with another worker_machine_image if that is new.'
azure vm deallocate --resource-group "$bakery" --name bake --output none ||
  fail 'The machine could not be deallocated.' 'Bake again.'
azure vm generalize --resource-group "$bakery" --name bake --output none ||
  fail 'The machine could not be generalized.' 'Bake again.'

step "keeping its disk as version $version, $replicas time(s)"
make_gallery ||
  fail 'There is no gallery to keep it in.' "Where a definition with other features is in the way, remove what was baked, once no scale set uses it: az group delete --name $images"
machine=$(azure vm show --resource-group "$bakery" --name bake --query id --output tsv) ||
  fail 'The machine cannot be found any more.' 'Has somebody removed it? Bake again.'
version_words=(--resource-group "$images" --gallery-name "$group" --gallery-image-definition worker --gallery-image-version "$version")
image_id=$(azure sig image-version create "${version_words[@]}" --virtual-machine "$machine" --location "$location" \
  --target-regions "$location=$replicas" --query id --output tsv) ||
  fail 'No image came of the machine.' 'Bake again.'
is_kept=true

printf 'worker_image_id = "%s"\n' "$image_id"
say 'bake-image: put that line into infra/terraform/terraform.tfvars, and apply. Machines that start from then on are of it.'
