//! Groups on the real kernel, as root, below a test group of this process's own in every hierarchy.
#![forbid(unsafe_code)]

use super::devices::{Program, Rule, Set};
use super::groups::{Groups, Who};
use super::layout::{Base, Host, Kind};
use super::{Conf, attach, cpuset, file, freezer, tree};
use crate::base::facts::Facts;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The machine's hierarchies with a base group of the test's own; removed at the end.
struct Sandbox(Arc<Host>);

impl Sandbox {
    /// `None`, said aloud, where the machine does not let us: not root, or no writable hierarchy.
    fn new(name: &str) -> Option<Sandbox> {
        let mut host = Host::get(Base::Init).ok()?.as_ref().clone();
        for h in &mut host.hierarchies {
            let top = h.base_dir();
            h.base = format!("{}/lxctest-cg-{name}-{}", h.base, std::process::id());
            if let Err(e) = fs::create_dir(h.base_dir()) {
                eprintln!("no cgroup can be made here ({e}): needs root");
                return None;
            }
            if h.has("cpuset") {
                cpuset::set(&h.base_dir(), &cpuset::of_parent(&top, &h.mount).unwrap(), false).unwrap();
            }
        }
        Some(Sandbox(Arc::new(host)))
    }

    fn groups(&self, conf: &Conf) -> Groups {
        let facts = Facts { name: "t".into(), privileged: true, ..Facts::default() };
        Groups::create(Arc::clone(&self.0), conf, &facts, None).unwrap()
    }

    /// The names left below the base, over all hierarchies.
    fn left(&self) -> Vec<String> {
        let mut all = Vec::new();
        for h in &self.0.hierarchies {
            for e in fs::read_dir(h.base_dir()).unwrap().flatten().filter(|e| e.path().is_dir()) {
                all.push(e.file_name().to_string_lossy().into_owned());
            }
        }
        all
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for h in &self.0.hierarchies {
            _ = tree::remove(&h.base_dir(), true, Duration::from_secs(2));
        }
    }
}

/// A process inside the payload's groups, that then runs `script`.
fn inside(groups: &Groups, script: &str) -> Child {
    let mut enter = String::new();
    for h in &groups.host().hierarchies {
        let rel = groups.path(h.controllers.first().map(String::as_str), Who::Payload);
        let rel = rel.unwrap_or_else(|| h.path("lxc.payload.t"));
        let name = if h.kind == Kind::V1 { "tasks" } else { "cgroup.procs" };
        enter += &format!("echo 0 > '{}{rel}/{name}' && ", h.mount);
    }
    let mut c = Command::new("/bin/sh");
    c.args(["-c", &format!("{enter} {script}")]).stdin(Stdio::null()).stdout(Stdio::piped());
    c.spawn().unwrap()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(f, v)| ((*f).to_string(), (*v).to_string())).collect()
}

#[test]
fn made_named_and_removed() {
    let Some(s) = Sandbox::new("made") else { return };
    let a = s.groups(&Conf::default());
    assert!(a.path(Some("memory"), Who::Payload).is_none_or(|p| p.ends_with("/lxc.payload.t")));
    let n = s.0.hierarchies.len();
    assert_eq!(s.left().len(), 2 * n);
    if let Some(d) = a.dir(Some("cpuset"), Who::Payload).filter(|_| s.0.v1("cpuset").is_some()) {
        assert_ne!(file::read(format!("{d}/cpuset.mems")).unwrap().trim(), "");
        assert_eq!(file::read(format!("{d}/cgroup.clone_children")).unwrap().trim(), "1");
    }
    assert_eq!(a.fds().unwrap().len(), n);
    let join = attach::join(a.fds().unwrap().iter().map(|f| f.try_clone_to_owned().unwrap()).collect()).unwrap();
    assert_eq!(join.tasks.len() + usize::from(join.v2.is_some()), n);
    assert_eq!(a.tasks_fds(Who::Payload).unwrap().len(), join.tasks.len());
    // The same name again: somebody else's container.
    let b = s.groups(&Conf::default());
    assert!(s.left().iter().any(|d| d == "lxc.payload.t-1"));
    drop(a);
    assert!(s.left().iter().all(|d| d.ends_with("-1")));
    drop(b);
    assert_eq!(s.left(), Vec::<String>::new());
}

