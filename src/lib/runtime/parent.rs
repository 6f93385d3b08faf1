//! The parent's side of a start, from the clone to init: makes the child, answers it, does its own part at the meetings,
//! turns a failure record into an error. When it does what is `steps`'.
#![forbid(unsafe_code)]

use super::child::{self, EXEC};
use super::desk::Desk;
use super::interp::{Fault, Script};
use super::plan::{IdmapOf, Starting};
use super::running::{Ending, Pty, Running};
use super::supervisor::Monitor;
use super::sync::{Channel, Kind, Record, meet, what};
use super::{diagnose, host_hooks, script, steps};
use crate::base::ids::Ns;
use crate::base::spawn::{Meanwhile, remaining_ms};
use crate::base::{Context, Error, Result};
use crate::hook::{self, When};
use crate::network::ScriptCall;
use crate::sys::poll::{POLLIN, PollFd, poll};
use crate::sys::process::{self, Clone3};
use crate::sys::{self, scm::Fds};
use crate::{idmap, log_debug, log_info, log_trace, log_warn, namespace};
use nix::libc;
use nix::sys::epoll::Epoll;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Makes the child and leads it to its exec; the container then is in `ending.running`.
///
/// # Errors
/// What failed, on which side it may; the child is dead then.
pub fn launch(s: &mut Starting) -> Result<()> {
    let script = s.script.take().ok_or_else(|| Error::new("no script"))?;
    let (mut channel, pid, pidfd) = steps::timed("clone", || make(s, &script))?;
    let clone_flags = s.facts.new_ns.flags();
    hook::run::set(&mut s.env, "LXC_PID", &pid.to_string());
    s.ending.running = Some(Box::new(Running {
        facts: s.facts.clone(),
        config: s.config.clone(),
        pid,
        pidfd,
        ns_fds: Default::default(),
        clone_flags,
        console: None,
        ttys: Vec::new(),
        devpts: None,
        seccomp_listener: None,
        notify: s.notify.take(),
        groups: s.ending.groups.take(),
        host_veths: Vec::new(),
        hook_env: s.env.clone(),
        status: None,
    }));
    let led = lead(s, &script, &mut channel);
    if let Err(e) = led {
        // Whatever the child waits for, this ends it; then the namespaces that it has made go.
        let _ = channel.send(&Record::new(Kind::Fail, 0), &[]);
        end_child(s.ending);
        return Err(e);
    }
    if let (Some(host), Some(running)) = (s.terminal.console.take(), s.ending.running.as_mut()) {
        running.console = Some(Pty { ptx: host.ptx, pty: host.pty, busy: 0 });
    }
    Ok(())
}

/// Kills and reaps a child that will not become init. Its namespaces are looked up first, for the stop hooks.
fn end_child(ending: &mut Ending) {
    let Some(running) = ending.running.as_mut() else { return };
    hold(running);
    let _ = process::pidfd_send_signal(running.pidfd.as_fd(), libc::SIGKILL);
    if let Ok((_, status)) = process::wait_pid(running.pid, 0) {
        running.status = Some(status);
    }
}

/// The clone: straight into the cgroup where there is version 2, below a helper where namespaces are joined.
fn make(s: &mut Starting, script: &Script) -> Result<(Channel, i32, OwnedFd)> {
    let (ours, theirs) = Channel::pair().ctx(|| "a socket pair".into())?;
    let flags = s.facts.new_ns.flags() & !namespace::late(s.facts.new_ns).flags();
    let cgroup = s.ending.groups.as_ref().and_then(|g| g.payload_fd());
    let how = Clone3 { flags, cgroup, pidfd: true };
    let mut ours = Some(ours);
    let mut theirs = Some(theirs);
    let refused = |e: &std::io::Error| diagnose::clone(e.raw_os_error().unwrap_or(0), &s.facts);
    if !s.shared.is_empty() {
        let (pid, pidfd) = make_joined(s, script, &how, &mut ours, &mut theirs)?;
        return Ok((ours.ok_or_else(|| Error::new("no channel"))?, pid, pidfd));
    }
    let child = process::clone3(&how, || {
        ours = None;
        child::run(script, &mut theirs)
    })
    .map_err(|e| refused(&e))?;
    drop(theirs);
    let pidfd = child.pidfd.ok_or_else(|| Error::new("no pidfd"))?;
    Ok((ours.ok_or_else(|| Error::new("no channel"))?, child.pid, pidfd))
}

