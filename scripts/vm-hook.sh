#!/usr/bin/env bash
# vm-hook.sh ROOT: puts into the image of check-vm.sh what its cases need and what would take long in the guest.
set -euo pipefail
root=$1
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 2> /dev/null | sort -u | head -n 1)

# The system of the cases systemd.*: a Debian tree, as a template would make it, at LXC_TEST_DEBIAN.
mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,libpam-systemd,login,procps \
    --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    bookworm "$root/srv/debian" "${mirror:-http://deb.debian.org/debian}"
rm -rf "$root"/srv/debian/var/cache/apt/*.bin "$root"/srv/debian/var/lib/apt/lists/*
: > "$root/srv/debian/etc/fstab"

# Profiles that the machine loads when it boots. The first has the name that containers get by default; what it forbids
# is just enough to be seen. The second is one that a container's config names.
cat > "$root/etc/apparmor.d/lxc-tests" << 'PROFILES'
abi <abi/3.0>,
profile lxc-container-default-cgns flags=(attach_disconnected,mediate_deleted) {
  capability,
  file,
  network,
  mount,
  remount,
  umount,
  pivot_root,
  ptrace,
  signal,
  unix,
  dbus,
  deny /proc/sysrq-trigger rwklx,
  deny mount fstype=debugfs,
}
profile lxc-test-named flags=(attach_disconnected,mediate_deleted) {
  capability,
  file,
  network,
  mount,
  remount,
  umount,
  pivot_root,
  ptrace,
  signal,
  unix,
  deny /etc/forbidden rwklx,
}
PROFILES
