//! The monitor's side of the command socket: a state per connection, none of which can hold up another, each incomplete
//! request with a deadline. Owns the connections; what they are answered with is `runtime::answer`'s and the container's.
#![forbid(unsafe_code)]

use super::answer::{Act, Answer, Served, answer};
use crate::ipc::State;
use crate::ipc::wire::{self, Cmd, Event, Head, Msg};
use crate::sys::scm::{self, Cred};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a request may take to arrive, and a reply to be taken away.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many requests may be under way at once: any user can connect, so the oldest has to go for the newest.
const UNFINISHED: usize = 128;
/// How many connections are taken at once before the rest of the monitor gets its turn.
const AT_ONCE: usize = 16;
/// The epoll token of the listening socket; connections have larger ones, up to [`LAST_TOKEN`].
pub const LISTENER: u64 = 1 << 32;
/// Tokens from here on are not the server's.
pub const LAST_TOKEN: u64 = u64::MAX / 2;

/// Where a connection stands.
#[derive(Debug)]
enum Stage {
    /// The request's head is not complete.
    Head { bytes: [u8; wire::HEAD], have: usize },
    /// Its data is not complete.
    Data { cmd: Cmd, head: Head, bytes: Vec<u8>, have: usize },
    /// Complete, but only init can answer it: kept until it runs.
    Later { cmd: Cmd, head: Head, bytes: Vec<u8> },
    /// The seccomp listener has not come yet.
    Listener,
    /// A reply is not taken away completely.
    Reply { bytes: Vec<u8>, sent: usize },
    /// Kept until the container has stopped.
    Stop,
    /// Kept as a tty's reservation.
    Tty(i32),
    /// Kept until one of these states, a bit each.
    States(u8),
    /// Kept until the freezer has settled.
    Freeze(bool),
}

impl Stage {
    const fn unfinished(&self) -> bool {
        matches!(self, Stage::Head { .. } | Stage::Data { .. } | Stage::Listener | Stage::Reply { .. })
    }

    /// What has to be known of the connection: of one that is kept only its end.
    fn interest(&self) -> EpollFlags {
        match self {
            Stage::Head { .. } | Stage::Data { .. } | Stage::Listener => EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP,
            Stage::Reply { .. } => EpollFlags::EPOLLOUT,
            Stage::Later { .. } | Stage::Stop | Stage::Tty(_) | Stage::States(_) | Stage::Freeze(_) => {
                EpollFlags::EPOLLRDHUP
            }
        }
    }
}

#[derive(Debug)]
struct Conn {
    token: u64,
    fd: OwnedFd,
    stage: Stage,
    deadline: Option<Instant>,
}

/// What a step with a connection came to.
enum Step {
    /// It stays.
    Keep,
    /// It is over.
    Drop,
    /// The states' clients have to be served with this first.
    Announce(State),
}

/// The command socket and its connections.
#[derive(Debug)]
pub struct Server {
    listener: OwnedFd,
    owner: Cred,
    conns: Vec<Conn>,
    next: u64,
    /// No descriptor was left: accepting rests until then.
    resting: Option<Instant>,
    patience: Duration,
}

