//! Feature `terminal`: /dev, console, ttys, ptys (lxc.autodev*, lxc.console.*, lxc.tty.*, lxc.pty.max). Renders ops and
//! opens what must be open before the clone; the console's bytes are carried by `runtime`.
#![forbid(unsafe_code)]

pub mod conf;
pub mod dev;
pub mod keys;
pub mod prepare;
pub mod pts;

pub use conf::Conf;
pub use dev::{autodev_ops, boot_id_ops, link_ops, node_ops};
pub use prepare::{HostPty, Prepared, prepare};
pub use pts::{console_ops, container_ttys, devpts_ops, stdio_ops, tty_ops};
