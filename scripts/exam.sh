#!/usr/bin/env bash
# exam.sh PREFIX SHARED: upstream's test programs on the installation at PREFIX. One that fails is run once more alone:
# they wait by sleeping, and a busy machine is late.
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
