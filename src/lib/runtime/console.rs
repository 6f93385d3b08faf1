//! The monitor's end of the container's console: what the container writes goes to the log file, the ring buffer and the
//! peer, what the peer writes goes to the container. The peer is the terminal that `lxc.console.path` names, or the
//! starter's in the foreground, or the pair that lxc-console got. A peer that does not read holds the container up for a
//! moment only. Owns no tty but the console.
#![forbid(unsafe_code)]

use super::conlog::LogFile;
use super::ring::Ring;
use crate::base::{Context, Error, Result};
use crate::ipc::wire::ConsoleLog;
use crate::sys::fd;
use crate::sys::{path, pty, tty};
use crate::terminal;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::ffi::CString;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Epoll token of the container's side.
pub const PTX: u64 = 2;
/// Epoll token of the peer's side.
pub const PEER: u64 = 3;

/// How long a peer that does not read may hold the container's output up.
const STALL: Duration = Duration::from_millis(500);

/// How much is moved at once, bytes.
const CHUNK: usize = 2048;

/// Who the container talks to.
#[derive(Debug)]
enum Peer {
    /// A terminal, whose modes come back at the end.
    Tty { fd: OwnedFd, _raw: tty::Raw, readable: bool },
    /// The pty of a pair whose ptx a client has; the client's connection and the window that it had last.
    Proxy { fd: OwnedFd, holder: u64, window: tty::Winsize },
}

impl Peer {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Peer::Tty { fd, .. } | Peer::Proxy { fd, .. } => fd.as_fd(),
        }
    }
}

/// The console.
#[derive(Debug, Default)]
pub struct Console {
    log: Option<LogFile>,
    ring: Option<Ring>,
    peer: Option<Peer>,
    /// What the peer did not take yet.
    to_peer: Vec<u8>,
    /// What the container did not take yet.
    to_container: Vec<u8>,
    /// When `to_peer` is thrown away.
    stalled: Option<Instant>,
    /// The peer has not read for a while: it loses output until it does.
    lossy: bool,
}

impl Console {
    /// Opens the log file and the peer.
    ///
    /// # Errors
    /// A log file that cannot be opened; an `lxc.console.path` that cannot be opened or is no terminal.
    pub fn open(conf: &terminal::Conf, daemonize: bool) -> Result<Self> {
        if conf.console_path.as_deref() == Some("none") {
            return Ok(Self::default());
        }
        let log = match &conf.console_logfile {
            Some(path) => Some(LogFile::open(Path::new(path), conf.console_size, conf.console_rotate)?),
            None => None,
        };
        let ring = usize::try_from(conf.console_buffer).ok().filter(|n| *n > 0).map(Ring::new);
        let peer = match (&conf.console_path, daemonize) {
            (Some(path), _) => Some(terminal_peer(path)?),
            // The starter's terminal: without one the output is dropped.
            (None, false) => terminal_peer("/dev/tty").ok(),
            (None, true) => None,
        };
        Ok(Self { log, ring, peer, ..Self::default() })
    }

    /// The container's window takes the size of the terminal that is the peer, if one is.
    pub fn resize(&self, ptx: BorrowedFd<'_>) {
        if let Some(Peer::Tty { fd, .. }) = &self.peer
            && let Ok(size) = tty::winsize(fd)
        {
            let _ = tty::set_winsize(ptx, size);
        }
    }

    /// Adds both sides to an event loop.
    ///
    /// # Errors
    /// The kernel's.
    pub fn register(&mut self, epoll: &Epoll, ptx: BorrowedFd<'_>) -> std::io::Result<()> {
        fd::set_nonblocking(ptx, true)?;
        epoll.add(ptx, EpollEvent::new(self.ptx_interest(), PTX))?;
        if let Some(p) = &self.peer {
            epoll.add(p.fd(), EpollEvent::new(self.peer_interest(), PEER))?;
        }
        Ok(())
    }

    fn ptx_interest(&self) -> EpollFlags {
        let mut f = EpollFlags::empty();
        f.set(EpollFlags::EPOLLIN, self.to_peer.is_empty());
        f.set(EpollFlags::EPOLLOUT, !self.to_container.is_empty());
        f
    }

