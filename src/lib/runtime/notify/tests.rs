//! The proxy's side is played here: a child with a filter makes calls, the test answers, late, wrongly or not at all.

use super::*;
use crate::sys::process::{exit_now, fork, kill, set_no_new_privs, wait_pid};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Loads a filter that notifies getppid.
fn filter() -> Vec<u8> {
    let insn = |code: u16, jt: u8, jf: u8, k: u32| {
        let ([a, b], [c, d, e, f]) = (code.to_ne_bytes(), k.to_ne_bytes());
        [a, b, jt, jf, c, d, e, f]
    };
    let nr = libc::SYS_getppid as u32;
    [insn(0x20, 0, 0, 0), insn(0x15, 0, 1, nr), insn(0x06, 0, 0, 0x7fc0_0000), insn(0x06, 0, 0, 0x7fff_0000)].concat()
}

/// A process that calls `times` times and tells by its exit code what came: the number of answers of 4242, 16 for each ENOSYS.
fn caller(times: u32) -> (i32, OwnedFd) {
    let filter = filter();
    let (a, b) = socket::pair_seqpacket().unwrap();
    let pid = fork(|| {
        let listener = set_no_new_privs().and_then(|()| seccomp::load_filter(&filter, seccomp::NEW_LISTENER));
        let Ok(Some(listener)) = listener else { exit_now(255) };
        if socket::send_with_fds(b.as_fd(), b"x", &[listener.as_fd()]).is_err() {
            exit_now(254);
        }
        drop(listener);
        let mut sum = 0;
        for _ in 0..times {
            sum += match nix::unistd::getppid().as_raw() {
                4242 => 1,
                // The C library takes what getppid(2) says as it is: it never fails.
                e if e == -libc::ENOSYS => 16,
                _ => 128,
            };
        }
        exit_now(sum)
    })
    .unwrap();
    drop(b);
    let mut fds = [None];
    socket::recv_with_fds(a.as_fd(), &mut [0], &mut fds).unwrap();
    let [listener] = fds;
    (pid, listener.unwrap())
}

fn ended(pid: i32) -> i32 {
    let status = wait_pid(pid, 0).unwrap().1;
    assert!(libc::WIFEXITED(status), "{status}");
    libc::WEXITSTATUS(status)
}

/// One at a time: what another test's caller inherits by its fork keeps a listener alive.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A proxy's socket, and the connection to it.
struct Stand {
    notify: Notify,
    address: String,
    listening: OwnedFd,
}

fn listening(address: &str) -> OwnedFd {
    let fd = socket::new(Type::Seqpacket).unwrap();
    socket::bind(&fd, Address::Abstract(&address.as_bytes()[1..])).unwrap();
    fd::set_nonblocking(fd.as_fd(), true).unwrap();
    nix::sys::socket::listen(&fd, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
    fd
}

fn stand(limit: Duration) -> (Stand, OwnedFd) {
    static N: AtomicU32 = AtomicU32::new(0);
    let address = format!("@lxc-notify-test-{}-{}", std::process::id(), N.fetch_add(1, Ordering::Relaxed));
    let listening = listening(&address);
    let conf = Conf { seccomp_proxy: Some(address.clone()), seccomp_cookie: Some("cookie".into()), ..Conf::default() };
    let mut notify = Notify::connect(&conf).unwrap().unwrap();
    notify.limit = limit;
    let proxy = socket::accept(&listening, true).unwrap();
    (Stand { notify, address, listening }, proxy)
}

impl Stand {
    /// Serves until `done`.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !done(self) {
            assert!(Instant::now() < end, "waiting for {what}");
            let ms = self.notify.deadline().map_or(20, crate::base::spawn::remaining_ms).min(20);
            let _ = poll(&mut [PollFd::new(self.notify.as_fd(), POLLIN)], ms);
            self.notify.turn();
        }
    }

    /// The next question on a connection.
    fn question(&mut self, proxy: &OwnedFd) -> (Vec<u8>, usize) {
        let mut question = Vec::new();
        let mut files = 0;
        self.until("a question", |_| {
            let mut buffer = [0; 512];
            let Ok(got) = scm::recv(proxy.as_fd(), &mut buffer) else { return false };
            question = buffer[..got.bytes].to_vec();
            files = got.fds.len();
            true
        });
        (question, files)
    }

    fn next_connection(&mut self) -> OwnedFd {
        let mut proxy = None;
        self.until("a connection", |s| {
            proxy = socket::accept(&s.listening, true).ok();
            proxy.is_some()
        });
        proxy.unwrap()
    }

    fn gone(&mut self, pid: i32) -> i32 {
        let mut status = 0;
        self.until("the caller's end", |_| match wait_pid(pid, libc::WNOHANG).unwrap() {
            (0, _) => false,
            (_, s) => {
                status = s;
                true
            }
        });
        assert!(libc::WIFEXITED(status), "{status}");
        libc::WEXITSTATUS(status)
    }
}

