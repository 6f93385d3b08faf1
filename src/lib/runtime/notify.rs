//! Seccomp notifications: receives those of the container's listeners, asks the proxy of `lxc.seccomp.notify.proxy`, answers
//! the calls that wait. One question at a time, as LXC does, but nothing here waits: a slow or silent proxy delays the
//! container's calls and nothing else. Owns the listeners and the connection; which calls notify is the policy's, what they
//! are answered the proxy's.
//!
//! A call that the proxy does not answer fails with ENOSYS: no proxy, an answer of the wrong length or for another call, a
//! response that the kernel refuses, 30 seconds without a word. Then the connection is given up, so that a late answer is
//! never taken for that of the next call. A proxy that has gone away is connected to anew, once for each call.
#![forbid(unsafe_code)]

mod message;

use crate::base::{Context, Error, Result};
use crate::security::Conf;
use crate::sys::poll::{POLLIN, PollFd, poll};
use crate::sys::seccomp::{self, NotifSizes};
use crate::sys::socket::{self, Address, Type};
use crate::sys::{fd, path, process, scm};
use crate::{log_debug, log_error, log_trace};
use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long the proxy has for a connection and an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long after a proxy had no room for a connection it is asked again.
const AGAIN: Duration = Duration::from_millis(50);
/// Token of the connection; listeners have larger ones.
const PROXY: u64 = 0;
/// How many events are handled in a turn.
const TURN: usize = 16;

#[derive(Debug)]
struct Listener {
    token: u64,
    fd: OwnedFd,
    /// Nobody has its filter any more.
    gone: bool,
}

/// How far a question has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The proxy has no room for a connection: to be tried again then.
    Connect(Instant),
    /// The question could not be sent yet.
    Send,
    /// The answer is waited for.
    Answer,
}

/// A call that waits.
#[derive(Debug)]
struct Asked {
    listener: u64,
    id: u64,
    question: Vec<u8>,
    /// /proc/PID of the caller and its memory.
    files: [OwnedFd; 2],
    stage: Stage,
    deadline: Instant,
    /// It was sent on a connection that had been made before: a new one may do better.
    old: bool,
}

/// The notifications of one instance of a container.
#[derive(Debug)]
pub struct Notify {
    epoll: Epoll,
    address: String,
    cookie: Vec<u8>,
    sizes: NotifSizes,
    limit: Duration,
    init: i32,
    proxy: Option<OwnedFd>,
    listeners: Vec<Listener>,
    next: u64,
    asked: Option<Asked>,
    /// The last call was refused: what a container can repeat at will is logged once.
    failing: bool,
}

impl Notify {
    /// Connects to the proxy that the settings name, before anything is made of the container; `None` without one. Waits
    /// for room at most 30 seconds.
    ///
    /// # Errors
    /// Nobody listens there; a kernel without notifications.
    pub fn connect(conf: &Conf) -> Result<Option<Self>> {
        let Some(address) = &conf.seccomp_proxy else { return Ok(None) };
        let sizes = seccomp::notif_sizes().ctx(|| "seccomp notifications".into())?;
        let cookie = conf.seccomp_cookie.as_deref().unwrap_or_default().as_bytes().to_vec();
        let failed = || format!("cannot connect to the seccomp proxy unix:{address}");
        let hint = "start the proxy first; or mend lxc.seccomp.notify.proxy";
        let connected = dial(address, Some(PATIENCE));
        let proxy = connected.ctx(failed).map_err(|e: Error| e.stage("seccomp").hint(hint))?;
        let mut notify = Self::new(address, cookie, sizes, PATIENCE).ctx(failed)?;
        notify.take_connection(proxy).ctx(failed)?;
        Ok(Some(notify))
    }

