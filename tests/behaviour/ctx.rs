//! What a case gets: commands on the subject, containers from the fixture, waiting with a deadline.
//! Runs inside the sandbox (sandbox.rs).

use crate::fixture;
use crate::out::Out;
use crate::snapshot::{self, Snapshot};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the containers of a case live unless it says otherwise.
pub const STORE: &str = "/var/lib/lxc";

/// The case's view of the world.
pub struct T {
    pub reference: bool,
    litter: bool,
    pub prefix: PathBuf,
    pub bin: PathBuf,
    pub root: PathBuf,
    scratch: PathBuf,
    current: PathBuf,
    seq: u32,
    pub before: Snapshot,
    bg: Vec<i32>,
    /// Stores whose containers `finish` stops.
    pub stores: Vec<String>,
    /// All commands and all text of files, as the case gave them.
    said: String,
}

/// A command in the background.
pub struct Bg {
    pub child: Child,
    cmd: String,
    out: PathBuf,
    err: PathBuf,
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// The process of one case: run it, clean up, compare the machine. 0 passed, 1 failed.
pub fn run_one(name: &str) -> i32 {
    let all = crate::cases::all();
    let Some(case) = all.0.iter().find(|c| c.name == name) else {
        eprintln!("no case {name}");
        return 99;
    };
    let mut t = T::new();
    // Where the reference's own tools took part, its litter is its own.
    t.litter = t.reference || case.needs.contains(&crate::case::Need::Both);
    t.before = snapshot::take();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        (case.run)(&mut t);
        for key in case.keys.split_whitespace() {
            let written = key.replace("[i]", "0");
            let written = written.trim_end_matches('*');
            assert!(t.said.contains(written), "the case claims to show {key}, and never uses it");
        }
    }));
    let clean = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| t.finish()));
    i32::from(result.is_err() || clean.is_err())
}

impl T {
    fn new() -> T {
        let root = PathBuf::from(env("LXCB_ROOT"));
        let bin = PathBuf::from(env("LXCB_BIN"));
        T {
            reference: env("LXC_UNDER_TEST") == "reference",
            litter: false,
            prefix: PathBuf::from(env("LXCB_PREFIX")),
            scratch: PathBuf::from(env("LXCB_DIR")),
            current: PathBuf::from(env("LXCB_CURRENT")),
            bin,
            root,
            seq: 0,
            before: Snapshot::new(),
            bg: Vec::new(),
            stores: vec![STORE.into()],
            said: String::new(),
        }
    }

    fn command(&mut self, cmd: &str) -> (Command, PathBuf, PathBuf) {
        self.seq += 1;
        self.said.push_str(cmd);
        let _ = fs::write(&self.current, cmd);
        let out = self.scratch.join(format!("out.{}", self.seq));
        let err = self.scratch.join(format!("err.{}", self.seq));
        let mut c = Command::new("/bin/sh");
        c.arg("-c").arg(cmd);
        c.env_clear();
        let path = format!(
            "{}:{}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            self.bin.display(),
            self.scratch.display()
        );
        for (k, v) in
            [("PATH", path.as_str()), ("HOME", "/root"), ("USER", "root"), ("LANG", "C.UTF-8"), ("TERM", "xterm")]
        {
            c.env(k, v);
        }
        c.env("P", &self.prefix).current_dir("/");
        c.stdin(Stdio::null());
        if let (Ok(o), Ok(e)) = (File::create(&out), File::create(&err)) {
            c.stdout(o).stderr(e);
        }
        (c, out, err)
    }

    /// Start a shell line in the background. `exec` in front lets signals reach the tool.
    #[track_caller]
    pub fn spawn(&mut self, cmd: &str) -> Bg {
        let (mut c, out, err) = self.command(cmd);
        let child = c.spawn().unwrap_or_else(|e| panic!("cannot run {cmd}: {e}"));
        self.bg.push(child.id() as i32);
        Bg { child, cmd: cmd.to_string(), out, err }
    }

    /// Run a shell line, 20 seconds at most.
    #[track_caller]
    pub fn sh(&mut self, cmd: &str) -> Out {
        self.sh_within(cmd, 20)
    }

    #[track_caller]
    pub fn sh_within(&mut self, cmd: &str, seconds: u64) -> Out {
        let mut bg = self.spawn(cmd);
        bg.wait(seconds)
    }

    /// Run a shell line with bytes on its stdin.
    #[track_caller]
    pub fn sh_in(&mut self, cmd: &str, input: &str) -> Out {
        let (mut c, out, err) = self.command(cmd);
        c.stdin(Stdio::piped());
        let mut child = c.spawn().unwrap_or_else(|e| panic!("cannot run {cmd}: {e}"));
        if let Some(mut pipe) = child.stdin.take() {
            let _ = pipe.write_all(input.as_bytes());
        }
        Bg { child, cmd: cmd.to_string(), out, err }.wait(20)
    }

