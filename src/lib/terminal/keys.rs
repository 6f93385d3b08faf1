//! The keys of `terminal`: rows only. What obeys them lies beside.
#![forbid(unsafe_code)]

use super::Conf;
use crate::keys::{Empty, Key, Kind};
use crate::slot;

/// All keys of this feature.
pub static KEYS: &[Key<Conf>] = &[
    Key::<Conf>::field(
        "lxc.autodev",
        Kind::Bool,
        slot!(Bool, autodev),
        "since: 1.0
         good: 1 | 0
         bad: 2
         default: 1

         1 gives the container a small /dev of its own; 0 leaves the rootfs's. An empty value means 0. `lxc.autodev = 0`",
    )
    .empty(Empty::Number(0))
    .reset(1),
    Key::<Conf>::field(
        "lxc.autodev.tmpfs.size",
        Kind::TmpfsSize,
        slot!(I32, tmpfs_size),
        "since: 4.0
         good: 1000000 | 500000
         default: 500000

         The size of the container's /dev in bytes. `lxc.autodev.tmpfs.size = 1000000`",
    )
    .empty(Empty::Number(500_000))
    .reset(500_000),
    Key::field(
        "lxc.console.buffer.size",
        Kind::ConsoleSize,
        slot!(U64, console_buffer),
        "since: 3.0
         good: auto | 64KB | 1 MB
         bad: 1TB | AUTO
         default: no buffer

         The size of the ring buffer that keeps the console's last output: auto (128 KiB) or bytes, rounded up to a power of
         two. `lxc.console.buffer.size = auto`",
    ),
    Key::field(
        "lxc.console.logfile",
        Kind::Path,
        slot!(Text, console_logfile),
        "since: 1.0
         good: /var/log/c1.console

         A file of the host that the console's output is appended to. `lxc.console.logfile = /var/log/web1.console`",
    ),
    Key::field(
        "lxc.console.path lxc.console",
        Kind::Path,
        slot!(Text, console_path),
        "since: 1.0
         good: none | /dev/tty9 | //dev//pts/3/
         default: a terminal of its own

         A terminal of the host for the console, or none. `lxc.console.path = /dev/tty9`",
    ),
    Key::field(
        "lxc.console.rotate",
        Kind::Bool,
        slot!(Bool, console_rotate),
        "since: 3.0
         good: 1 | 0
         bad: 2
         default: 0

         1 renames the console's log when it has reached lxc.console.size. `lxc.console.rotate = 1`",
    ),
    Key::field(
        "lxc.console.size",
        Kind::ConsoleSize,
        slot!(U64, console_size),
        "since: 3.0
         good: auto | 10KB | 5000
         bad: KB | 1KBx
         default: no limit

         The size that the console's log file may have: auto (128 KiB) or bytes, rounded up to a power of two.
         `lxc.console.size = 1MB`",
    ),
    Key::field(
        "lxc.pty.max lxc.pts",
        Kind::UInt(u32::MAX),
        slot!(U32, pty_max),
        "since: 1.0
         good: 1024 | 0
         bad: -1
         default: 0

         How many terminals the container's own devpts has for it, besides those of lxc.tty.max. `lxc.pty.max = 1024`",
    ),
    Key::field(
        "lxc.tty.dir lxc.devttydir",
        Kind::Text(255),
        slot!(Text, tty_dir),
        "since: 1.0
         good: lxc

         A directory below /dev in which the terminals are made, with links in /dev. `lxc.tty.dir = lxc`",
    ),
    Key::field(
        "lxc.tty.max lxc.tty",
        Kind::UInt(u32::MAX),
        slot!(U32, tty_max),
        "since: 1.0
         good: 4 | 0
         bad: x
         default: 0

         How many terminals /dev/tty1 and so on lxc-console can connect to. `lxc.tty.max = 4`",
    ),
];