    fn new(address: &str, cookie: Vec<u8>, sizes: NotifSizes, limit: Duration) -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            address: address.to_string(),
            cookie,
            sizes,
            limit,
            init: 0,
            proxy: None,
            listeners: Vec::new(),
            next: PROXY + 1,
            asked: None,
            failing: false,
        })
    }

    /// Begins with the listener of init's own filter.
    ///
    /// # Errors
    /// An errno.
    pub fn begin(&mut self, init: i32, listener: BorrowedFd<'_>) -> std::result::Result<(), i32> {
        self.init = init;
        fd::dup_cloexec(listener).map_err(|e| errno(&e)).and_then(|fd| self.add(fd))
    }

    /// Takes another listener, that of an attached process.
    ///
    /// # Errors
    /// An errno: EINVAL for what is no listener.
    pub fn add(&mut self, listener: OwnedFd) -> std::result::Result<(), i32> {
        if !seccomp::is_listener(&listener) {
            return Err(libc::EINVAL);
        }
        let token = self.next;
        let events = if self.asked.is_none() { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
        self.epoll.add(&listener, EpollEvent::new(events, token)).map_err(|e| e as i32)?;
        self.next += 1;
        self.listeners.push(Listener { token, fd: listener, gone: false });
        Ok(())
    }

    /// When [`Notify::turn`] has to be called next, if nothing comes before.
    pub fn deadline(&self) -> Option<Instant> {
        self.asked.as_ref().map(|a| match a.stage {
            Stage::Connect(again) => again.min(a.deadline),
            _ => a.deadline,
        })
    }

    /// Whether there is anybody whose calls may wait.
    pub fn is_active(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// Handles what has come and what is late. Waits for nothing.
    pub fn turn(&mut self) {
        let mut events = [EpollEvent::empty(); TURN];
        let n = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        for event in events.iter().take(n) {
            match event.data() {
                PROXY => self.proxy_event(),
                token => self.listener_event(token, event.events()),
            }
        }
        let now = Instant::now();
        match self.asked.as_ref().map(|a| (a.stage, a.deadline)) {
            Some((_, deadline)) if now >= deadline => self.refuse("it does not answer in time"),
            Some((Stage::Connect(again), _)) if now >= again => self.go_on(),
            _ => {}
        }
    }

    // ---- the listeners

    fn listener_event(&mut self, token: u64, events: EpollFlags) {
        if events.contains(EpollFlags::EPOLLIN) && self.asked.is_none() {
            self.receive(token);
        }
        if events.contains(EpollFlags::EPOLLHUP)
            && let Some(l) = self.listeners.iter_mut().find(|l| l.token == token)
        {
            // The last process with this filter has ended. It stays while its last call is being asked about.
            let _ = self.epoll.delete(&l.fd);
            l.gone = true;
            if self.asked.is_none() {
                self.listeners.retain(|l| !l.gone);
            }
        }
    }

    /// Takes one notification and asks about it.
    fn receive(&mut self, token: u64) {
        let Some(l) = self.listeners.iter().find(|l| l.token == token) else { return };
        // Somebody else with the listener may have been faster, and receiving waits.
        let mut set = [PollFd::new(l.fd.as_fd(), POLLIN)];
        if !poll(&mut set, 0).is_ok_and(|n| n > 0) || set.first().is_none_or(|p| !p.readable()) {
            return;
        }
        let mut notification = vec![0; usize::from(self.sizes.notif)];
        match seccomp::notif_recv(&l.fd, &mut notification) {
            Ok(()) => {}
            // The caller was killed meanwhile.
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => return,
            Err(e) => {
                log_error!(errno = e, "Failed to read a seccomp notification: its listener is given up");
                self.listeners.retain(|l| l.token != token);
                return;
            }
        }
        let (id, pid) = (message::id(&notification), message::pid(&notification));
        log_trace!("Received seccomp notification with id({id}) of {pid}");
        let files = files_of(pid);
        // Only now is it known that the files are the caller's.
        if !seccomp::notif_id_valid(&l.fd, id) {
            return;
        }
        let files = match files {
            Ok(files) => files,
            Err(e) => {
                log_debug!(errno = e, "Failed to open /proc/{pid} of a seccomp notification");
                let _ = seccomp::notif_send(&l.fd, &mut message::response(self.sizes, id, message::REFUSAL));
                return;
            }
        };
        let pids = (process::pid(), self.init);
        let question = message::question(pids, self.sizes, &notification, &self.cookie);
        let deadline = Instant::now() + self.limit;
        let old = self.proxy.is_some();
        self.asked = Some(Asked { listener: token, id, question, files, stage: Stage::Send, deadline, old });
        self.listen(EpollFlags::empty());
        self.go_on();
    }

    /// Waits for more notifications, or not now.
    fn listen(&mut self, events: EpollFlags) {
        self.listeners.retain(|l| !l.gone);
        for l in &self.listeners {
            let _ = self.epoll.modify(&l.fd, &mut EpollEvent::new(events, l.token));
        }
    }

    // ---- the proxy

    fn take_connection(&mut self, proxy: OwnedFd) -> io::Result<()> {
        self.epoll.add(&proxy, EpollEvent::new(EpollFlags::EPOLLIN, PROXY))?;
        self.proxy = Some(proxy);
        Ok(())
    }

    /// Connects if need be, and sends the question.
    fn go_on(&mut self) {
        while self.asked.is_some() {
            if self.proxy.is_none() {
                match dial(&self.address, None).and_then(|proxy| self.take_connection(proxy)) {
                    Ok(()) => {}
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        return self.enter(Stage::Connect(Instant::now() + AGAIN), EpollFlags::empty());
                    }
                    Err(e) => return self.refuse(&e.to_string()),
                }
            }
            match self.send() {
                Ok(()) => return self.enter(Stage::Answer, EpollFlags::EPOLLIN),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return self.enter(Stage::Send, EpollFlags::EPOLLOUT);
                }
                Err(e) if self.asked.as_mut().is_some_and(|a| std::mem::take(&mut a.old)) => {
                    log_debug!(errno = e, "The seccomp proxy has gone away: connecting to it anew");
                    self.hang_up();
                }
                Err(e) => return self.refuse(&e.to_string()),
            }
        }
    }

    fn send(&self) -> io::Result<()> {
        let gone = || io::Error::from_raw_os_error(libc::ENOTCONN);
        let (Some(asked), Some(proxy)) = (&self.asked, &self.proxy) else { return Err(gone()) };
        let listener = self.listeners.iter().find(|l| l.token == asked.listener).ok_or_else(gone)?;
        let [dir, memory] = &asked.files;
        scm::send(proxy.as_fd(), &asked.question, None, &[dir.as_fd(), memory.as_fd(), listener.fd.as_fd()]).map(drop)
    }

    fn enter(&mut self, stage: Stage, events: EpollFlags) {
        if let Some(asked) = &mut self.asked {
            asked.stage = stage;
        }
        if let Some(proxy) = &self.proxy {
            let _ = self.epoll.modify(proxy, &mut EpollEvent::new(events, PROXY));
        }
    }

    fn hang_up(&mut self) {
        if let Some(proxy) = self.proxy.take() {
            let _ = self.epoll.delete(&proxy);
        }
    }

    fn proxy_event(&mut self) {
        match self.asked.as_ref().map(|a| a.stage) {
            Some(Stage::Answer) => self.take_answer(),
            Some(Stage::Send) => self.go_on(),
            // Nothing was asked: it has gone away, or says what must never be taken for an answer.
            Some(Stage::Connect(_)) | None => self.hang_up(),
        }
    }

    fn take_answer(&mut self) {
        let (Some(proxy), Some(asked)) = (&self.proxy, &self.asked) else { return };
        // One byte more than it may have: so a longer one is seen.
        let mut buffer = vec![0; message::answer_len(self.sizes) + 1];
        // Descriptors that came along are closed at once.
        let got = match scm::recv(proxy.as_fd(), &mut buffer) {
            Ok(got) => got.bytes,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Err(e) => return self.refuse(&e.to_string()),
        };
        if got == 0 {
            return self.refuse("it closed the connection");
        }
        match message::response_in(self.sizes, buffer.get(..got).unwrap_or_default()) {
            None => self.refuse(&format!("its answer has a wrong length ({got} bytes)")),
            Some(response) if message::id(response) != asked.id => self.refuse("its answer is about another call"),
            Some(response) => {
                let response = response.to_vec();
                self.settle(Some(response));
            }
        }
    }

    /// The proxy has no answer that can be used.
    fn refuse(&mut self, why: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            log_error!("Failed to receive message from seccomp proxy unix:{}: {why}", self.address);
        }
        self.hang_up();
        self.settle(None);
    }

    /// Answers the call, without a response by ENOSYS, and goes on to the next.
    fn settle(&mut self, response: Option<Vec<u8>>) {
        let Some(asked) = self.asked.take() else { return };
        if let Some(l) = self.listeners.iter().find(|l| l.token == asked.listener) {
            let answered = response.map(|mut r| seccomp::notif_send(&l.fd, &mut r));
            match answered {
                Some(Ok(())) => {
                    log_trace!("Sent response for seccomp notification with id({})", asked.id);
                    self.failing = false;
                }
                // The caller has gone away meanwhile.
                Some(Err(e)) if e.raw_os_error() == Some(libc::ENOENT) => {}
                other => {
                    if let Some(Err(e)) = other {
                        log_error!(errno = e, "Failed to send seccomp notification");
                    }
                    let _ = seccomp::notif_send(&l.fd, &mut message::response(self.sizes, asked.id, message::REFUSAL));
                }
            }
        }
        self.listen(EpollFlags::EPOLLIN);
    }
}