    /// Poll until it is true; fail after 10 seconds.
    #[track_caller]
    pub fn until(&mut self, what: &str, f: impl FnMut(&mut T) -> bool) {
        self.until_within(what, 10, f)
    }

    #[track_caller]
    pub fn until_within(&mut self, what: &str, seconds: u64, mut f: impl FnMut(&mut T) -> bool) {
        let end = Instant::now() + Duration::from_secs(seconds) * crate::harness::slow();
        while !f(self) {
            if Instant::now() > end {
                panic!("not within {seconds} s: {what}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Make container `name` in the default store: fixture rootfs, quiet init, empty network, plus lines.
    #[track_caller]
    pub fn mk(&mut self, name: &str, lines: &str) -> PathBuf {
        self.mk_in(STORE, name, lines)
    }

    #[track_caller]
    pub fn mk_in(&mut self, store: &str, name: &str, lines: &str) -> PathBuf {
        let base = "lxc.net.0.type = empty\nlxc.init.cmd = /sbin/shinit\nlxc.mount.auto = proc:mixed sys:mixed\n";
        self.mk_bare(store, name, &format!("lxc.uts.name = {name}\n{base}{lines}"))
    }

    /// As `mk_in`, but with nothing in the config but the rootfs and `lines`.
    #[track_caller]
    pub fn mk_bare(&mut self, store: &str, name: &str, lines: &str) -> PathBuf {
        if !self.stores.iter().any(|s| s == store) {
            self.stores.push(store.to_string());
        }
        let dir = Path::new(store).join(name);
        let rootfs = dir.join("rootfs");
        fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        fixture::copy_tree(&self.root.join("fixture"), &rootfs).unwrap_or_else(|e| panic!("{}: {e}", rootfs.display()));
        let aa = if Path::new("/sys/module/apparmor").exists() { "lxc.apparmor.profile = unconfined\n" } else { "" };
        let text = format!("lxc.rootfs.path = dir:{}\n{aa}{lines}\n", rootfs.display());
        self.write(dir.join("config"), &text);
        rootfs
    }

    #[track_caller]
    pub fn write(&mut self, path: impl AsRef<Path>, text: &str) {
        self.said.push_str(text);
        let path = path.as_ref();
        if let Some(d) = path.parent() {
            let _ = fs::create_dir_all(d);
        }
        fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    #[track_caller]
    pub fn script(&mut self, path: impl AsRef<Path>, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = path.as_ref();
        self.write(path, &format!("#!/bin/sh\n{text}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// File content, empty when absent.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    pub fn rootfs(&self, name: &str) -> PathBuf {
        Path::new(STORE).join(name).join("rootfs")
    }

    /// `lxc-start NAME`, which must succeed silently, then wait until init has its traps set.
    #[track_caller]
    pub fn start(&mut self, name: &str) {
        self.start_with(name, "")
    }

    #[track_caller]
    pub fn start_with(&mut self, name: &str, options: &str) {
        let _ = fs::remove_file(self.rootfs(name).join("ready"));
        self.sh(&format!("lxc-start -n {name} {options}")).ok();
        self.ready(name);
    }

    /// Wait for /ready in the rootfs.
    #[track_caller]
    pub fn ready(&mut self, name: &str) {
        let marker = self.rootfs(name).join("ready");
        self.until(&format!("init of {name} has made /ready"), |_| marker.exists());
    }

    /// Make and start.
    #[track_caller]
    pub fn run(&mut self, name: &str, lines: &str) -> PathBuf {
        let r = self.mk(name, lines);
        self.start(name);
        r
    }

    /// stdout of a shell line inside the running container (by attach), which must succeed.
    #[track_caller]
    pub fn inside(&mut self, name: &str, line: &str) -> String {
        let o = self.sh(&format!("lxc-attach -n {name} --clear-env -- sh -c '{}'", line.replace('\'', "'\\''")));
        o.ok();
        o.out.trim_end().to_string()
    }

    #[track_caller]
    pub fn state(&mut self, name: &str) -> String {
        let o = self.sh(&format!("lxc-info -n {name} -sH"));
        o.ok();
        o.out.trim().to_string()
    }

    /// Host pid of the init.
    #[track_caller]
    pub fn init_pid(&mut self, name: &str) -> i32 {
        let o = self.sh(&format!("lxc-info -n {name} -pH"));
        o.ok();
        o.out.trim().parse().unwrap_or_else(|_| o.fail("a pid wanted"))
    }

    /// pid of the monitor of `name`, found by its title.
    pub fn monitor_pid(&self, name: &str) -> Option<i32> {
        let title = format!("[lxc monitor] {STORE} {name}");
        fs::read_dir("/proc").ok()?.flatten().find_map(|e| {
            let pid: i32 = e.file_name().to_string_lossy().parse().ok()?;
            let cmd = self.read(e.path().join("cmdline"));
            (cmd.trim_end_matches('\0') == title).then_some(pid)
        })
    }

    /// A cgroup directory of container `name` (payload) in the hierarchy of `controller`.
    pub fn payload(&self, controller: &str, name: &str) -> PathBuf {
        let h = crate::sandbox::hierarchies();
        let dir = h
            .iter()
            .find(|h| h.what.split(',').any(|w| w == controller))
            .or_else(|| h.iter().find(|h| h.v2))
            .map(|h| h.dir.clone())
            .unwrap_or_default();
        dir.join(format!("lxc.payload.{name}"))
    }

    #[track_caller]
    pub fn kill(&self, pid: i32, sig: Signal) {
        if let Err(e) = kill(Pid::from_raw(pid), sig) {
            panic!("kill {pid} {sig}: {e}");
        }
    }

    /// Prefix of a command that may use the machine's network.
    pub fn online(&self) -> String {
        format!("nsenter --net={}/host-net ", self.scratch.display())
    }

    /// A bridge in the sandbox.
    #[track_caller]
    pub fn bridge(&mut self, name: &str, address: &str) {
        self.sh(&format!(
            "ip link add {name} type bridge && ip addr add {address} dev {name} && ip link set {name} up"
        ))
        .ok();
        self.before.insert(format!("link {name}"));
    }

    #[track_caller]
    pub fn gone(&self, path: impl AsRef<Path>) {
        let p = path.as_ref();
        assert!(p.symlink_metadata().is_err(), "{} is still there", p.display());
    }

    #[track_caller]
    pub fn exists(&self, path: impl AsRef<Path>) {
        let p = path.as_ref();
        assert!(p.symlink_metadata().is_ok(), "{} is missing", p.display());
    }

    /// How many rounds a looping case makes: `LXC_TEST_ROUNDS` or the given number.
    pub fn rounds(&self, default: u32) -> u32 {
        env("LXC_TEST_ROUNDS").parse().unwrap_or(default)
    }

    /// Stop what runs, then the machine must be as before.
    fn finish(&mut self) {
        for store in self.stores.clone() {
            let list = self.sh(&format!("lxc-ls -P {store} -1 --active"));
            for name in list.out.lines().filter(|l| !l.is_empty()) {
                self.sh(&format!("lxc-stop -P {store} -k -n '{name}'"));
            }
        }
        for pid in std::mem::take(&mut self.bg) {
            // Only those of ours that still run; they have been waited for otherwise.
            let comm = self.read(format!("/proc/{pid}/stat"));
            if comm.contains(&format!(" {} ", std::process::id())) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                let _ = nix::sys::wait::waitpid(Pid::from_raw(pid), None);
            }
        }
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let diff = snapshot::difference(&self.before, &snapshot::take(), self.litter);
            if diff.is_empty() {
                return;
            }
            if Instant::now() > end {
                panic!("the machine is not as before:\n{diff}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Bg {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    #[track_caller]
    pub fn signal(&self, sig: Signal) {
        if let Err(e) = kill(Pid::from_raw(self.pid()), sig) {
            panic!("kill {} {sig}: {e}", self.cmd);
        }
    }

    /// stdout so far.
    pub fn so_far(&self) -> String {
        fs::read(&self.out).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Wait for its end; past the deadline it is killed and the case fails with its name.
    #[track_caller]
    pub fn wait(&mut self, seconds: u64) -> Out {
        let end = Instant::now() + Duration::from_secs(seconds) * crate::harness::slow();
        let mut nap = Duration::from_micros(500);
        loop {
            match self.child.try_wait() {
                Ok(Some(s)) => {
                    let text =
                        |p: &Path| fs::read(p).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
                    let code = s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0));
                    return Out { cmd: self.cmd.clone(), code, out: text(&self.out), err: text(&self.err) };
                }
                Ok(None) if Instant::now() > end => {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    let err = fs::read(&self.err).unwrap_or_default();
                    panic!(
                        "hung for {seconds} s: {}\n  stdout so far: {:?}\n  stderr so far: {:?}",
                        self.cmd,
                        self.so_far(),
                        String::from_utf8_lossy(&err)
                    );
                }
                Ok(None) => {
                    std::thread::sleep(nap);
                    nap = (nap * 2).min(Duration::from_millis(10));
                }
                Err(e) => panic!("wait for {}: {e}", self.cmd),
            }
        }
    }
}
