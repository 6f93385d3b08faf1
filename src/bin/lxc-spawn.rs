//! lxc-spawn: see src/lib/runtime/supervise.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-spawn");
