//! Pseudoterminals: opening pairs race-free, controlling terminals. The window and the modes of a terminal are `tty`'s.
//! Allocates nothing: the child opens its pairs in the container's own devpts.

use super::rc::check;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Both ends of a pseudoterminal, close-on-exec.
#[derive(Debug)]
pub struct Pty {
    /// The end of whoever shows the terminal.
    pub ptx: OwnedFd,
    /// The end of the programs that run in it.
    pub pty: OwnedFd,
    /// Its number: the name below the devpts instance.
    pub index: u32,
}

/// A pair of the host's devpts, by `/dev/ptmx`.
///
/// # Errors
/// ENOSPC when the instance has no more (its `max` option or kernel.pty.max).
pub fn open_host() -> io::Result<Pty> {
    open_from(ptmx(None, c"/dev/ptmx")?)
}

/// A pair of the devpts instance whose root directory is `devpts`.
///
/// # Errors
/// As [`open_host`]; ENOTTY when its ptmx is none.
pub fn open_in(devpts: impl AsFd) -> io::Result<Pty> {
    open_from(ptmx(Some(devpts.as_fd()), c"ptmx")?)
}

/// The ptmx device at `path` (below `dir`, when given and `path` is relative). A symlink in the last place is followed only
/// when there is no `dir`: a container's `ptmx` may be any file.
fn ptmx(dir: Option<BorrowedFd<'_>>, path: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC | if dir.is_some() { libc::O_NOFOLLOW } else { 0 };
    let at = dir.map_or(libc::AT_FDCWD, |d| d.as_raw_fd());
    // SAFETY: path is NUL-terminated; a non-negative result is a new descriptor that nobody else owns.
    unsafe { check(libc::openat(at, path.as_ptr(), flags)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// The pair of an open ptmx: unlocked, its other end opened through the descriptor and not by a path that somebody could
/// have put something else at (TIOCGPTPEER, ioctl_tty(2)).
///
/// # Errors
/// ENOTTY when it is no ptmx; EIO when its devpts is not mounted where the kernel looks for it.
pub fn open_from(ptx: OwnedFd) -> io::Result<Pty> {
    let index = index(&ptx)?;
    let unlock = 0_i32;
    // SAFETY: TIOCSPTLCK reads an int that lives until the call returns.
    check(unsafe { libc::ioctl(ptx.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) })?;
    let pty = peer(&ptx)?;
    Ok(Pty { ptx, pty, index })
}

/// The other end of an unlocked ptx, opened once more.
///
/// # Errors
/// As [`open_from`]; EIO while it is locked.
pub fn peer(ptx: impl AsFd) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags; a non-negative result is a new descriptor that nobody else owns.
    unsafe { check(libc::ioctl(ptx.as_fd().as_raw_fd(), libc::TIOCGPTPEER, flags)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// The number of a ptx in its devpts instance (TIOCGPTN, ioctl_tty(2)).
///
/// # Errors
/// ENOTTY when it is no ptx.
pub fn index(ptx: impl AsFd) -> io::Result<u32> {
    let mut number = 0_u32;
    // SAFETY: TIOCGPTN writes an unsigned int.
    check(unsafe { libc::ioctl(ptx.as_fd().as_raw_fd(), libc::TIOCGPTN, &raw mut number) })?;
    Ok(number)
}

/// Makes the terminal the session's (TIOCSCTTY, ioctl_tty(2)); the caller leads a session without one (setsid(2)).
///
/// # Errors
/// EPERM when the caller does not lead a session, has a terminal already, or the terminal is another session's.
pub fn set_controlling_tty(pty: impl AsFd) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes an integer; 0: never steal another session's.
    check(unsafe { libc::ioctl(pty.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    #[test]
    fn bytes_go_both_ways_and_end_with_the_peer() {
        let p = open_host().unwrap();
        assert_eq!(index(&p.ptx).unwrap(), p.index);
        let again = peer(&p.ptx).unwrap();
        let (mut ptx, mut pty) = (File::from(p.ptx), File::from(p.pty));
        pty.write_all(b"out\n").unwrap();
        let mut buf = [0; 16];
        let n = ptx.read(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"out\r\n");
        ptx.write_all(b"in\n").unwrap();
        let n = pty.read(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"in\n");
        drop((pty, again));
        // The echo of what was typed, then the hang-up.
        let n = ptx.read(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"in\r\n");
        assert_eq!(ptx.read(&mut buf).unwrap_err().raw_os_error(), Some(libc::EIO));
    }

    #[test]
    fn other_files_are_no_ptmx() {
        let null = OwnedFd::from(File::open("/dev/null").unwrap());
        assert_eq!(open_from(null).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
        let dev = File::open("/dev").unwrap();
        assert!(open_in(&dev).is_ok());
        assert!(ptmx(Some(dev.as_fd()), c"nothing-here").is_err());
    }
}