    fn peer_interest(&self) -> EpollFlags {
        let mut f = EpollFlags::empty();
        let readable = !matches!(self.peer, Some(Peer::Tty { readable: false, .. }));
        f.set(EpollFlags::EPOLLIN, self.to_container.is_empty() && readable);
        f.set(EpollFlags::EPOLLOUT, !self.to_peer.is_empty() || self.lossy);
        f
    }

    fn update(&self, epoll: &Epoll, ptx: BorrowedFd<'_>) {
        let _ = epoll.modify(ptx, &mut EpollEvent::new(self.ptx_interest(), PTX));
        if let Some(p) = &self.peer {
            let _ = epoll.modify(p.fd(), &mut EpollEvent::new(self.peer_interest(), PEER));
        }
    }

    /// Handles an event of [`PTX`] or [`PEER`].
    pub fn event(&mut self, epoll: &Epoll, ptx: BorrowedFd<'_>, token: u64, events: EpollFlags) {
        let gone = EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        if token == PTX {
            if events.contains(EpollFlags::EPOLLIN) {
                self.take_output(ptx);
            } else if events.intersects(gone) {
                let _ = epoll.delete(ptx);
                return;
            }
            if events.contains(EpollFlags::EPOLLOUT) {
                self.flush_container(ptx);
            }
        } else {
            if events.contains(EpollFlags::EPOLLOUT) {
                self.flush_peer();
            }
            if events.contains(EpollFlags::EPOLLIN) {
                self.take_input(ptx);
            } else if events.intersects(gone) {
                self.drop_peer();
            }
        }
        self.update(epoll, ptx);
    }

