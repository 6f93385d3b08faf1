//! A terminal's window and modes. Knows nothing of pairs (`pty`), escapes or relays.

use super::rc::{again, check};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Whether the descriptor is a terminal's.
pub fn is_tty(fd: impl AsFd) -> bool {
    // SAFETY: isatty takes an integer.
    unsafe { libc::isatty(fd.as_fd().as_raw_fd()) == 1 }
}

/// A window's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Winsize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub cols: u16,
}

/// The window's size (TIOCGWINSZ, ioctl_tty(2)).
///
/// # Errors
/// ENOTTY.
pub fn winsize(fd: impl AsFd) -> io::Result<Winsize> {
    let mut w = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes a struct winsize.
    check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut w) })?;
    Ok(Winsize { rows: w.ws_row, cols: w.ws_col })
}

/// Sets the window's size; the foreground programs get SIGWINCH when it changes (TIOCSWINSZ, ioctl_tty(2)).
///
/// # Errors
/// ENOTTY.
pub fn set_winsize(fd: impl AsFd, size: Winsize) -> io::Result<()> {
    let w = libc::winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads a struct winsize.
    check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const w) }).map(drop)
}

/// The modes of a terminal (termios(3)).
#[derive(Clone, Copy)]
pub struct Modes(libc::termios);

impl std::fmt::Debug for Modes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let t = &self.0;
        write!(f, "Modes(i {:#x}, o {:#x}, c {:#x}, l {:#x})", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag)
    }
}

impl PartialEq for Modes {
    fn eq(&self, other: &Self) -> bool {
        let key = |m: &Self| (m.0.c_iflag, m.0.c_oflag, m.0.c_cflag, m.0.c_lflag, m.0.c_cc);
        key(self) == key(other)
    }
}

impl Modes {
    /// The present ones.
    ///
    /// # Errors
    /// ENOTTY.
    pub fn of(fd: impl AsFd) -> io::Result<Self> {
        let mut modes = MaybeUninit::zeroed();
        // SAFETY: tcgetattr writes a struct termios; one of zeros is valid as well.
        check(unsafe { libc::tcgetattr(fd.as_fd().as_raw_fd(), modes.as_mut_ptr()) })?;
        // SAFETY: filled by the call above.
        Ok(Self(unsafe { modes.assume_init() }))
    }

    /// The same with every byte passed on as it is: no echo, no line editing, no signals (cfmakeraw(3)), one byte at least
    /// for a read.
    #[must_use]
    pub fn raw(mut self) -> Self {
        // SAFETY: the struct is valid; cfmakeraw only changes its fields.
        unsafe { libc::cfmakeraw(&raw mut self.0) };
        for (at, value) in [(libc::VMIN, 1), (libc::VTIME, 0)] {
            if let Some(slot) = self.0.c_cc.get_mut(at) {
                *slot = value;
            }
        }
        self
    }

    /// The same with or without a carriage return before each newline that programs write (ONLCR).
    #[must_use]
    pub fn onlcr(mut self, on: bool) -> Self {
        if on {
            self.0.c_oflag |= libc::ONLCR
        } else {
            self.0.c_oflag &= !libc::ONLCR
        }
        self
    }

    /// The same with or without processing of what programs write (OPOST).
    #[must_use]
    pub fn opost(mut self, on: bool) -> Self {
        if on {
            self.0.c_oflag |= libc::OPOST
        } else {
            self.0.c_oflag &= !libc::OPOST
        }
        self
    }

    /// Sets them, at once; `flush` forgets what was typed and not read.
    ///
    /// # Errors
    /// ENOTTY.
    pub fn set(&self, fd: impl AsFd, flush: bool) -> io::Result<()> {
        let when = if flush { libc::TCSAFLUSH } else { libc::TCSANOW };
        // SAFETY: the struct lives until the call returns.
        again(|| check(unsafe { libc::tcsetattr(fd.as_fd().as_raw_fd(), when, &raw const self.0) })).map(drop)
    }
}

/// A terminal in raw mode; dropping it restores the modes it had.
#[derive(Debug)]
pub struct Raw {
    fd: OwnedFd,
    before: Modes,
}

impl Raw {
    /// Puts the terminal into raw mode, and forgets what was typed before. Keeps a descriptor of its own.
    ///
    /// # Errors
    /// ENOTTY.
    pub fn enter(fd: impl AsFd) -> io::Result<Self> {
        let fd = fd.as_fd().try_clone_to_owned()?;
        let before = Modes::of(&fd)?;
        before.raw().set(&fd, true)?;
        Ok(Self { fd, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to restore.
        let _ = self.before.set(&self.fd, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_mode_ends_with_the_guard() {
        let p = crate::sys::pty::open_host().unwrap();
        let before = Modes::of(&p.pty).unwrap();
        let raw = Raw::enter(&p.pty).unwrap();
        assert_eq!(raw.before, before);
        let now = Modes::of(&p.pty).unwrap();
        assert_ne!(now, before);
        assert_eq!(now.0.c_lflag & (libc::ICANON | libc::ECHO | libc::ISIG), 0);
        drop(raw);
        assert_eq!(Modes::of(&p.pty).unwrap(), before);
        before.onlcr(false).set(&p.pty, false).unwrap();
        assert_eq!(Modes::of(&p.ptx).unwrap(), before.onlcr(false));
    }

    #[test]
    fn windows_have_a_size_and_other_files_none() {
        let p = crate::sys::pty::open_host().unwrap();
        assert!(is_tty(&p.pty));
        let size = Winsize { rows: 40, cols: 132 };
        set_winsize(&p.ptx, size).unwrap();
        assert_eq!(winsize(&p.pty).unwrap(), size);
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(!is_tty(&null));
        assert!(winsize(&null).is_err() && Raw::enter(&null).is_err());
    }
}
