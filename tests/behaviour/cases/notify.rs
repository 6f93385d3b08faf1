//! Seccomp notifications and their proxy. The proxy is a thread of the case.

use crate::case::{Cases, Need};
use crate::ctx::T;
use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, bind, listen, recvmsg, send,
    socket,
};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

const PROXY: &str = "/tmp/proxy";
const LINES: &str = "lxc.seccomp.profile = /tmp/pol\nlxc.seccomp.notify.proxy = unix:/tmp/proxy\n";

/// What the proxy does with a question.
#[derive(Clone, Copy)]
enum Reply {
    Errno(i32),
    Value(i64),
    Continue,
    /// An answer of the length of the question, with the cookie.
    Whole,
    /// Its response is about another call.
    OtherCall,
    /// Nothing more on this connection.
    Close,
    /// Answers, then closes.
    ErrnoAndClose(i32),
    Silence,
}

struct Seen {
    bytes: Vec<u8>,
    files: Vec<String>,
}

impl Seen {
    fn number(&self, at: usize) -> i32 {
        i32::from_ne_bytes(self.bytes[at..at + 4].try_into().unwrap_or_default())
    }
}

struct Proxy {
    seen: Arc<Mutex<Vec<Seen>>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens at a path or `@name`; the questions are answered in turn, the last reply is for all that follow.
    fn new(at: &str, replies: &'static [Reply]) -> Self {
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).expect("socket");
        let address = match at.strip_prefix('@') {
            Some(name) => UnixAddr::new_abstract(name.as_bytes()),
            None => {
                let _ = std::fs::remove_file(at);
                UnixAddr::new(Path::new(at))
            }
        };
        bind(fd.as_raw_fd(), &address.expect("address")).expect("bind");
        listen(&fd, Backlog::new(8).expect("backlog")).expect("listen");
        let (seen, end) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (list, stop) = (Arc::clone(&seen), Arc::clone(&end));
        // accept(2) asks for no kind of socket.
        let listening = UnixListener::from(fd);
        let thread = std::thread::spawn(move || serve(&listening, replies, &list, &stop));
        Self { seen, end, thread: Some(thread) }
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().expect("no panic")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(listening: &UnixListener, replies: &[Reply], seen: &Mutex<Vec<Seen>>, end: &AtomicBool) {
    let mut conns: Vec<OwnedFd> = Vec::new();
    while !end.load(Ordering::Relaxed) {
        let all: Vec<BorrowedFd> = std::iter::once(listening.as_fd()).chain(conns.iter().map(AsFd::as_fd)).collect();
        let mut set: Vec<PollFd> = all.iter().map(|f| PollFd::new(*f, PollFlags::POLLIN)).collect();
        let _ = poll(&mut set, PollTimeout::from(50_u8));
        let ready: Vec<bool> = set.iter().map(|p| p.any().unwrap_or(false)).collect();
        let mut kept = Vec::new();
        for (conn, ready) in conns.drain(..).zip(ready.iter().skip(1)) {
            if !ready || answer(&conn, replies, seen) {
                kept.push(conn);
            }
        }
        conns = kept;
        if ready.first() == Some(&true)
            && let Ok((conn, _)) = listening.accept()
        {
            conns.push(conn.into());
        }
    }
}

/// Takes one question and does what is to be done with it; whether the connection stays.
fn answer(conn: &OwnedFd, replies: &[Reply], seen: &Mutex<Vec<Seen>>) -> bool {
    let mut buffer = [0_u8; 512];
    let mut space = cmsg_space!([i32; 8]);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let Ok(got) = recvmsg::<()>(conn.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) else {
        return false;
    };
    let mut files = Vec::new();
    for message in got.cmsgs().expect("control messages") {
        if let ControlMessageOwned::ScmRights(fds) = message {
            for fd in fds {
                let link = std::fs::read_link(format!("/proc/self/fd/{fd}"));
                files.push(link.map_or_else(|e| e.to_string(), |l| l.display().to_string()));
                let _ = nix::unistd::close(fd);
            }
        }
    }
    let n = got.bytes;
    if n < 136 {
        return false;
    }
    let mut bytes = buffer[..n].to_vec();
    let mut seen = seen.lock().expect("no panic");
    let reply = *replies.get(seen.len()).or(replies.last()).expect("a reply");
    seen.push(Seen { bytes: bytes.clone(), files });
    drop(seen);
    bytes.truncate(136);
    let mut put = |at: usize, what: &[u8]| bytes[at..at + what.len()].copy_from_slice(what);
    match reply {
        Reply::Errno(e) | Reply::ErrnoAndClose(e) => put(128, &(-e).to_ne_bytes()),
        Reply::Value(v) => put(120, &v.to_ne_bytes()),
        Reply::Continue => put(132, &1_u32.to_ne_bytes()),
        Reply::Whole => {
            put(128, &(-17_i32).to_ne_bytes());
            bytes.push(0);
        }
        Reply::OtherCall => put(112, &1_u64.to_ne_bytes()),
        Reply::Close => return false,
        Reply::Silence => return true,
    }
    let sent = send(conn.as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL);
    sent.is_ok() && !matches!(reply, Reply::ErrnoAndClose(_))
}

fn policy(t: &mut T) {
    t.write("/tmp/pol", "2\ndenylist\n[all]\nmkdir notify\nmkdirat notify\n");
}

/// What mkdir in an attached process says: its status and its message's end.
fn mkdir(t: &mut T) -> String {
    let o = t.sh("lxc-attach -n c1 -- sh -c 'mkdir /made 2>/tmp/said; echo $?; sed s/.*:// /tmp/said'");
    // Where the monitor takes no listener the original ends with 1, whatever the command said.
    o.out.trim().replace('\n', "")
}

/// A container of whose init's children one calls mkdir whenever the case wants.
const CALLER: &str = "mkfifo /calls\n\
     (while :; do read n < /calls; { mkdir /made && echo made; } > /new 2>&1; mv /new /said.$n; done) &\n";

/// What mkdir of such a child says, the `n`th time.
fn call(t: &mut T, n: u32) -> String {
    let r = t.rootfs("c1");
    t.sh(&format!("echo {n} > {}", r.join("calls").display())).ok();
    let said = r.join(format!("said.{n}"));
    t.until("its answer", |_| said.exists());
    t.read(&said).rsplit(": ").next().unwrap_or_default().trim().to_string()
}

pub fn add(c: &mut Cases) {
    answers(c);
    proxies(c);
    differences(c);
}

fn answers(c: &mut Cases) {
    c.add("notify.a_call_of_init_is_asked_about", |t| {
        policy(t);
        let proxy = Proxy::new(PROXY, &[Reply::Errno(libc::EDQUOT)]);
        let r = t.mk("c1", &format!("{LINES}lxc.seccomp.notify.cookie = biscuit 1"));
        t.script(r.join("on-boot"), "mkdir /made 2> /said\n");
        t.start("c1");
        let said = t.read(r.join("said"));
        assert!(said.contains("Disk quota exceeded") || said.contains("Quota exceeded"), "{said}");
        let (monitor, init) = (t.monitor_pid("c1").expect("a monitor"), t.init_pid("c1"));
        let seen = proxy.seen();
        let q = seen.first().expect("a question");
        assert_eq!(q.bytes.len(), 32 + 80 + 24 + 9);
        assert_eq!(q.bytes[..8], [0; 8]);
        assert_eq!((q.number(8), q.number(12)), (monitor, init));
        assert_eq!(q.bytes[16..32], [80, 0, 24, 0, 64, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(q.bytes[32..40], q.bytes[112..120], "the id is in the response");
        assert_eq!(q.bytes[120..136], [0; 16]);
        assert_eq!(&q.bytes[136..], b"biscuit 1");
        // The caller, which has ended by now.
        let pid = q.number(40);
        let dir = format!("/proc/{pid}");
        assert_eq!(q.files, [dir.clone(), format!("{dir}/mem"), "anon_inode:seccomp notify".to_string()]);
    })
    .needs(&[Need::Seccomp])
    .keys("lxc.seccomp.notify.proxy lxc.seccomp.notify.cookie");

    // With an id map the questions are the same, and so is who is asked.
    c.add("notify.of_an_id_mapped_container", |t| {
        policy(t);
        let replies = &[Reply::Errno(libc::EDQUOT), Reply::Errno(libc::EACCES), Reply::Continue];
        let proxy = Proxy::new(PROXY, replies);
        let r = t.mk("c1", &format!("{LINES}lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536"));
        t.script(r.join("on-boot"), "mkdir /made 2> /said\n");
        t.sh("chown -Rh 100000:100000 /var/lib/lxc/c1/rootfs").ok();
        t.start("c1");
        let said = t.read(r.join("said"));
        assert!(said.contains("uota exceeded"), "{said}");
        assert_eq!(mkdir(t), "1 Permission denied");
        t.gone(r.join("made"));
        assert_eq!(mkdir(t), "0");
        t.sh(&format!("stat -c %u {}", r.join("made").display())).out("100000\n");
        let init = t.init_pid("c1");
        let seen = proxy.seen();
        assert!(seen.iter().all(|q| q.number(12) == init && q.files.len() == 3));
        assert_eq!(seen.len(), 3);
    })
    .needs(&[Need::Seccomp]);

    c.add("notify.calls_of_attached_processes_too", |t| {
        policy(t);
        let replies = &[Reply::Errno(libc::EACCES), Reply::Value(0), Reply::Continue, Reply::Errno(libc::EEXIST)];
        let proxy = Proxy::new(PROXY, replies);
        let r = t.run("c1", LINES);
        assert_eq!(mkdir(t), "1 Permission denied");
        // It seems to work, but nothing was made.
        assert_eq!(mkdir(t), "0");
        t.gone(r.join("made"));
        // The kernel goes on with it.
        assert_eq!(mkdir(t), "0");
        t.exists(r.join("made"));
        let seen = proxy.seen();
        assert!(seen.iter().all(|q| q.bytes.len() == 136), "no cookie");
        assert_eq!(seen.len(), 3);
    })
    .needs(&[Need::Seccomp]);

    c.add("notify.what_is_no_answer_is_enosys", |t| {
        policy(t);
        let proxy = Proxy::new(PROXY, &[Reply::Whole, Reply::Close, Reply::Errno(libc::EACCES)]);
        t.run("c1", LINES);
        assert_eq!(mkdir(t), "1 Function not implemented");
        assert_eq!(mkdir(t), "1 Function not implemented");
        assert_eq!(mkdir(t), "1 Permission denied");
        drop(proxy);
    })
    .needs(&[Need::Seccomp]);

    c.add("notify.without_a_proxy", |t| {
        policy(t);
        t.run("c1", "lxc.seccomp.profile = /tmp/pol");
        assert_eq!(mkdir(t), "1 Function not implemented");
        assert_eq!(t.state("c1"), "RUNNING");
    })
    .needs(&[Need::Seccomp]);
}

fn proxies(c: &mut Cases) {
    c.add("notify.a_proxy_may_go_away_and_come_back", |t| {
        policy(t);
        let proxy = Proxy::new(PROXY, &[Reply::ErrnoAndClose(libc::EACCES)]);
        let r = t.mk("c1", LINES);
        t.script(r.join("on-boot"), CALLER);
        t.start("c1");
        // One connection for each.
        assert_eq!(call(t, 1), "Permission denied");
        assert_eq!(call(t, 2), "Permission denied");
        drop(proxy);
        assert_eq!(call(t, 3), "Function not implemented");
        let proxy = Proxy::new(PROXY, &[Reply::Errno(libc::EEXIST), Reply::Continue]);
        assert_eq!(call(t, 4), "File exists");
        assert_eq!(call(t, 5), "made");
        drop(proxy);
    })
    .needs(&[Need::Seccomp]);

    c.add("notify.a_reboot_connects_anew", |t| {
        policy(t);
        let proxy = Proxy::new(PROXY, &[Reply::Errno(libc::EACCES)]);
        let r = t.mk("c1", LINES);
        t.script(r.join("on-boot"), "mkdir /made\n");
        t.start("c1");
        t.sh("lxc-stop -r -n c1").ok();
        t.until("the second boot", |t| t.read(r.join("boots")).lines().count() == 2);
        t.until("its question", |_| proxy.seen().len() == 2);
        let init = t.init_pid("c1");
        let seen = proxy.seen();
        let asked: Vec<i32> = seen.iter().map(|q| q.number(12)).collect();
        assert!(asked[0] != asked[1] && asked[1] == init, "{asked:?} {init}");
    })
    .needs(&[Need::Seccomp]);

    c.add("notify.a_proxy_that_nothing_notifies_is_not_needed", |t| {
        t.write("/tmp/pol", "2\ndenylist\n[all]\nmkdir errno 13\n");
        t.run("c1", LINES);
        assert_eq!(mkdir(t), "1 Permission denied");
    })
    .needs(&[Need::Seccomp]);
}

fn differences(c: &mut Cases) {
    c.add("notify.attached_processes_find_a_proxy_that_came_back", |t| {
        policy(t);
        let proxy = Proxy::new(PROXY, &[Reply::Errno(libc::EACCES)]);
        t.run("c1", LINES);
        drop(proxy);
        let o = t.sh("lxc-attach -n c1 -- sh -c 'mkdir /made; exit 7'");
        o.code(7).err_has("Function not implemented");
        let proxy = Proxy::new(PROXY, &[Reply::Errno(libc::EEXIST)]);
        assert_eq!(mkdir(t), "1 File exists");
        drop(proxy);
    })
    .differs("notify-takes-every-listener")
    .needs(&[Need::Seccomp]);

    c.add("notify.no_proxy_no_start", |t| {
        policy(t);
        t.mk("c1", LINES);
        let o = t.sh("lxc-start -n c1");
        o.code(1).err_has("lxc-start: seccomp: cannot connect to the seccomp proxy unix:/tmp/proxy: No such file");
        assert_eq!(t.state("c1"), "STOPPED");
    })
    .differs("notify-proxy-is-asked-first")
    .needs(&[Need::Seccomp]);

    c.add("notify.an_answer_to_another_call_is_none", |t| {
        policy(t);
        let proxy = Proxy::new(PROXY, &[Reply::OtherCall, Reply::Errno(libc::EACCES)]);
        t.run("c1", LINES);
        assert_eq!(mkdir(t), "1 Function not implemented");
        assert_eq!(mkdir(t), "1 Permission denied");
        drop(proxy);
    })
    .differs("notify-answers-are-checked")
    .needs(&[Need::Seccomp]);

    c.add("notify.a_silent_proxy_holds_up_its_calls_only", |t| {
        policy(t);
        let proxy = Proxy::new(PROXY, &[Reply::Silence]);
        let r = t.run("c1", LINES);
        let mut waiting = t.spawn("lxc-attach -n c1 -- mkdir /made");
        t.until("the question", |_| proxy.seen().len() == 1);
        // The monitor has time for everybody else.
        assert_eq!(t.state("c1"), "RUNNING");
        assert_eq!(t.inside("c1", "echo there"), "there");
        t.sh("lxc-freeze -n c1").ok();
        t.sh("lxc-unfreeze -n c1").ok();
        assert!(waiting.running());
        t.sh("lxc-stop -k -n c1").ok();
        waiting.wait(20);
        t.gone(r.join("made"));
    })
    .differs("notify-waits-for-nobody")
    .needs(&[Need::Seccomp]);

    c.add("notify.the_start_is_served", |t| {
        policy(t);
        let proxy = Proxy::new(PROXY, &[Reply::Continue]);
        let r = t.mk("c1", &format!("{LINES}lxc.hook.start = /hook\nlxc.init.cwd = /work/here"));
        t.script(r.join("hook"), "#!/bin/sh\nmkdir /by-hook\n");
        t.start("c1");
        t.exists(r.join("by-hook"));
        t.exists(r.join("work/here"));
        assert!(proxy.seen().len() >= 2);
    })
    .differs("notify-serves-the-start")
    .needs(&[Need::Seccomp]);

    c.add("notify.abstract_names_are_whole", |t| {
        policy(t);
        let proxy = Proxy::new("@lxc-test-proxy", &[Reply::Errno(libc::EACCES)]);
        t.run("c1", "lxc.seccomp.profile = /tmp/pol\nlxc.seccomp.notify.proxy = unix:@lxc-test-proxy");
        assert_eq!(mkdir(t), "1 Permission denied");
        drop(proxy);
    })
    .differs("notify-abstract-name")
    .needs(&[Need::Seccomp]);
}
