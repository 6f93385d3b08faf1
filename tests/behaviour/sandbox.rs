//! The sandbox of one case: `outer` enters a child group of every cgroup hierarchy and makes the
//! namespaces, `pid1` furnishes them and reaps, its child runs the case (ctx.rs). When `pid1` ends,
//! everything it held dies with its pid namespace. `Groups` is the part that the runner owns.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname};
use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// One mounted cgroup hierarchy.
#[derive(Clone)]
pub struct Hierarchy {
    pub dir: PathBuf,
    /// Mount options that name it (`cpu,cpuacct`, `name=systemd`); empty for cgroup2.
    pub what: String,
    pub v2: bool,
}

/// The hierarchies mounted below /sys/fs/cgroup.
pub fn hierarchies() -> Vec<Hierarchy> {
    let plain = ["rw", "ro", "relatime", "nosuid", "nodev", "noexec", "xattr", "clone_children"];
    let mut list: Vec<Hierarchy> = Vec::new();
    for line in fs::read_to_string("/proc/self/mounts").unwrap_or_default().lines() {
        let f: Vec<&str> = line.split(' ').collect();
        let (Some(dir), Some(kind), Some(opts)) = (f.get(1), f.get(2), f.get(3)) else { continue };
        let v2 = *kind == "cgroup2";
        if (*kind != "cgroup" && !v2)
            || !dir.starts_with("/sys/fs/cgroup")
            || list.iter().any(|h| h.dir == Path::new(dir))
        {
            continue;
        }
        let what: Vec<&str> =
            opts.split(',').filter(|o| !v2 && !plain.contains(o) && !o.starts_with("release_agent")).collect();
        list.push(Hierarchy { dir: PathBuf::from(dir), what: what.join(","), v2 });
    }
    list
}

/// cgroup2 alone?
pub fn pure_v2() -> bool {
    let h = hierarchies();
    h.len() == 1 && h[0].v2
}

/// The child groups of one sandbox, in every hierarchy; removed by `remove`.
pub struct Groups {
    dirs: Vec<(Hierarchy, PathBuf)>,
}

impl Groups {
    pub fn make(name: &str) -> io::Result<Groups> {
        let mut dirs = Vec::new();
        for h in hierarchies() {
            let dir = h.dir.join(name);
            if h.v2 {
                let all = fs::read_to_string(h.dir.join("cgroup.controllers"))?;
                for c in all.split_whitespace() {
                    // A controller that refuses is one that the cases then do without.
                    let _ = fs::write(h.dir.join("cgroup.subtree_control"), format!("+{c}"));
                }
            }
            fs::create_dir(&dir)?;
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if !h.v2 && dir.join(file).exists() {
                    fs::write(dir.join(file), fs::read_to_string(h.dir.join(file))?)?;
                }
            }
            dirs.push((h, dir));
        }
        Ok(Groups { dirs })
    }

    /// Kill what is left, thaw it first (a frozen v1 task does not die), remove the directories.
    /// `Err` names a group that could not be removed.
    pub fn remove(&self) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let mut left = None;
            for (_, dir) in &self.dirs {
                for d in tree(dir).iter().rev() {
                    let _ = fs::write(d.join("freezer.state"), "THAWED");
                    for pid in fs::read_to_string(d.join("cgroup.procs")).unwrap_or_default().lines() {
                        if let Ok(pid) = pid.parse::<i32>()
                            && pid > 0
                        {
                            let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
                        }
                    }
                    let _ = fs::remove_dir(d);
                }
                if dir.exists() {
                    left = Some(dir.display().to_string());
                }
            }
            match left {
                None => return Ok(()),
                Some(dir) if Instant::now() > end => return Err(format!("cgroup {dir} could not be removed")),
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

/// Remove what a runner that was killed left: groups and scratch directories named by a pid that is gone.
pub fn sweep() {
    let gone = |pid: &str| {
        !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) && !Path::new("/proc").join(pid).exists()
    };
    let stale = |name: &str, prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|r| gone(r.split(['-', '.']).next().unwrap_or_default()))
    };
    let mut dirs = Vec::new();
    for h in hierarchies() {
        for e in fs::read_dir(&h.dir).into_iter().flatten().flatten() {
            if stale(&e.file_name().to_string_lossy(), "lxc-behaviour-") {
                dirs.push((h.clone(), e.path()));
            }
        }
    }
    if let Err(e) = (Groups { dirs }).remove() {
        eprintln!("behaviour: left by an earlier run: {e}");
    }
    for e in fs::read_dir("/var/tmp").into_iter().flatten().flatten() {
        if stale(&e.file_name().to_string_lossy(), "lxc-behaviour.") {
            let _ = fs::remove_dir_all(e.path());
        }
    }
}

