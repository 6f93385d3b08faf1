//! Entering a running container: asks its monitor what there is to join, joins it, and starts one process inside that is a
//! child of the caller. Owns options and order; the child's steps are `attach_child`'s, carrying bytes and signals while
//! the command runs is `attach_wait`'s.
//!
//! What is known of the container comes from the monitor and from the host's /proc, never from the container's own
//! (CVE-2015-1334). Never needs the container's config file.
#![forbid(unsafe_code)]

use super::attach_child::{self, Label, Script, Stream};
use super::attach_env::{self, Command, Env};
use super::attach_seccomp;
use super::attach_wait::{self, Attached};
use super::relay::{Relay, Shown};
use crate::base::ids::Ns;
use crate::base::{Context, Error, Result, units};
use crate::cgroup::attach as groups;
use crate::ipc::command::{Client, Fail};
use crate::sys::process::{Clone3, ExecArgs, Never, exit_now};
use crate::sys::signal::{self, SigSet};
use crate::sys::{cred, fd, ns, path, proc, process, pty, tty};
use nix::libc;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What is done to the attached process: the bits of `lxc_attach_options_t.attach_flags` (attach_options.h).
pub mod flags {
    /// It enters the container's cgroups.
    pub const MOVE_TO_CGROUP: u32 = 0x1;
    /// It loses the capabilities that the container lacks.
    pub const DROP_CAPABILITIES: u32 = 0x2;
    /// It gets the container's personality.
    pub const SET_PERSONALITY: u32 = 0x4;
    /// It gets the container's label when it executes something.
    pub const LSM_EXEC: u32 = 0x8;
    /// /proc and /sys are mounted anew, when the mount namespace is not joined.
    pub const REMOUNT_PROC_SYS: u32 = 0x1_0000;
    /// It gets the label at once.
    pub const LSM_NOW: u32 = 0x2_0000;
    /// PR_SET_NO_NEW_PRIVS.
    pub const NO_NEW_PRIVS: u32 = 0x4_0000;
    /// It gets a terminal of the container's in place of those standard streams that are terminals.
    pub const TERMINAL: u32 = 0x8_0000;
    /// The label is the option's, not the container's.
    pub const LSM_LABEL: u32 = 0x10_0000;
    /// The supplementary groups are the option's.
    pub const SETGROUPS: u32 = 0x20_0000;
    /// What is done unless something else is asked for.
    pub const DEFAULT: u32 = 0xffff;
    /// All that have to do with labels.
    pub const LSM: u32 = LSM_EXEC | LSM_NOW | LSM_LABEL;
}

/// personality(2) of the attached process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Personality {
    /// The container's.
    #[default]
    Detect,
    /// This one.
    Set(u64),
}

/// How to attach; the default is what lxc-attach does without options, without a terminal.
#[derive(Debug, Clone)]
pub struct Options {
    /// See [`flags`].
    pub flags: u32,
    /// CLONE_NEW* of the namespaces to join; `None` for all that the container has.
    pub namespaces: Option<u64>,
    /// The personality.
    pub personality: Personality,
    /// Working directory, `None` for the caller's; `/` where that does not exist inside.
    pub cwd: Option<CString>,
    /// User inside; `None` for root.
    pub uid: Option<u32>,
    /// Group inside.
    pub gid: Option<u32>,
    /// Supplementary groups, with [`flags::SETGROUPS`].
    pub groups: Vec<u32>,
    /// The caller's environment is left behind.
    pub clear_env: bool,
    /// `NAME=value` to set, `NAME` to unset.
    pub extra_env: Vec<CString>,
    /// `lxc.environment`, a line each, in place of what the running container has.
    pub container_env: Option<String>,
    /// Names that survive `clear_env`.
    pub keep_env: Vec<CString>,
    /// What becomes the standard streams.
    pub fds: [i32; 3],
    /// The label, with [`flags::LSM_LABEL`].
    pub label: Option<CString>,
    /// What the terminal shows is appended to this file.
    pub pty_log: Option<PathBuf>,
    /// The caller has no threads and no use for its own namespaces afterwards: it joins the container's itself, which saves
    /// a process.
    pub in_place: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flags: flags::DEFAULT,
            namespaces: None,
            personality: Personality::Detect,
            cwd: None,
            uid: None,
            gid: None,
            groups: Vec::new(),
            clear_env: false,
            extra_env: Vec::new(),
            container_env: None,
            keep_env: Vec::new(),
            fds: [0, 1, 2],
            label: None,
            pty_log: None,
            in_place: false,
        }
    }
}

