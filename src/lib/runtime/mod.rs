//! A container's life: the plan of a start, its steps, the child that carries them out, the monitor that stays.
#![forbid(unsafe_code)]

pub mod answer;
pub mod conlog;
pub mod console;
pub mod interp;
mod interp_mount;
mod interp_path;
pub mod ring;
pub mod running;
pub mod served;
pub mod server;
pub mod supervisor;
pub mod sync;
pub mod undo;
