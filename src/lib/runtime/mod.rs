//! A container's life: the plan of a start, its steps, the child that carries them out, the monitor that stays.
#![forbid(unsafe_code)]

pub mod answer;
pub mod conlog;
pub mod console;
pub mod ring;
pub mod running;
pub mod server;
pub mod undo;