/// What runs inside.
pub enum Payload {
    /// A command line.
    Command(Vec<CString>),
    /// The user's login shell.
    Shell,
    /// A function of the caller's; the process ends with its result.
    Function(Box<dyn FnOnce() -> i32>),
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(argv) => f.debug_tuple("Command").field(argv).finish(),
            Self::Shell => f.write_str("Shell"),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}

/// What is known of the container's init.
struct Init {
    pidfd: OwnedFd,
    pid: i32,
    /// /proc/PID/status.
    status: String,
    /// Namespaces to join, CLONE_NEW*.
    namespaces: u64,
}

/// Enters the container and starts the payload.
///
/// # Errors
/// The container does not run or may not be controlled; a step that failed, in words.
pub fn attach(client: &Client, options: &Options, payload: Payload) -> Result<Attached> {
    let init = look_at_init(client, options)?;
    let terminal = if options.flags & flags::TERMINAL != 0 { Terminal::open(client, &init, options)? } else { None };
    let (outer, inner) = terminal.map_or((None, None), |t| (Some((t.relay, t.shown)), Some((t.pty, t.replaced))));
    let (report_rx, report) = fd::pipe().ctx(|| "Failed to create a pipe".into())?;
    let joined = join_groups(client, options)?;
    let env = environment(client, options);
    let mut script = script(client, options, &init, joined.tasks, inner, report)?;
    let listener = attach_seccomp::listener(&mut script)?;
    let entry = Entry { pidfd: init.pidfd, namespaces: init.namespaces, cgroup: joined.v2, script, env, payload };
    let watched = SigSet::of(&Attached::SIGNALS);
    let mask = signal::block(&watched).ctx(|| "Failed to block signals".into())?;
    // Who hands a listener over must still reach the monitor, whose socket is the host's network's.
    let in_place = options.in_place && listener.is_none();
    let launched = if in_place { entry.launch(0) } else { launch_from_helper(entry) };
    if launched.is_ok()
        && let Some(listener) = listener
    {
        attach_seccomp::hand_over(client, &listener);
    }
    match launched {
        Ok(pid) => Ok(Attached::new(pid, report_rx, watched, mask, outer)),
        Err(e) => {
            let _ = signal::set_mask(&mask);
            Err(e)
        }
    }
}

/// Asks for init and for what it has.
fn look_at_init(client: &Client, options: &Options) -> Result<Init> {
    let name = client.container();
    let not_running = |f: Fail| Error { what: "Failed to get init pid".into(), ..f.error(name, "name its init") };
    let pidfd = match client.init_pidfd() {
        Ok(fd) => fd,
        Err(Fail::Unsupported | Fail::Refused(_)) => {
            let pid = client.init_pid().map_err(not_running)?.ok_or_else(|| not_running(Fail::NotRunning))?;
            process::pidfd_open(pid).ctx(|| "Failed to get init pid".into())?
        }
        Err(f) => return Err(Error { errno: f.errno(), ..not_running(f) }),
    };
    let pid = pid_of(pidfd.as_fd()).ctx(|| "Failed to get init pid".into())?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ctx(|| "Failed to get attach context".into())?;
    let mut namespaces = match options.namespaces {
        Some(asked) => asked,
        None => client.clone_flags().map_err(|f| f.error(name, "name its namespaces"))?,
    };
    // Joining the user namespace that one is in is refused (setns(2)).
    if namespaces & Ns::User.flag() != 0 && same_namespace(pid, "user") {
        namespaces &= !Ns::User.flag();
    }
    Ok(Init { pidfd, pid, status, namespaces })
}

