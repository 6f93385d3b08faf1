//! LXC in Rust: one library behind the `lxc-*` tools and behind `liblxc.so.1`.
//!
//! Layers, each using only those before it: `sys` (the kernel), `base` (nouns and tools that features share), `keys`
//! (the config engine), the features and `ipc`, `config` (all features' settings), `runtime` (a container's life),
//! `container` (the handle and what is done to it), then `cli` and `capi` side by side. ARCHITECTURE.md says why.
#![deny(unsafe_code)]

pub mod base;
pub mod capi;
pub mod cgroup;
pub mod cli;
pub mod config;
pub mod container;
pub mod entry;
pub mod hook;
pub mod idmap;
pub mod ipc;
pub mod keys;
pub mod mount;
pub mod namespace;
pub mod network;
pub mod process;
pub mod runtime;
pub mod security;
pub mod storage;
pub mod sys;
pub mod terminal;