impl Server {
    /// Takes a bound and listening socket.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(listener: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&listener, FcntlArg::F_GETFL)?);
        fcntl(&listener, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self {
            listener,
            owner: Cred::own(),
            conns: Vec::new(),
            next: LISTENER + 1,
            resting: None,
            patience: PATIENCE,
        })
    }

    /// Adds the listening socket, and what is kept from before a reboot, to an event loop.
    ///
    /// # Errors
    /// The kernel's.
    pub fn register(&self, epoll: &Epoll) -> io::Result<()> {
        epoll.add(&self.listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        for c in &self.conns {
            epoll.add(&c.fd, EpollEvent::new(c.stage.interest(), c.token))?;
        }
        Ok(())
    }

    /// Init runs: answers the requests that have waited for it.
    pub fn answer_later(&mut self, epoll: &Epoll, served: &mut dyn Served) {
        let waits = |c: &Conn| matches!(c.stage, Stage::Later { .. });
        while let Some(conn) = self.conns.iter_mut().find(|c| waits(c)) {
            let token = conn.token;
            let blank = Stage::Head { bytes: [0; wire::HEAD], have: 0 };
            let Stage::Later { cmd, head, bytes } = std::mem::replace(&mut conn.stage, blank) else { return };
            let step = conn.act(epoll, answer(cmd, &head, &bytes, token, served));
            self.after(token, step, served);
        }
    }

    /// When [`Server::expire`] has to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.conns.iter().filter_map(|c| c.deadline).chain(self.resting).min()
    }

    /// Handles one event of a token between [`LISTENER`] and [`LAST_TOKEN`].
    pub fn event(&mut self, epoll: &Epoll, token: u64, events: EpollFlags, served: &mut dyn Served) {
        if token == LISTENER {
            self.accept(epoll, served);
            return;
        }
        let Some(at) = self.conns.iter().position(|c| c.token == token) else { return };
        let Some(conn) = self.conns.get_mut(at) else { return };
        let step = match &conn.stage {
            s if !s.unfinished() => Step::Drop,
            Stage::Reply { .. } => conn.flush(),
            _ if events.contains(EpollFlags::EPOLLIN) => conn.read(epoll, self.owner, served),
            _ => Step::Drop,
        };
        self.after(token, step, served);
    }

    fn after(&mut self, token: u64, step: Step, served: &mut dyn Served) {
        let state = match step {
            Step::Keep => return,
            Step::Drop => None,
            Step::Announce(s) => Some(s),
        };
        if let Some(s) = state {
            self.announce(s, served.name());
        }
        self.remove(token, served);
    }

    fn remove(&mut self, token: u64, served: &mut dyn Served) {
        if let Some(at) = self.conns.iter().position(|c| c.token == token) {
            let conn = self.conns.swap_remove(at);
            if let Stage::Tty(tty) = conn.stage {
                served.release_tty(tty, conn.token);
            }
            if self.conns.is_empty() {
                self.conns.shrink_to_fit();
            }
        }
    }

    fn accept(&mut self, epoll: &Epoll, served: &mut dyn Served) {
        for _ in 0..AT_ONCE {
            let fd = match scm::accept(self.listener.as_fd()) {
                Ok(fd) => fd,
                Err(e) => match e.raw_os_error() {
                    Some(libc::EINTR | libc::ECONNABORTED) => continue,
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) => {
                        return self.rest(epoll, served);
                    }
                    _ => return,
                },
            };
            if self.conns.iter().filter(|c| c.stage.unfinished()).count() >= UNFINISHED {
                self.drop_oldest(served);
            }
            let token = self.next;
            self.next += 1;
            let stage = Stage::Head { bytes: [0; wire::HEAD], have: 0 };
            if scm::pass_cred(fd.as_fd()).is_err() || epoll.add(&fd, EpollEvent::new(stage.interest(), token)).is_err()
            {
                continue;
            }
            self.conns.push(Conn { token, fd, stage, deadline: Some(Instant::now() + self.patience) });
            self.drop_left(served);
            // Most requests have arrived by now: one turn of the event loop less.
            self.event(epoll, token, EpollFlags::EPOLLIN, served);
        }
    }

    /// A client that lets a tty go and asks for it again at once finds it free: its going is an event of this turn that has
    /// not been looked at yet.
    fn drop_left(&mut self, served: &mut dyn Served) {
        use crate::sys::poll::{PollFd, poll};
        let left = |c: &Conn| {
            let mut set = [PollFd::new(c.fd.as_fd(), 0)];
            matches!(c.stage, Stage::Tty(_)) && poll(&mut set, 0).is_ok_and(|n| n > 0)
        };
        while let Some(token) = self.conns.iter().find(|c| left(c)).map(|c| c.token) {
            self.remove(token, served);
        }
    }

    /// Out of descriptors: the oldest incomplete request gives its own; without one, accepting pauses a moment.
    fn rest(&mut self, epoll: &Epoll, served: &mut dyn Served) {
        if !self.drop_oldest(served) && epoll.delete(&self.listener).is_ok() {
            self.resting = Some(Instant::now() + Duration::from_millis(200));
        }
    }

    fn drop_oldest(&mut self, served: &mut dyn Served) -> bool {
        let oldest = self.conns.iter().filter(|c| c.stage.unfinished()).map(|c| c.token).min();
        if let Some(token) = oldest {
            self.remove(token, served);
        }
        oldest.is_some()
    }

    /// Ends the connections whose time is over.
    pub fn expire(&mut self, epoll: &Epoll, now: Instant, served: &mut dyn Served) {
        if self.resting.is_some_and(|t| now >= t) {
            self.resting = None;
            let _ = epoll.add(&self.listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER));
        }
        while let Some(c) = self.conns.iter_mut().find(|c| c.deadline.is_some_and(|d| now >= d)) {
            if matches!(c.stage, Stage::Freeze(_)) {
                c.say(Answer::code(-libc::ETIMEDOUT));
            }
            let token = c.token;
            self.remove(token, served);
        }
    }

    /// Tells those who wait for `state` and lets them go.
    pub fn announce(&mut self, state: State, name: &str) {
        let bit = 1u8 << state as u8;
        let message = Msg::encode(name, Event::State(state));
        self.conns.retain(|c| {
            let told = matches!(c.stage, Stage::States(wanted) if wanted & bit != 0);
            if told {
                // Nothing was sent on it since the 16 bytes of the reply: it fits, or the peer is gone.
                let _ = scm::send(c.fd.as_fd(), &message, None, &[]);
            }
            !told
        });
    }

    /// The freezer has reached what `on` says: those who wait for it are answered, those who wait for the opposite told
    /// that they were overtaken.
    pub fn freezer_settled(&mut self, on: bool) {
        self.conns.retain_mut(|c| {
            let Stage::Freeze(wanted) = c.stage else { return true };
            c.say(Answer::code(if wanted == on { 0 } else { -libc::ECANCELED }));
            false
        });
    }

    /// Whether somebody waits for the end that he has asked for.
    pub fn holds_stop(&self) -> bool {
        self.conns.iter().any(|c| matches!(c.stage, Stage::Stop))
    }

    /// Init has ended: reservations of its terminals end with them.
    pub fn end_of_terminals(&mut self, served: &mut dyn Served) {
        let over = |c: &Conn| matches!(c.stage, Stage::Tty(_)).then_some(c.token);
        while let Some(token) = self.conns.iter().find_map(over) {
            self.remove(token, served);
        }
    }

    /// The container has stopped and will be started again: who waits for RUNNING stays, and requests that are under way;
    /// all others see the end of their connection, which is STOPPED to them.
    pub fn end_of_instance(&mut self) {
        self.conns.retain(|c| match c.stage {
            Stage::States(wanted) => wanted & (1 << State::Running as u8) != 0,
            Stage::Stop | Stage::Tty(_) | Stage::Freeze(_) => false,
            Stage::Later { .. } | Stage::Head { .. } | Stage::Data { .. } | Stage::Listener | Stage::Reply { .. } => {
                true
            }
        });
    }
}

