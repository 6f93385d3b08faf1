//! The settings of `terminal`, as its keys leave them. Data only; parsing lies in `keys.rs`, acting elsewhere.
#![forbid(unsafe_code)]

/// Terminals and /dev.
#[derive(Debug, Clone, PartialEq)]
pub struct Conf {
    /// `lxc.autodev`.
    pub autodev: bool,
    /// `lxc.autodev.tmpfs.size` in bytes; 0 as stored means the effective 500000.
    pub tmpfs_size: i32,
    /// `lxc.pty.max`.
    pub pty_max: u32,
    /// `lxc.tty.max`.
    pub tty_max: u32,
    /// `lxc.tty.dir`.
    pub tty_dir: Option<String>,
    /// `lxc.console.path`; `Some("none")` disables the console.
    pub console_path: Option<String>,
    /// `lxc.console.logfile`.
    pub console_logfile: Option<String>,
    /// `lxc.console.rotate`.
    pub console_rotate: bool,
    /// `lxc.console.buffer.size` in bytes.
    pub console_buffer: u64,
    /// `lxc.console.size` in bytes.
    pub console_size: u64,
}

impl Default for Conf {
    fn default() -> Self {
        Self {
            autodev: true,
            tmpfs_size: 0,
            pty_max: 0,
            tty_max: 0,
            tty_dir: None,
            console_path: None,
            console_logfile: None,
            console_rotate: false,
            console_buffer: 0,
            console_size: 0,
        }
    }
}
