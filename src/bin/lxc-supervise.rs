//! lxc-supervise: the monitor of a container as a program of its own, static, so that it has nothing to relocate and is small:
//! see src/lib/runtime/supervise.rs. Without Rust's own start, which would ignore SIGPIPE for all that it runs.
#![no_main]

use std::ffi::{c_char, c_int};

/// The C library calls it.
///
/// # Safety
/// As for every C `main`: `argv` holds `argc` strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: argc and argv are what the C library gave.
    unsafe { lxc::entry::supervise(argc, argv) }
}
