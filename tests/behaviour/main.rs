//! Behaviour tests: real containers, each case in a sandbox of its own.
//!
//! `LXC_UNDER_TEST=ours` (default) tests the tools below `$LXC_TEST_PREFIX`; `=reference` runs the
//! same cases on Debian's lxc 5.0.2, which proves the cases. How to run and to write one: README.md.
#![deny(unsafe_code)]

mod case;
mod cases;
mod ctx;
mod driver;
mod fixture;
mod harness;
mod out;
mod pty;
mod sandbox;
mod skips;
mod snapshot;

fn main() {
    let mut args = std::env::args().skip(1);
    let code = match args.next().as_deref() {
        Some("--sandbox-outer") => sandbox::outer(),
        Some("--sandbox-pid1") => sandbox::pid1(),
        Some("--sandbox-case") => ctx::run_one(&args.next().unwrap_or_default()),
        Some("--migrate") => driver::migrate(&args.collect::<Vec<_>>()),
        Some("--restored") => driver::restored(&args.collect::<Vec<_>>()),
        _ => harness::run(std::env::args().skip(1).collect()),
    };
    std::process::exit(code);
}
