#!/usr/bin/env bash
# sandbox.sh COMMAND [ARGS]: runs a command in a group of its own in every cgroup hierarchy and in mount, net, ipc, uts, pid
# and cgroup namespaces of its own, with its own /run, /tmp, /var/log, /var/lib/lxc, /var/lib/lxd and an overlay on /etc.
# LIBLXC=FILE stands in for the distribution's library in there. What the command leaves behind dies with it.
set -euo pipefail

hierarchies() { awk '$2 ~ "^/sys/fs/cgroup" && $3 ~ "^cgroup2?$" { print $2, $3, $4 }' /proc/self/mounts | sort -u -k1,1; }

pure_v2() { [ "$(hierarchies | wc -l)" = 1 ] && hierarchies | grep -q ' cgroup2 '; }

outer() {
    local group=lxc-clients-$$ dir kind file left
    while read -r dir kind _; do
        mkdir -p "$dir/$group"
        for file in cpuset.cpus cpuset.mems; do
            [ "$kind" = cgroup2 ] || [ ! -e "$dir/$group/$file" ] || cat "$dir/$file" > "$dir/$group/$file"
        done
    done < <(hierarchies)
    # shellcheck disable=SC2064 # the name as it is now
    trap "leave $group" EXIT
    (
        while read -r dir _; do echo "$BASHPID" > "$dir/$group/cgroup.procs"; done < <(hierarchies)
        exec unshare -m -n -p -i -u -C --fork --kill-child env LXC_CLIENTS_INSIDE=1 "$0" "$@"
    )
}

leave() {
    local dir round
    for round in $(seq 50); do
        left=
        while read -r dir _; do
            [ -d "$dir/$1" ] || continue
            find "$dir/$1" -name freezer.state -exec sh -c 'echo THAWED > "$0"' {} \; 2> /dev/null || true
            find "$dir/$1" -name cgroup.procs -exec cat {} + 2> /dev/null | sort -u | xargs -r kill -9 2> /dev/null || true
            find "$dir/$1" -depth -type d -exec rmdir {} + 2> /dev/null || true
            [ ! -d "$dir/$1" ] || left=$dir/$1
        done < <(hierarchies)
        [ -n "$left" ] || return 0
        sleep 0.1
    done
    echo "sandbox.sh: $left could not be removed after $round rounds" >&2
    return 1
}

inside() {
    local dir kind options place list base=/mnt
    list=$(hierarchies)
    mount --make-rprivate /
    mount -t tmpfs -o mode=755 lxc-clients "$base"
    mkdir -p "$base"/{run,log,lxc,lxd,etc.up,etc.work,cgroup} "$base/run/lock/subsys"
    mkdir -m 1777 "$base/tmp"
    mount -t proc proc /proc
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0600 devpts /dev/pts
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
    umount -l /sys
    mount -t sysfs sysfs /sys
    [ "$(wc -l <<< "$list")" = 1 ] || mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    while read -r dir kind options; do
        mkdir -p "$dir"
        options=$(tr ',' '\n' <<< "$options" | grep -vxE 'rw|ro|relatime|nosuid|nodev|noexec|xattr|nsdelegate|memory_recursiveprot' | paste -sd, || true)
        mount -t "$kind" ${options:+-o "$options"} cgroup "$dir"
    done <<< "$list"
    mount -t overlay -o "lowerdir=/etc,upperdir=$base/etc.up,workdir=$base/etc.work" overlay /etc
    printf 'root:100000:65536\n' | tee /etc/subuid > /etc/subgid
    mkdir -p /etc/lxc /var/lib/lxc /var/lib/lxd
    printf 'lxc.net.0.type = empty\n' > /etc/lxc/default.conf
    rm -f /etc/lxc/lxc.conf
    for place in run:/run log:/var/log lxc:/var/lib/lxc lxd:/var/lib/lxd; do
        mount --bind "$base/${place%%:*}" "${place#*:}"
    done
    if [ -n "${LIBLXC:-}" ]; then
        place=$(readlink -e "$(ldconfig -p | sed -n 's/.*liblxc\.so\.1 .*=> //p' | head -1)")
        mount --bind "$LIBLXC" "$place"
    fi
    ip link set lo up
    hostname sandbox
    cd /
    # Process 1 takes in what falls to it.
    "$@" &
    wait $!
}

if [ -n "${LXC_CLIENTS_INSIDE:-}" ]; then inside "$@"; else outer "$@"; fi
