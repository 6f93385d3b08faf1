#!/usr/bin/env bash
# deps.sh build|check|clients|vm|bare: installs what that job needs, from the distribution's packages.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

case ${1:-build} in
    build) packages=(gcc make pkg-config libc6-dev libseccomp-dev busybox-static) ;;
    check) packages=(gcc make pkg-config libc6-dev libseccomp-dev busybox-static lxc lxc-dev lxc-templates python3-lxc lua5.2 lua-lxc
        lxcfs uidmap iproute2 iputils-ping procps util-linux bridge-utils dnsmasq-base net-tools sudo valgrind mandoc
        shellcheck strace libdbus-1-3 libseccomp2 libselinux1 libapparmor1 libssl3 libcap2 btrfs-progs e2fsprogs) ;;
    clients) packages=(gcc make pkg-config libc6-dev libseccomp-dev busybox-static lxc lxc-dev uidmap iproute2 util-linux
        lua5.2 lua-lxc golang-go golang-gopkg-lxc-go-lxc.v2-dev golang-golang-x-sys-dev lxd lxd-client rsync jq bsdutils
        gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static) ;;
    vm) packages=(qemu-system-x86 qemu-utils mmdebstrap e2fsprogs cpio zstd) ;;
    bare) packages=(mmdebstrap) ;;
    *) die "usage: deps.sh build|check|clients|vm|bare" ;;
esac

command -v "$CARGO" > /dev/null || die "cargo is missing: install Rust 1.90 or newer (rustup.rs, or a backport)"
have=$(rustc --version | sed 's/rustc 1\.\([0-9]*\).*/\1/')
[ "$have" -ge 90 ] || die "$(rustc --version) is too old: Rust 1.90 or newer is wanted"

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0
[ "$(id -u)" = 0 ] || die "these packages are missing, and only root can install them: ${missing[*]}"
say "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# Services of the packages stay off: a test machine's own containers and bridges are nobody's to touch.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    made=yes
fi
trap '[ -z "$made" ] || rm -f "$policy"' EXIT
apt-get update -q > /dev/null || die "apt-get update failed: is a package mirror reachable?"
if ! apt-get install -q -y --no-install-recommends "${missing[@]}" > /tmp/lxc-deps.$$ 2>&1; then
    # A newer qemu-utils than the release's own keeps qemu-system-x86 out.
    if [ "${1:-}" = vm ] && apt-get install -q -y --no-install-recommends --allow-downgrades \
        "${missing[@]}" 'qemu-utils/bookworm' >> /tmp/lxc-deps.$$ 2>&1; then
        :
    else
        cat /tmp/lxc-deps.$$ >&2
        rm -f /tmp/lxc-deps.$$
        die "cannot install: ${missing[*]}"
    fi
fi
rm -f /tmp/lxc-deps.$$
