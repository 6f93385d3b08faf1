//! Feature `terminal`: /dev, console, ttys, ptys (lxc.autodev*, lxc.console.*, lxc.tty.*, lxc.pty.max).
#![forbid(unsafe_code)]

pub mod conf;
pub mod keys;

pub use conf::Conf;
