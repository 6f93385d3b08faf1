#!/usr/bin/env bash
# demo-bare.sh: `make demo` in a bare Debian tree that holds only cargo, gcc, make and apt: proves that nothing of ours
# leans on files of the distribution's lxc.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root
scripts/deps.sh bare
tree=$(mktemp -d /var/tmp/lxc-bare.XXXXXX)
chmod 755 "$tree"
finish() {
    status=$?
    trap - EXIT
    rm -rf --one-file-system "$tree"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
say 'a bare Debian tree'
mmdebstrap --quiet --variant=apt --include=gcc,make,ca-certificates,libc6-dev bookworm "$tree/root"
say 'the toolchain and the sources'
sysroot=$(rustc --print sysroot)
mkdir -p "$tree/root/opt/rust" "$tree/root/src/lxc" "$tree/root/root/.cargo"
cp -a "$sysroot/." "$tree/root/opt/rust/"
git archive HEAD | tar -x -C "$tree/root/src/lxc"
[ ! -d "$HOME/.cargo/registry" ] || cp -a "$HOME/.cargo/registry" "$tree/root/root/.cargo/"
[ ! -e "$HOME/.cargo/config.toml" ] || cp "$HOME/.cargo/config.toml" "$tree/root/root/.cargo/"
cp /etc/resolv.conf "$tree/root/etc/resolv.conf"
say 'make demo, inside'
# A mount namespace of its own: what is mounted for the tree goes with it.
unshare --mount --fork --kill-child bash -euc '
    root=$1
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    cd "$root"
    pivot=$(mktemp -d "$root/.old.XXXXXX")
    pivot_root . "${pivot#"$root"/}"
    umount -l "/${pivot##*/}"
    rmdir "/${pivot##*/}"
    ! command -v lxc-start
    ! dpkg-query -W lxc liblxc1 2> /dev/null
    export PATH=/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
    cd /src/lxc
    make demo
' bash "$tree/root"
echo 'the demo ran without the distribution'"'"'s lxc'