/// The same by a process in between, which joins the namespaces that are shared and makes the child as its sibling
/// (CLONE_PARENT): what it joins is not left behind in the monitor.
fn make_joined(
    s: &Starting,
    script: &Script,
    how: &Clone3<'_>,
    ours: &mut Option<Channel>,
    theirs: &mut Option<Channel>,
) -> Result<(i32, OwnedFd)> {
    let (read, write) = sys::fd::pipe().ctx(|| "a pipe".into())?;
    let how = Clone3 { flags: how.flags | libc::CLONE_PARENT as u64, cgroup: how.cgroup, pidfd: false };
    let helper = process::clone3(&Clone3::default(), || {
        sys::alloc_guard::step("join");
        for (ns, fd) in &s.shared {
            if let Err(e) = sys::ns::setns(fd.as_fd(), ns.flag()) {
                answer(&write, -1, e.raw_os_error().unwrap_or(libc::EIO), *ns as i32);
            }
        }
        match process::clone3(&how, || {
            *ours = None;
            child::run(script, theirs)
        }) {
            Ok(child) => answer(&write, child.pid, 0, 0),
            Err(e) => answer(&write, -1, e.raw_os_error().unwrap_or(libc::EIO), -1),
        }
    })
    .map_err(|e| diagnose::clone(e.raw_os_error().unwrap_or(0), &s.facts))?;
    *theirs = None;
    drop(write);
    let mut buf = [0_u8; 12];
    let got = sys::fd::read_into(read.as_fd(), &mut buf);
    let _ = process::wait_pid(helper.pid, 0);
    let word = |at: usize| buf.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, i32::from_ne_bytes);
    let (pid, errno, ns) = (word(0), word(4), word(8));
    match got {
        Ok(12) if pid > 0 => {
            let pidfd = process::pidfd_open(pid).ctx(|| format!("a pidfd of init ({pid})"))?;
            Ok((pid, pidfd))
        }
        Ok(12) => match s.shared.iter().find(|(n, _)| *n as i32 == ns) {
            Some((n, _)) => {
                Err(Error::os(errno, format!("lxc.namespace.share.{}: joining it", n.name())).stage("namespaces"))
            }
            None => Err(diagnose::clone(errno, &s.facts)),
        },
        _ => Err(Error::new("the helper that joins namespaces died").stage("namespaces")),
    }
}

/// The helper's last word.
fn answer(to: &OwnedFd, pid: i32, errno: i32, ns: i32) -> ! {
    let mut buf = [0_u8; 12];
    for (part, n) in buf.chunks_mut(4).zip([pid, errno, ns]) {
        part.copy_from_slice(&n.to_ne_bytes());
    }
    let _ = sys::fd::write_all(to.as_fd(), &buf);
    process::exit_now(0)
}

