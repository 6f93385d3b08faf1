//! A restore in place of a start: criu makes the container's processes from its images, and this process is the monitor
//! that they get. Owns how criu is run and how init is found afterwards; criu's words are `criu`'s, the order of the steps
//! before it is `steps`'.
#![forbid(unsafe_code)]

use super::child;
use super::criu::{self, Verb};
use super::desk::Desk;
use super::interp::{Exec, Script};
use super::parent;
use super::plan::Starting;
use super::running::{Pty, Running};
use super::script;
use super::sync::{Channel, Kind, Record};
use crate::base::op::{Act, At, FdRef, Op, cstring};
use crate::base::spawn::{Meanwhile, remaining_ms};
use crate::base::{Context, Error, Result};
use crate::cgroup::groups::Who;
use crate::cgroup::{Groups, Layout};
use crate::sys::poll::{POLLIN, PollFd, poll};
use crate::sys::process::{self, Clone3, ExecArgs};
use crate::sys::{self, path};
use crate::{hook, log_info, log_warn};
use nix::libc;
use nix::unistd::{Pid, setpgid};
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Inherited descriptors get numbers from here on: above those that the child itself works with.
const ABOVE: i32 = 64;
/// f_type of a devpts (statfs(2)).
const DEVPTS: i64 = 0x1cd1;

/// What a restore needs to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restore {
    /// criu itself.
    pub criu: PathBuf,
    /// The images, absolute: the monitor works in `/`.
    pub directory: PathBuf,
    /// criu's action script, absolute.
    pub action_script: Option<PathBuf>,
    /// criu logs all it can.
    pub verbose: bool,
}

impl Restore {
    /// As one field of a request to another process.
    pub fn pack(&self) -> Vec<u8> {
        let script = self.action_script.as_ref().map(|s| s.as_os_str()).unwrap_or_default();
        let verbose = OsStr::new(if self.verbose { "1" } else { "" });
        let fields = [self.criu.as_os_str(), self.directory.as_os_str(), script, verbose];
        fields.map(OsStr::as_bytes).join(&0)
    }

    /// Back from that; `None` from an empty field.
    pub fn unpack(field: &[u8]) -> Option<Self> {
        let mut fields = field.split(|b| *b == 0).map(|f| PathBuf::from(OsString::from_vec(f.to_vec())));
        let (criu, directory) = (fields.next()?, fields.next()?);
        let action_script = fields.next().filter(|s| !s.as_os_str().is_empty());
        let verbose = fields.next().is_some_and(|v| !v.as_os_str().is_empty());
        Some(Self { criu, directory, action_script, verbose })
    }
}

/// Runs criu; the container then is in `ending.running`.
///
/// # Errors
/// What cannot be restored; what criu says. Nothing of the container is left then.
pub fn launch(s: &mut Starting, how: &Restore) -> Result<()> {
    if !s.idmapped.is_empty() || s.storage.held.is_some() {
        return Err(Error::os(libc::EOPNOTSUPP, "an id-mapped rootfs cannot be restored").stage("restore"));
    }
    let links = criu::links(&s.config)?;
    let tty = inherited_tty(s, how)?;
    let words = words(s, how, &links, tty.as_ref())?;
    let before = children();
    let (output, write) = sys::fd::pipe().ctx(|| "a pipe".into())?;
    let script = render(s, how, &words, write, tty.as_ref().map(|t| &t.fd))?;
    let done = run(&script, &output, &mut s.desk());
    drop(script);
    let made: Vec<i32> = children().into_iter().filter(|p| !before.contains(p)).collect();
    let init = done.and_then(|(status, lines)| {
        for line in &lines {
            log_info!("criu: {line}");
        }
        match status {
            0 => the_init(&made),
            _ => Err(criu::failed(Verb::Restore, &s.facts.name, &how.directory, &lines, libc::WEXITSTATUS(status))),
        }
    });
    let (pid, pidfd) = match init {
        Ok(init) => init,
        Err(e) => {
            end(&made);
            return Err(Error { stage: "restore", ..e });
        }
    };
    adopt(s, pid, pidfd, links);
    parent::hold_namespaces(s)?;
    // Version 1 has the rules of the dump; the program of version 2 is not in any image.
    match s.ending.groups().map(|g| g.host().layout) {
        Some(Layout::Unified) => parent::device_rules(s),
        _ => Ok(()),
    }
}

