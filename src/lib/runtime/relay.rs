//! Bytes between the caller's terminal and a pty: what lxc-attach and lxc-console show. Owns modes, window size and the
//! escape that leaves a console; starts nothing and waits for nobody's end.
#![forbid(unsafe_code)]

use crate::sys::poll::{POLLIN, POLLOUT, PollFd};
use crate::sys::{fd, tty};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How much is moved at once, bytes.
const CHUNK: usize = 8192;
/// What is typed and not yet taken is kept up to this, bytes.
const PENDING_MAX: usize = 64 * 1024;

/// Where the caller's side is, by descriptor number.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// What is typed comes from here; `None` when nothing is.
    pub input: Option<i32>,
    /// What is shown goes here.
    pub output: i32,
}

/// The prefix that leaves a console (`PREFIX q`), and whether it was just typed. `PREFIX PREFIX` sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escape {
    prefix: u8,
    seen: bool,
}

impl Escape {
    /// With this control character.
    pub const fn new(prefix: u8) -> Self {
        Self { prefix, seen: false }
    }

    /// Takes the escapes out of what was typed; true when it ends the session, and what follows is forgotten.
    fn filter(&mut self, typed: &[u8], out: &mut Vec<u8>) -> bool {
        for &c in typed {
            if c == self.prefix && !self.seen {
                self.seen = true;
                continue;
            }
            if c == b'q' && self.seen {
                return true;
            }
            self.seen = false;
            out.push(c);
        }
        false
    }
}

/// Both sides.
#[derive(Debug)]
pub struct Relay {
    ptx: OwnedFd,
    shown: Shown,
    log: Option<File>,
    escape: Option<Escape>,
    /// Typed and not yet taken.
    pending: Vec<u8>,
    /// The inner side is gone.
    closed: bool,
    /// The caller's side has nothing more to give.
    input_over: bool,
    /// The escape was typed.
    left: bool,
}

/// What is ready to be moved.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ready {
    ptx: bool,
    room: bool,
    input: bool,
}

impl Relay {
    /// Between `shown` and the pty whose outer end is `ptx`, which becomes non-blocking. What the pty shows is copied to
    /// `log`.
    ///
    /// # Errors
    /// fcntl(2).
    pub fn new(ptx: OwnedFd, shown: Shown, log: Option<File>, escape: Option<Escape>) -> io::Result<Self> {
        fd::set_nonblocking(ptx.as_fd(), true)?;
        Ok(Self { ptx, shown, log, escape, pending: Vec::new(), closed: false, input_over: false, left: false })
    }

    /// The inner side has gone away.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The escape was typed.
    pub fn has_left(&self) -> bool {
        self.left
    }

    /// The caller's side has given all and all has been taken.
    pub fn is_idle(&self) -> bool {
        self.input_over && self.pending.is_empty()
    }

    /// What to wait for: the pty and the caller's input; `None` in a place that has nothing to wait for.
    pub fn interest(&self) -> [Option<PollFd<'_>>; 2] {
        if self.closed {
            return [None, None];
        }
        let out = if self.pending.is_empty() { 0 } else { POLLOUT };
        let input = self.wants_input().map(|f| PollFd::new(f, POLLIN));
        [Some(PollFd::new(self.ptx.as_fd(), POLLIN | out)), input]
    }

    /// What the wait found, from the pair that [`Self::interest`] gave.
    pub fn ready(found: [Option<PollFd<'_>>; 2]) -> Ready {
        let [ptx, input] = found;
        Ready {
            ptx: ptx.is_some_and(|p| p.readable() || p.hung_up()),
            room: ptx.is_some_and(|p| p.writable()),
            input: input.is_some_and(|p| p.readable() || p.hung_up()),
        }
    }

    /// The caller's input, while more can be taken from it.
    fn wants_input(&self) -> Option<BorrowedFd<'static>> {
        if self.input_over || self.pending.len() >= PENDING_MAX {
            return None;
        }
        fd::borrow(self.shown.input?).ok()
    }

    /// Moves what is ready.
    pub fn carry(&mut self, ready: Ready) {
        if ready.input {
            self.take_input();
        }
        if ready.room || ready.input {
            self.give_input();
        }
        if ready.ptx {
            self.show();
        }
    }