/// Talks with the child until it has become init.
fn lead(s: &mut Starting, script: &Script, channel: &mut Channel) -> Result<()> {
    let mut executing = false;
    let mut hook = String::from("hook");
    loop {
        wait_readable(s, channel, &hook)?;
        let got = channel.recv().ctx(|| "the word of the child".into()).map_err(|e| e.stage("sync"))?;
        let Some((record, fds)) = got else {
            drain_hooks(s, &hook);
            return if executing { Ok(()) } else { Err(died(s)) };
        };
        match record.kind {
            Kind::Meet => {
                let n = u8::try_from(record.a).unwrap_or(u8::MAX);
                log_trace!("meeting: {}", meet::NAMES.get(usize::from(n)).unwrap_or(&"?"));
                steps::meet(n, s)?;
                channel.send(&Record::new(Kind::Go, record.a), &[]).ctx(|| "the child is gone".into())?;
            }
            Kind::Fail => {
                drain_hooks(s, &hook);
                return Err(failed(s, script, &record));
            }
            Kind::Passed => passed(s, script, &record),
            Kind::Trace => trace(script, &record),
            Kind::Fds => {
                keep(s, &record, fds);
                if record.a == u32::from(what::NETLINK) {
                    steps::meet(meet::NETWORK, s)?;
                }
            }
            Kind::Idmap => map_tree(s, record.a, fds, channel)?,
            Kind::Hook => {
                hook = s.hooks.get(record.a as usize).map_or_else(String::new, |h| format!("hook {}", h.command));
            }
            Kind::Exec => executing = true,
            Kind::Go => return Err(Error::new("the child said what it must not").stage("sync")),
        }
    }
}

/// Waits for the child's word; meanwhile what hooks write is logged, and the desk has its turns. That the child dies is
/// seen by the channel's end.
fn wait_readable(s: &mut Starting, channel: &Channel, hook: &str) -> Result<()> {
    let output = s.hook_output.take();
    let desk = s.desk();
    if output.is_none() && desk.notify.is_none() {
        return Ok(());
    }
    let waited = attend(desk, output.as_ref(), channel, hook);
    s.hook_output = output;
    waited
}

fn attend(mut desk: Desk<'_>, output: Option<&OwnedFd>, channel: &Channel, hook: &str) -> Result<()> {
    loop {
        let said = output.map_or(channel.fd(), AsFd::as_fd);
        let mut set = vec![PollFd::new(channel.fd(), POLLIN), PollFd::new(said, POLLIN)];
        set.extend(desk.fds().into_iter().map(|f| PollFd::new(f, POLLIN)));
        poll(&mut set, desk.deadline().map_or(-1, remaining_ms)).ctx(|| "poll".into())?;
        let mut came = set.iter().map(|p| p.revents() != 0);
        let mut came = || came.next().unwrap_or(false);
        let (channel_ready, output_ready) = (came(), came());
        drop(set);
        if !channel_ready && desk.turn() {
            let e = desk.ended.take().unwrap_or_else(|| Error::new("interrupted"));
            return Err(if hook.is_empty() { e } else { Error { what: format!("{hook}: {}", e.what), ..e } });
        }
        if output_ready && let Some(output) = output {
            log_hook(output, hook);
        }
        if channel_ready {
            return Ok(());
        }
    }
}

fn drain_hooks(s: &Starting, hook: &str) {
    let Some(output) = &s.hook_output else { return };
    // What the pipe can hold: a hook's background process may write for ever.
    for _ in 0..16 {
        let mut set = [PollFd::new(output.as_fd(), POLLIN)];
        if !matches!(poll(&mut set, 0), Ok(n) if n > 0) || !set[0].readable() {
            return;
        }
        log_hook(output, hook);
    }
}

fn log_hook(output: &OwnedFd, hook: &str) {
    let mut buf = [0_u8; 4096];
    if let Ok(n) = sys::fd::read_into(output.as_fd(), &mut buf) {
        for line in String::from_utf8_lossy(buf.get(..n).unwrap_or_default()).lines() {
            log_debug!("{hook} produced output: {line}");
        }
    }
}

/// The child ended without a word.
fn died(s: &mut Starting) -> Error {
    let status = s.ending.running.as_mut().and_then(|r| {
        let status = process::wait_pid(r.pid, 0).ok()?.1;
        r.status = Some(status);
        host_hooks::said(status)
    });
    let how = status.unwrap_or_else(|| "ended".to_string());
    Error::new(format!("the container's first process {how} before it became init")).stage("init")
}