/// The process that a pidfd refers to (pidfd_open(2): fdinfo).
fn pid_of(pidfd: BorrowedFd<'_>) -> io::Result<i32> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let pid = proc::status_field(&text, "Pid").and_then(|p| p.parse().ok()).filter(|p| *p > 0);
    pid.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// Whether init is in the caller's namespace of that name.
fn same_namespace(pid: i32, name: &str) -> bool {
    let id = |who: &str| fs::metadata(format!("/proc/{who}/ns/{name}")).map(|m| (m.dev(), m.ino()));
    match (id("self"), id(&pid.to_string())) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// The groups to enter, opened on the host. In a version 2 tree that is a leaf, since a group whose children have
/// controllers takes no processes.
fn join_groups(client: &Client, options: &Options) -> Result<groups::Join> {
    if options.flags & flags::MOVE_TO_CGROUP == 0 {
        return Ok(groups::Join::default());
    }
    let dirs = match client.cgroup_ctx() {
        Ok((_, fds)) => fds,
        Err(Fail::Unsupported) => client.cgroup2_fd().into_iter().collect(),
        // No hierarchy that the monitor could write.
        Err(Fail::Refused(_)) => Vec::new(),
        Err(f) => return Err(f.error(client.container(), "name its cgroups")),
    };
    let mut joined = groups::join(dirs)?;
    if let Some(group) = joined.v2.take() {
        joined.v2 = groups::leaf(&group).ok().or(Some(group));
    }
    Ok(joined)
}

/// The environment.
fn environment(client: &Client, options: &Options) -> Env {
    let container = match &options.container_env {
        Some(given) => given.clone(),
        None => client.config_item("lxc.environment").ok().flatten().unwrap_or_default(),
    };
    let caller = std::env::vars_os();
    attach_env::environment(caller, options.clear_env, &options.keep_env, &container, &options.extra_env)
}

/// Renders the child's steps.
fn script(
    client: &Client,
    options: &Options,
    init: &Init,
    tasks: Vec<OwnedFd>,
    terminal: Option<(OwnedFd, [bool; 3])>,
    report: OwnedFd,
) -> Result<Script> {
    let joins = |ns: Ns| init.namespaces & ns.flag() != 0;
    let has = |flag: u32| options.flags & flag != 0;
    let root = if joins(Ns::User) { Some(root_ids(init)?) } else { None };
    let cwd = match &options.cwd {
        Some(dir) => dir.clone(),
        None => caller_dir(),
    };
    let confined = has(flags::LSM) && joins(Ns::Mnt);
    let (tty, replaced) = match terminal {
        Some((tty, replaced)) => (Some(tty), replaced),
        None => (None, [false; 3]),
    };
    let mut stdio = [Stream { from: 0, own: false }; 3];
    for ((stream, from), replaced) in stdio.iter_mut().zip(options.fds).zip(replaced) {
        *stream = if replaced { Stream { from: -1, own: true } } else { Stream { from, own: !is_null(from) } };
    }
    Ok(Script {
        tasks,
        cgroup_ns: if joins(Ns::Cgroup) {
            Some(fd::dup_cloexec(init.pidfd.as_fd()).ctx(|| "dup".into())?)
        } else {
            None
        },
        remount: has(flags::REMOUNT_PROC_SYS) && !joins(Ns::Mnt),
        personality: if has(flags::SET_PERSONALITY) { personality(client, options) } else { None },
        drop_caps: if has(flags::DROP_CAPABILITIES) { caps_to_drop(&init.status)? } else { Vec::new() },
        root,
        groups: if has(flags::SETGROUPS) { options.groups.clone() } else { Vec::new() },
        no_new_privs: has(flags::NO_NEW_PRIVS) || (confined && inherits_no_new_privs(client, init)),
        label: if has(flags::LSM) { label(options, init)? } else { None },
        seccomp: if confined { seccomp(client, init)? } else { None },
        listener: None,
        terminal: tty,
        stdio,
        ids: (options.uid, options.gid),
        cwd,
        mask: signal::current_mask().ctx(|| "Failed to read the signal mask".into())?,
        report,
    })
}

/// Where the caller stands.
fn caller_dir() -> CString {
    let dir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    CString::new(dir.into_os_string().into_vec()).unwrap_or_else(|_| c"/".to_owned())
}

/// Whether the descriptor is /dev/null, whose owner is nobody's business.
fn is_null(raw: i32) -> bool {
    let Ok(stat) = fd::borrow(raw).and_then(path::fstat) else { return true };
    stat.kind() == libc::S_IFCHR && stat.rdev == libc::makedev(1, 3)
}

/// The personality to set; the default one needs no call.
fn personality(client: &Client, options: &Options) -> Option<u64> {
    match options.personality {
        Personality::Set(p) => Some(p),
        Personality::Detect => {
            let arch = client.config_item("lxc.arch").ok().flatten()?;
            // PER_LINUX32, PER_LINUX (personality(2)).
            units::arch_is_32(arch.trim()).map(|is_32| if is_32 { 8 } else { 0 })
        }
    }
}

/// The container's monitor says that nothing in it may gain privileges. Init has the bit then; that costs no question.
fn inherits_no_new_privs(client: &Client, init: &Init) -> bool {
    proc::status_field(&init.status, "NoNewPrivs").as_deref() == Some("1")
        && client.config_item("lxc.no_new_privs").ok().flatten().is_some_and(|v| v.trim() == "1")
}

/// Capabilities of the caller's bounding set that init's lacks.
fn caps_to_drop(status: &str) -> Result<Vec<u8>> {
    let set = |text: &str| {
        let field = proc::status_field(text, "CapBnd")?;
        u64::from_str_radix(&field, 16).ok()
    };
    let missing = || Error::os(libc::EINVAL, "no capability sets in /proc");
    let own = fs::read_to_string("/proc/self/status").ctx(|| "/proc/self/status".into())?;
    let extra = set(&own).ok_or_else(missing)? & !set(status).ok_or_else(missing)?;
    Ok((0..64).filter(|n| extra & (1 << n) != 0).collect())
}

/// One line of a uid_map: from inside, from outside, how many.
type MapLine = (u32, u32, u32);

/// A uid_map or gid_map of init, as the host sees it.
fn id_map(pid: i32, file: &str) -> Result<Vec<MapLine>> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ctx(|| format!("/proc/{pid}/{file}"))?;
    let line = |l: &str| {
        let mut f = l.split_ascii_whitespace().map(str::parse);
        Some((f.next()?.ok()?, f.next()?.ok()?, f.next()?.ok()?))
    };
    Ok(text.lines().filter_map(line).collect())
}

/// The id outside of an id inside.
fn outside(map: &[MapLine], id: u32) -> Option<u32> {
    map.iter().find(|m| id >= m.0 && id - m.0 < m.2).and_then(|m| m.1.checked_add(id - m.0))
}

/// The id inside of an id outside.
fn inside(map: &[MapLine], id: u32) -> Option<u32> {
    map.iter().find(|m| id >= m.1 && id - m.1 < m.2).and_then(|m| m.0.checked_add(id - m.1))
}

/// Root's ids in the container's user namespace: 0 where it is mapped, else those that init has.
fn root_ids(init: &Init) -> Result<(u32, u32)> {
    let of = |file: &str, field: &str| -> Result<u32> {
        let map = id_map(init.pid, file)?;
        if outside(&map, 0).is_some() {
            return Ok(0);
        }
        let ids = proc::status_field(&init.status, field).unwrap_or_default();
        let id = ids.split_ascii_whitespace().next().and_then(|id| id.parse().ok());
        let unmapped = || Error::os(libc::EINVAL, format!("the container's init has no id in its own {file}"));
        id.and_then(|id| inside(&map, id)).ok_or_else(unmapped)
    };
    Ok((of("uid_map", "Uid")?, of("gid_map", "Gid")?))
}

/// The label that the process gets, when a security module that has them is active.
fn label(options: &Options, init: &Init) -> Result<Option<Label>> {
    let given = options.label.as_ref().filter(|_| options.flags & flags::LSM_LABEL != 0);
    let apparmor = fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|t| t.starts_with(b"Y"));
    let selinux = !apparmor && path::access(path::cwd(), c"/sys/fs/selinux/enforce", 0).is_ok();
    if !apparmor && !selinux {
        return if given.is_some() {
            Err(Error::os(libc::EOPNOTSUPP, "a security label was asked for, but no security module is active"))
        } else {
            Ok(None)
        };
    }
    let text = match given {
        Some(label) => label.as_bytes().to_vec(),
        None => {
            let file = if apparmor { "attr/apparmor/current" } else { "attr/current" };
            let dir = format!("/proc/{}", init.pid);
            let read = fs::read(format!("{dir}/{file}")).or_else(|_| fs::read(format!("{dir}/attr/current")));
            read.ctx(|| "Failed to get the container's security label".into())?
        }
    };
    let text = text.split(|c| matches!(c, b'\n' | 0)).next().unwrap_or_default();
    // AppArmor shows the mode behind the profile: `name (enforce)`.
    let mode = text.windows(2).rposition(|w| apparmor && w == b" (");
    let text = mode.and_then(|at| text.get(..at)).unwrap_or(text);
    if text.is_empty() || (apparmor && text == b"unconfined") {
        return Ok(None);
    }
    let now = options.flags & flags::LSM_NOW != 0;
    let (files, prefix): ([&std::ffi::CStr; 2], &[u8]) = match (apparmor, now) {
        (true, true) => ([c"self/attr/apparmor/current", c"self/attr/current"], b"changeprofile "),
        (true, false) => ([c"self/attr/apparmor/exec", c"self/attr/exec"], b"exec "),
        (false, true) => ([c"self/attr/current", c"self/attr/current"], b""),
        (false, false) => ([c"self/attr/exec", c"self/attr/exec"], b""),
    };
    let proc = path::open(c"/proc", libc::O_PATH | libc::O_DIRECTORY, 0).ctx(|| "/proc".into())?;
    Ok(Some(Label { proc, files: files.map(ToOwned::to_owned).to_vec(), text: [prefix, text].concat() }))
}

