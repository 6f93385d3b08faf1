//! The attached process between its clone and its exec. Everything was rendered before: here nothing is allocated, no lock
//! is taken, nothing is looked up. A failure is told by one fixed record; the parent puts it into words.
#![forbid(unsafe_code)]

use super::attach_env::Command;
use crate::sys::process::{self, exit_now};
use crate::sys::signal::{self, SigSet};
use crate::sys::{alloc_guard, cred, fd, mount, ns, path, scm, seccomp};
use nix::libc;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Where the child was when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Entering a cgroup.
    Cgroup,
    /// Entering the cgroup namespace.
    CgroupNs,
    /// Mounting proc and sysfs anew.
    Remount,
    /// personality(2).
    Personality,
    /// Dropping capabilities.
    Caps,
    /// Becoming root of the container's user namespace.
    Root,
    /// Supplementary groups.
    Groups,
    /// PR_SET_NO_NEW_PRIVS.
    NoNewPrivs,
    /// The label of a security module.
    Label,
    /// The seccomp program.
    Seccomp,
    /// The terminal.
    Terminal,
    /// Standard streams.
    Stdio,
    /// The user and group asked for.
    Ids,
    /// The working directory that was asked for.
    Cwd,
    /// Executing the command.
    Exec,
}

impl Stage {
    /// All of them, by number.
    pub const ALL: [Stage; 15] = [
        Stage::Cgroup,
        Stage::CgroupNs,
        Stage::Remount,
        Stage::Personality,
        Stage::Caps,
        Stage::Root,
        Stage::Groups,
        Stage::NoNewPrivs,
        Stage::Label,
        Stage::Seccomp,
        Stage::Terminal,
        Stage::Stdio,
        Stage::Ids,
        Stage::Cwd,
        Stage::Exec,
    ];

    /// What could not be done, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Stage::Cgroup => "enter the container's cgroups",
            Stage::CgroupNs => "enter the container's cgroup namespace",
            Stage::Remount => "mount /proc and /sys of the container's namespaces",
            Stage::Personality => "set the personality",
            Stage::Caps => "drop capabilities",
            Stage::Root => "become root of the container",
            Stage::Groups => "set the supplementary groups",
            Stage::NoNewPrivs => "set no_new_privs",
            Stage::Label => "set the security label",
            Stage::Seccomp => "load the container's seccomp policy",
            Stage::Terminal => "make the terminal the controlling one",
            Stage::Stdio => "set up standard input, output and error",
            Stage::Ids => "become the user that was asked for",
            Stage::Cwd => "change to the working directory",
            Stage::Exec => "execute the command",
        }
    }
}

/// A label and the files below proc that take it: the first that exists.
#[derive(Debug)]
pub struct Label {
    /// The host's /proc.
    pub proc: OwnedFd,
    /// Relative to it.
    pub files: Vec<CString>,
    /// What is written.
    pub text: Vec<u8>,
}

/// What the child does, in the order of the fields.
#[derive(Debug)]
pub struct Script {
    /// `tasks` of version 1 cgroups.
    pub tasks: Vec<OwnedFd>,
    /// Init's pidfd, when its cgroup namespace is to be entered.
    pub cgroup_ns: Option<OwnedFd>,
    /// A mount namespace of its own with new /proc and /sys.
    pub remount: bool,
    /// personality(2).
    pub personality: Option<u64>,
    /// Capabilities that leave the bounding set.
    pub drop_caps: Vec<u8>,
    /// Root's ids in the container's user namespace, when that is joined.
    pub root: Option<(u32, u32)>,
    /// Supplementary groups; they are always set.
    pub groups: Vec<u32>,
    /// PR_SET_NO_NEW_PRIVS.
    pub no_new_privs: bool,
    /// The label.
    pub label: Option<Label>,
    /// The seccomp program and its load flags.
    pub seccomp: Option<(Vec<u8>, u32)>,
    /// Takes the listener of that program.
    pub listener: Option<OwnedFd>,
    /// The terminal's inner end; becomes the controlling one.
    pub terminal: Option<OwnedFd>,
    /// What becomes 0, 1 and 2.
    pub stdio: [Stream; 3],
    /// User and group asked for.
    pub ids: (Option<u32>, Option<u32>),
    /// Working directory; `/` where it cannot be reached.
    pub cwd: CString,
    /// The signal mask it ends with.
    pub mask: SigSet,
    /// Takes the failure record; closed by exec.
    pub report: OwnedFd,
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// The descriptor that is put there; −1 for the terminal.
    pub from: i32,
    /// It gets the user as owner, and 0600.
    pub own: bool,
}

