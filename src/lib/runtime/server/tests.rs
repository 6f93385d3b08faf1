//! The server against clients of every kind of manners, with a container that does not exist.
#![forbid(unsafe_code)]

use super::super::answer::Progress;
use super::*;
use crate::ipc::command::{Client, Fail, Waiting};
use crate::ipc::wire::{CgroupCtx, CgroupFd, ConsoleLog, DeviceItem};
use nix::sys::epoll::EpollCreateFlags;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

/// A container made of constants.
struct Fake {
    state: State,
    stopped: bool,
    console: Option<u64>,
    log: Vec<u8>,
    listeners: usize,
    v2: bool,
}

fn null() -> OwnedFd {
    std::fs::File::open("/dev/null").unwrap().into()
}

impl Served for Fake {
    fn live(&self) -> bool {
        !matches!(self.state, State::Starting)
    }
    fn name(&self) -> &str {
        "c1"
    }
    fn lxcpath(&self) -> &str {
        "/store"
    }
    fn state(&self) -> State {
        self.state
    }
    fn set_state(&mut self, state: State) {
        self.state = state;
    }
    fn init_pid(&self) -> i32 {
        4711
    }
    fn init_pidfd(&self) -> Result<OwnedFd, i32> {
        Ok(null())
    }
    fn clone_flags(&self) -> u64 {
        0x6e02_0000
    }
    fn stop(&mut self) -> Result<(), i32> {
        self.stopped = true;
        Ok(())
    }
    fn cgroup_path(&self, controller: &str, limit: bool) -> Option<String> {
        (controller == "memory").then(|| if limit { "/lim".into() } else { "/con".into() })
    }
    fn cgroup_fd(&self, controller: &str, _limit: bool) -> Result<(CgroupFd, OwnedFd), i32> {
        if controller != "memory" {
            return Err(libc::ENOENT);
        }
        Ok((CgroupFd { layout: 1, kind: wire::CGROUP_SUPER_MAGIC, fd: 5, ..CgroupFd::ask("") }, null()))
    }
    fn cgroup2_fd(&self, _limit: bool) -> Result<OwnedFd, i32> {
        if self.v2 { Ok(null()) } else { Err(libc::EINVAL) }
    }
    fn cgroup_ctx(&self) -> Result<(CgroupCtx, Vec<OwnedFd>), i32> {
        let ctx = CgroupCtx { layout: 1, utilities: 0, fd_len: 0, fds: [0; wire::CTX_FDS] };
        Ok((ctx, (0..10).map(|_| null()).collect()))
    }
    fn config_item(&self, key: &str) -> Option<String> {
        (key == "lxc.uts.name").then(|| "c1".into())
    }
    fn systemd_scope(&self) -> Option<String> {
        None
    }
    fn console_log(&mut self, what: ConsoleLog) -> Result<Vec<u8>, i32> {
        if what.read { Ok(self.log.clone()) } else { Ok(Vec::new()) }
    }
    fn reserve_tty(&mut self, tty: i32, holder: u64) -> Result<(i32, OwnedFd), i32> {
        if tty != 0 || self.console.is_some() {
            return Err(libc::EBADF);
        }
        self.console = Some(holder);
        Ok((0, null()))
    }
    fn release_tty(&mut self, _tty: i32, holder: u64) {
        assert_eq!(self.console.take(), Some(holder));
    }
    fn devpts(&self) -> Result<OwnedFd, i32> {
        Err(libc::EBADF)
    }
    fn seccomp_listener(&self) -> Result<OwnedFd, i32> {
        Err(libc::EBADF)
    }
    fn add_seccomp_listener(&mut self, _listener: OwnedFd) -> Result<(), i32> {
        self.listeners += 1;
        Ok(())
    }
    fn add_device_rule(&mut self, rule: DeviceItem) -> Result<(), i32> {
        if rule.kind == b'c' { Ok(()) } else { Err(libc::EPERM) }
    }
    fn freeze(&mut self, _on: bool) -> Result<Progress, i32> {
        if self.v2 { Ok(Progress::Later) } else { Err(libc::ENOENT) }
    }
}

/// What a test can have the server's thread do.
enum Order {
    Announce(State),
    Settled(bool),
    Reboot,
    Starting,
    Live,
    End,
}