/// `dir` and all directories below, parents first.
pub fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![dir.to_path_buf()];
    let mut i = 0;
    while i < all.len() {
        if let Ok(entries) = fs::read_dir(&all[i]) {
            for e in entries.flatten() {
                if e.file_type().is_ok_and(|t| t.is_dir()) {
                    all.push(e.path());
                }
            }
        }
        i += 1;
    }
    all
}

fn me() -> Command {
    Command::new("/proc/self/exe")
}

fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// First process: groups and namespaces.
pub fn outer() -> i32 {
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let group = var("LXCB_GROUP");
    for h in hierarchies() {
        if let Err(e) = fs::write(h.dir.join(&group).join("cgroup.procs"), "0") {
            eprintln!("sandbox: cannot enter {}/{group}: {e}", h.dir.display());
            return 99;
        }
    }
    let v2 = pure_v2();
    // The machine's network stays reachable for the few cases that fetch packages: handed on as stdin.
    let host_net = File::open("/proc/self/ns/net");
    let flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWCGROUP;
    if let Err(e) = unshare(flags) {
        eprintln!("sandbox: unshare: {e}");
        return 99;
    }
    if v2 {
        // A group with processes cannot hand controllers down. LXC strips `init.scope` from PID 1's
        // group, so the sandbox's own processes sit there, as on a machine with systemd.
        for h in hierarchies() {
            let leaf = h.dir.join(&group).join("init.scope");
            if let Err(e) = fs::create_dir(&leaf).and_then(|()| fs::write(leaf.join("cgroup.procs"), "0")) {
                eprintln!("sandbox: {}: {e}", leaf.display());
                return 99;
            }
        }
    }
    let net = host_net.map_or_else(|_| Stdio::null(), Stdio::from);
    match me().arg("--sandbox-pid1").stdin(net).status() {
        Ok(s) => s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0)),
        Err(e) => {
            eprintln!("sandbox: cannot start pid 1: {e}");
            99
        }
    }
}

/// PID 1 of the sandbox.
pub fn pid1() -> i32 {
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    if let Err(e) = furnish() {
        eprintln!("sandbox: {e}");
        return 99;
    }
    let child = match me().arg("--sandbox-case").arg(var("LXCB_CASE")).stdin(Stdio::null()).spawn() {
        Ok(c) => c,
        Err(e) => {
            eprintln!("sandbox: cannot start the case: {e}");
            return 99;
        }
    };
    let main = Pid::from_raw(child.id() as i32);
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(p, code)) if p == main => return code,
            Ok(WaitStatus::Signaled(p, sig, _)) if p == main => {
                eprintln!("sandbox: the case died of {sig}");
                return 128 + sig as i32;
            }
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(e) => {
                eprintln!("sandbox: wait: {e}");
                return 99;
            }
        }
    }
}

fn bind(from: &Path, to: &str) -> Result<(), String> {
    mnt(Some(&from.display().to_string()), to, None, MsFlags::MS_BIND | MsFlags::MS_REC, None)
}

fn mnt(src: Option<&str>, to: &str, kind: Option<&str>, flags: MsFlags, data: Option<&str>) -> Result<(), String> {
    mount(src, to, kind, flags, data).map_err(|e| format!("mount {} on {to}: {e}", kind.or(src).unwrap_or("?")))
}

