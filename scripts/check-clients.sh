#!/usr/bin/env bash
# check-clients.sh [lua go lxd arm]: programs that are built on the C library, on ours and on the distribution's: lua-lxc, a Go
# program on go-lxc, LXD, and the variadic members' assembly for aarch64. It installs what they need (about 700 MB). Prints a
# line for each step, `ok`, `known` (with the reason; no failure of the run) or `failed`, and a summary.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root
scripts/deps.sh clients
[ "$#" -gt 0 ] || set -- lua go lxd arm
PREFIX=$(checked_prefix)
[ -n "${LXC_CLIENTS_BUILT:-}" ] || scripts/inst.sh > /dev/null
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 known=0
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

# Steps of LXD that cannot pass on our library yet: how the line begins, what it says, and why.
KNOWN=(
    'nic of the config: start|lxc.net.*phys|lxc.net.N.type = phys, which LXD uses for each of its nics, is not there yet and is refused by name'
    'nic of the config: it is there|not running|the container with a nic did not start'
)

# judge WAY: the lines of LXD's run. What fails on the distribution's library as well is the machine's.
judge() {
    local way=$1 line step entry name says reason why
    : > "$tmp/failed.$way"
    while IFS= read -r line; do
        case $line in
            'ok lxd '*) passed=$((passed + 1)) ;;
            'failed lxd '*)
                step=${line#failed lxd }
                printf '%s\n' "${step%% (rc *}" | sed "s/: wanted '.*//" >> "$tmp/failed.$way"
                if [ "$way" != theirs ]; then
                    why=
                    for entry in "${KNOWN[@]}"; do
                        IFS='|' read -r name says reason <<< "$entry"
                        [[ $step == "$name"* && ${line,,} =~ $says ]] && why=$reason
                    done
                    if grep -qxF "$(tail -1 "$tmp/failed.$way")" "$tmp/failed.theirs"; then
                        why="fails on the distribution's library as well: this machine"
                    fi
                    [ -n "$why" ] || failed=$((failed + 1))
                    [ -z "$why" ] || { known=$((known + 1)) && line="known ${line#failed } [$why]"; }
                fi
                ;;
            '   '*) ;;
            *) continue ;;
        esac
        printf '%s\n' "${line/ lxd / lxd ($way) }"
    done < "$tmp/lxd"
    # A run that did not come to its end.
    grep -q '^lxd: ' "$tmp/lxd" || bad "lxd ($way) ended early: $(tail -3 "$tmp/lxd" | tr '\n' ' ')"
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
                judge "$way"
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
echo "clients: $passed ok, $known known, $failed failed"
[ "$failed" = 0 ]