/// A failed step.
type Fault = (Stage, io::Error);

/// Runs the steps and the command. Never returns.
pub fn run(script: &Script, command: &Command) -> ! {
    alloc_guard::step("attach");
    let (stage, e) = match steps(script) {
        Ok(()) => (Stage::Exec, exec(command)),
        Err(fault) => fault,
    };
    let errno = report(script, stage, &e);
    exit_now(match (stage, errno) {
        (Stage::Exec, libc::ENOENT) => 127,
        (Stage::Exec, _) => 126,
        _ => 1,
    })
}

/// Runs the steps, then a function of the caller's, with whose result it ends.
pub fn run_function(script: Script, function: impl FnOnce() -> i32) -> ! {
    alloc_guard::step("attach");
    if let Err((stage, e)) = steps(&script) {
        report(&script, stage, &e);
        exit_now(1);
    }
    alloc_guard::lift();
    drop(script);
    exit_now(function())
}

/// Tells the parent; gives the errno back.
fn report(script: &Script, stage: Stage, e: &io::Error) -> i32 {
    let errno = e.raw_os_error().unwrap_or(libc::EIO);
    let [a, b, c, d] = errno.to_ne_bytes();
    // Without a reader nobody wants to know.
    let _ = fd::write_all(script.report.as_fd(), &[stage as u8, a, b, c, d]);
    errno
}

/// Tries the places in turn, as execvp(3) does: a file without permission is remembered, one of an unknown format is given
/// to a shell.
fn exec(command: &Command) -> io::Error {
    let mut denied = None;
    let mut last = err(libc::ENOENT);
    for (i, (path, args)) in command.tries.iter().enumerate() {
        let Some(args) = command.args.get(*args) else { continue };
        last = process::execve(path, args);
        match last.raw_os_error() {
            Some(libc::ENOEXEC) => {
                if let Some(script) = command.scripts.get(i) {
                    last = process::execve(c"/bin/sh", script);
                }
                return last;
            }
            Some(libc::EACCES) => denied = Some(err(libc::EACCES)),
            Some(libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT) => {}
            _ => return last,
        }
    }
    denied.unwrap_or(last)
}

