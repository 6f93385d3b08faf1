#!/usr/bin/env bash
# demo.sh [PREFIX]: the main job, shown, with a release built for it, or with the installation that stands in PREFIX.
# Each command stands before its output; the first failure ends it; nothing stays behind.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root
prefix=${1:-}
if [ -z "$prefix" ]; then
    scripts/deps.sh build
    say 'building a release (some minutes the first time)'
    prefix=$root/target/demo
    make -s install PREFIX="$prefix" DESTDIR='' LXC_INSTALL_ETC=no
fi
store=$(mktemp -d /var/tmp/lxc-demo.XXXXXX)
chmod 755 "$store"
export PATH=$prefix/bin:$PATH
finish() {
    status=$?
    trap - EXIT
    if lxc-info -P "$store" -n demo > /dev/null 2>&1; then
        lxc-destroy -P "$store" -n demo -f > /dev/null 2>&1 || :
    fi
    rm -rf --one-file-system "$store"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
printf 'lxc.net.0.type = empty\n' > "$store/demo.conf"
# Profiles come with the distribution's packages: where AppArmor runs without them, a container that names none is refused.
profiles=/sys/kernel/security/apparmor/profiles
if [ -e "$profiles" ] && ! grep -q '^lxc-container-default-cgns ' "$profiles"; then
    printf 'lxc.apparmor.profile = unconfined\n' >> "$store/demo.conf"
fi

show() {
    printf '\033[1m# %s\033[0m\n' "$*"
    "$@"
}
show lxc-create -P "$store" -n demo -f "$store/demo.conf" -t busybox
show lxc-start -P "$store" -n demo
show lxc-wait -P "$store" -n demo -s RUNNING -t 10
show lxc-attach -P "$store" -n demo -- ps
show lxc-attach -P "$store" -n demo -- hostname
show lxc-ls -P "$store" -f
show lxc-info -P "$store" -n demo
show lxc-stop -P "$store" -n demo -k
show lxc-ls -P "$store" -f
show lxc-destroy -P "$store" -n demo
show lxc-ls -P "$store"
echo 'done: created, started, entered, listed, stopped, destroyed'
