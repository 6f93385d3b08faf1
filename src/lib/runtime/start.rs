//! A start from the caller's side to the monitor's end: binds the command socket, makes the monitor, runs the steps, hands
//! the container to the event loop, unwinds, starts again on reboot. Knows no tool and no option parser.
#![forbid(unsafe_code)]

pub(super) mod handover;

pub use super::plan::StartRequest;

use super::child::Bomb;
use super::interrupt::Interrupt;
use super::pidfile::Pidfile;
use super::plan::{self, Starting};
use super::running::{Ending, Outcome};
use super::supervisor::Monitor;
use super::undo::Undo;
use super::{diagnose, parent, refuse, restore, steps, supervise};
use crate::base::facts::Facts;
use crate::base::{Context, Error, Result};
use crate::cgroup::{self, Groups};
use crate::ipc::State;
use crate::sys::poll::{POLLIN, PollFd, poll};
use crate::sys::process::{self, Clone3, Never};
use crate::sys::signal::{self, SigSet};
use crate::sys::{self, scm};
use crate::{idmap, log_error, log_info, log_notice, log_warn, security, storage, terminal};
use nix::libc;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How a start went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// In the background; the monitor's pid.
    Monitor(i32),
    /// In the foreground; it has ended with this wait status.
    Ended(i32),
}

/// The mark of [`is_running`].
const RUNNING: &str = "is already running";

/// Whether a start failed because the name is taken by a running container.
pub fn is_running(e: &Error) -> bool {
    e.what.ends_with(RUNNING)
}

/// Starts a container.
///
/// # Errors
/// What failed, with the stage, the object, the reason, and what mends it. Nothing is left behind.
pub fn run(request: &StartRequest) -> Result<Started> {
    if request.from_library && !request.daemonize && process::thread_count() > 1 {
        return Err(
            Error::new("a process with threads cannot become a container's monitor").hint("start it in the background")
        );
    }
    if request.from_library
        && request.daemonize
        && let Some(done) = supervise::spawn(request)
    {
        return done;
    }
    refuse::unbuilt(&request.config)?;
    refuse::conflicts(&request.config)?;
    let mut facts = plan::facts(request)?;
    refuse::harm(request, &facts)?;
    let mask = signal::block_all().ctx(|| "blocking signals".into())?;
    let result = begin(request, &mut facts, mask);
    let _ = signal::set_mask(&mask);
    result
}

fn begin(request: &StartRequest, facts: &mut Facts, mask: SigSet) -> Result<Started> {
    let command = bind_command(request)?;
    log_info!("Container \"{}\" is initialized", request.name);
    let pidfile = request.pidfile.as_deref().map(Pidfile::create).transpose()?;
    let groups = steps::timed("cgroups", || cgroup::prepare(&request.config.cgroup, facts))?;
    facts.unified = groups.host().layout == cgroup::Layout::Unified;
    let life = Life { request, facts, mask, command, pidfile, groups, starter: None };
    if request.daemonize { daemonise(life) } else { foreground(life) }
}

/// Everything that the monitor takes over.
struct Life<'a> {
    request: &'a StartRequest,
    facts: &'a Facts,
    mask: SigSet,
    command: OwnedFd,
    pidfile: Option<Pidfile>,
    groups: Groups,
    starter: Option<OwnedFd>,
}

