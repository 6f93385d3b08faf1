//! lxc-ls: see src/lib/cli/ls.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-ls");
