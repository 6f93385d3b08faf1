#!/usr/bin/env bash
# check-vm.sh [FILTER …]: behaviour cases on the machine that users have: Linux 6.1 with pure cgroup v2, AppArmor and
# systemd, in a virtual machine (../shared/vm). Without a filter: the list in tests/vm.list. Ends with the runner's summary.
#
# VM_DIR (default ~/.cache/lxc-vm-tests) keeps the image, which is made once, in about six minutes; VM_THREADS cases run
# at once (3); VM_LIMIT is the whole run's limit in seconds (900); VM_FLAGS are more options for the runner.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root
scripts/deps.sh vm
shared=${LXC_SHARED:-$root/../shared}
vm=$shared/vm/vm
[ -e "$vm" ] || vm=/work/shared/vm/vm
[ -e "$vm" ] || die "no $shared/vm/vm: set LXC_SHARED to the directory that holds vm/vm"
export VM_DIR=${VM_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/lxc-vm-tests} VM_MEM=${VM_MEM:-3072} VM_CPUS=${VM_CPUS:-2}
export VM_HOOK=$root/scripts/vm-hook.sh VM_EXTRA=criu

# The image is as good as what made it; a saved state wakes up only in the machine that it was saved in.
made=$({ cat "$vm" "$VM_HOOK" && echo "$VM_EXTRA"; } | sha256sum)
saved="$(qemu-system-x86_64 --version | head -n 1) $VM_MEM $VM_CPUS"
exec 7> "${VM_DIR%/}.lock" || { mkdir -p "$(dirname "$VM_DIR")" && exec 7> "${VM_DIR%/}.lock"; }
flock 7
if [ "$(cat "$VM_DIR/made" 2> /dev/null)" != "$made" ]; then
    say "building the virtual machine in $VM_DIR, once"
    rm -f "$VM_DIR/made" "$VM_DIR/saved"
    "$vm" build > "$VM_DIR.log" 2>&1 || die "the virtual machine could not be built: see $VM_DIR.log"
    printf '%s\n' "$made" > "$VM_DIR/made"
    printf '%s\n' "$saved" > "$VM_DIR/saved"
elif [ "$(cat "$VM_DIR/saved" 2> /dev/null)" != "$saved" ]; then
    say 'booting the virtual machine and saving its state'
    "$vm" save
    printf '%s\n' "$saved" > "$VM_DIR/saved"
fi
flock -u 7

say 'installation and tests'
prefix=$(checked_prefix)
# The same directories for both, and those of `make check`, so that nothing is compiled twice.
export LXC_BINDIR=$prefix/bin LXC_SBINDIR=$prefix/sbin LXC_LIBDIR=$prefix/lib LXC_LIBEXECDIR=$prefix/libexec
export LXC_DATADIR=$prefix/share LXC_SYSCONFDIR=/etc LXC_LOCALSTATEDIR=/var LXC_RUNDIR=/run
scripts/inst.sh > /dev/null
test=$("$CARGO" test --no-run --test behaviour 2>&1 | sed -n 's/.*(\(.*\/behaviour-[0-9a-f]*\)).*/\1/p')
[ -n "$test" ] || die "the behaviour tests do not build: $CARGO test --no-run --test behaviour"

# One directory goes into the machine. Debug symbols stay here: an emulated disk is slow.
share=$(mktemp -d /var/tmp/lxc-check-vm.XXXXXX)
machine=
finish() {
    status=$?
    trap - EXIT
    [ -z "$machine" ] || kill "$machine" 2> /dev/null || true
    rm -rf --one-file-system "$share"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$share/repo"
cp -a "$prefix" "$share/inst"
mkdir "$share/repo/scripts"
cp -a docs "$share/repo/docs"
cp -a scripts/demo.sh scripts/lib.sh "$share/repo/scripts/"
cp "$test" "$share/behaviour"
find "$share/inst/lib" "$share/inst/sbin" "$share/behaviour" -type f -perm /111 -exec strip --strip-debug {} +
demo=no
if [ $# -gt 0 ]; then
    printf '%s\n' "$@"
else
    demo=yes
    sed 's/#.*//; s/[[:space:]]*$//; /^$/d' tests/vm.list
fi > "$share/list"
cat > "$share/run" << GUEST
set -e
mkdir -p '$(dirname "$prefix")'
cp -a inst '$prefix'
cp -a repo behaviour list /root/
cd /root
modprobe -aq overlay veth bridge loop
export LXC_TEST_PREFIX='$prefix' LXC_TEST_REPO=/root/repo LXC_TEST_DEBIAN=/srv/debian LXC_TEST_SLOW=6
export LXC_TEST_ROUNDS=${LXC_TEST_ROUNDS:-5}
mapfile -t filters < list
[ "\${filters[*]}" != all ] || filters=()
if [ '$demo' = yes ]; then
    # A stock Debian without the profiles of its lxc: the container that names none is refused, the demo works.
    profiles=/etc/apparmor.d/lxc-tests
    apparmor_parser -R \$profiles
    status=0
    repo/scripts/demo.sh '$prefix' > demo.log 2>&1 || status=\$?
    apparmor_parser -a \$profiles
    left=\$(find /sys/fs/cgroup -name 'lxc.*' -o -name '.lxc*')
    if [ "\$status" != 0 ] || [ -n "\$left" ]; then
        cat demo.log
        echo "the demo without AppArmor profiles: status \$status, left behind: \${left:-nothing}"
        exit 1
    fi
    echo 'test demo.without_apparmor_profiles ... ok'
fi
exec ./behaviour --test-threads ${VM_THREADS:-3} ${VM_FLAGS:-} "\${filters[@]}"
GUEST
say 'behaviour, in the virtual machine'
start=$SECONDS
status=0
"$vm" run -d "$share" -t "${VM_LIMIT:-900}" -l "$VM_DIR.console" -- 'exec bash ./run' &
machine=$!
wait "$machine" || status=$?
machine=
echo "   ($((SECONDS - start)) s)"
[ "$status" != 125 ] || die "the virtual machine failed: see $VM_DIR.console"
exit "$status"
