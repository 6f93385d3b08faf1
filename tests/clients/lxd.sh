#!/usr/bin/env bash
# lxd.sh (inside sandbox.sh): LXD on the library that the loader finds. A daemon with a dir pool and no network, an image of
# one static busybox, and the life of containers made from it. Prints one line for each step, `ok` or `failed`.
set -uo pipefail
tmp=$(mktemp -d)
export HOME=$tmp LXD_DIR=/var/lib/lxd XDG_RUNTIME_DIR=$tmp
cd "$tmp" || exit 1
failures=0

# step NAME COMMAND...: it must succeed.
step() {
    local name=$1
    shift
    local rc=0
    timeout 60 bash -c '"$@"' bash "$@" > out 2>&1 < /dev/null || rc=$?
    if [ $rc = 0 ]; then
        echo "ok lxd $name"
    else
        failures=$((failures + 1))
        echo "failed lxd $name (rc $rc): $(tail -c 600 out | tr '\n' ' ')"
    fi
}
# says NAME WANTED COMMAND...: what it prints.
says() {
    local name=$1 wanted=$2 had
    shift 2
    had=$(timeout 60 bash -c '"$@"' bash "$@" 2>&1 < /dev/null)
    if [ "$had" = "$wanted" ]; then
        echo "ok lxd $name"
    else
        failures=$((failures + 1))
        echo "failed lxd $name: wanted '$wanted', had '${had:0:600}'"
    fi
}
# until SECONDS COMMAND...
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}
state() { lxc list -f csv -c s "$1"; }
is() { [ "$(state "$1")" = "$2" ]; }
inside() { lxc exec "$1" -- "${@:2}"; }
has_file() { inside "$1" test -e "$2"; }
# A container is started by `lxd forkstart`: its monitor is neither the daemon nor its child.
init_of() { lxc query "/1.0/instances/$1/state" | jq .pid; }
monitor_of() { awk '/^PPid:/ { print $2 }' "/proc/$(init_of "$1")/status"; }
environment() { grep -aE '^(LD_LIBRARY_PATH|LXD_DIR|LXD_MARK)=' | sort | paste -sd' '; }
held() { readlink "/proc/$1/fd/"* | grep -E '^(socket|pipe):' | sort; }
shares_nothing() { [ -z "$(comm -12 <(held "$2") <(held "$(monitor_of "$1")"))" ]; }
# started NAME: with the reason that the log has, when it does not start.
started() { lxc start "$1" || { lxc info "$1" --show-log | grep ' ERROR ' | tail -1; false; }; }
export -f until_true state is inside has_file init_of monitor_of environment held shares_nothing started

image() {
    local r=rootfs
    mkdir -p $r/{bin,sbin,dev,proc,sys,tmp,run,etc,root,var,usr,mnt}
    cp /bin/busybox $r/bin/busybox
    for tool in $(busybox --list); do [ "$tool" = busybox ] || ln -s busybox "$r/bin/$tool" 2> /dev/null; done
    printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/root:/bin/sh\n' > $r/etc/passwd
    printf 'root:x:0:\nuser:x:1000:\n' > $r/etc/group
    cat > $r/sbin/init << 'INIT'
#!/bin/sh
trap 'exit 0' PWR TERM
trap 'reboot -f' INT
echo "init of $(hostname) is up" > /dev/console
echo boot >> /root/boots
while :; do sleep 1000 & wait $!; done
INIT
    chmod 755 $r/sbin/init
    printf 'architecture: x86_64\ncreation_date: 1700000000\nproperties:\n  description: busybox\n  os: busybox\n' > metadata.yaml
    tar --numeric-owner --owner=0 --group=0 -czf image.tar.gz metadata.yaml rootfs
}

image
LXD_MARK=1 lxd --debug --group root --logfile "$tmp/lxd.log" > daemon.out 2>&1 &
daemon=$!
if ! timeout 60 lxd waitready --timeout 55 > out 2>&1; then
    echo "failed lxd daemon: $(tail -c 1500 daemon.out lxd.log | tr '\n' ' ')"
    kill -9 "$daemon"
    exit 1
fi
echo 'ok lxd daemon'
maps=$(sed -n 's/.* \(\/.*liblxc.*\)/\1/p' "/proc/$daemon/maps" | sort -u)
echo "   $(lxd --version) on $maps"
version=$(lxc query /1.0 | jq -r '.environment.driver, .environment.driver_version' | paste -sd' ')
echo "   driver $version"
lxc query /1.0 | jq -c '.environment.lxc_features' | sed 's/^/   /'

