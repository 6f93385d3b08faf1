# Shared by the scripts: where things are, and how they talk. Sourced, never run.
# shellcheck shell=bash
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
need_root() { [ "$(id -u)" = 0 ] || die "it makes containers: run it as root"; }

CARGO=${CARGO:-cargo}
# The tests' own installation. Where a directory above the checkout is closed to others, containers with an id map
# could not reach the init helper below it: then it lies in /var/tmp.
checked_prefix() {
    local dir=$root
    while [ "$dir" != / ]; do
        if [ "$(($(stat -c 0%a "$dir") & 1))" = 0 ]; then
            printf '/var/tmp/lxc-inst-check'
            return
        fi
        dir=$(dirname "$dir")
    done
    printf '%s/target/inst-check' "$root"
}