/// An errno as an error, without allocation.
fn err(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// All steps before the command.
fn steps(s: &Script) -> Result<(), Fault> {
    let at = |stage: Stage| move |e: io::Error| (stage, e);
    for tasks in &s.tasks {
        fd::write_all(tasks.as_fd(), b"0").map_err(at(Stage::Cgroup))?;
    }
    if let Some(init) = &s.cgroup_ns {
        ns::setns(init.as_fd(), ns::CLONE_NEWCGROUP).map_err(at(Stage::CgroupNs))?;
    }
    if s.remount {
        remount().map_err(at(Stage::Remount))?;
    }
    if let Some(p) = s.personality {
        process::personality(p).map_err(at(Stage::Personality))?;
    }
    for cap in &s.drop_caps {
        cred::cap_bset_drop(*cap).map_err(at(Stage::Caps))?;
    }
    groups_and_root(s)?;
    if s.no_new_privs {
        process::set_no_new_privs().map_err(at(Stage::NoNewPrivs))?;
    }
    if let Some(label) = &s.label {
        set_label(label).map_err(at(Stage::Label))?;
    }
    // Not every policy lets a process change its ids, and without no_new_privs loading needs a capability: while both can be
    // had the ids are changed last.
    if let Some((program, flags)) = &s.seccomp {
        let listener = seccomp::load_filter(program, *flags).map_err(at(Stage::Seccomp))?;
        // Without anybody who takes it the calls that notify fail with ENOSYS.
        if let (Some(listener), Some(to)) = (listener, &s.listener) {
            let _ = scm::send(to.as_fd(), &[0], None, &[listener.as_fd()]);
        }
    }
    streams(s)?;
    let (uid, gid) = s.ids;
    if let Some(gid) = gid {
        cred::setgid_all(gid).map_err(at(Stage::Ids))?;
    }
    if let Some(uid) = uid {
        cred::setuid_all(uid).map_err(at(Stage::Ids))?;
    }
    if process::chdir(&s.cwd).is_err() {
        process::chdir(c"/").map_err(at(Stage::Cwd))?;
    }
    signal::set_mask(&s.mask).map_err(at(Stage::Exec))?;
    Ok(())
}

/// Supplementary groups; before that, root in the container's user namespace, whose ids the caller does not have.
fn groups_and_root(s: &Script) -> Result<(), Fault> {
    let set = cred::setgroups(&s.groups);
    // A user namespace may deny it (user_namespaces(7)); then there are none to lose either.
    if s.root.is_none() || !s.groups.is_empty() {
        set.map_err(|e| (Stage::Groups, e))?;
    }
    if let Some((uid, gid)) = s.root {
        cred::setgid_all(gid).map_err(|e| (Stage::Root, e))?;
        cred::setuid_all(uid).map_err(|e| (Stage::Root, e))?;
    }
    Ok(())
}

/// A private mount namespace whose /proc and /sys show the namespaces that were joined.
fn remount() -> io::Result<()> {
    ns::unshare(ns::CLONE_NEWNS)?;
    mount::mount(None, c"/", None, libc::MS_SLAVE | libc::MS_REC, None)?;
    let safe = libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_NOSUID;
    for (fstype, on) in [(c"proc", c"/proc"), (c"sysfs", c"/sys")] {
        match mount::umount2(on, libc::MNT_DETACH) {
            Err(e) if e.raw_os_error() != Some(libc::EINVAL) => return Err(e),
            _ => mount::mount(Some(fstype), on, Some(fstype), safe, None)?,
        }
    }
    Ok(())
}

/// Writes the label to the first file that is there.
fn set_label(label: &Label) -> io::Result<()> {
    let mut last = err(libc::ENOENT);
    for file in &label.files {
        match path::openat(label.proc.as_fd(), file, libc::O_WRONLY, 0) {
            Ok(f) => return fd::write_all(f.as_fd(), &label.text),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// The terminal and the standard streams, and who owns them.
fn streams(s: &Script) -> Result<(), Fault> {
    if let Some(tty) = &s.terminal {
        process::setsid().map_err(|e| (Stage::Terminal, e))?;
        crate::sys::pty::set_controlling_tty(tty.as_fd()).map_err(|e| (Stage::Terminal, e))?;
    }
    let uid = s.ids.0.unwrap_or(s.root.map_or(0, |r| r.0));
    // A source must not be overwritten before it is used: those in the way move up first.
    let mut kept: [Option<OwnedFd>; 3] = [None, None, None];
    for ((to, stream), kept) in (0..).zip(&s.stdio).zip(&mut kept) {
        if (0..=2).contains(&stream.from) && stream.from != to {
            let source = fd::borrow(stream.from).and_then(|f| fd::dup_above(f, 3));
            *kept = source.ok();
        }
    }
    for ((to, stream), kept) in (0..).zip(&s.stdio).zip(&kept) {
        let source: BorrowedFd<'_> = match (stream.from, kept, &s.terminal) {
            (-1, _, Some(tty)) => tty.as_fd(),
            (0..=2, Some(kept), _) => kept.as_fd(),
            (n, _, _) => match fd::borrow(n) {
                Ok(source) => source,
                Err(_) if (0..=2).contains(&n) => continue,
                Err(e) => return Err((Stage::Stdio, e)),
            },
        };
        if stream.own {
            // Best effort, as in LXC: a pipe or a file of somebody else stays as it is.
            let _ = path::chownat(source, c"", uid, u32::MAX);
            let _ = path::chmod_fd(source, 0o600);
        }
        if stream.from != to {
            fd::dup_onto(source, to).map_err(|e| (Stage::Stdio, e))?;
        }
    }
    Ok(())
}
