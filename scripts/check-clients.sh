#!/usr/bin/env bash
# check-clients.sh [lua go lxd arm]: programs that are built on the C library, on ours and on the distribution's: lua-lxc, a Go
# program on go-lxc, LXD, and the variadic members' assembly for aarch64. It installs what they need (about 700 MB). Prints a
# line for each step, `ok` or `failed`, and a summary.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root
scripts/deps.sh clients
[ "$#" -gt 0 ] || set -- lua go lxd arm
PREFIX=$(checked_prefix)
[ -n "${LXC_CLIENTS_BUILT:-}" ] || scripts/inst.sh > /dev/null
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0
ok() {
    passed=$((passed + 1))
    echo "ok $*"
}
bad() {
    failed=$((failed + 1))
    echo "failed $*"
}
# Programs started from a background shell inherit ignored signals, which containers would inherit in turn.
run() { env --default-signal=HUP,INT,QUIT,TERM,PIPE,CHLD timeout "$1" tests/clients/sandbox.sh "${@:2}"; }

# both NAME PROGRAM: its lines on the distribution's library, then on ours in both ways of putting it there.
both() {
    local name=$1 inside="mkdir /mnt/s && $root/tests/clients/client.sh $2 /mnt/s" way
    run 300 sh -c "$inside" > "$tmp/theirs" 2>&1 || bad "$name on the distribution's library (rc $?)"
    run 300 env LD_LIBRARY_PATH="$PREFIX/lib" sh -c "$inside" > "$tmp/path" 2>&1 || bad "$name by LD_LIBRARY_PATH (rc $?)"
    LIBLXC=$(readlink -e "$PREFIX/lib/liblxc.so.1") run 300 sh -c "$inside" > "$tmp/place" 2>&1 ||
        bad "$name in the distribution's place (rc $?)"
    for way in path place; do
        if [ -s "$tmp/theirs" ] && diff "$tmp/theirs" "$tmp/$way"; then
            ok "$name ($way): $(wc -l < "$tmp/$way") lines are those of the distribution's library"
        else
            bad "$name ($way): the lines differ"
        fi
    done
}

for what; do
    say "$what"
    case $what in
        lua) both lua "$root/tests/clients/client.lua" ;;
        go)
            mkdir "$tmp/go"
            cp tests/clients/client.go "$tmp/go/"
            if (cd "$tmp/go" && GO111MODULE=off GOPATH="$tmp/gopath:/usr/share/gocode" GOCACHE=$tmp/gocache \
                PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig go build -o client client.go); then
                ok 'go: built against our headers'
                both go "$tmp/go/client"
            else
                bad 'go: build'
            fi
            ;;
        lxd)
            for way in theirs path place; do
                case $way in
                    theirs) run 900 "$root/tests/clients/lxd.sh" > "$tmp/lxd" 2>&1 || : ;;
                    path) run 900 env LD_LIBRARY_PATH="$PREFIX/lib" "$root/tests/clients/lxd.sh" > "$tmp/lxd" 2>&1 || : ;;
                    place) LIBLXC=$(readlink -e "$PREFIX/lib/liblxc.so.1") run 900 "$root/tests/clients/lxd.sh" > "$tmp/lxd" 2>&1 || : ;;
                esac
                grep -E '^(ok|failed|   )' "$tmp/lxd" | sed "s/ lxd / lxd ($way) /"
                passed=$((passed + $(grep -c '^ok' "$tmp/lxd" || :)))
                grep -o '^failed lxd [^(:]*' "$tmp/lxd" | sort > "$tmp/failed.$way" || :
                # What fails on the distribution's library as well is the machine's.
                if [ "$way" != theirs ]; then
                    failed=$((failed + $(comm -13 "$tmp/failed.theirs" "$tmp/failed.$way" | wc -l)))
                fi
            done
            ;;
        arm)
            for level in -O0 -O2; do
                if aarch64-linux-gnu-gcc "$level" -static -Wall -Wextra -Werror -Wa,-Isrc/lib/capi/variadic \
                    tests/abi/trampoline.c -o "$tmp/trampoline" && qemu-aarch64-static "$tmp/trampoline"; then
                    ok "aarch64 trampolines, $level"
                else
                    bad "aarch64 trampolines, $level"
                fi
            done
            ;;
        *) die 'usage: check-clients.sh [lua go lxd arm]' ;;
    esac
done
echo "clients: $passed ok, $failed failed"
[ "$failed" = 0 ]