/// The answer to a question: 4242.
fn answer(question: &[u8]) -> Vec<u8> {
    let mut out = question[..136].to_vec();
    out[120..128].copy_from_slice(&4242_i64.to_ne_bytes());
    out
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_call_gets_the_proxys_answer() {
    let _alone = alone();
    let (mut s, proxy) = stand(LONG);
    let (pid, listener) = caller(2);
    assert_eq!(s.notify.begin(7, listener.as_fd()), Ok(()));
    drop(listener);
    for _ in 0..2 {
        let (q, files) = s.question(&proxy);
        assert_eq!((q.len(), files, &q[136..]), (142, 3, &b"cookie"[..]));
        assert_eq!(q[8..16], [process::pid().to_ne_bytes(), 7_i32.to_ne_bytes()].concat());
        assert_eq!(message::pid(&q[32..112]), pid as u32);
        scm::send(proxy.as_fd(), &answer(&q), None, &[]).unwrap();
    }
    assert_eq!(s.gone(pid), 2);
    s.until("the listener's end", |s| !s.notify.is_active());
    assert_eq!(s.notify.deadline(), None);
}

#[test]
fn what_is_no_answer_fails_the_call_and_the_next_has_a_connection_of_its_own() {
    let _alone = alone();
    let (mut s, mut proxy) = stand(LONG);
    let (pid, listener) = caller(6);
    s.notify.add(listener).unwrap();
    for spoil in 0..5 {
        let (q, _) = s.question(&proxy);
        let mut a = answer(&q);
        match spoil {
            0 => a.push(0),
            1 => a.truncate(100),
            2 => a[112] ^= 1,
            // A flag that the kernel does not know.
            3 => a[132] = 0x40,
            _ => a.clear(),
        }
        if spoil == 4 {
            drop(proxy);
        } else {
            scm::send(proxy.as_fd(), &a, None, &[]).unwrap();
            if spoil == 3 {
                // The connection itself is in order.
                continue;
            }
            // A second one comes too late for anybody.
            let _ = scm::send(proxy.as_fd(), &answer(&q), None, &[]);
        }
        proxy = s.next_connection();
    }
    let (q, _) = s.question(&proxy);
    scm::send(proxy.as_fd(), &answer(&q), None, &[]).unwrap();
    assert_eq!(s.gone(pid), 5 * 16 + 1);
}

#[test]
fn a_silent_proxy_delays_its_calls_only() {
    let _alone = alone();
    let (mut s, proxy) = stand(Duration::from_millis(50));
    let (pid, listener) = caller(1);
    s.notify.add(listener).unwrap();
    let (q, _) = s.question(&proxy);
    assert_eq!(s.gone(pid), 16);
    // What it says now is nobody's answer.
    let _ = scm::send(proxy.as_fd(), &answer(&q), None, &[]);
    let (pid, listener) = caller(1);
    s.notify.limit = LONG;
    s.notify.add(listener).unwrap();
    let proxy = s.next_connection();
    let (q, _) = s.question(&proxy);
    scm::send(proxy.as_fd(), &answer(&q), None, &[]).unwrap();
    assert_eq!(s.gone(pid), 1);
}

#[test]
fn a_proxy_may_come_back() {
    let _alone = alone();
    let (mut s, proxy) = stand(LONG);
    drop(proxy);
    s.listening = socket::new(Type::Seqpacket).unwrap();
    let (pid, listener) = caller(1);
    s.notify.add(listener).unwrap();
    assert_eq!(s.gone(pid), 16, "nobody listens");
    s.listening = listening(&s.address);
    let (pid, listener) = caller(1);
    s.notify.add(listener).unwrap();
    let proxy = s.next_connection();
    let (q, _) = s.question(&proxy);
    scm::send(proxy.as_fd(), &answer(&q), None, &[]).unwrap();
    assert_eq!(s.gone(pid), 1);
}

#[test]
fn a_proxy_without_room_is_waited_for() {
    let _alone = alone();
    let (mut s, proxy) = stand(LONG);
    drop(proxy);
    // Fill the queue of those who wait to be accepted.
    let mut waiting = Vec::new();
    while let Ok(fd) = dial(&s.address, None) {
        waiting.push(fd);
    }
    let (pid, listener) = caller(1);
    s.notify.add(listener).unwrap();
    s.until("no room", |s| matches!(s.notify.asked.as_ref().map(|a| a.stage), Some(Stage::Connect(_))));
    for _ in &waiting {
        drop(socket::accept(&s.listening, true).unwrap());
    }
    drop(waiting);
    let proxy = s.next_connection();
    let (q, _) = s.question(&proxy);
    scm::send(proxy.as_fd(), &answer(&q), None, &[]).unwrap();
    assert_eq!(s.gone(pid), 1);
}

#[test]
fn a_killed_caller_is_nobodys_trouble() {
    let _alone = alone();
    let (mut s, proxy) = stand(LONG);
    let (pid, listener) = caller(1);
    s.notify.add(listener).unwrap();
    let (q, _) = s.question(&proxy);
    kill(pid, libc::SIGKILL).unwrap();
    assert!(libc::WIFSIGNALED(wait_pid(pid, 0).unwrap().1));
    let (other, listener) = caller(1);
    s.notify.add(listener).unwrap();
    s.until("its listener's end", |s| s.notify.listeners.iter().any(|l| l.gone));
    scm::send(proxy.as_fd(), &answer(&q), None, &[]).unwrap();
    let (q, _) = s.question(&proxy);
    scm::send(proxy.as_fd(), &answer(&q), None, &[]).unwrap();
    assert_eq!(s.gone(other), 1);
}

#[test]
fn only_listeners_are_taken_and_only_proxies_connected_to() {
    let _alone = alone();
    let (mut s, _proxy) = stand(LONG);
    assert_eq!(s.notify.add(fd::pipe().unwrap().0), Err(libc::EINVAL));
    assert!(Notify::connect(&Conf::default()).unwrap().is_none());
    let conf = Conf { seccomp_proxy: Some("/nonexistent/proxy".into()), ..Conf::default() };
    let e = Notify::connect(&conf).unwrap_err();
    assert_eq!((e.errno, e.stage), (libc::ENOENT, "seccomp"));
    assert_eq!(e.what, "cannot connect to the seccomp proxy unix:/nonexistent/proxy");
    let (pid, listener) = caller(1);
    drop(listener);
    assert_eq!(ended(pid), 16);
}
