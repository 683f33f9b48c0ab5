#!/bin/sh
# A machine to install packages on: a copy of this one with systemd as process 1, in which a command
# runs as a service. Ends with the command's exit code; what it prints is in SHARED/output.
#
#   machine.sh SHARED COMMAND...
#
# Nothing on this machine changes. The root file system of the copy is this one's, with an overlay in
# memory that takes all changes and ends with it; /proc/sys and /sys can only be read. It has mounts,
# processes, host name and cgroups of its own, and a network that is loopback alone, so that no port is
# taken. SHARED and the project are there by the same path, and only SHARED can be written.
#
# Needs root, unshare(1), the overlay file system and cgroup2. It takes three steps, each of which
# starts the next in namespaces of its own: --cgroup, --boot, and systemd.
set -eu

project=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)

# systemd takes the root of the cgroups it sees for its own, so it gets to see only one made for it.
in_cgroup() {
  cgroups=$shared/cgroups
  mkdir "$cgroups"
  mount -t cgroup2 cgroup2 "$cgroups"
  own=$cgroups/buntracker-packages-$$
  mkdir "$own"
  echo $$ >"$own/cgroup.procs"
  # Whatever ends the machine, its cgroups are removed.
  trap : INT TERM
  code=0
  unshare --mount --propagation private --pid --fork --kill-child --net --cgroup --ipc --uts \
    "$0" --boot "$shared" "$@" || code=$?
  echo $$ >"$cgroups/cgroup.procs"
  find "$own" -depth -type d -exec rmdir {} +
  exit "$code"
}

make_devices() {
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  mkdir "$root/dev/shm" "$root/dev/pts"
  for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
}

# The service that runs the command. Masked are units that a start of the tracker would bring along
# and that have to do with the kernel, which is shared.
make_units() {
  rm -rf "$root/etc/systemd/system"
  mkdir -p "$root/etc/systemd/system"
  for unit in systemd-remount-fs.service systemd-udev-trigger.service systemd-udevd.service \
    systemd-timesyncd.service systemd-binfmt.service systemd-random-seed.service \
    systemd-modules-load.service modprobe@.service systemd-journald-audit.socket \
    systemd-update-utmp.service dev-hugepages.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount sys-fs-fuse-connections.mount; do
    ln -s /dev/null "$root/etc/systemd/system/$unit"
  done
  {
    echo "[Unit]"
    echo "DefaultDependencies=no"
    echo "Wants=systemd-journald.service"
    echo "SuccessAction=exit"
    echo "FailureAction=exit"
    echo "[Service]"
    echo "Type=oneshot"
    echo "WorkingDirectory=$project"
    echo "Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root"
    echo "StandardOutput=append:$shared/output"
    echo "StandardError=append:$shared/output"
    echo "Environment=BUNTRACKER_PACKAGES=$shared"
    echo "ExecStart=$*"
  } >"$root/etc/systemd/system/command.service"
}

boot() {
  memory=$shared/memory
  mkdir "$memory"
  mount -t tmpfs -o mode=755 tmpfs "$memory"
  mkdir "$memory/upper" "$memory/work" "$memory/root"
  root=$memory/root
  # Files of such an overlay have another device number than their folders; the tracker must not take
  # its file of swarms for a mount of its own because of that.
  mount -t overlay -o "lowerdir=/,upperdir=$memory/upper,workdir=$memory/work" overlay "$root"
  mount -t proc proc "$root/proc"
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount -o remount,ro,bind "$root/proc/sys"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  make_devices
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  mkdir -p "$root$project" "$root$shared"
  mount --bind "$project" "$root$project"
  mount -o remount,ro,bind "$root$project"
  mount --bind "$shared" "$root$shared"
  # What makes a container of this machine must not make one of the copy.
  rm -f "$root/usr/sbin/policy-rc.d" "$root/etc/fstab" "$root"/etc/dpkg/dpkg.cfg.d/*
  echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
  make_units "$@"
  # With chroot(2) alone, links in /proc would show the path from outside.
  cd "$root"
  mkdir old
  pivot_root . old
  exec chroot . /bin/sh -c 'umount --lazy /old && rmdir /old && exec "$@"' - \
    /usr/bin/env -i container=buntracker-packages /lib/systemd/systemd \
    --system --unit=command.service --show-status=no --log-target=journal
}

step=$1
case $step in
--cgroup | --boot) shift ;;
*) step=start ;;
esac
shared=$1
shift

case $step in
--cgroup) in_cgroup "$@" ;;
--boot) boot "$@" ;;
*) exec unshare --mount --propagation private "$0" --cgroup "$shared" "$@" ;;
esac
