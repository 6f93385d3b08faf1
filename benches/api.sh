#!/usr/bin/env bash
# api.sh [LIBDIR [REFERENCE-LIBDIR]]: instructions that the frequent calls of the C API cost in the caller, ours and the
# reference's, for one call each: the goal is a ratio of at most 0.5. Needs root, valgrind, cc, lxc-start of LIBDIR's
# installation. LIBDIR: of a release build, default target/inst-release/lib.
set -eu
root=$(dirname "$(readlink -f "$0")")/..
ours=$(readlink -f "${1:-$root/target/inst-release/lib}")
theirs=$(readlink -f "${2:-/usr/lib/x86_64-linux-gnu}")
work=$(mktemp -d /var/tmp/lxc-bench-api.XXXXXX)
name=bench-api
cleanup() {
    "$ours/../bin/lxc-stop" -k -P "$work" -n $name 2> /dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
mkdir -p "$work/$name" "$work/rootfs"/{bin,dev,proc,sys,etc}
cp "$(command -v busybox)" "$work/rootfs/bin/busybox"
cat > "$work/$name/config" << CONFIG
lxc.rootfs.path = dir:$work/rootfs
lxc.net.0.type = empty
lxc.uts.name = guest
lxc.init.cmd = /bin/busybox sleep 100000
CONFIG
cc -O1 -I "$root/include" "$root/benches/api.c" -o "$work/api" "$ours/liblxc.so.1"
"$ours/../bin/lxc-start" -P "$work" -n $name
count() { # count LIBDIR CALL TIMES: instructions
    LD_LIBRARY_PATH=$1 valgrind --tool=callgrind --callgrind-out-file=/dev/null "$work/api" "$work" $name "$2" "$3" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
each() { # each LIBDIR CALL: for one call; the slope, so that what happens once does not count
    echo $((($(count "$1" "$2" 1100) - $(count "$1" "$2" 100)) / 1000))
}
status=0
printf '%-16s %10s %10s %6s\n' call ours reference ratio
for call in state is_running init_pid get_cgroup_item set_config_item get_config_item; do
    a=$(each "$ours" $call)
    b=$(each "$theirs" $call)
    ratio=$(awk "BEGIN { printf \"%.2f\", $a / $b }")
    printf '%-16s %10s %10s %6s\n' $call "$a" "$b" "$ratio"
    awk "BEGIN { exit !($a / $b <= 0.5) }" || status=1
done
exit $status
