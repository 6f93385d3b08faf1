//! A container's life: the plan of a start, its steps, the child that carries them out, the monitor that stays.
//! Owns neither a feature's acts nor what is on disk when nothing runs.
#![forbid(unsafe_code)]

pub mod answer;
pub mod attach;
mod attach_child;
pub mod attach_env;
pub mod attach_protect;
mod attach_seccomp;
pub mod attach_wait;
pub mod child;
pub mod conlog;
pub mod console;
pub mod console_client;
pub mod diagnose;
pub mod freeze;
pub mod host_hooks;
pub mod interp;
mod interp_mount;
mod interp_path;
pub mod interrupt;
pub mod parent;
pub mod pid1;
pub mod pidfile;
pub mod plan;
pub mod refuse;
pub mod relay;
pub mod ring;
pub mod running;
pub mod script;
pub mod served;
pub mod server;
pub mod start;
pub mod steps;
pub mod stop;
pub mod supervise;
pub mod supervisor;
pub mod sync;
pub mod undo;
