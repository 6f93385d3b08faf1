#!/usr/bin/env bash
# exam.sh PREFIX SHARED: upstream's test programs, and a tour of python3-lxc, on the installation at PREFIX. What fails is
# run once more alone: they wait by sleeping, and a busy machine is late.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
prefix=$1 shared=$2
list=${LXC_EXAM:-$(cat tests/exam.list)}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list of names
if ! "$shared/exam/run-suite.sh" "$prefix" "$prefix/lib" $list | tee "$log"; then
    again=$(sed -n 's/^FAIL \([^ ]*\).*/\1/p' "$log")
    echo "second run: $again"
    # shellcheck disable=SC2086
    "$shared/exam/run-suite.sh" "$prefix" "$prefix/lib" $again
fi

tour() {
    timeout 300 /usr/bin/python3 "$shared/exam/pylxc-smoke.py" "$prefix/lib" > "$log" 2>&1
}
if [ -z "${LXC_EXAM:-}" ] && ! tour && ! { echo 'second run: python3-lxc'; tour; }; then
    grep -v '^ok ' "$log"
    exit 1
fi
[ -n "${LXC_EXAM:-}" ] || echo "python3-lxc: $(tail -n 1 "$log")"