    /// When [`Console::expire`] has to be called next.
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.stalled
    }

    /// A peer that has not read in time loses what waits for it.
    pub fn expire(&mut self, epoll: &Epoll, ptx: BorrowedFd<'_>, now: Instant) {
        if self.stalled.is_some_and(|t| now >= t) {
            self.stalled = None;
            self.to_peer = Vec::new();
            self.lossy = true;
            self.update(epoll, ptx);
        }
    }

    /// Moves one chunk of the container's output; whether there was any.
    fn take_output(&mut self, ptx: BorrowedFd<'_>) -> bool {
        let mut buf = [0u8; CHUNK];
        let n = fd::read_into(ptx, &mut buf).unwrap_or(0);
        let data = buf.get(..n).unwrap_or_default();
        if let Some(log) = &mut self.log {
            log.write(data);
        }
        if let Some(ring) = &mut self.ring {
            ring.write(data);
        }
        let Some(peer) = self.peer.as_ref().filter(|_| n > 0) else { return n > 0 };
        match fd::write_once(peer.fd(), data) {
            Ok(w) if w == n => self.lossy = false,
            Ok(w) => self.stall(data.get(w..).unwrap_or_default()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => self.stall(data),
            Err(_) => self.drop_peer(),
        }
        true
    }

    fn stall(&mut self, rest: &[u8]) {
        if !self.lossy {
            self.to_peer = rest.to_vec();
            self.stalled = Some(Instant::now() + STALL);
        }
    }

    fn flush_peer(&mut self) {
        self.lossy = false;
        let Some(peer) = &self.peer else { return };
        match fd::write_once(peer.fd(), &self.to_peer) {
            Ok(n) => drop(self.to_peer.drain(..n.min(self.to_peer.len()))),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return self.drop_peer(),
        }
        self.stalled = if self.to_peer.is_empty() { None } else { Some(Instant::now() + STALL) };
    }

    fn take_input(&mut self, ptx: BorrowedFd<'_>) {
        let mut buf = [0u8; CHUNK];
        let Some(peer) = &mut self.peer else { return };
        // Whoever has the pair's other end may have resized it.
        if let Peer::Proxy { fd, window, .. } = peer
            && let Ok(size) = tty::winsize(&*fd)
            && size != *window
        {
            *window = size;
            let _ = tty::set_winsize(ptx, size);
        }
        let n = match (fd::read_into(peer.fd(), &mut buf), &mut *peer) {
            (Ok(n), _) if n > 0 => n,
            (Err(e), _) if e.kind() == ErrorKind::WouldBlock => return,
            // Of a terminal whose foreground is somebody else's nothing can be read: it still shows what comes.
            (Err(_), Peer::Tty { readable, .. }) => {
                *readable = false;
                return;
            }
            _ => return self.drop_peer(),
        };
        self.to_container = buf.get(..n).unwrap_or_default().to_vec();
        self.flush_container(ptx);
    }

    fn flush_container(&mut self, ptx: BorrowedFd<'_>) {
        match fd::write_once(ptx, &self.to_container) {
            Ok(n) => drop(self.to_container.drain(..n.min(self.to_container.len()))),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.to_container = Vec::new(),
        }
        if self.to_container.is_empty() {
            self.to_container = Vec::new();
        }
    }

    fn drop_peer(&mut self) {
        self.peer = None;
        self.to_peer = Vec::new();
        self.stalled = None;
        self.lossy = false;
    }

    /// Makes a fresh pair for the connection `holder` and hands its ptx out.
    ///
    /// # Errors
    /// EBADF while there is a peer; the kernel's.
    pub fn reserve(&mut self, epoll: &Epoll, holder: u64) -> std::result::Result<OwnedFd, i32> {
        if self.peer.is_some() {
            return Err(libc::EBADF);
        }
        let pair = proxy().map_err(|e| e.raw_os_error().unwrap_or(libc::EIO))?;
        epoll.add(&pair.pty, EpollEvent::new(EpollFlags::EPOLLIN, PEER)).map_err(|e| e as i32)?;
        self.peer = Some(Peer::Proxy { fd: pair.pty, holder, window: tty::Winsize::default() });
        Ok(pair.ptx)
    }

    /// The connection `holder` has ended.
    pub fn release(&mut self, epoll: &Epoll, ptx: BorrowedFd<'_>, holder: u64) {
        if matches!(self.peer, Some(Peer::Proxy { holder: h, .. }) if h == holder) {
            self.drop_peer();
            self.update(epoll, ptx);
        }
    }

    /// Init has ended: what it wrote last still goes where it belongs. A client's pair goes with it; the log, the ring
    /// buffer and the terminal stay for the next init.
    pub fn drain(&mut self, ptx: BorrowedFd<'_>) {
        // Bounded: other processes of the container may still write.
        for _ in 0..64 {
            if !self.take_output(ptx) {
                break;
            }
        }
        if matches!(self.peer, Some(Peer::Proxy { .. })) {
            self.drop_peer();
        }
        self.to_container = Vec::new();
    }

    /// Answers CONSOLE_LOG.
    ///
    /// # Errors
    /// EFAULT without a ring buffer, ENODATA when there is nothing to read.
    pub fn console_log(&mut self, what: ConsoleLog) -> std::result::Result<Vec<u8>, i32> {
        let ring = self.ring.as_mut().ok_or(libc::EFAULT)?;
        let data = if what.read { ring.read(what.read_max) } else { Vec::new() };
        if what.clear {
            ring.clear();
        }
        if what.read && data.is_empty() { Err(libc::ENODATA) } else { Ok(data) }
    }
}

/// A pair that passes every byte on as it is.
fn proxy() -> std::io::Result<pty::Pty> {
    let pair = pty::open_host()?;
    tty::Modes::of(&pair.pty)?.raw().set(&pair.pty, false)?;
    fd::set_nonblocking(pair.pty.as_fd(), true)?;
    Ok(pair)
}