/// The console's new terminal under the name that the old one had.
struct Tty {
    /// `tty[RDEV:DEV]` of the dump.
    name: String,
    /// The descriptor that criu takes for it.
    fd: OwnedFd,
}

fn inherited_tty(s: &Starting, how: &Restore) -> Result<Option<Tty>> {
    let Some(name) = criu::saved_tty(&how.directory)? else { return Ok(None) };
    let Some(console) = &s.terminal.console else {
        return Err(Error::os(libc::EINVAL, "lxc.console.path configured on source host but not target")
            .stage("restore")
            .hint(
                "the images want a console of the host's: unset lxc.console.path, and set lxc.pty.max to 1 or less",
            ));
    };
    let fd = sys::fd::dup_above(console.pty.as_fd(), ABOVE).ctx(|| "the console's terminal".into())?;
    Ok(Some(Tty { name, fd }))
}

fn words(s: &Starting, how: &Restore, links: &[criu::Link], tty: Option<&Tty>) -> Result<Vec<OsString>> {
    let groups = s.ending.groups.as_ref();
    let roots = groups.map(|g| criu::roots(g.host(), |c| g.path(Some(c), Who::Limit))).unwrap_or_default();
    let mut words = criu::head(Verb::Restore, &how.directory, &roots, how.verbose);
    if let Some(script) = &how.action_script {
        words.extend(criu::option("--action-script", script.as_os_str()));
    }
    words.extend(criu::bind_mounts(&s.config.mount, Verb::Restore)?);
    words.extend(criu::option("--root", s.facts.rootfs_mount.as_os_str()));
    words.extend(criu::strings(&["--restore-detached", "--restore-sibling"]));
    if let Some(tty) = tty {
        words.extend(criu::strings(&["--inherit-fd", &format!("fd[{}]:{}", tty.fd.as_raw_fd(), tty.name)]));
    }
    if let Some(console) = &s.terminal.console {
        words.extend(criu::strings(&["--ext-mount-map", &format!("console:{}", console.path)]));
    }
    let label = s.security.labels.process.as_ref().map(|l| l.name.as_str());
    if let Some(profile) = criu::apparmor(&s.config.security, label) {
        words.extend(criu::strings(&["--lsm-profile", &profile]));
    }
    for word in links.iter().filter_map(|l| l.word.as_deref()) {
        words.extend(criu::strings(&["--external", word]));
    }
    Ok(words)
}

/// criu in a mount namespace of its own, with the rootfs mounted, outside of all groups of ours.
fn render(
    s: &mut Starting,
    how: &Restore,
    words: &[OsString],
    output: OwnedFd,
    tty: Option<&OwnedFd>,
) -> Result<Script> {
    let slave = Act::Propagate(At::Host(c"/".into()), libc::MS_SLAVE | libc::MS_REC);
    let mut ops = vec![Op::new("restore", "propagation of the host's mounts", slave)];
    ops.append(&mut s.storage.ops);
    for file in s.ending.groups.as_ref().map(|g| criu::tops(g.host())).unwrap_or_default() {
        let at = At::Host(cstring(file.as_str())?);
        ops.push(Op::new("restore", file, Act::Write { at, bytes: b"0".to_vec(), create: None }).optional());
    }
    ops.push(Op::new("restore", "standard streams", Act::StdioNull));
    // Above 2, where the streams are put.
    let output = sys::fd::dup_above(output.as_fd(), ABOVE).ctx(|| "a pipe".into())?;
    for to in 1..3 {
        let act = Act::Dup2 { fd: FdRef::Inherited(output.as_raw_fd()), to };
        ops.push(Op::new("restore", "standard streams", act));
    }
    if let Some(fd) = tty {
        let act = Act::Dup2 { fd: FdRef::Inherited(fd.as_raw_fd()), to: fd.as_raw_fd() };
        ops.push(Op::new("restore", "the console's terminal", act));
    }
    let c = |w: &OsStr| cstring(w.as_bytes());
    let mut argv = vec![c(OsStr::new("criu"))?];
    for word in words {
        argv.push(c(word)?);
    }
    let envp = s.env.iter().map(|e| cstring(e.as_str())).collect::<Result<Vec<CString>>>()?;
    let null = File::options().read(true).write(true).open("/dev/null").ctx(|| "/dev/null".into())?;
    Ok(Script {
        ops,
        hooks: Vec::new(),
        hook_output: Some(output),
        null: null.into(),
        exec: Exec { paths: vec![c(how.criu.as_os_str())?], args: ExecArgs::new(&argv, &envp) },
        mask: s.mask,
        trace: false,
        supervise: None,
    })
}

