# Retries, because the metadata service does not respond before the network is up.
ask_azure() {
  curl --silent --show-error --fail --noproxy '*' --retry 30 --retry-delay 1 --retry-connrefused --max-time 10 \
    --header 'Metadata: true' "http://169.254.169.254/metadata/$1"
}