fn failed(s: &Starting, script: &Script, record: &Record) -> Error {
    let fault = Fault { errno: record.b, status: record.c };
    if record.a == EXEC {
        let program = script.exec.args.program().unwrap_or(c"").to_string_lossy();
        return diagnose::exec(&program, fault.errno, &s.facts);
    }
    match script::op_at(script, record.a) {
        Some(op) => diagnose::op(op, fault, &s.facts),
        None => Error::os(fault.errno, "an unknown step failed"),
    }
}

fn passed(s: &Starting, script: &Script, record: &Record) {
    let Some(op) = script::op_at(script, record.a) else { return };
    let e = diagnose::op(op, Fault { errno: record.b, status: record.c }, &s.facts);
    log_info!("{e} (passed over)");
}

fn trace(script: &Script, record: &Record) {
    if let Some(op) = script::op_at(script, record.a) {
        log_trace!("child step {} ({}): {:.3} ms", op.stage, op.object, record.time as f64 / 1e6);
    }
}

/// Keeps the descriptors that the child sends.
fn keep(s: &mut Starting, record: &Record, mut fds: Fds) {
    let Some(running) = s.ending.running.as_mut() else { return };
    let whats = u8::try_from(record.a).unwrap_or(0);
    let mut next = |bit: u32| if record.b & (1 << bit) != 0 { fds.pop() } else { None };
    match whats {
        what::NETLINK => s.netlink = next(0),
        what::LISTENER => {
            running.seccomp_listener = next(0);
            if let (Some(notify), Some(listener)) = (&mut running.notify, &running.seccomp_listener)
                && let Err(e) = notify.begin(running.pid, listener.as_fd())
            {
                log_warn!(errno = e, "seccomp notifications go unanswered");
            }
        }
        what::DEVPTS => running.devpts = next(0),
        what::CONSOLE => {
            if let (Some(ptx), Some(pty)) = (next(0), next(1)) {
                running.console = Some(Pty { ptx, pty, busy: 0 });
            }
        }
        what::TTYS => {
            for i in 0..8 {
                if let (Some(ptx), Some(pty)) = (next(2 * i), next(2 * i + 1)) {
                    running.ttys.push(Pty { ptx, pty, busy: 0 });
                }
            }
        }
        _ => {}
    }
}

/// Gives a detached tree the ids of a user namespace (mount_setattr(2), ATTR_IDMAP).
fn map_tree(s: &Starting, n: u32, mut fds: Fds, channel: &Channel) -> Result<()> {
    let (Some(tree), Some(of)) = (fds.pop(), s.idmapped.get(n as usize)) else {
        return Err(Error::new("an id-mapped mount that nobody asked for").stage("mount"));
    };
    let pid = s.ending.running.as_ref().map_or(0, |r| r.pid);
    let path = match of {
        IdmapOf::Container => format!("/proc/{pid}/ns/user"),
        IdmapOf::Path(p) => p.clone(),
    };
    let userns = File::open(&path).ctx(|| format!("idmap={path}")).map_err(|e| e.stage("mount"))?;
    let attr = sys::mount::SetAttr { set: sys::mount::ATTR_IDMAP, ..Default::default() };
    match sys::mount::mount_setattr(tree.as_fd(), c"", true, attr, Some(userns.as_fd())) {
        Ok(()) => channel.send(&Record::new(Kind::Go, n), &[]),
        Err(e) => channel.send(&Record { b: e.raw_os_error().unwrap_or(libc::EIO), ..Record::new(Kind::Fail, n) }, &[]),
    }
    .ctx(|| "the child is gone".into())
}

// ---- the parent's part of the meetings

fn pid_of(s: &Starting) -> i32 {
    s.ending.running.as_ref().map_or(0, |r| r.pid)
}