struct Bench {
    address: Vec<u8>,
    orders: mpsc::Sender<Order>,
    thread: Option<std::thread::JoinHandle<Fake>>,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Bench {
    fn new(v2: bool, log: Vec<u8>) -> Self {
        Self::patient(v2, log, PATIENCE)
    }

    fn patient(v2: bool, log: Vec<u8>, patience: Duration) -> Self {
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let address = format!("lxc-test-server/{}/{n}/command", std::process::id()).into_bytes();
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&address).unwrap()).unwrap();
        let (orders, inbox) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut fake = Fake { state: State::Running, stopped: false, console: None, log, listeners: 0, v2 };
            let mut server = Server::new(listener.into()).unwrap();
            server.patience = patience;
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
            server.register(&epoll).unwrap();
            loop {
                let mut events = [EpollEvent::empty(); 8];
                let n = epoll.wait(&mut events, 5u8).unwrap();
                for e in &events[..n] {
                    server.event(&epoll, e.data(), e.events(), &mut fake);
                }
                server.expire(&epoll, Instant::now(), &mut fake);
                match inbox.try_recv() {
                    Ok(Order::Announce(s)) => server.announce(s, "c1"),
                    Ok(Order::Settled(on)) => server.freezer_settled(on),
                    Ok(Order::Reboot) => server.end_of_instance(),
                    Ok(Order::Starting) => fake.state = State::Starting,
                    Ok(Order::Live) => {
                        fake.state = State::Running;
                        server.answer_later(&epoll, &mut fake);
                    }
                    Ok(Order::End) | Err(mpsc::TryRecvError::Disconnected) => return fake,
                    Err(mpsc::TryRecvError::Empty) => {}
                }
            }
        });
        Self { address, orders, thread: Some(thread) }
    }

    fn client(&self) -> Client {
        Client::at(&self.address).timeout(Some(Duration::from_secs(20)))
    }

    fn raw(&self) -> UnixStream {
        let s = UnixStream::connect_addr(&SocketAddr::from_abstract_name(&self.address).unwrap()).unwrap();
        s.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        s
    }

    fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    fn end(mut self) -> Fake {
        self.order(Order::End);
        self.thread.take().unwrap().join().unwrap()
    }
}

fn request(cmd: i32, datalen: i32) -> [u8; 16] {
    Head { code: cmd, datalen, data: 0 }.encode()
}

fn answer_of(mut s: UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = s.read_to_end(&mut all);
    all
}

#[test]
fn every_question_gets_its_answer() {
    let b = Bench::new(false, b"boot\n".to_vec());
    let c = b.client();
    assert_eq!(c.state(), Ok(State::Running));
    assert_eq!(c.init_pid(), Ok(Some(4711)));
    assert!(c.init_pidfd().is_ok());
    assert_eq!(c.clone_flags(), Ok(0x6e02_0000));
    assert_eq!(c.config_item("lxc.uts.name"), Ok(Some("c1".into())));
    assert_eq!(c.config_item("lxc.bogus"), Ok(None));
    assert_eq!(c.cgroup_path("memory"), Ok(Some("/con".into())));
    assert_eq!(c.limit_cgroup_path("memory"), Ok(Some("/lim".into())));
    assert_eq!(c.cgroup_path("nosuch"), Err(Fail::Unsupported));
    assert_eq!(c.cgroup_path(""), Err(Fail::Unsupported));
    let (_, about) = c.cgroup_fd("memory").unwrap();
    assert_eq!((about.layout, about.kind, about.controller()), (1, wire::CGROUP_SUPER_MAGIC, Some("memory")));
    assert_eq!(c.limit_cgroup_fd("nosuch").map(|_| ()), Err(Fail::Refused(libc::ENOENT)));
    assert_eq!(c.cgroup_fd("").map(|_| ()), Err(Fail::Refused(libc::EINVAL)));
    assert_eq!(c.cgroup2_fd().map(drop), Err(Fail::Refused(libc::EINVAL)));
    let (ctx, fds) = c.cgroup_ctx().unwrap();
    assert_eq!((ctx.fd_len, fds.len()), (10, 10));
    assert_eq!(c.systemd_scope(), Ok(None));
    assert_eq!(c.devpts_fd().map(drop), Err(Fail::Refused(libc::EBADF)));
    assert_eq!(c.name(), Ok(Some("c1".into())));
    assert_eq!(c.lxcpath(), Ok(Some("/store".into())));
    assert_eq!(c.console_log(ConsoleLog { read: true, ..ConsoleLog::default() }), Ok(b"boot\n".to_vec()));
    let rule = DeviceItem { kind: b'c', major: 1, minor: 3, access: *b"rwm\0", allow: 1 };
    assert_eq!(c.add_device_rule(&rule), Ok(()));
    assert_eq!(c.freeze(None), Err(Fail::Refused(libc::ENOENT)));
    assert_eq!(c.add_seccomp_listener(null().as_fd()), Ok(()));
    assert_eq!(b.end().listeners, 1);
}