/// The seccomp program of the container, when init has one.
fn seccomp(client: &Client, init: &Init) -> Result<Option<(Vec<u8>, u32)>> {
    if proc::status_field(&init.status, "Seccomp").as_deref() != Some("2") {
        return Ok(None);
    }
    let profile = client.config_item("lxc.seccomp.profile").ok().flatten().filter(|p| !p.trim().is_empty());
    let Some(profile) = profile else { return Ok(None) };
    attach_seccomp::program(profile.trim()).map(Some)
}

/// The terminal of an attached process.
struct Terminal {
    /// Its inner end.
    pty: OwnedFd,
    /// Its outer end and the caller's terminal.
    relay: Relay,
    /// The caller's terminal.
    shown: Shown,
    /// Which standard streams it replaces.
    replaced: [bool; 3],
}

impl Terminal {
    /// A pair of the container's devpts, else of the host's; `None` when no standard stream is a terminal.
    fn open(client: &Client, init: &Init, options: &Options) -> Result<Option<Self>> {
        let replaced = options.fds.map(|n| fd::borrow(n).is_ok_and(tty::is_tty));
        let Some(output) = [1, 2, 0].into_iter().find(|i| replaced.get(*i) == Some(&true)) else { return Ok(None) };
        let number = |i: usize| options.fds.get(i).copied();
        let shown =
            Shown { input: number(0).filter(|_| replaced.first() == Some(&true)), output: number(output).unwrap_or(1) };
        let inside = client.devpts_fd().map_err(|f| io::Error::from_raw_os_error(f.errno())).and_then(pty::open_in);
        let pair = match inside {
            Ok(pair) => pair,
            Err(_) => pty::open_host().ctx(|| "Failed to create a terminal".into())?,
        };
        // In a user namespace the child could not give itself a file of an id that is not mapped.
        if init.namespaces & Ns::User.flag() != 0 {
            let uid = outside(&id_map(init.pid, "uid_map")?, options.uid.unwrap_or(0));
            let _ = path::chownat(pair.pty.as_fd(), c"", uid.unwrap_or(u32::MAX), u32::MAX);
        }
        let log = options.pty_log.as_deref().map(attach_wait::open_log).transpose()?;
        let relay = Relay::new(pair.ptx, shown, log, None).ctx(|| "Failed to create a terminal".into())?;
        relay.resize();
        Ok(Some(Self { pty: pair.pty, relay, shown, replaced }))
    }
}

