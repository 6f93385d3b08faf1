#!/usr/bin/env bash
# demo-bare.sh: `make demo` in a bare Debian tree that holds only cargo, gcc, make and apt: proves that nothing of ours
# leans on files of the distribution's lxc. What is committed is what runs.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root
scripts/deps.sh bare
tree=$(mktemp -d /var/tmp/lxc-bare.XXXXXX)
chmod 755 "$tree"
inside=
finish() {
    status=$?
    trap - EXIT
    # The child is the tree's process 1: everything that was started inside ends with it, and so do its mounts.
    [ -z "$inside" ] || { kill -KILL "$inside" && wait "$inside"; } 2> /dev/null || :
    rm -rf --one-file-system "$tree"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
say 'a bare Debian tree'
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 2> /dev/null | sort -u | head -n 1)
mmdebstrap --quiet --variant=apt --include=gcc,make,ca-certificates,libc6-dev --aptopt='Apt::Install-Recommends "false"' \
    bookworm "$tree/root" "${mirror:-http://deb.debian.org/debian}"
say 'the toolchain and the sources'
cargo_home=${CARGO_HOME:-$HOME/.cargo}
mkdir -p "$tree/root/opt/rust" "$tree/root/src/lxc" "$tree/root/root/.cargo"
git archive HEAD | tar -x -C "$tree/root/src/lxc"
[ ! -d "$cargo_home/registry" ] || cp -a "$cargo_home/registry" "$tree/root/root/.cargo/"
[ ! -e "$cargo_home/config.toml" ] || cp "$cargo_home/config.toml" "$tree/root/root/.cargo/"
cp /etc/resolv.conf "$tree/root/etc/resolv.conf"
cat > "$tree/root/bare" << 'BARE'
# So bare that there is no umount: umount2(path, MNT_DETACH), by the perl that every Debian has.
perl -e 'my $old = "/.old"; exit(syscall(166, $old, 2) != 0)'
rmdir /.old
bare() {
    for f in /usr/bin/lxc-* /usr/share/lxc /usr/lib/*/liblxc* /etc/lxc /etc/default/lxc* /var/lib/lxc; do
        [ ! -e "$f" ] || { echo "not bare: $f" >&2; exit 1; }
    done
}
bare
cd /src/lxc
make demo
bare
BARE
say 'make demo, inside'
# Namespaces of its own: what is mounted for the tree and what is started in it goes with it. Nothing of this shell's
# environment comes along but proxies.
keep=()
for v in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!v:-}" ] || keep+=("$v=${!v}")
done
env -i "${keep[@]}" PATH=/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 \
    unshare --mount --pid --fork --kill-child bash -euc '
    mount --make-rprivate /
    mount --bind "$1" "$1"
    mount --bind "$2" "$1/opt/rust"
    mount -o remount,bind,ro "$1/opt/rust"
    mount -t proc proc "$1/proc"
    mount --rbind /sys "$1/sys"
    mount --rbind /dev "$1/dev"
    mount -t tmpfs -o mode=755 tmpfs "$1/run"
    cd "$1"
    mkdir .old
    pivot_root . .old
    exec chroot . bash -eu /bare
' bash "$tree/root" "$(rustc --print sysroot)" &
inside=$!
wait "$inside"
inside=
echo "the demo ran without the distribution's lxc"
