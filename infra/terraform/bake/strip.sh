#!/bin/sh
# On the machine that an image is made of, as root: takes away what is of this one machine, and switches it off. It begins when
# this has ended: Azure's agent, which reports what is said here, is stopped on the way. That the machine is off is the report.
set -eu

cat >/run/framefleet-strip <<'STRIP'
set -eux

# What our programs left.
rm -rf /var/lib/framefleet /etc/framefleet /root/.docker
rm -f /usr/local/bin/framefleet-image

# Who it is: every machine makes these anew.
rm -f /etc/ssh/ssh_host_*
waagent -force -deprovision+user
rm -rf /var/lib/waagent/run-command
cloud-init clean --logs
truncate --size 0 /etc/machine-id

# What it has seen.
journalctl --rotate --vacuum-time 1s
sync
systemctl poweroff
STRIP

systemd-run --unit framefleet-strip --on-active 15 /bin/sh /run/framefleet-strip
echo 'bake: stripping'
