//! What the terminal feature opens on the host before the clone: the console's pair where it is the host's, and a boot id.
#![forbid(unsafe_code)]

use super::{Conf, pts};
use crate::base::facts::Facts;
use crate::base::{Context, Error, Result};
use crate::sys::{path, pty, random};
use std::fmt::Write;
use std::os::fd::{AsFd, OwnedFd};

/// A pair of the host's devpts.
#[derive(Debug)]
pub struct HostPty {
    /// The monitor's end.
    pub ptx: OwnedFd,
    /// The container's end.
    pub pty: OwnedFd,
    /// The container's end by its path on the host: what is bound on /dev/console.
    pub path: String,
}

/// What is ready before the clone.
#[derive(Debug, Default)]
pub struct Prepared {
    /// The console, when it is the host's (`lxc.pty.max` ≤ 1).
    pub console: Option<HostPty>,
    /// The boot id that the container shows, with its newline.
    pub boot_id: Option<Vec<u8>>,
}

/// Opens the console's pair where the host gives it.
///
/// # Errors
/// The host has no more ptys; too many ttys.
pub fn prepare(conf: &Conf, facts: &Facts) -> Result<Prepared> {
    pts::check(conf, facts)?;
    let console = if pts::console_outside(conf, facts) { Some(host_pty(facts)?) } else { None };
    let boot_id = if conf.autodev { boot_id() } else { None };
    Ok(Prepared { console, boot_id })
}

/// A pair of the host's that the container's root may use.
fn host_pty(facts: &Facts) -> Result<HostPty> {
    let pair = pty::open_host().ctx(|| "console: a pseudo terminal of the host (/dev/ptmx)".into()).map_err(|e| {
        let full = e.errno == libc::ENOSPC;
        let e: Error = e.stage("console");
        if full {
            e.hint("raise /proc/sys/kernel/pty/max, or set lxc.pty.max = 2 so that the console is the container's own")
        } else {
            e
        }
    })?;
    let path = format!("/dev/pts/{}", pair.index);
    let (uid, gid) = facts.host_root();
    let own = || format!("console: give {path} to {uid}:{gid}");
    if facts.privileged {
        path::chownat(pair.pty.as_fd(), c"", uid, gid).ctx(own)?;
    }
    path::chmod_fd(pair.pty.as_fd(), 0o620).ctx(own)?;
    Ok(HostPty { ptx: pair.ptx, pty: pair.pty, path })
}

/// A random UUID (RFC 9562 version 4) and a newline.
fn boot_id() -> Option<Vec<u8>> {
    let mut bytes = [0_u8; 16];
    random::fill(&mut bytes).ok()?;
    let number = u128::from_be_bytes(bytes);
    let number = (number & !(0xf << 76 | 0x3 << 62)) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{number:032x}");
    let mut text = String::with_capacity(37);
    for (i, c) in hex.chars().enumerate() {
        if matches!(i, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(c);
    }
    writeln!(text).ok()?;
    Some(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::path::fstat;

    #[test]
    fn a_boot_id_is_a_uuid() {
        let id = String::from_utf8(boot_id().expect("made")).expect("ascii");
        assert_eq!((id.len(), id.as_bytes()[14], id.as_bytes()[36]), (37, b'4', b'\n'));
        assert_eq!(id.trim().split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        assert_ne!(boot_id(), boot_id());
    }

    #[test]
    fn the_hosts_console_is_opened_only_when_it_is_wanted() {
        let facts = Facts { rootfs: Some("/r".into()), ..Facts::default() };
        let p = prepare(&Conf::default(), &facts).expect("prepares");
        let c = p.console.expect("a pair");
        let by_path = std::fs::metadata(&c.path).expect("stat");
        let by_fd = fstat(c.pty.as_fd()).expect("stat");
        assert_eq!(std::os::unix::fs::MetadataExt::rdev(&by_path), by_fd.rdev);
        assert_eq!(by_fd.mode & 0o777, 0o620);
        for conf in
            [Conf { pty_max: 2, ..Conf::default() }, Conf { console_path: Some("none".into()), ..Conf::default() }]
        {
            assert!(prepare(&conf, &facts).expect("prepares").console.is_none());
        }
    }
}
