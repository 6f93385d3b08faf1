#!/usr/bin/env bash
# check.sh: everything that must hold before a change lands. Ends with the behaviour tests' own summary.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root
scripts/deps.sh check
shared=${LXC_SHARED:-$root/../shared}
# Programs started from a background shell inherit ignored signals, which containers would inherit in turn.
run() { env --default-signal=HUP,INT,QUIT,TERM,PIPE,CHLD "$@"; }
step() {
    local start=$SECONDS name=$1
    shift
    say "$name"
    run "$@" || die "failed: $*"
    echo "   ($((SECONDS - start)) s)"
}
# The same directories everywhere, so that nothing is compiled twice.
PREFIX=$(checked_prefix)
export LXC_BINDIR=$PREFIX/bin LXC_SBINDIR=$PREFIX/sbin LXC_LIBDIR=$PREFIX/lib LXC_LIBEXECDIR=$PREFIX/libexec
export LXC_DATADIR=$PREFIX/share LXC_SYSCONFDIR=/etc LXC_LOCALSTATEDIR=/var LXC_RUNDIR=/run
export LXC_TEST_PREFIX=$PREFIX LXC_SHARED=$shared

step 'format' "$CARGO" fmt --check
step 'scripts' shellcheck -S warning -x scripts/*.sh templates/*.in hooks/*
step 'lints' "$CARGO" clippy -q --all-targets -- -D warnings
step 'documentation' env RUSTDOCFLAGS='-D warnings' "$CARGO" doc -q --no-deps --lib
step 'installation for the tests' scripts/inst.sh
step 'unit tests' "$CARGO" test -q --lib
for file in tests/*.rs; do
    name=$(basename "$file" .rs)
    step "tests: $name" "$CARGO" test -q --test "$name"
done
if [ -d "$shared/exam" ]; then
    step "upstream's own tests" scripts/exam.sh "$PREFIX" "$shared"
fi
say 'behaviour'
run "$CARGO" test --test behaviour