step init lxd init --auto --storage-backend dir
lxc profile device remove default eth0 > /dev/null 2>&1
step import lxc image import image.tar.gz --alias bb
step launch lxc launch bb c1
step running until_true 10 is c1 RUNNING
step booted until_true 10 has_file c1 /root/boots
mine=$(tr '\0' '\n' < "/proc/$daemon/environ" | environment)
says 'the monitor has the environment of the daemon' "$mine" bash -c 'tr "\\0" "\\n" < /proc/$(monitor_of c1)/environ | environment'
says 'the monitor is the process that ps shows' '[lxc monitor] /var/lib/lxd/containers c1' bash -c 'tr "\\0" " " < /proc/$(monitor_of c1)/cmdline | sed "s/ *$//"'
step 'the monitor holds none of the sockets and pipes of the daemon' shares_nothing c1 $daemon
step 'the log has the monitor and what it did' bash -c 'lxc info c1 --show-log | grep -q "^lxc c1 [0-9.]* [A-Z]* *start "'
says exec c1 lxc exec c1 -- hostname
step 'exec: the exit code' sh -c 'lxc exec c1 -- sh -c "exit 7"; [ $? = 7 ]'
says 'exec: environment, user, directory' '1000 /tmp b' lxc exec c1 --env A=b --user 1000 --cwd /tmp -- sh -c 'echo "$(id -u) $PWD $A"'
says 'exec: stdin to stdout' 'through' sh -c 'echo through | lxc exec c1 -- cat'
step 'exec: what is not there ends with 127' sh -c 'lxc exec c1 -- /no/such; [ $? = 127 ]'
# By a file: what a command prints just before it ends, LXD's terminal may lose.
step 'exec: a terminal' sh -c "script -qec \"lxc exec c1 -t -- sh -c 'tty > /root/tty'\" /dev/null"
says 'exec: it was one' /dev/pts/ sh -c "lxc exec c1 -- cat /root/tty | sed 's/[0-9]*\$//'"
says 'the id map' '1' sh -c 'lxc exec c1 -- cat /proc/self/uid_map | wc -l'
step 'file push' sh -c 'echo pushed > f; lxc file push f c1/tmp/f'
says 'file pull' 'pushed' lxc file pull c1/tmp/f -
says list 'c1,RUNNING' lxc list -f csv -c ns
step 'info and its counters' sh -c 'lxc info c1 | grep -q "Memory (current)" && lxc info c1 | grep -q "Processes: "'
step 'memory limit while it runs' lxc config set c1 limits.memory 64MiB
step 'memory limit is in the group' sh -c 'grep -qx 67108864 /sys/fs/cgroup/memory/lxc.payload.c1/memory.limit_in_bytes || grep -qx 67108864 /sys/fs/cgroup/lxc.payload.c1/memory.max'
step 'process limit while it runs' lxc config set c1 limits.processes 200
step 'cpu limit while it runs' lxc config set c1 limits.cpu 1
step 'disk hot-plugged' sh -c 'mkdir -p /mnt/share; chmod 777 /mnt/share; echo shared > /mnt/share/x; lxc config device add c1 d1 disk source=/mnt/share path=/mnt'
says 'disk is there' shared lxc exec c1 -- cat /mnt/x
step 'disk unplugged' lxc config device remove c1 d1
step 'disk is gone' sh -c '! lxc exec c1 -- test -e /mnt/x'
step 'device hot-plugged' lxc config device add c1 z1 unix-char source=/dev/zero path=/dev/zero2
step 'device is there' lxc exec c1 -- test -c /dev/zero2
step 'device unplugged' lxc config device remove c1 z1
step 'interface hot-plugged' sh -c 'ip link add dummy7 type veth peer name dummy8 && lxc config device add c1 n1 nic nictype=physical parent=dummy7 name=eth7'
step 'interface is there' lxc exec c1 -- ip link show eth7
step 'interface unplugged' lxc config device remove c1 n1
step 'interface is back' ip link show dummy7
step 'veth hot-plugged' lxc config device add c1 n2 nic nictype=p2p name=eth8
step 'veth is there' lxc exec c1 -- ip link show eth8
step 'veth unplugged' lxc config device remove c1 n2
step pause lxc pause c1
says 'state frozen' FROZEN state c1
step resume lxc start c1
says 'state again' RUNNING state c1
step 'console log' sh -c 'lxc console c1 --show-log | grep -q "init of c1 is up"'
step restart lxc restart c1 --timeout 20
step 'second boot' until_true 10 sh -c '[ "$(lxc exec c1 -- cat /root/boots | wc -l)" = 2 ]'
step 'restart from within' sh -c 'lxc exec c1 -- kill -INT 1 || :'
step 'third boot' until_true 20 sh -c '[ "$(lxc exec c1 -- cat /root/boots | wc -l)" = 3 ]'
step snapshot lxc snapshot c1 s1
step stop lxc stop c1 --timeout 20
says 'state stopped' STOPPED state c1
step copy lxc copy c1/s1 c2
step 'start of the copy' lxc start c2
says 'name of the copy' c2 lxc exec c2 -- hostname
step 'stop by force' lxc stop -f c2
step rename lxc rename c2 c3
step privileged lxc launch bb p1 -c security.privileged=true
says 'privileged: no id map' '0' sh -c "lxc exec p1 -- awk '{ print \$2 }' /proc/self/uid_map"
printf '#!/bin/sh\nenv > /mnt/hook\n' > /mnt/hook.sh
chmod 755 /mnt/hook.sh
step nesting lxc launch bb p2 -c security.nesting=true -c raw.lxc=$'lxc.environment = RAW=lxc\nlxc.hook.pre-start = /mnt/hook.sh'
says raw.lxc lxc sh -c "lxc exec p2 -- sh -c 'tr \"\\0\" \"\\n\" < /proc/1/environ' | sed -n 's/^RAW=//p'"
says 'a hook has the environment of the daemon' "$mine" bash -c 'environment < /mnt/hook'
says 'a hook has the file that the daemon loaded' /var/lib/lxd/logs/p2/lxc.conf sed -n 's/^LXC_CONFIG_FILE=//p' /mnt/hook
step 'system calls intercepted' lxc launch bb p3 -c security.syscalls.intercept.mknod=true -c security.syscalls.intercept.setxattr=true
step 'mknod through the daemon' lxc exec p3 -- mknod /root/null c 1 3
says 'mknod that the daemon leaves to the kernel' 'mknod: /root/tty: Operation not permitted' lxc exec p3 -- mknod /root/tty c 4 1
step 'mknod that needs no device' lxc exec p3 -- mknod /root/fifo p
lxc init bb b1 -c raw.lxc='lxc.hook.pre-start = /bin/false' > /dev/null 2>&1 < /dev/null
step 'a start that fails' sh -c '! lxc start b1'
step 'a start that fails: the log says why' sh -c 'lxc info b1 --show-log | grep -q " ERROR .*lxc.hook.pre-start"'
lxc init bb n1 > /dev/null 2>&1 < /dev/null
step 'nic of the config' lxc config device add n1 eth0 nic nictype=p2p name=eth0
step 'nic of the config: start' started n1
step 'nic of the config: it is there' lxc exec n1 -- ip link show eth0
step 'ended from within' sh -c 'lxc exec p2 -- kill -TERM 1 || :'
step 'ended from within is seen' until_true 20 is p2 STOPPED
for i in 1 2 3 4 5; do lxc init bb m$i > /dev/null 2>&1 < /dev/null; done
step 'five at once: start' lxc start m1 m2 m3 m4 m5
says 'five at once: running' 5 sh -c 'lxc list -f csv -c s "^m" | grep -c RUNNING'
step 'five at once: stop' lxc stop -f m1 m2 m3 m4 m5
# The daemon goes and comes back: containers live on.
kill -TERM "$daemon"
wait "$daemon" 2> /dev/null
lxd --group root --logfile "$tmp/lxd.log" > daemon.out 2>&1 &
daemon=$!
step 'second daemon' lxd waitready --timeout 55
says 'it knows who runs' RUNNING state p1
says 'exec by the second daemon' p1 lxc exec p1 -- hostname
step delete sh -c 'lxc delete -f b1 c1 c3 n1 p1 p2 p3 m1 m2 m3 m4 m5'
says 'list is empty' '' lxc list -f csv -c ns
left=$(find /sys/fs/cgroup -maxdepth 2 -name "lxc.*" ! -name lxc.pivot | paste -sd" ")
[ -z "$left" ] && echo 'ok lxd no group is left' || { echo "failed lxd groups are left: $left"; failures=$((failures + 1)); }
if [ "$failures" -gt 0 ] && [ -n "${LXD_LOGS:-}" ]; then
    mkdir -p "$LXD_LOGS" && cp -r "$tmp"/lxd.log daemon.out /var/log/lxd /var/lib/lxd/logs "$LXD_LOGS" 2> /dev/null
fi
timeout 30 lxd shutdown > /dev/null 2>&1 || kill -9 "$daemon" 2> /dev/null
wait "$daemon" 2> /dev/null
echo "lxd: $failures failed"
[ "$failures" = 0 ]