/// Runs the script to criu's end, not longer than `desk` allows; its wait status and its output.
fn run(script: &Script, output: &OwnedFd, desk: &mut Desk<'_>) -> Result<(i32, Vec<String>)> {
    let what = || "running criu".to_string();
    let (ours, theirs) = Channel::pair().ctx(what)?;
    let (mut ours, mut theirs) = (Some(ours), Some(theirs));
    let flags = libc::CLONE_NEWNS as u64;
    let child = process::clone3(&Clone3 { flags, cgroup: None, pidfd: true }, || {
        ours = None;
        // What criu runs ends with it.
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        child::run(script, &mut theirs)
    })
    .ctx(what)?;
    drop(theirs);
    let (Some(ours), Some(pidfd)) = (ours, child.pidfd) else { return Err(Error::new("no pidfd")) };
    let mut text = Vec::new();
    let ended = began(script, &ours).and_then(|()| finish(&pidfd, output, desk, &mut text));
    if ended.is_err() {
        let _ = process::kill(-child.pid, libc::SIGKILL);
        let _ = process::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
    }
    let status = process::wait_pid(child.pid, 0).ctx(what)?.1;
    ended?;
    let lines = String::from_utf8_lossy(&text).lines().map(str::to_string).collect();
    Ok((status, lines))
}

/// Waits until criu is executed.
fn began(script: &Script, channel: &Channel) -> Result<()> {
    let mut executing = false;
    while let Some((record, _)) = channel.recv().ctx(|| "the word of the child".into())? {
        match record.kind {
            Kind::Exec => executing = true,
            Kind::Fail => return Err(refused(script, &record)),
            Kind::Passed => {
                if let Some(op) = script::op_at(script, record.a) {
                    log_info!("{} (passed over): {}", op.object, crate::base::error::strerror(record.b));
                }
            }
            _ => return Err(Error::new("the child said what it must not")),
        }
    }
    if executing { Ok(()) } else { Err(Error::new("the process that was to become criu died")) }
}

fn refused(script: &Script, record: &Record) -> Error {
    match script::op_at(script, record.a) {
        Some(op) => Error::os(record.b, op.object.clone()),
        None => {
            let criu = script.exec.paths.first().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
            Error::os(record.b, format!("executing {criu}"))
        }
    }
}

