//! What parent and child say to each other between clone and exec: fixed-size records over a SOCK_SEQPACKET pair,
//! descriptors beside them. The numbers of the meetings are here; who does what at each is in `steps`.
#![forbid(unsafe_code)]

use crate::sys::poll::{POLLIN, PollFd, poll};
use crate::sys::scm::{self, Fds};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Meetings: the child waits until the parent has done its part.
pub mod meet {
    /// Right after the clone: id maps.
    pub const STARTUP: u8 = 0;
    /// The parent has the child's netlink socket: network. Nobody waits for it but hooks that run inside, by `WAIT`.
    pub const NETWORK: u8 = 1;
    /// The set-up inside is done, nothing is executed yet: device rules, start-host hook.
    pub const DEVICES: u8 = 2;
    /// All descriptors are sent: the parent's last work before exec.
    pub const READY: u8 = 3;
    /// The parent has dealt with all that was sent so far.
    pub const WAIT: u8 = 4;
    /// For traces.
    pub const NAMES: [&str; 5] = ["startup", "network", "devices", "ready", "wait"];
}

/// What a message with descriptors carries.
pub mod what {
    /// The seccomp listener.
    pub const LISTENER: u8 = 1;
    /// The console's ptx and pty (only when the container's devpts provides it).
    pub const CONSOLE: u8 = 2;
    /// The devpts instance.
    pub const DEVPTS: u8 = 3;
    /// Terminals, ptx and pty by turns, up to eight of them in a message.
    pub const TTYS: u8 = 4;
    /// A netlink socket of the child's network namespace.
    pub const NETLINK: u8 = 5;
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Child: waits at meeting `a`.
    Meet = 1,
    /// Parent: meeting `a` is over; or the id-mapped tree is ready.
    Go = 2,
    /// Either: it is over; op `a`, errno `b`, `c` the exit status of a hook.
    Fail = 3,
    /// Child: op `a` failed with errno `b` and was passed over.
    Passed = 4,
    /// Child: op `a` took `time` nanoseconds.
    Trace = 5,
    /// Child: descriptors, `a` says what, `b` is a bit for each slot that was filled.
    Fds = 6,
    /// Child: asks for id mapping number `a` on the tree that comes along.
    Idmap = 7,
    /// Child: hook `a` begins.
    Hook = 8,
    /// Child: execve comes next.
    Exec = 9,
}

impl Kind {
    fn from_u8(n: u8) -> Option<Kind> {
        use Kind::{Exec, Fail, Fds, Go, Hook, Idmap, Meet, Passed, Trace};
        [Meet, Go, Fail, Passed, Trace, Fds, Idmap, Hook, Exec].into_iter().find(|k| *k as u8 == n)
    }
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub kind: Kind,
    /// Number of a meeting, an op, a hook …
    pub a: u32,
    /// Error number.
    pub b: i32,
    /// Status.
    pub c: i32,
    /// Nanoseconds.
    pub time: u64,
}

/// Its size on the wire.
pub const SIZE: usize = 24;

/// Most descriptors in one message.
pub const MAX_FDS: usize = 16;

impl Record {
    /// A record of a kind and a number.
    pub const fn new(kind: Kind, a: u32) -> Self {
        Self { kind, a, b: 0, c: 0, time: 0 }
    }

    /// As bytes; private to the two processes, native order.
    pub fn encode(&self) -> [u8; SIZE] {
        let mut out = [0_u8; SIZE];
        let (head, rest) = out.split_at_mut(4);
        head.copy_from_slice(&u32::from(self.kind as u8).to_ne_bytes());
        let (a, rest) = rest.split_at_mut(4);
        a.copy_from_slice(&self.a.to_ne_bytes());
        let (b, rest) = rest.split_at_mut(4);
        b.copy_from_slice(&self.b.to_ne_bytes());
        let (c, time) = rest.split_at_mut(4);
        c.copy_from_slice(&self.c.to_ne_bytes());
        time.copy_from_slice(&self.time.to_ne_bytes());
        out
    }

    /// Back from bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
        Some(Self {
            kind: Kind::from_u8(u8::try_from(word(0)?).ok()?)?,
            a: word(4)?,
            b: word(8)?.cast_signed(),
            c: word(12)?.cast_signed(),
            time: u64::from_ne_bytes(bytes.get(16..24)?.try_into().ok()?),
        })
    }
}

/// One end of the pair.
#[derive(Debug)]
pub struct Channel {
    fd: OwnedFd,
}

impl Channel {
    /// Both ends, close-on-exec: that the child's end closes tells the parent that init runs.
    ///
    /// # Errors
    /// socketpair(2).
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Channel { fd: a }, Channel { fd: b }))
    }

    /// For poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Sends a record, with descriptors or without. Allocates nothing.
    ///
    /// # Errors
    /// sendmsg(2): EPIPE when the peer is gone.
    pub fn send(&self, record: &Record, fds: &[BorrowedFd]) -> io::Result<()> {
        scm::send(self.fd.as_fd(), &record.encode(), None, fds).map(drop)
    }

    /// Receives a record; `None` when the peer has closed its end. Waits without a deadline: both ends of the pair close
    /// when their process ends, so a dead peer cannot hang this. Allocates nothing.
    ///
    /// # Errors
    /// recvmsg(2); EPROTO for bytes that are no record.
    pub fn recv(&self) -> io::Result<Option<(Record, Fds)>> {
        let mut buf = [0_u8; SIZE];
        let got = scm::recv(self.fd.as_fd(), &mut buf)?;
        if got.bytes == 0 {
            return Ok(None);
        }
        let record = buf.get(..got.bytes).and_then(Record::decode);
        record.map(|r| Some((r, got.fds))).ok_or_else(|| io::Error::from_raw_os_error(nix::libc::EPROTO))
    }

    /// The child waits for the answer to what it asked.
    ///
    /// # Errors
    /// EPIPE when the parent is gone, ECANCELED when it gave up.
    pub fn wait_go(&self) -> io::Result<()> {
        match self.recv()? {
            None => Err(io::Error::from_raw_os_error(nix::libc::EPIPE)),
            Some((r, _)) if r.kind == Kind::Go => Ok(()),
            Some((r, _)) if r.b != 0 => Err(io::Error::from_raw_os_error(r.b)),
            Some(_) => Err(io::Error::from_raw_os_error(nix::libc::ECANCELED)),
        }
    }

    /// Whether the peer has closed its end already.
    pub fn peer_gone(&self) -> bool {
        let mut set = [PollFd::new(self.fd.as_fd(), POLLIN)];
        match poll(&mut set, 0) {
            Ok(n) if n > 0 => set.first().is_some_and(PollFd::hung_up),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_wire() {
        let r = Record { kind: Kind::Fail, a: 7, b: -13, c: 256, time: u64::MAX - 1 };
        assert_eq!(Record::decode(&r.encode()), Some(r));
        assert_eq!(Record::decode(&[0; SIZE]), None);
        assert_eq!(Record::decode(&[1; 5]), None);
    }

    #[test]
    fn pair_carries_records_and_descriptors() {
        let (a, b) = Channel::pair().unwrap();
        let (read, write) = std::io::pipe().unwrap();
        a.send(&Record::new(Kind::Fds, 4), &[read.as_fd(), write.as_fd()]).unwrap();
        let (record, fds) = b.recv().unwrap().unwrap();
        assert_eq!((record.a, fds.len()), (4, 2));
        assert!(!b.peer_gone());
        drop(a);
        assert!(b.peer_gone());
        assert!(b.recv().unwrap().is_none());
    }
}
