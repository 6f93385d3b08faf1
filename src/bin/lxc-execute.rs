//! lxc-execute: see src/lib/cli/execute.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-execute");