/// Reads what criu writes until it ends; meanwhile the desk has its turns. The restored processes do not have the pipe.
fn finish(criu: &OwnedFd, output: &OwnedFd, desk: &mut Desk<'_>, text: &mut Vec<u8>) -> Result<()> {
    sys::fd::set_nonblocking(output.as_fd(), true).ctx(|| "a pipe".into())?;
    let mut open = true;
    loop {
        let mut set = vec![PollFd::new(criu.as_fd(), POLLIN)];
        set.extend(desk.fds().into_iter().map(|f| PollFd::new(f, POLLIN)));
        if open {
            set.push(PollFd::new(output.as_fd(), POLLIN));
        }
        poll(&mut set, desk.deadline().map_or(-1, remaining_ms)).ctx(|| "poll".into())?;
        let ended = set.first().is_some_and(|p| p.revents() != 0);
        drop(set);
        let mut buf = [0_u8; 4096];
        while open {
            match sys::fd::read_into(output.as_fd(), &mut buf) {
                Ok(0) => open = false,
                // What is beyond this nobody reads.
                Ok(n) if text.len() < 65536 => text.extend(buf.get(..n).unwrap_or_default()),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        if ended {
            return Ok(());
        }
        if desk.turn() {
            let e = desk.ended.take().unwrap_or_else(|| Error::new("interrupted"));
            return Err(Error { what: format!("criu: {}", e.what), ..e });
        }
    }
}

/// This process's children (proc(5)); it has one thread.
fn children() -> Vec<i32> {
    let pid = process::pid();
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|p| p.parse().ok()).collect()
}

/// The one that criu has left us, which must be the first of a pid namespace.
fn the_init(made: &[i32]) -> Result<(i32, OwnedFd)> {
    let [pid] = made else {
        return Err(Error::new(format!("criu ended without an error and left {} processes, not one", made.len())));
    };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let inner = status.lines().find_map(|l| l.strip_prefix("NSpid:")).and_then(|l| l.split_whitespace().last());
    if inner.is_some_and(|n| n != "1") {
        return Err(Error::new(format!("what criu has left, process {pid}, is not the init of a pid namespace")));
    }
    let pidfd = process::pidfd_open(*pid).ctx(|| format!("a pidfd of init ({pid})"))?;
    Ok((*pid, pidfd))
}

/// Ends what a failed criu has left.
fn end(made: &[i32]) {
    for pid in made {
        let _ = process::kill(*pid, libc::SIGKILL);
        if let Err(e) = process::wait_pid(*pid, libc::__WALL) {
            log_warn!(errno = e, "process {pid} of a failed restore");
        }
    }
}

/// The restored init is the container's.
fn adopt(s: &mut Starting, pid: i32, pidfd: OwnedFd, links: Vec<criu::Link>) {
    hook::run::set(&mut s.env, "LXC_PID", &pid.to_string());
    let console = s.terminal.console.take().map(|host| Pty { ptx: host.ptx, pty: host.pty, busy: 0 });
    let groups: Option<Groups> = s.ending.groups.take();
    s.ending.running = Some(Box::new(Running {
        facts: s.facts.clone(),
        config: s.config.clone(),
        pid,
        pidfd,
        ns_fds: Default::default(),
        clone_flags: s.facts.new_ns.flags(),
        console,
        ttys: Vec::new(),
        devpts: devpts(pid),
        seccomp_listener: None,
        notify: None,
        groups,
        host_veths: links.into_iter().filter_map(|l| l.host.map(|h| (l.number, h))).collect(),
        hook_env: s.env.clone(),
        status: None,
    }));
}

/// The devpts instance on the container's /dev/pts.
fn devpts(pid: i32) -> Option<OwnedFd> {
    let root = cstring(format!("/proc/{pid}/root")).ok()?;
    let root = path::open(&root, libc::O_PATH | libc::O_DIRECTORY, 0).ok()?;
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let fd = path::openat2(root.as_fd(), c"dev/pts", flags, 0, path::Resolve::InRoot).ok()?;
    path::fs_type(fd.as_fd()).is_ok_and(|t| t == DEVPTS).then_some(fd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_survives_the_way() {
        let r = Restore { criu: "/usr/sbin/criu".into(), directory: "/i m g".into(), ..Restore::default() };
        assert_eq!(Restore::unpack(&r.pack()), Some(r.clone()));
        let r = Restore { action_script: Some("/a".into()), verbose: true, ..r };
        assert_eq!(Restore::unpack(&r.pack()), Some(r));
        assert_eq!(Restore::unpack(b""), None);
    }

    #[test]
    fn init_is_the_one_child() {
        assert!(the_init(&[]).unwrap_err().what.contains("left 0"));
        assert!(the_init(&[1, 2]).unwrap_err().what.contains("left 2"));
    }
}
