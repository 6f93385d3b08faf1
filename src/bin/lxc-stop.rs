//! lxc-stop: see src/lib/cli/stop.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-stop");
