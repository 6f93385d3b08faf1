#!/usr/bin/env bash
# icount.sh [CASE...]: the bench cases in instructions, user and kernel, ours (release, in /var/tmp/lxc-bench-inst by
# scripts/bench.sh) against Debian's LXC, where the machine has no counters: in the virtual machine of ../shared/vm, whose
# clock advances by a nanosecond an instruction. Figures repeat within 1 %, whatever else this machine does; string
# instructions count once a step there and once in all on hardware, which hits both sides alike.
#
# ICOUNT_N runs of each (5); ICOUNT_APPEND more words for the kernel: empty is pure cgroup2; the hybrid layout of nine
# hierarchies is 'systemd.unified_cgroup_hierarchy=0 cgroup_disable=net_cls,net_prio,hugetlb,rdma,misc,perf_event'.
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"
need_root
scripts/deps.sh vm
prefix=/var/tmp/lxc-bench-inst
[ -x "$prefix/bin/lxc-start" ] || die "no release in $prefix: run make bench first"
shared=${LXC_SHARED:-$root/../shared}
[ $# -gt 0 ] || set -- start cycle start-common execute attach info-state create-busybox
work=$(mktemp -d /var/tmp/lxc-icount.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
export VM_DIR=${VM_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/lxc-vm-icount} VM_CPUS=1 VM_EXTRA=lxc,lxc-templates
# Its state cannot be saved under a counting clock: each run boots.
sed 's/^    save_state$/    :/' "$shared/vm/vm" > "$work/vm"
[ -e "$VM_DIR/root.img" ] || bash "$work/vm" build > "$VM_DIR.log" 2>&1 || die "the virtual machine could not be built: see $VM_DIR.log"
mkdir "$work/share" "$work/bin"
cp -a "$prefix" "$work/share/inst"
cp "$shared"/bench/* "$work/share/"
gcc -O2 -static -o "$work/share/tm" benches/icount.c
gcc -O2 -static -o "$work/share/floor" "$shared/bench/floor.c"
cat > "$work/share/run" << GUEST
cp -a inst $prefix
mount -t tmpfs none /tmp
mkdir /tmp/lxc-bench
cp tm floor /tmp/lxc-bench/
systemctl stop systemd-journald.socket systemd-journald-dev-log.socket systemd-journald dbus 2> /dev/null
BENCH_RT=0 bash bench.sh -n ${ICOUNT_N:-5} --vs /usr $prefix $*
GUEST
printf '#!/bin/sh\nexec /usr/bin/qemu-system-x86_64 -icount shift=0,align=off,sleep=off "$@"\n' > "$work/bin/qemu-system-x86_64"
chmod 755 "$work/bin/qemu-system-x86_64"
PATH=$work/bin:$PATH VM_ACCEL=tcg,thread=single VM_CPU=max,-erms,-fsrm VM_APPEND=${ICOUNT_APPEND:-} \
    bash "$work/vm" run -c -d "$work/share" -t 1800 -- bash ./run
