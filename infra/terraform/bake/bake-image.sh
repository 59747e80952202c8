#!/usr/bin/env bash
# Builds a machine image for the scale sets: Azure's GPU image with the worker's container image in it.
#
#   infra/terraform/bake/bake-image.sh [--help]
#
# Starts one on-demand instance of the fleet's size in the workers' subnet, without a public address. The instance downloads the
# container image and tests CUDA in it. The script then removes machine-specific data and saves the disk as an image version. It always
# deletes the instance, its disk and its network interface. Prints one line for terraform.tfvars to standard output.
#
# Requires an applied infra/terraform, `az login`, and on-demand quota for one instance.

# A gallery version instead of a managed image: only 20 instances at a time can start from a managed image, while a gallery has one
# replica per 20 instances. No Trusted Launch, as in the scale sets: Secure Boot rejects a driver that was built on the instance.
# Generation 2, because newer GPU sizes require it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
terraform_folder=$(dirname "$here")
readonly here terraform_folder
readonly polls_max=60 poll_seconds=10
readonly removals_max=4 removal_seconds=60

say() { printf '%s\n' "$*" >&2; }
step() { say "bake-image: $1"; }

# Prints what failed and a hint. The failed command has already printed the reason.
fail() {
  say "bake-image: $1"
  say "  $2"
  exit 1
}

# Prints a Terraform output.
fleet() {
  terraform -chdir="$terraform_folder" output -raw "$1" ||
    fail "Terraform has no output $1." 'Run this first: terraform -chdir=infra/terraform apply'
}

azure() { az "$@" --subscription "$subscription" --only-show-errors; }

# Runs a script of this folder on the instance. Azure returns no exit status, so success means that the last line is as expected.
on_machine() {
  local script=$1 last_line=$2 parameter=${3:-} output
  output=$(azure vm run-command invoke --resource-group "$bakery" --name bake --command-id RunShellScript \
    --scripts "@$here/$script" ${parameter:+--parameters "$parameter"} --query 'value[0].message' --output tsv) || return 1
  grep -qx "$last_line" <<<"$output" && return
  say "$output"
  return 1
}

wait_until_off() {
  local poll power
  for ((poll = 0; poll < polls_max; poll++)); do
    power=$(azure vm get-instance-view --resource-group "$bakery" --name bake --output tsv \
      --query "instanceView.statuses[?starts_with(code, 'PowerState/')].code | [0]") || power=unknown
    [[ $power == PowerState/stopped ]] && return
    sleep "$poll_seconds"
  done
  return 1
}

# Creates the gallery if it does not exist. Terraform does not manage its resource group, so it outlives the fleet.
make_gallery() {
  azure group create --name "$images" --location "$location" --tags system=framefleet --output none &&
    azure sig create --resource-group "$images" --gallery-name "$group" --location "$location" --output none &&
    azure sig image-definition create --resource-group "$images" --gallery-name "$group" --gallery-image-definition worker \
      --location "$location" --publisher framefleet --offer worker --sku gpu --os-type Linux --os-state Generalized \
      --hyper-v-generation V2 --features 'SecurityType=Standard IsAcceleratedNetworkSupported=True' --output none
}

is_bakery_gone() { [[ $(azure group exists --name "$bakery") == false ]]; }
# `az … show` exits with status 3 if the resource does not exist.
is_version_gone() {
  local status=0
  azure sig image-version show "${version_words[@]}" --output none 2>/dev/null || status=$?
  [[ $status == 3 ]]
}

# Retries, because Azure keeps the network interface of a failed instance for minutes. (`return 0`: in a trap, a bare `return` would return
# the status of the interrupted command.)
remove() {
  local what=$1 is_gone=$2 removal
  shift 2
  for ((removal = 0; removal < removals_max; removal++)); do
    ((removal == 0)) || sleep "$removal_seconds"
    "$is_gone" && return 0
    azure "$@" && return 0
  done
  say "bake-image: Cannot delete $what. It continues to cost money."
  say "  Delete it: az $* --subscription $subscription"
  return 1
}