/// All that it takes to enter.
struct Entry {
    pidfd: OwnedFd,
    namespaces: u64,
    cgroup: Option<OwnedFd>,
    script: Script,
    env: Env,
    payload: Payload,
}

impl Entry {
    /// Joins the namespaces with the calling process and starts the payload; its pid in the caller's pid namespace.
    fn launch(self, clone_flags: u64) -> Result<i32> {
        // Nobody inside may look at what the child still has of the host before it executes something.
        let _ = process::set_dumpable(false);
        // The cgroup namespace comes after the groups: entering them is judged from the namespace one is in.
        let now = self.namespaces & !Ns::Cgroup.flag();
        if now != 0 {
            ns::setns(self.pidfd.as_fd(), now).map_err(|e| {
                let names: Vec<_> = Ns::ALL.iter().filter(|n| now & n.flag() != 0).map(|n| n.name()).collect();
                Error::io(&e, format!("Failed to enter namespaces ({})", names.join(", ")))
            })?;
        }
        let uid = self.script.ids.0.or(self.script.root.map(|r| r.0)).unwrap_or_else(cred::uid);
        let how = Clone3 { flags: clone_flags, cgroup: self.cgroup.as_ref().map(OwnedFd::as_fd), pidfd: false };
        let Self { script, env, payload, .. } = self;
        let command = match payload {
            Payload::Function(function) => {
                let vars = ExecArgs::new(&[], &env.render()?);
                let call = || -> i32 { match process::with_environment(&vars, || exit_now(function())) {} };
                let child = process::clone3(&how, || -> Never { attach_child::run_function(script, call) });
                return Ok(child.ctx(|| "Failed to create the attached process".into())?.pid);
            }
            Payload::Command(argv) => Command::new(&argv, &env)?,
            Payload::Shell => Command::shell(uid, &env)?,
        };
        let child = process::clone3(&how, || -> Never { attach_child::run(&script, &command) });
        Ok(child.ctx(|| "Failed to create the attached process".into())?.pid)
    }
}