/// `lxc.sched.core = 1`: a cookie of its own (prctl(2), PR_SCHED_CORE).
///
/// # Errors
/// A kernel without core scheduling.
pub fn core_scheduling(s: &mut Starting) -> Result<()> {
    if !s.config.security.sched_core {
        return Ok(());
    }
    process::sched_core_create(pid_of(s)).ctx(|| "lxc.sched.core = 1".into()).map_err(|e| {
        e.stage("limits").hint("the kernel needs CONFIG_SCHED_CORE and a machine with SMT; or set lxc.sched.core = 0")
    })
}

/// The id maps.
///
/// # Errors
/// As `idmap::write`.
pub fn write_idmap(s: &mut Starting) -> Result<()> {
    if !s.facts.userns() {
        return Ok(());
    }
    idmap::write(&s.facts.idmap, pid_of(s), &s.idmap_way).map_err(|e| e.stage("idmap"))
}

/// `lxc.proc.*`.
///
/// # Errors
/// A file that cannot be written, or a name that is none.
pub fn write_proc(s: &mut Starting) -> Result<()> {
    for (file, value) in crate::process::limits::procs(&s.config.process)? {
        let path = format!("/proc/{}/{file}", pid_of(s));
        let key = || format!("lxc.proc.{} = {value}", file.replace('/', "."));
        let opened = File::options().write(true).open(&path);
        opened.and_then(|mut f| f.write_all(value.as_bytes())).ctx(key).map_err(|e| e.stage("proc"))?;
    }
    Ok(())
}

/// `lxc.prlimit.*`.
///
/// # Errors
/// A limit that the kernel refuses.
pub fn set_limits(s: &mut Starting) -> Result<()> {
    for l in crate::process::limits::limits(&s.config.process)? {
        process::prlimit(pid_of(s), l.resource, l.soft, l.hard)
            .ctx(|| format!("lxc.prlimit.{} = {}:{}", l.name, l.soft, l.hard))
            .map_err(|e| e.stage("limits").hint("see the host's own limits: prlimit(1), fs.nr_open"))?;
    }
    Ok(())
}

/// The network devices: made, given to the container, configured inside.
///
/// # Errors
/// As the network feature says.
pub fn network(s: &mut Starting) -> Result<()> {
    let pid = pid_of(s);
    let (Some(network), Some(socket)) = (s.ending.network.as_mut(), s.netlink.take()) else { return Ok(()) };
    let (version, name, env) = (s.config.hook.version, s.facts.name.as_str(), s.env.as_slice());
    let mut desk = Desk {
        interrupt: s.interrupt.as_ref(),
        epoll: s.attended.as_ref(),
        monitor: s.ending.monitor.as_mut(),
        config: Some(&s.config),
        notify: None,
        ended: None,
    };
    network.attach(pid, &mut |call| run_script(call, version, name, env, &mut desk))?;
    network.configure(socket)?;
    if let Some(running) = s.ending.running.as_mut() {
        running.host_veths = network.host_pairs();
    }
    Ok(())
}

/// Takes the network devices away.
///
/// # Errors
/// The first failure; the rest is done all the same.
pub fn network_down(e: &mut Ending, version: u32, name: &str, env: &[String]) -> Result<()> {
    let Some(mut network) = e.network.take() else { return Ok(()) };
    let mut env = e.running.as_deref().map_or_else(|| env.to_vec(), |r| r.hook_env.clone());
    namespaces_into(e.running.as_deref(), &mut env);
    let epoll = e.monitor.as_ref().and_then(Monitor::attended);
    let mut desk = ending_desk(&mut e.monitor, epoll.as_ref(), e.running.as_deref());
    network.detach(&mut |call| run_script(call, version, name, &env, &mut desk))
}

