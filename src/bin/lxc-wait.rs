//! lxc-wait: see src/lib/cli/wait.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-wait");