#[test]
fn leftovers_are_taken_over() {
    let Some(s) = Sandbox::new("left") else { return };
    for h in &s.0.hierarchies {
        fs::create_dir_all(h.dir("lxc.payload.t/system.slice/x.service")).unwrap();
        fs::create_dir_all(h.dir("lxc.monitor.t")).unwrap();
    }
    let g = s.groups(&Conf::default());
    assert!(s.left().iter().all(|d| !d.ends_with("-1")));
    for h in &s.0.hierarchies {
        assert!(!Path::new(&h.dir("lxc.payload.t/system.slice")).exists());
    }
    drop(g);
    assert_eq!(s.left(), Vec::<String>::new());
}

#[test]
fn dirs_and_inner() {
    let Some(s) = Sandbox::new("dirs") else { return };
    let conf = Conf { dir: Some("a/b".into()), ..Conf::default() };
    let g = s.groups(&conf);
    assert!(Path::new(&s.0.hierarchies[0].dir("a/b/lxc.payload.t")).is_dir());
    drop(g);
    assert_eq!(s.left(), Vec::<String>::new(), "parents made for it go as well");
    // The last of two takes them along, whoever made them; what somebody else made stays.
    let a = s.groups(&conf);
    let b = s.groups(&conf);
    drop(a);
    drop(b);
    assert_eq!(s.left(), Vec::<String>::new());
    fs::create_dir(s.0.hierarchies[0].dir("a")).unwrap();
    drop(s.groups(&conf));
    assert_eq!(s.left(), ["a"]);
    fs::remove_dir(s.0.hierarchies[0].dir("a")).unwrap();
    let conf = Conf {
        dir_monitor: Some("m/x".into()),
        dir_container: Some("p/y".into()),
        dir_inner: Some("in".into()),
        ..Conf::default()
    };
    let g = s.groups(&conf);
    let c = s.0.hierarchies[0].controllers.first().map(String::as_str);
    assert!(g.path(c, Who::Payload).unwrap().ends_with("/p/y/in"));
    assert!(g.path(c, Who::Limit).unwrap().ends_with("/p/y"));
    assert!(Path::new(&s.0.hierarchies[0].dir("p/y/in")).is_dir());
    let facts = Facts { name: "t".into(), privileged: true, ..Facts::default() };
    let e = Groups::create(Arc::clone(&s.0), &conf, &facts, None).unwrap_err();
    assert_eq!(e.errno, libc::EEXIST);
    drop(g);
    assert_eq!(s.left(), Vec::<String>::new());
}

#[test]
fn limits_devices_freezer_kill() {
    let Some(s) = Sandbox::new("limits") else { return };
    if s.0.v1("pids").is_none() || s.0.v1("devices").is_none() || s.0.v1("memory").is_none() {
        eprintln!("needs version 1 pids, memory and devices");
        return;
    }
    let conf = Conf {
        v1: pairs(&[
            ("pids.max", "33"),
            ("devices.deny", "a"),
            ("devices.allow", "c 1:3 rwm"),
            ("devices.allow", "/dev/tty rw"),
        ]),
        v2: pairs(&[("memory.max", "64M"), ("pids.max", "44"), ("devices.allow", "c *:* rwm")]),
        ..Conf::default()
    };
    let mut g = s.groups(&conf);
    g.set_limits().unwrap();
    let read =
        |g: &Groups, c: &str, f: &str| file::read(format!("{}/{f}", g.dir(Some(c), Who::Limit).unwrap())).unwrap();
    assert_eq!(read(&g, "pids", "pids.max").trim(), "33");
    assert_eq!(read(&g, "memory", "memory.limit_in_bytes").trim(), "67108864");
    g.set_devices().unwrap();
    let list = read(&g, "devices", "devices.list");
    assert_eq!(list.lines().collect::<Vec<_>>(), ["c 1:3 rwm", "c 5:0 rw"]);
    let out = inside(&g, "{ : < /dev/null && echo null; : < /dev/zero; } 2>&1").wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.starts_with("null\n") && out.contains("/dev/zero"), "{out}");
    // A refused value says which key, and why.
    let bad = Conf { v1: pairs(&[("memory.limit_in_bytes", "frog")]), ..Conf::default() };
    let other = s.groups(&bad);
    let e = other.set_limits().unwrap_err();
    assert_eq!(e.errno, libc::EINVAL);
    assert!(e.to_string().contains("lxc.cgroup.memory.limit_in_bytes = frog"), "{e}");
    drop(other);
    // Freezer, both kinds where the machine has them.
    let mut child = inside(&g, "echo in; exec sleep 1000 < /dev/null");
    wait_for_line(&mut child);
    for c in [Some("freezer"), None] {
        let index = c.map_or_else(|| s.0.v2(), |c| s.0.v1(c));
        let Some(h) = index.and_then(|i| s.0.hierarchies.get(i)) else { continue };
        let dir = file::open_dir(h.dir("lxc.payload.t")).unwrap();
        freezer::freeze(&dir, h.kind, Some(Duration::from_secs(5))).unwrap();
        assert!(freezer::is_frozen(&dir, h.kind).unwrap());
        freezer::thaw(&dir, h.kind, Some(Duration::from_secs(5))).unwrap();
        assert!(!freezer::is_frozen(&dir, h.kind).unwrap());
    }
    // What still runs is killed, also when it is frozen, and the groups go.
    if let Some(h) = s.0.v1("freezer").and_then(|i| s.0.hierarchies.get(i)) {
        let dir = file::open_dir(h.dir("lxc.payload.t")).unwrap();
        freezer::freeze(&dir, h.kind, Some(Duration::from_secs(5))).unwrap();
    }
    g.remove_payload().unwrap();
    assert!(child.wait().unwrap().code().is_none());
    g.make_payload().unwrap();
    drop(g);
    assert_eq!(s.left(), Vec::<String>::new());
}

