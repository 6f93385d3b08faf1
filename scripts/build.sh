#!/usr/bin/env bash
# build.sh release|dev: the library, the tools' stubs and the static programs, for the directories in LXC_*.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
profile=${1:-release}
: "${LXC_LIBDIR:?run it through make}"

# The monitor: at a fixed address, so that nothing is relocated and its tables stay the file's own pages.
static=(-C target-feature=+crt-static -C relocation-model=static)
case $profile in
    release)
        out=target/release
        # `cargo build` would leave the library without link-time optimisation: it is an rlib as well.
        "$CARGO" rustc -q --release --lib --crate-type cdylib
        # The next ones want it as an rlib, and write a library beside that in its place.
        lib=$out/liblxc.so
        "$CARGO" rustc -q --release --bin lxc-init -- -C target-feature=+crt-static
        "$CARGO" rustc -q --release --bin lxc-supervise -- "${static[@]}"
        optimise=(-C opt-level=s -C strip=symbols)
        ;;
    dev)
        out=target/debug
        "$CARGO" build -q --lib
        "$CARGO" rustc -q --bin lxc-init -- -C target-feature=+crt-static
        "$CARGO" rustc -q --bin lxc-supervise -- "${static[@]}"
        lib=$out/deps/liblxc.so
        [ -e "$lib" ] || lib=$out/liblxc.so
        optimise=(-C opt-level=s)
        ;;
    *) die "usage: build.sh release|dev" ;;
esac

# The stubs are built by rustc itself: under Cargo each would want the library again, as an rlib and aborting.
stubs=$out/stubs
mkdir -p "$stubs"
rm -f "$stubs/lxc-supervise" # a stub once
ln -sf "$(realpath "$lib")" "$stubs/liblxc.so.1"
stamp="$LXC_LIBDIR $LXC_VERSION $profile"
for source in src/bin/*.rs; do
    tool=$(basename "$source" .rs)
    case $tool in lxc-init | lxc-supervise) continue ;; esac
    if [ "$stubs/$tool" -nt "$source" ] && [ "$stubs/$tool" -nt src/stub.rs ] &&
        [ "$(cat "$stubs/.$tool" 2> /dev/null)" = "$stamp" ]; then
        continue
    fi
    CARGO_PKG_VERSION=$LXC_VERSION rustc --edition 2024 --crate-name "${tool//-/_}" --crate-type bin -C panic=abort \
        "${optimise[@]}" -C link-arg=-L"$stubs" -C link-arg=-l:liblxc.so.1 -C link-arg=-lc \
        -C link-arg=-Wl,-rpath,"$LXC_LIBDIR" -C link-arg=-Wl,-z,now -o "$stubs/$tool" "$source"
    printf '%s' "$stamp" > "$stubs/.$tool"
done
