#!/usr/bin/env bash
# large.sh [LIBDIR [REFERENCE-LIBDIR]]: milliseconds of a background start from a small process and from one that holds 1 GiB,
# medians of ROUNDS (40) starts each that take turns: the goal is a ratio of at most 1.2. Needs root and cc. LIBDIR: of a
# release build, default target/inst-release/lib.
set -eu
root=$(dirname "$(readlink -f "$0")")/..
ours=$(readlink -f "${1:-$root/target/inst-release/lib}")
theirs=$(readlink -f "${2:-/usr/lib/x86_64-linux-gnu}")
work=$(mktemp -d /var/tmp/lxc-bench-large.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/rootfs"/{bin,dev,proc,sys,etc}
cp "$(command -v busybox)" "$work/rootfs/bin/busybox"
cc -O1 -Wall -I "$root/include" "$root/benches/large.c" -o "$work/large" "$ours/liblxc.so.1"
status=0
printf '%-10s %8s %8s %6s\n' library small '1 GiB' ratio
for lib in "$ours" "$theirs"; do
    # In groups of its own: the reference leaves its monitors' behind.
    line=$(LD_LIBRARY_PATH=$lib "$root/tests/clients/sandbox.sh" "$work/large" "$work" "$work/rootfs" "${ROUNDS:-40}")
    read -r small large ratio <<< "$line"
    label=ours
    [ "$lib" = "$ours" ] || label=reference
    printf '%-10s %8s %8s %6s\n' $label "$small" "$large" "$ratio"
    [ $label = reference ] || awk "BEGIN { exit !($ratio <= 1.2) }" || status=1
done
exit $status
