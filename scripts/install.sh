#!/usr/bin/env bash
# install.sh release|dev: lays out what build.sh made, below DESTDIR.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
case ${1:-release} in
    release) out=target/release lib=target/release/liblxc.so ;;
    *) out=target/debug lib=target/debug/deps/liblxc.so ;;
esac
: "${LXC_LIBDIR:?run it through make}" "${PREFIX:?}"

# Everything is laid out beside the old files and renamed over them: a running tool keeps what it has open.
put() { # put MODE FILE DIRECTORY [NAME]
    local to=$DESTDIR$3/${4:-$(basename "$2")}
    mkdir -p "$DESTDIR$3"
    install -m "$1" "$2" "$to.new"
    mv -f "$to.new" "$to"
}
fill() { # fill MODE FILE DIRECTORY NAME: with the directories written in
    local temporary
    temporary=$(mktemp)
    sed -e "s,@PREFIX@,$PREFIX,g; s,@BINDIR@,$LXC_BINDIR,g; s,@LIBDIR@,$LXC_LIBDIR,g; s,@INCLUDEDIR@,$INCLUDEDIR,g" \
        -e "s,@LIBEXECDIR@,$LXC_LIBEXECDIR,g; s,@CONFIGDIR@,$LXC_DATADIR/lxc/config,g" \
        -e "s,@HOOKDIR@,$LXC_DATADIR/lxc/hooks,g; s,@SYSCONFDIR@,$LXC_SYSCONFDIR,g" \
        -e "s,@LOCALSTATEDIR@,$LXC_LOCALSTATEDIR,g; s,@RUNDIR@,$LXC_RUNDIR,g; s,@VERSION@,$LXC_VERSION,g" \
        "$2" > "$temporary"
    put "$1" "$temporary" "$3" "$4"
    rm -f "$temporary"
}

[ -e "$lib" ] || lib=$out/liblxc.so
put 755 "$lib" "$LXC_LIBDIR" liblxc.so.1.9.0
ln -sfn liblxc.so.1.9.0 "$DESTDIR$LXC_LIBDIR/liblxc.so.1"
ln -sfn liblxc.so.1 "$DESTDIR$LXC_LIBDIR/liblxc.so"
for tool in "$out"/stubs/lxc-*; do
    case ${tool##*/} in
        lxc-spawn) put 755 "$tool" "$LXC_LIBEXECDIR/lxc" ;;
        *) put 755 "$tool" "$LXC_BINDIR" ;;
    esac
done
put 755 "$out/lxc-supervise" "$LXC_LIBEXECDIR/lxc"
put 755 "$out/lxc-init" "$LXC_SBINDIR" init.lxc.static
ln -sfn init.lxc.static "$DESTDIR$LXC_SBINDIR/init.lxc"
mkdir -p "$DESTDIR$LXC_LIBDIR/lxc/rootfs"

for file in config/*.conf config/common.seccomp; do
    fill 644 "$file" "$LXC_DATADIR/lxc/config" "$(basename "$file")"
done
fill 644 config/common.conf.d/README "$LXC_DATADIR/lxc/config/common.conf.d" README
for template in templates/lxc-*.in; do
    fill 755 "$template" "$LXC_DATADIR/lxc/templates" "$(basename "$template" .in)"
done
for hook in hooks/*; do
    put 755 "$hook" "$LXC_DATADIR/lxc/hooks"
done
for unit in config/units/*.in; do
    fill 644 "$unit" "$UNITDIR" "$(basename "$unit" .in)"
done
fill 644 config/lxc.pc.in "$LXC_LIBDIR/pkgconfig" lxc.pc
for header in include/lxc/*.h; do
    [ ! -e "$header" ] || put 644 "$header" "$INCLUDEDIR/lxc"
done
for page in man/*.[1-8]; do
    [ ! -e "$page" ] || fill 644 "$page" "$MANDIR/man${page##*.}" "$(basename "$page")"
done
completions=$LXC_DATADIR/bash-completion/completions
if [ -e config/completions/_lxc ]; then
    put 644 config/completions/_lxc "$completions"
    for tool in "$out"/stubs/lxc-*; do
        case $(basename "$tool") in
            lxc-checkconfig) ;;
            *) ln -sfn _lxc "$DESTDIR$completions/$(basename "$tool")" ;;
        esac
    done
fi

# The administrator's files are made once and never overwritten.
for pair in default.conf:lxc/default.conf default-lxc:default/lxc; do
    to=$DESTDIR$LXC_SYSCONFDIR/${pair#*:}
    if [ "${LXC_INSTALL_ETC:-yes}" = yes ] && [ ! -e "$to" ]; then
        fill 644 "config/etc/${pair%%:*}" "$LXC_SYSCONFDIR/$(dirname "${pair#*:}")" "$(basename "$to")"
    fi
done
