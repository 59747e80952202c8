# The metadata service answers as soon as the network is up, not before.
ask_azure() {
  curl --silent --show-error --fail --noproxy '*' --retry 30 --retry-delay 1 --retry-connrefused --max-time 10 \
    --header 'Metadata: true' "http://169.254.169.254/metadata/$1"
}