impl AsFd for Server {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Conn {
    /// Reads what has come and answers a complete request.
    fn read(&mut self, epoll: &Epoll, owner: Cred, served: &mut dyn Served) -> Step {
        loop {
            let (buffer, have): (&mut [u8], usize) = match &mut self.stage {
                Stage::Head { bytes, have } => (bytes, *have),
                Stage::Data { bytes, have, .. } => (bytes, *have),
                Stage::Listener => return self.read_listener(served),
                _ => return Step::Keep,
            };
            let got = match scm::recv(self.fd.as_fd(), buffer.get_mut(have..).unwrap_or_default()) {
                Ok(got) if got.bytes > 0 => got,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Step::Keep,
                _ => return Step::Drop,
            };
            let complete = have + got.bytes == buffer.len();
            match &mut self.stage {
                Stage::Head { bytes, have } => {
                    *have += got.bytes;
                    let allowed = got.cred.is_some_and(|c| c.uid == 0 || (c.uid == owner.uid && c.gid == owner.gid));
                    if !allowed {
                        self.say(Answer::code(-libc::EPERM));
                        return Step::Drop;
                    }
                    if complete {
                        let head = Head::decode(bytes);
                        if let Some(step) = self.begin(epoll, head, served) {
                            return step;
                        }
                    }
                }
                Stage::Data { cmd, head, bytes, have } => {
                    *have += got.bytes;
                    if complete {
                        let (cmd, head, bytes) = (*cmd, *head, std::mem::take(bytes));
                        return self.answer(epoll, cmd, head, bytes, served);
                    }
                }
                _ => return Step::Keep,
            }
        }
    }