#[test]
fn what_only_init_can_answer_waits_for_it() {
    let b = Bench::new(false, Vec::new());
    b.order(Order::Starting);
    let before = Instant::now();
    while b.client().state() != Ok(State::Starting) && before.elapsed() < Duration::from_secs(20) {}
    let mut early = b.raw();
    early.write_all(&request(Cmd::GetInitPidfd as i32, 0)).unwrap();
    let mut gone = b.raw();
    gone.write_all(&request(Cmd::GetInitPidfd as i32, 0)).unwrap();
    // Answered behind both, so both have been read.
    assert_eq!(b.client().state(), Ok(State::Starting));
    drop(gone);
    early.set_nonblocking(true).unwrap();
    assert_eq!(early.read(&mut [0; 16]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    early.set_nonblocking(false).unwrap();
    b.order(Order::Live);
    assert_eq!(answer_of(early), Head::inline(0, 0).encode());
    b.end();
}

#[test]
fn half_sent_requests_delay_nobody() {
    let b = Bench::new(false, Vec::new());
    let mut open = Vec::new();
    for i in 0..50u8 {
        let mut s = b.raw();
        match i % 4 {
            0 => {}
            1 => s.write_all(&request(3, 0)[..7]).unwrap(),
            2 => s.write_all(&request(7, 40)).unwrap(),
            _ => s.write_all(&request(13, 0)).unwrap(),
        }
        open.push(s);
    }
    let before = Instant::now();
    assert_eq!(b.client().state(), Ok(State::Running));
    assert!(before.elapsed() < Duration::from_secs(1));
    // The rest of a request that comes late is still answered.
    let mut late = open.swap_remove(1);
    late.write_all(&request(3, 0)[7..]).unwrap();
    assert_eq!(answer_of(late), Head::inline(0, 2).encode());
    // More than there is room for: the oldest go.
    open.extend((0..UNFINISHED + 10).map(|_| b.raw()));
    assert_eq!(b.client().state(), Ok(State::Running));
    b.end();
}

#[test]
fn a_request_that_never_ends_is_dropped_in_time() {
    let b = Bench::patient(false, Vec::new(), Duration::from_millis(50));
    let mut s = b.raw();
    s.write_all(&request(7, 40)).unwrap();
    assert!(answer_of(s).is_empty());
    b.end();
}

#[test]
fn garbage_is_refused() {
    let b = Bench::new(false, Vec::new());
    for (bytes, want) in [
        (request(27, 0), Head::inline(-libc::ENOSYS, 0).encode().to_vec()),
        (request(-1, 0), Head::inline(-libc::ENOSYS, 0).encode().to_vec()),
        (request(1, 0), Vec::new()),
        (request(7, -1), Vec::new()),
        (request(7, 8193), Vec::new()),
        (request(10, 0), Vec::new()),
        (request(11, 0), Head::inline(-libc::EINVAL, 0).encode().to_vec()),
        (request(12, 0), Head::inline(0, 0).encode().to_vec()),
    ] {
        let mut s = b.raw();
        s.write_all(&bytes).unwrap();
        assert_eq!(answer_of(s), want, "{bytes:?}");
    }
    // Texts without their NUL.
    for (cmd, want) in [(6, -libc::EINVAL), (7, -libc::EPERM)] {
        let mut s = b.raw();
        s.write_all(&request(cmd, 6)).unwrap();
        s.write_all(b"memory").unwrap();
        assert_eq!(answer_of(s), Head::inline(want, 0).encode());
    }
    let mut random = 0x9e37_79b9_u64;
    for _ in 0..200 {
        let mut s = b.raw();
        let mut bytes = [0u8; 40];
        for chunk in bytes.chunks_mut(8) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            chunk.copy_from_slice(&random.to_ne_bytes());
        }
        let _ = s.write_all(&bytes);
    }
    assert_eq!(b.client().name(), Ok(Some("c1".into())));
    b.end();
}

#[test]
fn structs_of_other_lengths_are_understood() {
    let b = Bench::new(false, Vec::new());
    let ask = |len: usize, last: u8| {
        let mut s = b.raw();
        let mut data = CgroupFd::ask("memory").encode().to_vec();
        data.resize(len, 0);
        *data.last_mut().unwrap() = last;
        s.write_all(&request(24, len as i32)).unwrap();
        s.write_all(&data).unwrap();
        answer_of(s)
    };
    assert_eq!(ask(24, 0).len(), 16 + 24);
    assert_eq!(ask(100, 0).len(), 16 + 80);
    assert_eq!(ask(100, 1), Head::inline(-libc::EINVAL, 0).encode());
    b.end();
}

#[test]
fn waiters_are_told_once() {
    let b = Bench::new(false, Vec::new());
    let c = b.client();
    assert!(matches!(c.add_state_client(&[State::Running, State::Stopped]), Ok(Waiting::Reached(State::Running))));
    let Ok(Waiting::Later(frozen)) = c.add_state_client(&[State::Frozen]) else { panic!("not there yet") };
    let Ok(Waiting::Later(stopped)) = c.add_state_client(&[State::Stopped]) else { panic!("not there yet") };
    assert_eq!(frozen.wait(Some(Duration::from_millis(30))), Err(Fail::Timeout));
    c.serve_state(State::Frozen).unwrap();
    assert_eq!(frozen.wait(None), Ok(State::Frozen));
    assert_eq!(c.state(), Ok(State::Frozen));
    c.serve_state(State::Thawed).unwrap();
    assert_eq!(c.state(), Ok(State::Running));
    c.serve_state(State::Starting).unwrap();
    // A reboot: the registration for RUNNING stays.
    let Ok(Waiting::Later(running)) = c.add_state_client(&[State::Running]) else { panic!("not there yet") };
    b.order(Order::Reboot);
    assert_eq!(stopped.wait(None), Ok(State::Stopped));
    c.serve_state(State::Running).unwrap();
    assert_eq!(running.wait(None), Ok(State::Running));
    // Asked for while it runs: the next time counts.
    let Ok(Waiting::Later(next)) = c.next_running() else { panic!("it runs already") };
    b.order(Order::Reboot);
    b.order(Order::Announce(State::Running));
    assert_eq!(next.wait(None), Ok(State::Running));
    b.end();
}

#[test]
fn stop_is_answered_by_the_end() {
    let b = Bench::new(false, Vec::new());
    let c = b.client();
    assert_eq!(c.stop(Some(Duration::from_millis(50))), Err(Fail::Timeout));
    let (told, heard) = mpsc::channel();
    let waiting = std::thread::spawn(move || told.send(c.stop(None)).unwrap());
    assert!(heard.recv_timeout(Duration::from_millis(50)).is_err());
    assert!(b.end().stopped);
    assert_eq!(heard.recv().unwrap(), Ok(()));
    waiting.join().unwrap();
}

#[test]
fn a_terminal_is_reserved_as_long_as_its_connection() {
    let b = Bench::new(false, Vec::new());
    let c = b.client();
    let held = c.console(0).unwrap();
    assert_eq!(held.2, 0);
    assert_eq!(c.console(0).map(drop), Err(Fail::Refused(libc::EBADF)));
    drop(held);
    let before = Instant::now();
    while c.console(0).is_err() {
        assert!(before.elapsed() < Duration::from_secs(10));
    }
    b.end();
}

#[test]
fn a_large_log_arrives_whole() {
    let log: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let b = Bench::new(false, log.clone());
    let ask = ConsoleLog { read: true, ..ConsoleLog::default() };
    assert_eq!(b.client().console_log(ask), Ok(log));
    b.end();
}

#[test]
fn freezing_is_answered_when_it_is_done() {
    let b = Bench::new(true, Vec::new());
    let c = b.client();
    let (told, heard) = mpsc::channel();
    for on in [true, false] {
        let (told, c) = (told.clone(), c.clone());
        std::thread::spawn(move || told.send((on, if on { c.freeze(None) } else { c.unfreeze(None) })).unwrap());
        assert!(heard.recv_timeout(Duration::from_millis(100)).is_err());
        b.order(Order::Settled(on));
        assert_eq!(heard.recv().unwrap(), (on, Ok(())));
    }
    assert_eq!(c.freeze(Some(Duration::from_secs(1))), Err(Fail::Refused(libc::ETIMEDOUT)));
    b.end();
}