work=
bakery=
version_words=()
is_kept=false
# Runs on every exit. Ignores further signals, so that a second Ctrl-C does not leave an instance behind.
clean_up() {
  local status=$?
  trap - EXIT
  trap '' HUP INT TERM
  [[ -z $work ]] || rm -rf "$work"
  if [[ -n $bakery ]]; then
    step "deleting the instance, its disk and its network interface (takes minutes)"
    remove "the resource group $bakery" is_bakery_gone group delete --name "$bakery" --yes || status=1
  fi
  if [[ ${#version_words[@]} -gt 0 && $is_kept == false ]]; then
    remove 'an incomplete image version' is_version_gone \
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
    say "bake-image: Expected no argument or --help, received $1."
    exit 2
    ;;
esac
for program in az terraform ssh-keygen; do
  command -v "$program" >/dev/null || fail "$program is not installed." 'Install it. See infra/terraform/README.md for the prerequisites.'
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
# Gallery versions are three integers. Date and second of the day make the newest version the greatest.
version="$(date -u +%Y%m%d).0.$(($(date +%s) % 86400))"

azure account show --output none ||
  fail "You are not logged in to subscription $subscription." 'Log in: az login'

trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
work=$(mktemp -d)
fleet bake_boot >"$work/boot.yaml"
# Azure requires an SSH key. It is deleted with the work folder, and the instance cannot be reached anyway.
ssh-keygen -q -t ed25519 -N '' -C bake -f "$work/key"

# A separate resource group, so that deleting it deletes everything in it.
bakery="$group-bake-$(date -u +%Y%m%d%H%M%S)"
step "starting an instance ($size) in the group $bakery"
azure group create --name "$bakery" --location "$location" --tags system=framefleet --output none ||
  fail 'Cannot create the resource group of the instance.' 'You need permission to create resource groups, such as the role Contributor on the subscription.'
azure vm create --resource-group "$bakery" --name bake --location "$location" --size "$size" --image "$machine_image" \
  --security-type Standard --subnet "$subnet" --public-ip-address '' --nsg '' --assign-identity "$identity" \
  --custom-data "$work/boot.yaml" --admin-username framefleet --ssh-key-values "$work/key.pub" --output none ||
  fail 'Azure did not start the instance.' "Check the on-demand quota: az vm list-usage --location $location. If Azure rejects the security type: az feature register --namespace Microsoft.Compute --name UseStandardSecurityType, then az provider register --namespace Microsoft.Compute."

step "waiting for the driver, for $worker_image and for CUDA in it"
on_machine ready.sh 'bake: ready' "$worker_image" ||
  fail 'The instance does not meet the requirements of a worker.' 'See the end of its output above. To download the image it needs outbound access: nat_gateway = true.'

step 'removing machine-specific data'
on_machine strip.sh 'bake: stripping' ||
  fail 'Cannot remove the machine-specific data.' 'See the output above, then run this script again. The instance is deleted.'
wait_until_off ||
  fail "The instance did not shut down within $((polls_max * poll_seconds)) s." 'A command in infra/terraform/bake/strip.sh failed on the instance. Run this script again; if worker_machine_image is new, try another one.'
azure vm deallocate --resource-group "$bakery" --name bake --output none ||
  fail 'Cannot deallocate the instance.' 'Run this script again.'
azure vm generalize --resource-group "$bakery" --name bake --output none ||
  fail 'Cannot generalize the instance.' 'Run this script again.'

step "saving the disk as version $version with $replicas replica(s)"
make_gallery ||
  fail 'Cannot create the gallery.' "If an image definition with other features exists, delete the gallery once no scale set uses its images: az group delete --name $images"
machine=$(azure vm show --resource-group "$bakery" --name bake --query id --output tsv) ||
  fail 'Cannot find the instance.' 'It may have been deleted. Run this script again.'
version_words=(--resource-group "$images" --gallery-name "$group" --gallery-image-definition worker --gallery-image-version "$version")
image_id=$(azure sig image-version create "${version_words[@]}" --virtual-machine "$machine" --location "$location" \
  --target-regions "$location=$replicas" --query id --output tsv) ||
  fail 'Cannot create the image version.' 'Run this script again.'
is_kept=true

printf 'worker_image_id = "%s"\n' "$image_id"
say 'bake-image: add this line to infra/terraform/terraform.tfvars and apply. New instances then use the image.'
