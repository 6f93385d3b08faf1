//! lxc-console: see src/lib/cli/console.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-console");
