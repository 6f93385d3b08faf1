# LXC in Rust. `make demo` shows the main job, `make check` passes the tests; both install what they need.
# Everything else is listed by `make help`.

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib
LIBEXECDIR ?= $(PREFIX)/libexec
DATADIR ?= $(PREFIX)/share
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(DATADIR)/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
# These three keep the system's defaults, so that any PREFIX manages the system's containers.
SYSCONFDIR ?= /etc
LOCALSTATEDIR ?= /var
RUNDIR ?= /run
DESTDIR ?=

# Compiled into the library; build.rs and base::paths read them.
export LXC_BINDIR = $(BINDIR)
export LXC_SBINDIR = $(SBINDIR)
export LXC_LIBDIR = $(LIBDIR)
export LXC_LIBEXECDIR = $(LIBEXECDIR)
export LXC_DATADIR = $(DATADIR)
export LXC_SYSCONFDIR = $(SYSCONFDIR)
export LXC_LOCALSTATEDIR = $(LOCALSTATEDIR)
export LXC_RUNDIR = $(RUNDIR)
export LXC_VERSION = $(VERSION)
export PREFIX INCLUDEDIR MANDIR UNITDIR DESTDIR

CARGO ?= cargo
export CARGO

.PHONY: help demo demo-bare check check-clients check-reference check-vm inst build install bench fuzz-smoke fmt lint doc clean

help:
	@echo 'make demo             builds a release and shows a container created, started, entered, listed, stopped, destroyed'
	@echo 'make check            formats, lints, unit tests, behaviour tests with real containers'
	@echo 'make check-reference  the behaviour tests on the LXC that the distribution ships: proves the tests'
	@echo 'make check-vm         cgroup v2, AppArmor and systemd cases in a virtual machine'
	@echo 'make check-clients    lua-lxc, go-lxc, LXD and aarch64 assembly on our library and on the distribution'"'"'s'
	@echo 'make demo-bare        make demo inside a bare Debian tree'
	@echo 'make build, install   PREFIX= BINDIR= LIBDIR= SYSCONFDIR= LOCALSTATEDIR= RUNDIR= DESTDIR='
	@echo 'make bench, fuzz-smoke, fmt, lint, doc, clean'

demo:
	@scripts/demo.sh

demo-bare:
	@scripts/demo-bare.sh

check:
	@scripts/check.sh

check-reference:
	@scripts/check-reference.sh

check-clients:
	@scripts/check-clients.sh

check-vm:
	@scripts/check-vm.sh

# What the tests run: a development build (its child aborts when it allocates), installed for where it stands.
inst:
	@scripts/inst.sh

build:
	@scripts/build.sh release

install: build
	@scripts/install.sh release

bench:
	@scripts/bench.sh

fuzz-smoke:
	@scripts/fuzz-smoke.sh

fmt:
	$(CARGO) fmt

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --lib

doc:
	$(CARGO) doc --no-deps --lib

clean:
	$(CARGO) clean