/// Lets a process of its own join, so that the caller stays where it is; the payload becomes the caller's child all the
/// same.
fn launch_from_helper(entry: Entry) -> Result<i32> {
    let failed = || "Failed to create the attached process".to_string();
    let (result, answer) = fd::pipe().ctx(failed)?;
    let helper = process::fork(move || -> Never {
        let launched = entry.launch(libc::CLONE_PARENT as u64);
        let (pid, errno, text) = match launched {
            Ok(pid) => (pid, 0, String::new()),
            Err(e) => (-1, e.errno, e.what),
        };
        let record = [&pid.to_ne_bytes()[..], &errno.to_ne_bytes()[..], text.as_bytes()].concat();
        let _ = fd::write_all(answer.as_fd(), &record);
        exit_now(0)
    })
    .ctx(failed)?;
    let record = read_record(result, helper)?;
    let number = |at: usize| record.get(at..at + 4).and_then(|b| b.try_into().ok()).map(i32::from_ne_bytes);
    match (number(0), number(4)) {
        (Some(pid), Some(_)) if pid > 0 => Ok(pid),
        (Some(_), Some(errno)) => {
            let text = String::from_utf8_lossy(record.get(8..).unwrap_or_default()).into_owned();
            Err(Error::os(errno, text))
        }
        _ => Err(Error::new(failed())),
    }
}

/// Reads what the helper says and reaps it.
fn read_record(result: OwnedFd, helper: i32) -> Result<Vec<u8>> {
    let mut record = vec![0; 1024];
    let mut have = 0;
    // One record, whose writer exits at once: its end is the helper's end, since the payload's copy closes on exec only.
    while have < 8 {
        let n = fd::read_into(result.as_fd(), record.get_mut(have..).unwrap_or_default()).ctx(|| "read".into())?;
        if n == 0 {
            break;
        }
        have += n;
    }
    record.truncate(have);
    process::wait_pid(helper, 0).ctx(|| "Failed to wait for the attach helper".into())?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_maps() {
        let map = [(0, 100_000, 1000), (5000, 7, 1)];
        assert_eq!((outside(&map, 0), outside(&map, 999), outside(&map, 1000)), (Some(100_000), Some(100_999), None));
        assert_eq!((inside(&map, 7), inside(&map, 100_001), inside(&map, 8)), (Some(5000), Some(1), None));
    }

    #[test]
    fn capabilities_that_init_lacks() {
        let none = caps_to_drop("CapBnd:\tffffffffffffffff\n").expect("parses");
        assert!(none.is_empty());
        let all = caps_to_drop("CapBnd:\t0000000000000000\n").expect("parses");
        assert!(all.contains(&0));
        assert!(caps_to_drop("").is_err());
    }

    #[test]
    fn the_pid_behind_a_pidfd() {
        let fd = process::pidfd_open(process::pid()).expect("pidfd");
        assert_eq!(pid_of(fd.as_fd()).expect("pid"), process::pid());
        let (other, _) = fd::pipe().expect("pipe");
        assert!(pid_of(other.as_fd()).is_err());
    }

    #[test]
    fn a_container_that_does_not_run() {
        let client = Client::new("/nonexistent/store", "none");
        let e = attach(&client, &Options::default(), Payload::Shell).expect_err("not running");
        assert_eq!((e.errno, e.what.as_str()), (libc::ECONNREFUSED, "Failed to get init pid"));
    }

    #[test]
    fn null_is_nobodys() {
        let null = fs::File::open("/dev/null").expect("null");
        assert!(is_null(null.as_raw_fd()));
        let (pipe, _w) = fd::pipe().expect("pipe");
        assert!(!is_null(pipe.as_raw_fd()));
        assert!(is_null(-1));
    }
}
