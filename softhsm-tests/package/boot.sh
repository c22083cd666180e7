#!/bin/bash
# Boots systemd over a copy of this system that is thrown away: boot.sh FOLDER, in namespaces of its own (mounts, processes,
# cgroups, IPC, names). What is written goes into a file system in memory, mounted at FOLDER.
set -euo pipefail
folder=$1
mount -t tmpfs -o mode=755 hsmsign-test "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" hsmsign-test "$folder/root"
cd "$folder/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
# Devices that are nobody's: the real ones that a program needs, and a console that is a file.
mount -t tmpfs -o mode=755 dev dev
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
: >dev/console
mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
if mount -t cgroup2 cgroup2 sys/fs/cgroup 2>/dev/null && [ -s sys/fs/cgroup/cgroup.controllers ]; then
    :
else
    # A kernel that still runs on the first version.
    umount sys/fs/cgroup 2>/dev/null || true
    mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup || true
    mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd,xattr cgroup sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
fi
# Nothing of this system is started, and it is no known machine.
find etc/systemd/system etc/systemd/user -type l -delete 2>/dev/null || true
: >etc/machine-id
# For good: units make namespaces of their own, which begin at the real root.
pivot_root . mnt
umount -l /mnt
exec /usr/bin/env -i container=hsmsign-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=basic.target