/// Opens a terminal as the console's peer.
fn terminal_peer(path: &str) -> Result<Peer> {
    let what = || format!("lxc.console.path {path}");
    let name = CString::new(path).map_err(|_| Error::os(libc::EINVAL, what()))?;
    let fd = path::open(&name, libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK, 0).ctx(what)?;
    let raw = tty::Raw::enter(&fd).and_then(|raw| {
        // The monitor's own messages go to the same terminal: their lines still begin at its left.
        tty::Modes::of(&fd)?.opost(true).set(&fd, false).map(|()| raw)
    });
    match raw {
        Ok(raw) => Ok(Peer::Tty { fd, _raw: raw, readable: true }),
        Err(e) => Err(Error::io(&e, what()).hint("name a terminal, or `none` for no console")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::epoll::EpollCreateFlags;

    /// A console whose container's side is in the test's hand.
    struct Bench {
        epoll: Epoll,
        ptx: OwnedFd,
        inside: OwnedFd,
        console: Console,
    }

    fn bench(conf: &terminal::Conf) -> Bench {
        let pair = pty::open_host().unwrap();
        tty::Modes::of(&pair.pty).unwrap().raw().set(&pair.pty, false).unwrap();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let mut console = Console::open(conf, true).unwrap();
        console.register(&epoll, pair.ptx.as_fd()).unwrap();
        Bench { epoll, ptx: pair.ptx, inside: pair.pty, console }
    }

    impl Bench {
        /// Turns the loop until nothing has happened for 20 ms and nobody is waited for.
        fn turn(&mut self) {
            let mut events = [EpollEvent::empty(); 4];
            loop {
                let n = match self.epoll.wait(&mut events, 20u8) {
                    // Another test's child has ended.
                    Err(nix::errno::Errno::EINTR) => continue,
                    n => n.unwrap(),
                };
                if n == 0 {
                    // No need to wait for the deadline: it has come when the test says so.
                    match self.console.next_deadline() {
                        Some(t) => self.console.expire(&self.epoll, self.ptx.as_fd(), t),
                        None => return,
                    }
                }
                for e in &events[..n] {
                    self.console.event(&self.epoll, self.ptx.as_fd(), e.data(), e.events());
                }
            }
        }
    }

    fn read(fd: impl AsFd) -> Vec<u8> {
        let mut buf = [0u8; 256];
        fd::set_nonblocking(fd.as_fd(), true).unwrap();
        let n = fd::read_into(fd.as_fd(), &mut buf).unwrap_or(0);
        buf[..n].to_vec()
    }

    #[test]
    fn output_goes_to_log_ring_and_proxy_and_input_comes_back() {
        let dir = std::env::temp_dir().join(format!("lxc-console-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("log");
        let mut b = bench(&terminal::Conf {
            console_logfile: Some(file.to_str().unwrap().into()),
            console_buffer: 4096,
            ..terminal::Conf::default()
        });
        fd::write_all(b.inside.as_fd(), b"boot\n").unwrap();
        b.turn();
        assert_eq!(std::fs::read(&file).unwrap(), b"boot\n");
        let ask = ConsoleLog { read: true, ..ConsoleLog::default() };
        assert_eq!(b.console.console_log(ask), Ok(b"boot\n".to_vec()));
        assert_eq!(b.console.console_log(ask), Err(libc::ENODATA));

        let client = b.console.reserve(&b.epoll, 7).unwrap();
        assert_eq!(b.console.reserve(&b.epoll, 8).map(drop), Err(libc::EBADF));
        fd::write_all(b.inside.as_fd(), b"login: ").unwrap();
        b.turn();
        assert_eq!(read(&client), b"login: ");
        fd::write_all(client.as_fd(), b"root\r").unwrap();
        b.turn();
        assert_eq!(read(&b.inside), b"root\r");
        // A released console can be had again; so can one whose client is gone.
        b.console.release(&b.epoll, b.ptx.as_fd(), 7);
        let second = b.console.reserve(&b.epoll, 8).unwrap();
        drop(second);
        b.turn();
        assert!(b.console.reserve(&b.epoll, 9).is_ok());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_client_that_does_not_read_does_not_stop_the_container() {
        let mut b = bench(&terminal::Conf { console_buffer: 1 << 16, ..terminal::Conf::default() });
        let _client = b.console.reserve(&b.epoll, 7).unwrap();
        fd::set_nonblocking(b.inside.as_fd(), true).unwrap();
        let (mut written, begin) = (0usize, Instant::now());
        while written < 60_000 && begin.elapsed() < Duration::from_secs(20) {
            written += fd::write_once(b.inside.as_fd(), &[b'x'; 512]).unwrap_or(0);
            b.turn();
        }
        assert!(written >= 60_000, "{written}");
    }

    #[test]
    fn without_a_buffer_there_is_no_log_and_a_plain_file_is_no_console() {
        let mut c = Console::open(&terminal::Conf::default(), true).unwrap();
        assert_eq!(c.console_log(ConsoleLog::default()), Err(libc::EFAULT));
        let conf = terminal::Conf { console_path: Some("/dev/null".into()), ..terminal::Conf::default() };
        assert!(Console::open(&conf, true).is_err());
    }
}