fn run_script(call: &ScriptCall, version: u32, name: &str, env: &[String], desk: &mut Desk<'_>) -> Result<()> {
    let mut env = env.to_vec();
    // Version 0 tells by arguments, version 1 by both.
    for (key, value) in call.env.iter().filter(|_| version != 0) {
        hook::run::set(&mut env, key, value);
    }
    let how = hook::Call { name, section: "net", kind: call.kind, extra: &call.args };
    let script = hook::render(version, &call.command, &how, &env)?;
    host_hooks::run(&format!("lxc.net.[i].script.{}", call.kind), &script, desk)
}

/// What goes on while hooks of a container's end run.
fn ending_desk<'a>(
    monitor: &'a mut Option<Monitor>,
    epoll: Option<&'a Epoll>,
    running: Option<&'a Running>,
) -> Desk<'a> {
    Desk { epoll, monitor: monitor.as_mut(), config: running.map(|r| &r.config), ..Desk::default() }
}

/// Opens init's namespaces for hooks at the stop; only where one will ask.
///
/// # Errors
/// None: one that cannot be opened is left out.
pub fn hold_namespaces(s: &mut Starting) -> Result<()> {
    if let Some(running) = s.ending.running.as_mut() {
        hold(running);
    }
    Ok(())
}

fn hold(running: &mut Running) {
    let ends = 1 << When::Stop as u16 | 1 << When::PostStop as u16;
    if running.facts.hooks & ends == 0 && running.facts.net_is_empty {
        return;
    }
    for ns in running.facts.new_ns.iter() {
        if let Some(slot) = running.ns_fds.get_mut(ns as usize).filter(|s| s.is_none()) {
            *slot = File::open(format!("/proc/{}/ns/{}", running.pid, ns.name())).map(OwnedFd::from).ok();
        }
    }
}

/// The device rules, now that the child has made its nodes.
///
/// # Errors
/// A rule that the kernel refuses.
pub fn device_rules(s: &mut Starting) -> Result<()> {
    s.ending.groups().map_or(Ok(()), crate::cgroup::Groups::set_devices)
}

/// Hooks on the host before init runs.
///
/// # Errors
/// One that fails.
pub fn start_host(s: &mut Starting) -> Result<()> {
    for hook in hook::render_all(&s.config.hook, When::StartHost, &s.facts.name, &[], &s.env)? {
        host_hooks::run("lxc.hook.start-host", &hook, &mut s.desk())?;
    }
    Ok(())
}

/// Puts the namespaces that are held into an environment; as arguments of a stop hook they come back.
fn namespaces_into(running: Option<&Running>, env: &mut Vec<String>) -> Vec<String> {
    let mut args = Vec::new();
    for ns in Ns::ALL {
        let fd = running.and_then(|r| r.ns_fds.get(ns as usize)).and_then(Option::as_ref);
        if let Some(fd) = fd {
            let path = format!("/proc/{}/fd/{}", process::pid(), fd.as_raw_fd());
            hook::run::set(env, &format!("LXC_{}_NS", ns.name().to_uppercase()), &path);
            args.push(format!("{}:{path}", ns.name()));
        }
    }
    args
}

/// Runs the stop or the post-stop hooks.
///
/// # Errors
/// One that fails: the rest does not run.
pub fn run_ending_hooks(e: &mut Ending, conf: &hook::Conf, when: When, name: &str, env: &[String]) -> Result<()> {
    let running = e.running.as_deref();
    let mut env = running.map_or_else(|| env.to_vec(), |r| r.hook_env.clone());
    hook::run::set(&mut env, "LXC_TARGET", if e.reboot { "reboot" } else { "stop" });
    let extra = namespaces_into(running, &mut env);
    let extra = if when == When::Stop { extra } else { Vec::new() };
    let epoll = e.monitor.as_ref().and_then(Monitor::attended);
    let mut desk = ending_desk(&mut e.monitor, epoll.as_ref(), e.running.as_deref());
    for hook in hook::render_all(conf, when, name, &extra, &env)? {
        host_hooks::run(&format!("lxc.hook.{}", when.name()), &hook, &mut desk)?;
    }
    Ok(())
}
