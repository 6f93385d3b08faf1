#!/usr/bin/env bash
# bench.sh [CASE...]: ours (release) against the distribution's LXC in one run; ratios below 1 are ours being cheaper.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root
scripts/deps.sh check
prefix=/var/tmp/lxc-bench-inst
make -s install PREFIX="$prefix" DESTDIR='' LXC_INSTALL_ETC=no
LXC_TEST_PREFIX=$prefix "$CARGO" test -q --test abi budgets
shared=${LXC_SHARED:-$root/../shared}
[ -x "$shared/bench/bench.sh" ] || die "the bench runner is missing: $shared/bench/bench.sh"
[ $# -gt 0 ] || set -- start cycle start-common execute attach stop-k info-state ls1000 lsf-running100 create-busybox
BENCH_RT=${BENCH_RT:-0} "$shared/bench/bench.sh" -n "${BENCH_N:-40}" --vs /usr "$prefix" "$@"
say 'frequent calls of the C library'
benches/api.sh "$prefix/lib"
say 'a start from a large process'
benches/large.sh "$prefix/lib"