fn wait_for_line(child: &mut Child) {
    use std::io::Read;
    let mut one = [0u8; 1];
    while child.stdout.as_mut().unwrap().read(&mut one).unwrap() == 1 && one[0] != b'\n' {}
}

#[test]
fn device_program_in_the_kernel() {
    let Some(s) = Sandbox::new("bpf") else { return };
    let Some(h) = s.0.v2().and_then(|i| s.0.hierarchies.get(i)) else {
        eprintln!("needs cgroup2");
        return;
    };
    let dir = h.dir("bpf");
    fs::create_dir(&dir).unwrap();
    let mut set = Set::closed();
    for r in ["c *:* m", "c 1:3 rwm", "c 5:0 rw", "c 136:* rw"] {
        set.add(&Rule::parse(r, true).unwrap());
    }
    let program = Program::attach(set.clone(), &dir, None).unwrap();
    let fd = file::open_dir(&dir).unwrap();
    assert_eq!(crate::sys::bpf::query(&fd).unwrap(), 1);
    let run = || {
        let script = format!("echo 0 > {dir}/cgroup.procs; : < /dev/null && echo null; : < /dev/zero && echo zero");
        let out = Command::new("/bin/sh").args(["-c", &script]).stderr(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    assert_eq!(run(), "null\n");
    set.add(&Rule::parse("c 1:5 r", true).unwrap());
    let program = Program::attach(set, &dir, Some(program)).unwrap();
    assert_eq!((run().as_str(), crate::sys::bpf::query(&fd).unwrap()), ("null\nzero\n", 1));
    drop(program);
    assert_eq!(crate::sys::bpf::query(&fd).unwrap(), 1, "it goes with the group, not with us");
    // 200 rules are within what the verifier takes.
    let mut many = Set::closed();
    for i in 0..200 {
        many.add(&Rule::parse(&format!("b {i}:1 rw"), true).unwrap());
    }
    assert!(crate::sys::bpf::load_cgroup_device(&many.compile()).is_ok());
    tree::remove(&dir, true, Duration::from_secs(2)).unwrap();
}

/// The monitor's own way in and out, in a process of its own: this test again, told so by its environment.
#[test]
fn monitor_enters_and_leaves() {
    const TOLD: &str = "LXCTEST_CG_MONITOR";
    if let Ok(name) = std::env::var(TOLD) {
        let mut host = Host::get(Base::Init).unwrap().as_ref().clone();
        host.hierarchies.iter_mut().for_each(|h| h.base = format!("{}/{name}", h.base));
        let s = std::mem::ManuallyDrop::new(Sandbox(Arc::new(host)));
        let mut g = s.groups(&Conf::default());
        g.adopt();
        g.enter_monitor(false).unwrap();
        let mine = fs::read_to_string("/proc/thread-self/cgroup").unwrap();
        let count = mine.lines().filter(|l| l.ends_with(&format!("/{name}/lxc.monitor.t"))).count();
        assert_eq!(count, s.0.hierarchies.len(), "{mine}");
        g.remove_payload().unwrap();
        g.remove_monitor().unwrap();
        assert_eq!(s.left(), Vec::<String>::new());
        return;
    }
    let Some(s) = Sandbox::new("mon") else { return };
    let base = s.0.hierarchies[0].base.rsplit('/').next().unwrap().to_string();
    let mut c = Command::new(std::env::current_exe().unwrap());
    c.args(["--exact", "cgroup::live_tests::monitor_enters_and_leaves", "--nocapture"]).env(TOLD, base);
    let out = c.output().unwrap();
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
}

/// The pure cgroup2 layout, as far as a cgroup2 without controllers goes: names, device program, freezer, kill, leaf.
#[test]
fn unified_layout() {
    let Some(mut s) = Sandbox::new("v2") else { return };
    let all = Arc::clone(&s.0);
    let mut host = all.as_ref().clone();
    host.hierarchies.retain(|h| h.kind == Kind::V2);
    host.layout = super::Layout::Unified;
    if host.hierarchies.is_empty() {
        eprintln!("needs cgroup2");
        return;
    }
    s.0 = Arc::new(host);
    let conf = Conf {
        v1: pairs(&[("devices.deny", "a"), ("devices.allow", "c 1:3 rwm"), ("foo.bar", "1")]),
        dir_monitor: Some("m".into()),
        dir_container: Some("p".into()),
        dir_inner: Some("in".into()),
        ..Conf::default()
    };
    let mut g = s.groups(&conf);
    assert!(g.path(Some("memory"), Who::Payload).unwrap().ends_with("/p/in"));
    assert!(g.path(None, Who::Limit).unwrap().ends_with("/p"));
    assert!(g.payload_fd().is_some() && g.monitor_fd().is_some() && g.tasks_fds(Who::Payload).unwrap().is_empty());
    g.set_limits().unwrap();
    g.set_devices().unwrap();
    let script = "{ : < /dev/null && echo null; : < /dev/zero; } 2>/dev/null";
    assert_eq!(inside(&g, script).wait_with_output().unwrap().stdout, b"null\n");
    g.add_device(&Rule::parse("c 1:5 r", true).unwrap()).unwrap();
    let script = format!("{script} && echo zero");
    assert_eq!(inside(&g, &script).wait_with_output().unwrap().stdout, b"null\nzero\n");
    let mut child = inside(&g, "echo in; exec sleep 1000 < /dev/null");
    wait_for_line(&mut child);
    let (kind, dir) = g.fd(None, Who::Limit).unwrap();
    freezer::freeze(&dir, kind, Some(Duration::from_secs(5))).unwrap();
    assert!(freezer::is_frozen(&dir, kind).unwrap());
    freezer::thaw(&dir, kind, Some(Duration::from_secs(5))).unwrap();
    let name = |fd: OwnedFd| fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
    assert!(name(attach::leaf(&dir).unwrap()).ends_with(".lxc"));
    g.remove_payload().unwrap();
    assert!(child.wait().unwrap().code().is_none());
    drop(g);
    assert_eq!(s.left(), Vec::<String>::new());
    s.0 = all;
}

#[test]
fn given_to_the_container() {
    use crate::base::ids::{IdKind, IdMap, Ns};
    use std::os::unix::fs::MetadataExt;
    let Some(s) = Sandbox::new("chown") else { return };
    let g = s.groups(&Conf::default());
    let map = |kind| IdMap { kind, nsid: 0, hostid: 100_000, range: 65_536 };
    let mut facts = Facts { idmap: vec![map(IdKind::Uid), map(IdKind::Gid)], ..Facts::default() };
    g.chown(&facts).unwrap();
    let look = |path: String| fs::metadata(path).map(|m| (m.uid(), m.gid(), m.mode() & 0o7777)).unwrap();
    assert_eq!(look(s.0.hierarchies[0].dir("lxc.payload.t")).1, 0, "no user namespace of its own: nothing is given");
    facts.new_ns.add(Ns::User);
    g.chown(&facts).unwrap();
    for h in &s.0.hierarchies {
        let dir = h.dir("lxc.payload.t");
        assert_eq!(look(dir.clone()), (0, 100_000, 0o775));
        assert_eq!(look(format!("{dir}/cgroup.procs")), (0, 100_000, 0o664));
        if h.kind == Kind::V1 {
            assert_eq!(look(format!("{dir}/tasks")), (0, 100_000, 0o664));
        } else {
            assert_eq!(look(format!("{dir}/cgroup.subtree_control")), (0, 100_000, 0o664));
        }
        assert_eq!(look(h.dir("lxc.monitor.t")).1, 0);
    }
}