/// Make the mounts and the network that a case sees.
fn furnish() -> Result<(), String> {
    let none = MsFlags::empty();
    let dir = PathBuf::from(var("LXCB_DIR"));
    let cgroups = hierarchies();
    mnt(None, "/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
    let base = dir.display().to_string();
    mnt(Some("lxc-test"), &base, Some("tmpfs"), none, Some("mode=755,size=1g"))?;
    let io = |e: io::Error| format!("sandbox directory: {e}");
    for d in ["tmp", "run", "varlib", "log", "cache", "etc.up", "etc.work", "bin", "home"] {
        fs::create_dir(dir.join(d)).map_err(io)?;
    }
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir.join("tmp"), fs::Permissions::from_mode(0o1777)).map_err(io)?;
    mnt(Some("proc"), "/proc", Some("proc"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC, None)?;
    umount2("/sys", MntFlags::MNT_DETACH).map_err(|e| format!("umount /sys: {e}"))?;
    mnt(Some("sysfs"), "/sys", Some("sysfs"), none, None)?;
    // AppArmor is looked for there.
    let _ = mnt(Some("securityfs"), "/sys/kernel/security", Some("securityfs"), none, None);
    furnish_cgroups(&cgroups)?;
    mnt(Some("devpts"), "/dev/pts", Some("devpts"), none, Some("newinstance,ptmxmode=0666,mode=0600"))?;
    mnt(Some("tmpfs"), "/dev/shm", Some("tmpfs"), none, None)?;
    // What the run needs may lie in /tmp: keep it visible there.
    for keep in [var("LXCB_PREFIX"), var("LXCB_ROOT"), var("LXC_SHARED")] {
        if let Some(rest) = keep.strip_prefix("/tmp/") {
            let to = dir.join("tmp").join(rest);
            fs::create_dir_all(&to).map_err(io)?;
            bind(Path::new(&keep), &to.display().to_string())?;
        }
    }
    let overlay = format!("lowerdir=/etc,upperdir={base}/etc.up,workdir={base}/etc.work");
    if mnt(Some("overlay"), "/etc", Some("overlay"), none, Some(&overlay)).is_err() {
        crate::fixture::copy_tree(Path::new("/etc"), &dir.join("etc.copy")).map_err(io)?;
        bind(&dir.join("etc.copy"), "/etc")?;
    }
    for (from, to) in [
        ("run", "/run"),
        ("varlib", "/var/lib/lxc"),
        ("log", "/var/log"),
        ("cache", "/var/cache/lxc"),
        ("home", "/home"),
        ("tmp", "/tmp"),
    ] {
        if Path::new(to).is_dir() || fs::create_dir_all(to).is_ok() {
            bind(&dir.join(from), to)?;
        }
    }
    furnish_etc().map_err(io)?;
    fs::write(dir.join("host-net"), "").map_err(io)?;
    bind(Path::new("/proc/self/fd/0"), &format!("{base}/host-net"))?;
    let _ = sethostname("sandbox");
    let _ = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    deny_missing_tools(&dir.join("bin")).map_err(io)
}

/// Each hierarchy again, seen from the new cgroup namespace.
fn furnish_cgroups(list: &[Hierarchy]) -> Result<(), String> {
    let none = MsFlags::empty();
    if list.is_empty() {
        return Ok(());
    }
    if list.len() > 1 || !list[0].v2 {
        mnt(Some("cgroup"), "/sys/fs/cgroup", Some("tmpfs"), none, Some("mode=755"))?;
    }
    for h in list {
        let to = h.dir.display().to_string();
        let _ = fs::create_dir_all(&h.dir);
        if h.v2 {
            mnt(Some("cgroup2"), &to, Some("cgroup2"), none, None)?;
        } else {
            mnt(Some("cgroup"), &to, Some("cgroup"), none, Some(&h.what))?;
        }
    }
    Ok(())
}

/// System files with known content.
fn furnish_etc() -> io::Result<()> {
    fs::create_dir_all("/run/lock/subsys")?;
    fs::create_dir_all("/etc/lxc")?;
    let _ = fs::remove_file("/etc/lxc/lxc.conf");
    let _ = fs::remove_file("/etc/lxc/default.conf");
    fs::write("/etc/lxc/default.conf", "lxc.net.0.type = empty\n")?;
    fs::write("/etc/lxc/lxc-usernet", "")?;
    for f in ["/etc/subuid", "/etc/subgid"] {
        fs::write(f, "root:100000:65536\n")?;
    }
    Ok(())
}

/// A tool that the subject lacks must fail, never be taken from the distribution: a directory of
/// refusals stands in PATH between the subject's and the system's.
fn deny_missing_tools(bin: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for e in fs::read_dir("/usr/bin")?.flatten() {
        let name = e.file_name();
        if name.to_string_lossy().starts_with("lxc-") {
            let to = bin.join(&name);
            fs::write(&to, "#!/bin/sh\necho \"${0##*/}: not installed by the subject under test\" >&2\nexit 127\n")?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}
