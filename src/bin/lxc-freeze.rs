//! lxc-freeze: see src/lib/cli/freeze.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-freeze");