/// The command socket: whoever has it has the name.
fn bind_command(request: &StartRequest) -> Result<OwnedFd> {
    let address = crate::ipc::address::address(&request.lxcpath, &request.name);
    let until = sys::time::monotonic() + RESERVED;
    loop {
        let e = match sys::socket::listen_abstract(&address, 100) {
            Ok(socket) => return Ok(socket),
            Err(e) => e,
        };
        if e.raw_os_error() != Some(libc::EADDRINUSE) {
            return Err(Error::io(&e, "the command socket"));
        }
        let refused =
            sys::socket::connect_abstract(&address).is_err_and(|e| e.raw_os_error() == Some(libc::ECONNREFUSED));
        if !refused {
            return Err(Error::new(format!("container {} {RUNNING}", request.name)));
        }
        // Nobody listens: it was let go just now, will listen in a moment, or is reserved.
        if sys::time::monotonic() > until {
            return Err(Error::new(format!("container {} is just being destroyed", request.name)).stage("start"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How long a start waits for a name that somebody holds without answering: [`reserve`].
const RESERVED: Duration = Duration::from_secs(3);

/// Takes the name of a container that does not run, so that nobody starts it meanwhile; dropping it lets the name go.
///
/// # Errors
/// It runs, or is being started.
pub fn reserve(lxcpath: &std::path::Path, name: &str) -> Result<OwnedFd> {
    let address = crate::ipc::address::address(lxcpath, name);
    let socket = sys::socket::new(sys::socket::Type::Stream).ctx(|| "a socket".into())?;
    sys::socket::bind(&socket, sys::socket::Address::Abstract(&address)).map_err(|e| match e.raw_os_error() {
        Some(libc::EADDRINUSE) => Error::new(format!("{name} is running")),
        _ => Error::io(&e, format!("the name {name}")),
    })?;
    Ok(socket)
}

fn foreground(mut life: Life) -> Result<Started> {
    if life.request.close_fds {
        foreign_fds(|fd| {
            if let Ok(fd) = sys::fd::borrow(fd) {
                let _ = sys::fd::set_cloexec(fd, true);
            }
        })?;
    }
    // Version 2 is left out where it can be: moving there waits for an RCU grace period, and nothing is controlled by that
    // group.
    life.groups.enter_monitor(!life.groups.is_base_busy())?;
    if let Some(p) = &mut life.pidfile {
        p.adopt()?;
    }
    monitor(life, &mut None).map(Started::Ended)
}

/// Descriptors that the caller left open for whom it starts: not close-on-exec, above the standard three, and not passed by
/// LISTEN_FDS (sd_listen_fds(3)).
fn foreign_fds(mut f: impl FnMut(i32)) -> Result<()> {
    let first = first_foreign();
    for fd in sys::fd::open_fds().ctx(|| "/proc/self/fd".into())? {
        let foreign = fd >= first
            && sys::fd::borrow(fd).is_ok_and(|b| {
                nix::fcntl::fcntl(b, nix::fcntl::FcntlArg::F_GETFD).is_ok_and(|flags| flags & libc::FD_CLOEXEC == 0)
            });
        if foreign {
            f(fd);
        }
    }
    Ok(())
}

/// The least number that may be such a descriptor.
fn first_foreign() -> i32 {
    let passed = std::env::var("LISTEN_FDS").ok().and_then(|n| n.parse().ok()).filter(|n| *n >= 0);
    passed.unwrap_or(0_i32).saturating_add(3)
}

/// Makes the monitor, in its cgroup from its first moment on, and waits for its word.
fn daemonise(life: Life) -> Result<Started> {
    let (ours, theirs) = sys::socket::pair_seqpacket().ctx(|| "a socket pair".into())?;
    let from_library = life.request.from_library;
    let life = Life { starter: Some(theirs), ..life };
    if !from_library && !life.request.in_supervise {
        match handover::give(&life) {
            Ok(pid) => return waited(life, pid, &ours),
            Err(e) => log_info!(errno = e, "lxc-supervise cannot be run, the monitor is forked"),
        }
    }
    let mut life = Some(life);
    let mut ours = Some(ours);
    let child = |life: &mut Option<Life>, ours: &mut Option<OwnedFd>, cloned: bool| -> Never {
        let _never_unwinds = Bomb;
        *ours = None;
        let code = life.take().map_or(1, |l| background(l, cloned, false));
        process::exit_now(code)
    };
    // By number: the descriptor is the groups', which go to the child.
    let fd = life.as_ref().and_then(|l| l.groups.monitor_fd()).and_then(|fd| sys::fd::borrow(fd.as_raw_fd()).ok());
    let how = Clone3 { flags: 0, cgroup: fd, pidfd: false };
    let made = if from_library {
        // Memory that other threads are at work on: only the C library's fork leaves it usable. Twice, so that the caller
        // gets no child that it does not know.
        process::fork(|| match process::fork(|| child(&mut life, &mut ours, false)) {
            Ok(_) => process::exit_now(0),
            Err(_) => process::exit_now(1),
        })
    } else {
        let made = process::clone3(&how, || child(&mut life, &mut ours, fd.is_some())).or_else(|e| {
            log_info!(errno = e, "the monitor cannot be cloned into its cgroup");
            process::clone3(&Clone3::default(), || child(&mut life, &mut ours, false))
        });
        made.map(|c| c.pid)
    };
    let made = made.ctx(|| "making the monitor".into())?;
    match (life, ours) {
        (Some(life), Some(ours)) => waited(life, made, &ours),
        _ => Err(Error::new("no socket pair")),
    }
}

/// Leaves all to the monitor, or the process between, `made`, and waits for its word.
fn waited(life: Life, made: i32, ours: &OwnedFd) -> Result<Started> {
    let Life { request, mask, groups, pidfile, command, starter, .. } = life;
    // They are the monitor's now: dropped here they would be removed.
    let (groups, pidfile) = (ManuallyDrop::new(groups), ManuallyDrop::new(pidfile));
    // These as well, and before its word is waited for: held here, its end would go unseen and the name stay taken.
    drop((command, starter));
    let _ = signal::set_mask(&mask);
    if request.in_supervise && supervise::caller().is_some_and(|caller| left(caller, ours)) {
        // The end of this process is what the monitor takes for the caller's.
        return Err(Error::new("the process that asked for it is gone").stage("start"));
    }
    let told = word(ours);
    if request.from_library || told.is_err() {
        // The process in between; or the monitor, which ends: when this returns, nothing is left.
        let ended = process::wait_pid(made, 0);
        if ended.is_ok_and(|(_, status)| process::exit_code(status) == handover::REFUSED) {
            // Nobody took them over.
            drop((ManuallyDrop::into_inner(groups), ManuallyDrop::into_inner(pidfile)));
        }
    }
    told.map(Started::Monitor)
}

/// Waits until the monitor says something or the caller is gone; whether it is the caller.
fn left(caller: BorrowedFd<'_>, monitor: &OwnedFd) -> bool {
    let mut set = [PollFd::new(monitor.as_fd(), POLLIN), PollFd::new(caller, 0)];
    let polled = poll(&mut set, -1);
    let [said, gone] = set.map(|p| p.revents() != 0);
    polled.is_ok() && !said && gone
}

/// Waits for what the monitor says.
fn word(from: &OwnedFd) -> Result<i32> {
    let mut buf = vec![0_u8; 16384];
    let got = scm::recv(from.as_fd(), &mut buf).ctx(|| "the word of the monitor".into())?;
    understood(&String::from_utf8_lossy(buf.get(..got.bytes).unwrap_or_default()))
}

/// The word of a monitor: `R` and its pid, or `F` with stage, errno, text and hint, separated by NUL.
pub(super) fn understood(text: &str) -> Result<i32> {
    if let Some(pid) = text.strip_prefix('R') {
        return Ok(pid.parse().unwrap_or(0));
    }
    let Some(rest) = text.strip_prefix('F') else {
        return Err(Error::new("the monitor ended without a word").hint("see its log: -o FILE -l TRACE"));
    };
    let mut parts = rest.split('\0');
    let mut part = || parts.next().unwrap_or_default();
    let (stage, errno, what, hint) = (part(), part(), part(), part());
    let error = Error::os(errno.parse().unwrap_or(0), what).stage(diagnose::stage(stage));
    Err(if hint.is_empty() { error } else { error.hint(hint) })
}

/// The word of a failure.
pub(super) fn failure(e: &Error) -> String {
    let hint = e.hint.as_deref().unwrap_or_default();
    let mut text = format!("F{}\0{}\0{}\0{hint}", e.stage, e.errno, e.what);
    let mut end = text.len().min(16000);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// The monitor's own life, from its first moment; the exit code. `cloned`: into its cgroup2 group; `clean`: no foreign
/// descriptors are open.
fn background(mut life: Life, cloned: bool, clean: bool) -> i32 {
    let mut starter = life.starter.take();
    life.groups.adopt();
    let done = match settle(&mut life, cloned, clean) {
        Ok(()) => monitor(life, &mut starter).map(drop),
        Err(e) => {
            drop(life);
            Err(e)
        }
    };
    match done {
        Ok(()) => 0,
        Err(e) => {
            if let Some(to) = &starter {
                let _ = scm::send(to.as_fd(), failure(&e).as_bytes(), None, &[]);
            }
            1
        }
    }
}

fn settle(life: &mut Life, cloned: bool, clean: bool) -> Result<()> {
    let _ = process::setsid();
    process::chdir(c"/").ctx(|| "/".into())?;
    if !clean {
        foreign_fds(sys::fd::close_raw)?;
    }
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").ctx(|| "/dev/null".into())?;
    for n in 0..3 {
        sys::fd::dup_onto(null.as_fd(), n).ctx(|| "/dev/null".into())?;
    }
    let title = format!("[lxc monitor] {} {}", life.request.lxcpath.display(), life.request.name);
    if let Err(e) = process::set_title(&title) {
        log_info!(errno = e, "the monitor keeps its title");
    }
    life.groups.enter_monitor(cloned)?;
    match &mut life.pidfile {
        Some(p) => p.adopt(),
        None => Ok(()),
    }
}

/// Starts, waits, ends, and again on reboot. The wait status of the last init.
fn monitor(life: Life, starter: &mut Option<OwnedFd>) -> Result<i32> {
    let Life { request, facts, mask, command, pidfile, groups, starter: _ } = life;
    if request.config.process.monitor_unshare != 0 {
        own_mounts()?;
    }
    let mut monitor = Monitor::new(command, None, &request.name, &request.lxcpath)?;
    monitor.open_console(&request.config.terminal, request.daemonize)?;
    let mut ending = Ending { groups: Some(groups), monitor: Some(monitor), pidfile, ..Ending::default() };
    // Only a reboot needs one of its own: the running config, which clients may have changed.
    let mut running_config: Option<Box<crate::config::Config>> = None;
    let result = loop {
        let config = running_config.as_deref().unwrap_or(&request.config);
        let once = once(request, config, facts, mask, &mut ending, starter);
        match once {
            Ok((Outcome::Reboot, stack)) => {
                ending.reboot = true;
                if let Some(r) = &ending.running {
                    running_config = Some(Box::new(r.config.clone()));
                }
                if let Err(e) = unwind(stack, &mut ending) {
                    log_error!("{e}: no reboot");
                    break Ok(0);
                }
                if ending.is_killed() {
                    ending.let_name_go();
                    break Ok(0);
                }
                if let Err(e) = again(&mut ending) {
                    break Err(e);
                }
            }
            Ok((Outcome::Stopped(status), stack)) => {
                ending.reboot = false;
                let _ = unwind(stack, &mut ending);
                break Ok(status);
            }
            Err(e) => break Err(e),
        }
    };
    if result.is_ok() {
        ephemeral(request);
    }
    drop(ending.pidfile.take());
    if let Some(groups) = ending.groups() {
        groups.remove_monitor().unwrap_or_else(|e| log_info!("{e}"));
    }
    result
}

/// Between two lives of one container: the groups come back.
fn again(ending: &mut Ending) -> Result<()> {
    if let Some(groups) = ending.running.as_mut().and_then(|r| r.groups.take()) {
        ending.groups = Some(groups);
    }
    ending.running = None;
    ending.groups().map_or(Ok(()), Groups::make_payload)
}

type Ended = (Outcome, Undo<Ending>);

/// One life: start, event loop. On failure everything is unwound already.
fn once(
    request: &StartRequest,
    config: &crate::config::Config,
    facts: &Facts,
    mask: SigSet,
    ending: &mut Ending,
    starter: &mut Option<OwnedFd>,
) -> Result<Ended> {
    let (begun, stack, pin) = launch(request, config, facts, mask, ending, starter);
    if let Err(e) = begun {
        return Err(undo_failed(e, stack, ending));
    }
    log_notice!("Started the container \"{}\"", facts.name);
    let run = match (ending.monitor.as_mut(), ending.running.as_mut()) {
        (Some(m), Some(r)) => m.run(r),
        _ => Err(Error::new("nothing runs")),
    };
    drop(pin);
    match run {
        Ok(outcome) => Ok((outcome, stack)),
        Err(e) => Err(undo_failed(e, stack, ending)),
    }
}

/// Starts. What it leaves: how to undo it, and the rootfs's pin. Its large frame is gone while the container runs, hence
/// never inlined.
#[inline(never)]
fn launch(
    request: &StartRequest,
    config: &crate::config::Config,
    facts: &Facts,
    mask: SigSet,
    ending: &mut Ending,
    starter: &mut Option<OwnedFd>,
) -> (Result<()>, Undo<Ending>, Option<std::fs::File>) {
    let mut env = plan::hook_env(request, facts);
    if ending.reboot {
        crate::hook::run::set(&mut env, "LXC_TARGET", "reboot");
    }
    let hangs = may_hang(request, config, facts);
    let mut s = Starting {
        request,
        config: config.clone(),
        facts: facts.clone(),
        env,
        mask,
        idmap_way: idmap::Way::Direct,
        shared: Vec::new(),
        storage: storage::Prepared::default(),
        terminal: terminal::Prepared::default(),
        security: security::Prepared::default(),
        entries: Vec::new(),
        idmapped: Vec::new(),
        tasks: Vec::new(),
        netlink: None,
        listens: false,
        notify: None,
        hooks: Vec::new(),
        supervise: if request.useinit { Some(super::pid1::run) } else { None },
        script: None,
        interrupt: hangs.then(|| Interrupt::new(starter.as_ref())),
        attended: ending.monitor.as_ref().filter(|_| hangs).and_then(Monitor::attended),
        hook_output: None,
        ending,
        undo: Undo::default(),
    };
    let restore = request.restore.as_ref().filter(|_| !s.ending.reboot);
    let begun = steps::run(steps::BEGIN, &mut s)
        .and_then(|()| match restore {
            Some(how) => steps::run(steps::RESTORE, &mut s).and_then(|()| restore::launch(&mut s, how)),
            None => steps::run(steps::HOST, &mut s).and_then(|()| parent::launch(&mut s)),
        })
        .and_then(|()| tell_running(starter));
    // The rest of what was prepared is the child's by now; the pin stays as long as the container.
    let (stack, pin) = (std::mem::take(&mut s.undo), s.storage.pin.take());
    (begun, stack, pin)
}

/// Whether a start runs what may hang: criu, hooks and network scripts.
fn may_hang(request: &StartRequest, config: &crate::config::Config, facts: &Facts) -> bool {
    request.restore.is_some() || facts.hooks != 0 || config.network.devices.values().any(|d| d.script_up.is_some())
}

/// Tells the starter that init runs. A starter that has gone away meanwhile (^C) wants no container.
fn tell_running(starter: &mut Option<OwnedFd>) -> Result<()> {
    let Some(fd) = starter else { return Ok(()) };
    let word = format!("R{}", process::pid());
    scm::send(fd.as_fd(), word.as_bytes(), None, &[])
        .map_err(|e| Error::io(&e, "the starter is gone").stage("start"))?;
    *starter = None;
    Ok(())
}

/// A start that failed: what has been made goes, in the order of a normal end.
fn undo_failed(e: Error, stack: Undo<Ending>, ending: &mut Ending) -> Error {
    // The caller tells it; a reboot has none.
    if ending.reboot {
        log_error!("{e}");
    }
    ending.failed = true;
    if let Some(r) = ending.running.as_mut().filter(|r| r.status.is_none()) {
        let _ = process::pidfd_send_signal(r.pidfd.as_fd(), libc::SIGKILL);
        r.status = process::wait_pid(r.pid, 0).ok().map(|w| w.1);
    }
    ending.announce(State::Aborting);
    let _ = unwind(stack, ending);
    e
}

/// Unwinds; the failure of a post-stop hook is what a reboot ends by.
fn unwind(mut stack: Undo<Ending>, ending: &mut Ending) -> Result<()> {
    let mut first = None;
    stack.unwind(ending, |name, e| {
        log_warn!("{name}: {e}");
        if name == "post-stop hooks" {
            first.get_or_insert(e);
        }
    });
    first.map_or(Ok(()), Err)
}

/// `lxc.monitor.unshare`: mounts of the monitor's own.
fn own_mounts() -> Result<()> {
    let key = || "lxc.monitor.unshare".to_string();
    sys::ns::unshare(sys::ns::CLONE_NEWNS).ctx(key)?;
    let root = sys::path::open(c"/", libc::O_PATH | libc::O_DIRECTORY, 0).ctx(key)?;
    let attr = sys::mount::SetAttr { propagation: libc::MS_SLAVE, ..Default::default() };
    sys::mount::mount_setattr(root.as_fd(), c"", true, attr, None).ctx(key)
}

fn ephemeral(request: &StartRequest) {
    if !request.config.process.ephemeral {
        return;
    }
    let Some(destroy) = request.destroy else { return };
    if let Err(e) = destroy(&request.lxcpath, &request.name) {
        log_error!("lxc.ephemeral = 1: {} cannot be destroyed: {e}", request.name);
    }
}