impl AsFd for Notify {
    /// Readable when [`Notify::turn`] has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

fn errno(e: &io::Error) -> i32 {
    e.raw_os_error().unwrap_or(libc::EIO)
}

/// /proc/PID of a process, to read, and its memory, to read and to write.
fn files_of(pid: u32) -> io::Result<[OwnedFd; 2]> {
    let open = |name: String, flags| {
        let name = CString::new(name).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        path::open(&name, flags, 0)
    };
    Ok([
        open(format!("/proc/{pid}"), libc::O_RDONLY | libc::O_DIRECTORY)?,
        open(format!("/proc/{pid}/mem"), libc::O_RDWR)?,
    ])
}

/// A connection that never waits; `limit` is for its making, which without one fails by EAGAIN when there is no room.
fn dial(address: &str, limit: Option<Duration>) -> io::Result<OwnedFd> {
    let to = match address.strip_prefix('@') {
        Some(name) => Address::Abstract(name.as_bytes()),
        None => Address::Path(address.as_bytes()),
    };
    let proxy = socket::new(Type::Seqpacket)?;
    match limit {
        Some(limit) => {
            let limit = TimeVal::new(limit.as_secs().cast_signed(), 0);
            setsockopt(&proxy, sockopt::SendTimeout, &limit)?;
        }
        None => fd::set_nonblocking(proxy.as_fd(), true)?,
    }
    socket::connect(&proxy, to)?;
    fd::set_nonblocking(proxy.as_fd(), true)?;
    Ok(proxy)
}

#[cfg(test)]
mod tests;