    /// The head is there: what comes next; `None` to read on.
    fn begin(&mut self, epoll: &Epoll, head: Head, served: &mut dyn Served) -> Option<Step> {
        let Some(cmd) = Cmd::from_i32(head.code) else {
            self.say(Answer::code(-libc::ENOSYS));
            return Some(Step::Drop);
        };
        let Some(len) = usize::try_from(head.datalen).ok().filter(|l| *l <= wire::DATA_MAX) else {
            return Some(Step::Drop);
        };
        if cmd == Cmd::SeccompNotifyAddListener {
            self.stage = Stage::Listener;
            return None;
        }
        if len == 0 {
            return Some(self.answer(epoll, cmd, head, Vec::new(), served));
        }
        self.stage = Stage::Data { cmd, head, bytes: vec![0; len], have: 0 };
        None
    }

    /// The one-byte message that carries a seccomp listener.
    fn read_listener(&mut self, served: &mut dyn Served) -> Step {
        let mut byte = [0u8; 1];
        match scm::recv(self.fd.as_fd(), &mut byte) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Step::Keep,
            Ok(mut got) if got.bytes == 1 => {
                let result = got.fds.pop().ok_or(libc::EINVAL).and_then(|fd| served.add_seccomp_listener(fd));
                self.say(Answer::code(result.map_or_else(|e| -e, |()| 0)));
            }
            _ => {}
        }
        Step::Drop
    }

    fn answer(&mut self, epoll: &Epoll, cmd: Cmd, head: Head, bytes: Vec<u8>, served: &mut dyn Served) -> Step {
        match answer(cmd, &head, &bytes, self.token, served) {
            Act::Later => self.keep(epoll, Stage::Later { cmd, head, bytes }, None),
            act => self.act(epoll, act),
        }
    }

    fn keep(&mut self, epoll: &Epoll, stage: Stage, limit: Option<u64>) -> Step {
        self.stage = stage;
        self.deadline = limit.map(|s| Instant::now() + Duration::from_secs(s));
        let _ = epoll.modify(&self.fd, &mut EpollEvent::new(self.stage.interest(), self.token));
        Step::Keep
    }

    fn act(&mut self, epoll: &Epoll, act: Act) -> Step {
        let (reply, stage, limit) = match act {
            Act::Close | Act::Later => return Step::Drop,
            Act::Reply(a) => return self.reply(epoll, a),
            Act::Announce(state, a) => {
                self.say(a);
                return Step::Announce(state);
            }
            Act::HoldTty(a, tty) => (Some(a), Stage::Tty(tty), None),
            Act::HoldStates(a, wanted) => (Some(a), Stage::States(wanted), None),
            Act::HoldStop => (None, Stage::Stop, None),
            Act::HoldFreeze(on, seconds) => (None, Stage::Freeze(on), u64::try_from(seconds).ok()),
        };
        let kept = self.keep(epoll, stage, limit);
        if reply.is_none_or(|r| self.say(r)) { kept } else { Step::Drop }
    }

    /// Sends a head without data; whether the peer took it.
    fn say(&self, answer: Answer) -> bool {
        let fds: Vec<BorrowedFd<'_>> = answer.fds.iter().map(AsFd::as_fd).collect();
        scm::send(self.fd.as_fd(), &answer.head.encode(), None, &fds).is_ok_and(|n| n == wire::HEAD)
    }

    /// Sends a whole reply. Clients take the data by one recv, so it has to leave by one send: the socket's buffer is
    /// made large enough where the data is.
    fn reply(&mut self, epoll: &Epoll, answer: Answer) -> Step {
        let mut answer = answer;
        let data = std::mem::take(&mut answer.data);
        if data.len() > wire::DATA_MAX {
            let _ = scm::send_room(self.fd.as_fd(), data.len().saturating_mul(2));
        }
        if !self.say(answer) || data.is_empty() {
            return Step::Drop;
        }
        self.stage = Stage::Reply { bytes: data, sent: 0 };
        let step = self.flush();
        if matches!(step, Step::Keep) {
            self.deadline = Some(Instant::now() + PATIENCE);
            let _ = epoll.modify(&self.fd, &mut EpollEvent::new(self.stage.interest(), self.token));
        }
        step
    }

    fn flush(&mut self) -> Step {
        let Stage::Reply { bytes, sent } = &mut self.stage else { return Step::Drop };
        while let Some(left) = bytes.get(*sent..).filter(|l| !l.is_empty()) {
            match scm::send(self.fd.as_fd(), left, None, &[]) {
                Ok(n) => *sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Step::Keep,
                Err(_) => break,
            }
        }
        Step::Drop
    }
}

#[cfg(test)]
mod tests;
