#!/usr/bin/env bash
# fuzz-smoke.sh [SECONDS [TARGET...]]: every fuzz target for a minute, on its corpus, with executions and coverage; then
# proof that the fuzzers find something: a bug planted in the config grammar behind the feature planted-bug.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
seconds=${1:-60}
shift || true
[ $# -gt 0 ] || set -- config lxc_conf seccomp usernet subuid fstab
host=$(rustc -vV | sed -n 's/^host: //p')
# What `cargo fuzz` passes, less the address sanitizer: the parsers are safe Rust, panics are what is looked for.
export RUSTC_BOOTSTRAP=1
flags='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters'
flags="$flags -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # build DIRECTORY [OPTION...]
    local dir=$1
    shift
    # Only for the target itself: build scripts and macros stay as they are.
    CARGO_TARGET_DIR=$root/$dir CARGO_ENCODED_RUSTFLAGS=${flags// /$'\x1f'} \
        "$CARGO" build -q --manifest-path fuzz/Cargo.toml --release --target "$host" "$@"
}
fuzz() { # fuzz PROGRAM TARGET SECONDS: its own log in $work/TARGET.log
    mkdir -p "$work/$2"
    "$1" "$work/$2" "fuzz/corpus/$2" -dict="fuzz/dict/$2.dict" -max_total_time="$3" -max_len=1024 -timeout=10 \
        -rss_limit_mb=2048 -seed=1 -print_final_stats=1 -artifact_prefix="$work/$2-" > "$work/$2.log" 2>&1
}

build target/fuzz
printf '%-10s %12s %10s %10s %8s\n' target executions per-second coverage features
for target; do
    if ! fuzz "target/fuzz/$host/release/$target" "$target" "$seconds"; then
        tail -n 40 "$work/$target.log" >&2
        mkdir -p fuzz/artifacts && cp "$work/$target"-* fuzz/artifacts/
        die "$target: a bug was found; its input lies in fuzz/artifacts (put it into fuzz/corpus/$target when it is mended)"
    fi
    stat() { sed -n "s/^stat::$1: *//p" "$work/$target.log"; }
    last=$(grep -o 'cov: [0-9]* ft: [0-9]*' "$work/$target.log" | tail -n 1)
    read -r _ cov _ ft <<< "$last"
    printf '%-10s %12s %10s %10s %8s\n' "$target" "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" "$cov" "$ft"
done

say 'the planted bug'
build target/fuzz-planted --features planted-bug --bin config
for seed in fuzz/corpus/config/*; do
    # The seeds must not give it away.
    "target/fuzz-planted/$host/release/config" "$seed" > "$work/seed.log" 2>&1 || die "$seed meets the planted bug"
done
# It ends when the bug is found; a busy machine may need more than a minute.
if fuzz "target/fuzz-planted/$host/release/config" config 300; then
    die 'the planted bug was not found within five minutes'
fi
grep -q 'planted bug: an equals sign between quotes' "$work/config.log" || die "something else was found: $(tail -n 5 "$work/config.log")"
executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/config.log")
echo "found after ${executions:-some} executions"
