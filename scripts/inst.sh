#!/usr/bin/env bash
# inst.sh [release]: builds and installs for the tests, into target/inst-check (see lib.sh).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
profile=${1:-dev}
PREFIX=$(checked_prefix)
export PREFIX DESTDIR='' INCLUDEDIR=$PREFIX/include MANDIR=$PREFIX/share/man UNITDIR=$PREFIX/lib/systemd/system
export LXC_BINDIR=$PREFIX/bin LXC_SBINDIR=$PREFIX/sbin LXC_LIBDIR=$PREFIX/lib LXC_LIBEXECDIR=$PREFIX/libexec
export LXC_DATADIR=$PREFIX/share LXC_SYSCONFDIR=/etc LXC_LOCALSTATEDIR=/var LXC_RUNDIR=/run LXC_INSTALL_ETC=no
LXC_VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
export LXC_VERSION
scripts/build.sh "$profile"
scripts/install.sh "$profile"
echo "$PREFIX"