    /// Takes what was typed.
    fn take_input(&mut self) {
        let Some(input) = self.wants_input() else { return };
        let mut buf = [0; CHUNK];
        match fd::read_into(input, &mut buf) {
            Ok(n) if n > 0 => {
                let typed = buf.get(..n).unwrap_or_default();
                match &mut self.escape {
                    Some(escape) => self.left |= escape.filter(typed, &mut self.pending),
                    None => self.pending.extend_from_slice(typed),
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            _ => self.input_over = true,
        }
    }

    /// Gives the inner side what it takes of what was typed.
    fn give_input(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        match fd::write_once(self.ptx.as_fd(), &self.pending) {
            Ok(n) => drop(self.pending.drain(..n.min(self.pending.len()))),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.pending.clear(),
        }
    }

    /// Shows what the inner side wrote; false when there is nothing more for now.
    fn show(&mut self) -> bool {
        let mut buf = [0; CHUNK];
        let bytes = match fd::read_into(self.ptx.as_fd(), &mut buf) {
            Ok(n) if n > 0 => buf.get(..n).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
            // EIO: no process has it open any more.
            _ => {
                self.closed = true;
                return false;
            }
        };
        if let Some(log) = &mut self.log {
            // A full disk must not stop the session.
            let _ = log.write_all(bytes);
        }
        if let Ok(output) = fd::borrow(self.shown.output) {
            let _ = fd::write_all(output, bytes);
        }
        true
    }

    /// Shows what is left. Processes that stay behind may keep the terminal open: what they write later is theirs.
    pub fn drain(&mut self) {
        while self.show() {}
    }

    /// Passes the window's size on.
    pub fn resize(&self) {
        let size = |raw: Option<i32>| raw.and_then(|raw| fd::borrow(raw).and_then(tty::winsize).ok());
        if let Some(size) = size(self.shown.input).or_else(|| size(Some(self.shown.output))) {
            let _ = tty::set_winsize(&self.ptx, size);
        }
    }
}

/// The caller's terminal while it shows another one; dropping it restores its modes.
#[derive(Debug)]
pub enum Modes {
    /// What is typed goes on byte by byte.
    Raw(tty::Raw),
    /// Nothing is taken from it: only its own line ends would come on top of the other's.
    Output(tty::Modes, OwnedFd),
}

impl Modes {
    /// Changes them; `None` when neither side is a terminal.
    pub fn change(shown: Shown) -> Option<Self> {
        if let Some(input) = shown.input
            && let Ok(raw) = fd::borrow(input).and_then(tty::Raw::enter)
        {
            return Some(Self::Raw(raw));
        }
        let output = fd::borrow(shown.output).and_then(fd::dup_cloexec).ok()?;
        let before = tty::Modes::of(&output).ok()?;
        before.onlcr(false).set(&output, false).ok()?;
        Some(Self::Output(before, output))
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        if let Self::Output(before, output) = self {
            // The terminal may be gone; then there is nothing to restore.
            let _ = before.set(output, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll::poll;
    use crate::sys::pty;
    use std::io::Read;
    use std::os::fd::AsRawFd;

    fn typed(escape: &mut Escape, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let left = escape.filter(bytes, &mut out);
        (out, left)
    }

    #[test]
    fn escapes() {
        let mut e = Escape::new(1);
        assert_eq!(typed(&mut e, b"ab\x01"), (b"ab".to_vec(), false));
        assert_eq!(typed(&mut e, b"\x01c"), (b"\x01c".to_vec(), false));
        assert_eq!(typed(&mut e, b"\x01xq"), (b"xq".to_vec(), false));
        assert_eq!(typed(&mut e, b"z\x01qrest"), (b"z".to_vec(), true));
    }

    #[test]
    fn bytes_go_both_ways_and_the_log_has_what_was_shown() {
        let inner = pty::open_host().expect("a pair");
        let (input, typist) = fd::pipe().expect("pipe");
        let (screen, output) = fd::pipe().expect("pipe");
        let log = std::env::temp_dir().join(format!("lxc-relay-{}", std::process::id()));
        let shown = Shown { input: Some(input.as_raw_fd()), output: output.as_raw_fd() };
        let file = File::create(&log).expect("log");
        let mut relay = Relay::new(inner.ptx, shown, Some(file), Some(Escape::new(1))).expect("relay");
        let turn = |relay: &mut Relay| {
            let [Some(ptx), Some(inp)] = relay.interest() else { panic!("nothing to wait for") };
            let mut set = [ptx, inp];
            poll(&mut set, 2000).expect("poll");
            let found = Relay::ready([Some(set[0]), Some(set[1])]);
            relay.carry(found);
        };
        fd::write_all(typist.as_fd(), b"hello\n").expect("typed");
        turn(&mut relay);
        let mut line = [0; 16];
        let mut pty = File::from(inner.pty);
        let n = pty.read(&mut line).expect("read");
        assert_eq!(&line[..n], b"hello\n");
        turn(&mut relay);
        let n = fd::read_into(screen.as_fd(), &mut line).expect("read");
        assert_eq!(&line[..n], b"hello\r\n");
        assert_eq!(std::fs::read(&log).expect("log"), b"hello\r\n");
        fd::write_all(typist.as_fd(), b"\x01q").expect("typed");
        turn(&mut relay);
        assert!(relay.has_left() && !relay.is_closed());
        drop(pty);
        relay.drain();
        assert!(relay.is_closed() && relay.interest().iter().all(Option::is_none));
        std::fs::remove_file(log).expect("removed");
    }
}
