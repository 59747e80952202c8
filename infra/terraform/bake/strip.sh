#!/bin/sh
# Runs as root on the instance from which an image is baked. Removes machine-specific data and shuts the instance down. The work starts
# after this script has ended, because it stops Azure's agent, which reports the output of this script. The shutdown shows success.
set -eu

cat >/run/framefleet-strip <<'STRIP'
set -eux

# Files of the fleet.
rm -rf /var/lib/framefleet /etc/framefleet /root/.docker
rm -f /usr/local/bin/framefleet-image

# The instance's identity. New instances generate their own.
rm -f /etc/ssh/ssh_host_*
waagent -force -deprovision+user
rm -rf /var/lib/waagent/run-command
cloud-init clean --logs
truncate --size 0 /etc/machine-id

# Logs.
journalctl --rotate --vacuum-time 1s
sync
systemctl poweroff
STRIP

systemd-run --unit framefleet-strip --on-active 15 /bin/sh /run/framefleet-strip
echo 'bake: stripping'
