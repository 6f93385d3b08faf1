#!/usr/bin/env bash
# check-reference.sh: the behaviour tests on the distribution's LXC 5.0.2. What passes there proves the test.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root
scripts/deps.sh check
export LXC_UNDER_TEST=reference LXC_SHARED=${LXC_SHARED:-$root/../shared}
exec env --default-signal=HUP,INT,QUIT,TERM,PIPE,CHLD "$CARGO" test --test behaviour -- "$@"
