//! The order of a start, and nowhere else: what happens on the host before the clone (`BEGIN`, `HOST`), what the child does
//! (`CHILD`), what the parent does at each meeting (`PARENT`). The order of the end is the undo
//! stack that they build.
#![forbid(unsafe_code)]

use super::plan::{Starting, open_shared};
use super::sync::{meet, what};
use super::{diagnose, host_hooks, parent, script};
use crate::base::ids::Ns;
use crate::base::op::{Act, At, FdRef, Op, slot};
use crate::base::{Error, Result};
use crate::cgroup::groups::Who;
use crate::hook::When;
use crate::ipc::State;
use crate::log_trace;
use crate::{cgroup, hook, idmap, mount, namespace, network, process, security, storage, terminal};
use nix::libc;
use std::os::fd::AsRawFd;

/// A step on the host.
pub struct Step {
    /// For traces.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&mut Starting) -> Result<()>,
}

/// What a start and a restore begin with.
pub const BEGIN: &[Step] = &[
    Step { name: "starting", run: |s| told(s, State::Starting) },
    Step { name: "end: post-stop hooks", run: end_post_stop },
    Step { name: "end: stopped", run: end_stopped },
    Step { name: "end: payload cgroup", run: end_groups },
    Step { name: "end: stop hooks", run: end_stop },
    Step { name: "end: stopping", run: end_stopping },
    Step { name: "pre-start hooks", run: pre_start },
];

/// Then, before the clone.
pub const HOST: &[Step] = &[
    Step { name: "id map", run: idmap_way },
    Step { name: "shared namespaces", run: shared },
    Step { name: "terminals", run: terminals },
    Step { name: "security", run: confinement },
    Step { name: "network", run: network },
    Step { name: "rootfs", run: rootfs },
    Step { name: "mounts", run: |s| s.render_entries() },
    Step { name: "cgroup", run: groups },
    Step { name: "script", run: script::render },
];

/// Or, before criu makes the processes: what of the above is not in its images.
pub const RESTORE: &[Step] = &[
    Step { name: "terminals", run: terminals },
    Step { name: "security", run: confinement },
    Step { name: "rootfs", run: rootfs },
];

/// What the child does, in order: each entry adds ops.
pub const CHILD: &[(&str, Render)] = &[
    ("cgroup", c_enter),
    ("startup", c_startup),
    ("ids", c_ids),
    ("late namespaces", c_late_ns),
    ("network", c_network),
    ("propagation", c_propagation),
    ("pre-mount hooks", |s, o| hooks(s, o, When::PreMount)),
    ("rootfs", |s, o| add(o, std::mem::take(&mut s.storage.ops))),
    ("uts", c_uts),
    ("keyring", c_keyring),
    ("autodev", c_autodev),
    ("automounts", |s, o| add(o, mount::auto::auto_ops(&s.config.mount, &s.facts))),
    ("entries", |s, o| add(o, std::mem::take(&mut s.entries))),
    ("cgroup mounts", c_cgroup_mounts),
    ("mount hooks", |s, o| hooks(s, o, When::Mount)),
    ("autodev hooks", c_autodev_hooks),
    ("nodes", |s, o| add(o, terminal::dev::node_ops(&s.config.terminal, &s.facts))),
    ("devpts", |s, o| add(o, terminal::pts::devpts_ops(&s.config.terminal, &s.facts)?)),
    ("console", |s, o| add(o, terminal::pts::console_ops(&s.config.terminal, &s.facts, &s.terminal)?)),
    ("ttys", |s, o| add(o, terminal::pts::tty_ops(&s.config.terminal, &s.facts)?)),
    ("links", c_links),
    ("private proc", c_private_proc),
    ("label", c_label),
    ("pivot", c_pivot),
    ("late mounts", |s, o| add(o, mount::auto::late_ops(&s.config.mount)?)),
    ("boot id", |s, o| add(o, terminal::dev::boot_id_ops(&s.config.terminal, &s.terminal))),
    ("personality", c_personality),
    ("sysctl", |s, o| add(o, process::limits::sysctl_ops(&s.config.process)?)),
    ("bounding set", c_bounding),
    ("security", c_security),
    ("start hooks", |s, o| hooks(s, o, When::Start)),
    ("descriptors", c_descriptors),
    ("ready", |_, o| add(o, [Op::new("sync", "ready", Act::Sync(meet::READY))])),
    ("standard streams", |s, o| {
        add(o, terminal::pts::stdio_ops(&s.config.terminal, &s.facts, &s.terminal, s.config.process.init_uid))
    }),
    ("session", |_, o| add(o, [Op::new("init", "setsid", Act::Setsid)])),
    ("working directory", c_cwd),
    ("init's ids", c_init_ids),
];

/// What the parent does while the child waits: the meeting, a name, the act.
pub const PARENT: &[(u8, &str, Meet)] = &[
    (meet::STARTUP, "core scheduling", parent::core_scheduling),
    (meet::STARTUP, "id map", parent::write_idmap),
    (meet::STARTUP, "proc", parent::write_proc),
    (meet::STARTUP, "limits", parent::set_limits),
    (meet::NETWORK, "network", parent::network),
    (meet::READY, "namespaces", parent::hold_namespaces),
    (meet::READY, "device rules", parent::device_rules),
    (meet::READY, "start-host hooks", parent::start_host),
];

/// SECCOMP_FILTER_FLAG_NEW_LISTENER.
const NEW_LISTENER: u32 = crate::sys::seccomp::NEW_LISTENER;

/// Renders ops.
pub type Render = fn(&mut Starting, &mut Vec<Op>) -> Result<()>;

/// The parent's part of a meeting.
pub type Meet = fn(&mut Starting) -> Result<()>;

fn add(ops: &mut Vec<Op>, more: impl IntoIterator<Item = Op>) -> Result<()> {
    ops.extend(more);
    Ok(())
}

fn hooks(s: &mut Starting, ops: &mut Vec<Op>, when: When) -> Result<()> {
    let extra = match when {
        When::Start => terminal::pts::container_ttys(&s.config.terminal, &s.facts)
            .map(|t| vec![format!("container_ttys={t}")])
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    add(ops, s.inner_hooks(when, &extra)?)
}

fn told(s: &mut Starting, state: State) -> Result<()> {
    s.ending.announce(state);
    Ok(())
}

// ---- the end, last first

fn end_post_stop(s: &mut Starting) -> Result<()> {
    if s.facts.hooks & (1 << When::PostStop as u16) == 0 {
        return Ok(());
    }
    let (conf, name, env) = (s.config.hook.clone(), s.facts.name.clone(), s.env.clone());
    s.undo.push("post-stop hooks", move |e| parent::run_ending_hooks(e, &conf, When::PostStop, &name, &env));
    Ok(())
}

fn end_stopped(s: &mut Starting) -> Result<()> {
    s.undo.push("stopped", |e| {
        if !e.reboot || e.is_killed() {
            e.let_name_go();
        }
        e.announce(State::Stopped);
        Ok(())
    });
    Ok(())
}

fn end_groups(s: &mut Starting) -> Result<()> {
    s.undo.push("payload cgroup", |e| e.groups().map_or(Ok(()), cgroup::groups::Groups::remove_payload));
    Ok(())
}

fn end_stop(s: &mut Starting) -> Result<()> {
    if s.facts.hooks & (1 << When::Stop as u16) == 0 {
        return Ok(());
    }
    let (conf, name, env) = (s.config.hook.clone(), s.facts.name.clone(), s.env.clone());
    s.undo.push("stop hooks", move |e| {
        // LXC logs a failing stop hook and goes on.
        if let Err(error) = parent::run_ending_hooks(e, &conf, When::Stop, &name, &env) {
            crate::log_warn!("{error}");
        }
        Ok(())
    });
    Ok(())
}

fn end_stopping(s: &mut Starting) -> Result<()> {
    s.undo.push("stopping", |e| {
        e.announce(State::Stopping);
        Ok(())
    });
    Ok(())
}

// ---- the host

fn pre_start(s: &mut Starting) -> Result<()> {
    for hook in hook::render_all(&s.config.hook, When::PreStart, &s.facts.name, &[], &s.env)? {
        host_hooks::run("lxc.hook.pre-start", &hook, &mut s.desk())?;
    }
    Ok(())
}

fn idmap_way(s: &mut Starting) -> Result<()> {
    if s.facts.userns() {
        s.idmap_way = idmap::way(&s.facts.idmap, &std::env::var("PATH").unwrap_or_default());
    }
    Ok(())
}

fn shared(s: &mut Starting) -> Result<()> {
    for ns in s.facts.shared_ns.iter() {
        let text = s.config.namespace.share.get(ns as usize).cloned().flatten().unwrap_or_default();
        let fd = open_shared(ns, &text, &s.facts.lxcpath)?;
        s.shared.push((ns, fd));
    }
    Ok(())
}

fn terminals(s: &mut Starting) -> Result<()> {
    s.terminal = terminal::prepare::prepare(&s.config.terminal, &s.facts)?;
    Ok(())
}

fn confinement(s: &mut Starting) -> Result<()> {
    s.security = security::prepare(&s.config.security, &s.facts)?;
    if s.security.seccomp.as_ref().is_some_and(|p| p.flags & NEW_LISTENER != 0) {
        s.notify = super::notify::Notify::connect(&s.config.security)?;
    }
    Ok(())
}

fn network(s: &mut Starting) -> Result<()> {
    s.ending.network = Some(network::prepare(&s.config.network, &s.facts)?);
    let (version, name) = (s.config.hook.version, s.facts.name.clone());
    // Kept as long as the container runs: only where a script gets it.
    let mut devices = s.config.network.devices.values();
    let scripts = devices.any(|d| d.script_up.is_some() || d.script_down.is_some());
    let env = if scripts { s.env.clone() } else { Vec::new() };
    s.undo.push("network", move |e| parent::network_down(e, version, &name, &env));
    Ok(())
}

fn rootfs(s: &mut Starting) -> Result<()> {
    s.storage = storage::prepare(&s.config.storage, &s.facts).map_err(|e| diagnose::rootfs(e, &s.facts))?;
    Ok(())
}

fn groups(s: &mut Starting) -> Result<()> {
    let Some(groups) = &s.ending.groups else { return Ok(()) };
    s.tasks = groups.tasks_fds(Who::Payload)?;
    groups.set_limits()?;
    groups.chown(&s.facts)
}

// ---- the child

fn c_enter(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    for fd in &s.tasks {
        let act = Act::WriteFd(FdRef::Inherited(fd.as_raw_fd()), b"0".to_vec());
        ops.push(Op::new("cgroup", "tasks of the container's cgroup", act));
    }
    Ok(())
}

/// The parent has something to do before anything else happens inside.
fn c_startup(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    let p = &s.config.process;
    let wanted = s.facts.userns() || s.config.security.sched_core || !p.prlimits.is_empty() || !p.procs.is_empty();
    ops.push(pdeathsig(s));
    if wanted {
        ops.push(Op::new("sync", "startup", Act::Sync(meet::STARTUP)));
    }
    Ok(())
}

fn pdeathsig(s: &Starting) -> Op {
    let _ = s;
    Op::new("ids", "parent death signal", Act::Pdeathsig(libc::SIGKILL))
}

fn c_ids(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if !s.facts.userns() && !s.facts.shared_ns.has(Ns::User) {
        return Ok(());
    }
    let (uid, gid) = s.facts.root_ids;
    ops.push(Op::new("ids", "supplementary groups", Act::SetGroups(Vec::new())));
    let ids = Act::SetIds { uid: Some(uid), gid: Some(gid) };
    ops.push(Op::new("ids", format!("user {uid}, group {gid} of the container"), ids));
    ops.push(Op::new("ids", "dumpable", Act::Dumpable(true)));
    ops.push(pdeathsig(s));
    Ok(())
}

fn c_late_ns(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    for ns in namespace::late(s.facts.new_ns).iter() {
        ops.push(Op::new("namespaces", ns.name(), Act::Unshare(ns.flag())));
        if ns == Ns::Time {
            let text = namespace::offsets(&s.config.namespace);
            if !text.is_empty() {
                let at = At::Host(c"/proc/self/timens_offsets".into());
                let act = Act::Write { at, bytes: text.into_bytes(), create: None };
                ops.push(Op::new("namespaces", "lxc.time.offset", act));
            }
            let at = At::Host(c"/proc/self/ns/time_for_children".into());
            ops.push(Op::new("namespaces", "time", Act::Open { at, flags: libc::O_RDONLY, slot: slot::RUNTIME }));
            ops.push(Op::new("namespaces", "time", Act::Setns(FdRef::Slot(slot::RUNTIME), ns.flag())));
            ops.push(Op::new("namespaces", "time", Act::Close(slot::RUNTIME)));
        }
    }
    Ok(())
}

/// The parent does the network over a socket of the child's, while the child goes on; hooks inside wait for it.
fn c_network(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if !s.ending.network.as_ref().is_some_and(network::Network::needs_parent) {
        return Ok(());
    }
    ops.push(Op::new("network", "a netlink socket inside", Act::Netlink(slot::RUNTIME)));
    ops.push(Op::new(
        "network",
        "a netlink socket inside",
        Act::SendFds { what: what::NETLINK, slots: vec![slot::RUNTIME] },
    ));
    ops.push(Op::new("network", "a netlink socket inside", Act::Close(slot::RUNTIME)));
    let inner = [When::PreMount, When::Mount, When::Autodev, When::Start];
    if inner.iter().any(|w| s.facts.hooks & (1 << *w as u16) != 0) {
        ops.push(Op::new("sync", "wait", Act::Sync(meet::WAIT)));
    }
    Ok(())
}

/// What happens in the container's mount namespace stays there. In a user namespace of its own the kernel has seen to it.
fn c_propagation(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if !s.facts.userns() {
        let act = Act::Propagate(At::Host(c"/".into()), libc::MS_SLAVE | libc::MS_REC);
        ops.push(Op::new("rootfs", "propagation of the host's mounts", act));
    }
    Ok(())
}

fn c_uts(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if let (Some(name), true) = (&s.config.process.uts_name, s.facts.new_ns.has(Ns::Uts)) {
        let act = Act::Hostname(crate::base::op::cstring(name.as_str())?);
        ops.push(Op::new("hostname", format!("lxc.uts.name = {name}"), act));
    }
    Ok(())
}

fn c_keyring(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if let Some(label) = &s.security.labels.keyring {
        let object = format!("SELinux label {} of the keyring", label.name);
        let written = label_ops(label, object, slot::SECURITY + 2);
        ops.extend(written);
        ops.push(Op::new("security", "keyring label", Act::Close(slot::SECURITY + 2)));
    }
    if s.security.session_keyring {
        // A kernel without keyrings, or a quota that is full, is no reason not to start.
        ops.push(Op::new("security", "session keyring", Act::Keyring).optional());
    }
    Ok(())
}

/// Opens the file of a label, the first of its names that exists, then writes it.
fn label_ops(label: &security::lsm::Label, object: String, slot: usize) -> Vec<Op> {
    let mut ops = open_label(label, &object, slot);
    ops.push(Op::new("security", object, Act::WriteFd(FdRef::Slot(slot), label.text.clone())));
    ops
}

fn open_label(label: &security::lsm::Label, object: &str, slot: usize) -> Vec<Op> {
    let open = |file: &std::ffi::CStr| {
        let path = [c"/proc/self/attr/".to_bytes(), file.to_bytes()].concat();
        // Both parts are C strings: there is no NUL inside.
        let path = std::ffi::CString::new(path).unwrap_or_default();
        Act::Open { at: At::Host(path), flags: libc::O_WRONLY, slot }
    };
    let mut files = label.files.iter();
    let Some(first) = files.next() else { return Vec::new() };
    let op = Op::new("security", object, open(first));
    vec![match files.next() {
        Some(second) => op.or(open(second)),
        None => op,
    }]
}

/// The process's label is opened while the host's proc is in sight, and written when the set-up is done.
fn c_label(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if let Some(label) = &s.security.labels.process {
        add(ops, open_label(label, &format!("label {}", label.name), slot::SECURITY + 1))?;
    }
    Ok(())
}

fn c_autodev(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if s.facts.autodev {
        add(ops, terminal::dev::autodev_ops(&s.config.terminal)?)?;
    }
    Ok(())
}

fn c_cgroup_mounts(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if s.config.mount.auto_cgroup.is_none() {
        return Ok(());
    }
    let Some(groups) = &s.ending.groups else { return Ok(()) };
    let of = |m: cgroup::groups::Mount| mount::cgroup::Hierarchy {
        dir: m.dir,
        options: m.options,
        v2: m.v2,
        host_mount: m.host_mount,
        payload: m.payload,
    };
    let list: Vec<_> = groups.mounts().into_iter().map(of).collect();
    add(ops, mount::cgroup::cgroup_ops(&s.config.mount, &s.facts, &list)?)
}

fn c_autodev_hooks(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if s.facts.autodev { hooks(s, ops, When::Autodev) } else { Ok(()) }
}

/// Never on the host's own /dev.
fn c_links(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if s.facts.rootfs.is_some() || s.facts.autodev { add(ops, terminal::dev::link_ops()) } else { Ok(()) }
}

/// The private proc instance must be made while the host's proc is in sight: in a user namespace the kernel wants to see
/// one that shows as much (mount_namespaces(7)).
fn c_private_proc(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if !s.config.process.sysctls.is_empty() {
        let open = Act::Open { at: At::Proc(c".".into()), flags: libc::O_PATH, slot: slot::RUNTIME };
        ops.push(Op::new("proc", "proc of the container's own namespaces", open));
    }
    Ok(())
}

fn c_pivot(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if s.facts.rootfs.is_some() {
        ops.push(Op::new("pivot", s.facts.rootfs_mount.display().to_string(), Act::Pivot));
    }
    Ok(())
}

fn c_personality(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if let Some(p) = process::limits::personality(&s.config.process) {
        ops.push(Op::new("init", "lxc.arch", Act::Personality(p)));
    }
    Ok(())
}

fn c_bounding(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    let drops = s.security.cap_drops.iter().fold(0_u64, |m, c| m | 1_u64.checked_shl(u32::from(*c)).unwrap_or(0));
    if drops != 0 {
        ops.push(Op::new("capabilities", "bounding set", Act::CapBound(!drops)));
    }
    Ok(())
}

fn c_security(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if let Some(label) = &s.security.labels.process {
        let write = Act::WriteFd(FdRef::Slot(slot::SECURITY + 1), label.text.clone());
        ops.push(Op::new("security", format!("label {}", label.name), write));
        ops.push(Op::new("security", "label", Act::Close(slot::SECURITY + 1)));
    }
    if s.security.no_new_privs {
        ops.push(Op::new("security", "lxc.no_new_privs = 1", Act::NoNewPrivs));
    }
    if let Some(program) = s.security.seccomp.take() {
        let object = s.config.security.seccomp_profile.clone().unwrap_or_default();
        s.listens = program.flags & NEW_LISTENER != 0;
        let act = Act::Seccomp { program: program.bpf, flags: program.flags, slot: slot::SECURITY };
        ops.push(Op::new("seccomp", format!("lxc.seccomp.profile = {object}"), act));
        if s.listens {
            // At once: from here on the child's own calls may wait for an answer.
            let send = Act::SendFds { what: what::LISTENER, slots: vec![slot::SECURITY] };
            ops.push(Op::new("sync", "descriptors for the monitor", send));
        }
    }
    Ok(())
}

fn c_descriptors(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    let mut send = |what, slots: Vec<usize>| {
        ops.push(Op::new("sync", "descriptors for the monitor", Act::SendFds { what, slots }));
    };
    let t = &s.config.terminal;
    if terminal::pts::console_inside(t, &s.facts) {
        send(what::CONSOLE, vec![slot::TERMINAL, slot::TERMINAL + 1]);
    }
    if s.facts.pty_max > 0 || s.facts.tty_max > 0 {
        send(what::DEVPTS, vec![slot::TERMINAL + 2]);
    }
    let ttys: Vec<usize> =
        (0..terminal::pts::tty_count(t, &s.facts) as usize * 2).map(|i| slot::TERMINAL + 3 + i).collect();
    for part in ttys.chunks(super::sync::MAX_FDS) {
        send(what::TTYS, part.to_vec());
    }
    Ok(())
}

fn c_cwd(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    if let Some(dir) = &s.config.process.init_cwd {
        let path = crate::base::op::cstring(dir.as_str())?;
        ops.push(Op::new("cwd", format!("lxc.init.cwd = {dir}"), Act::Chdir { path, create: true }));
    }
    Ok(())
}

/// Init's own ids; the parent death signal last, for a change of ids clears it.
fn c_init_ids(s: &mut Starting, ops: &mut Vec<Op>) -> Result<()> {
    let p = &s.config.process;
    let (uid, gid) = (p.init_uid, p.init_gid);
    ops.push(Op::new("ids", "lxc.init.groups", Act::SetGroups(p.init_groups.clone())));
    if (uid, gid) != s.facts.root_ids || (uid, gid) != (0, 0) {
        let ids = Act::SetIds { uid: Some(uid), gid: Some(gid) };
        ops.push(Op::new("ids", format!("lxc.init.uid = {uid}, lxc.init.gid = {gid}"), ids));
    }
    ops.push(Op::new("ids", "lxc.monitor.signal.pdeath", Act::Pdeathsig(p.pdeath)));
    Ok(())
}

/// Runs a list, timing each step.
///
/// # Errors
/// The first that fails.
pub fn run(list: &[Step], s: &mut Starting) -> Result<()> {
    for step in list {
        timed(step.name, || (step.run)(s)).map_err(|e| if e.stage.is_empty() { e.stage("start") } else { e })?;
    }
    Ok(())
}

/// Renders the child's ops.
///
/// # Errors
/// What a feature refuses.
pub fn child_ops(s: &mut Starting) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    for (_, render) in CHILD {
        render(s, &mut ops)?;
    }
    if let Some(op) =
        ops.iter().find(|o| matches!(&o.act, Act::SendFds { slots, .. } if slots.len() > super::sync::MAX_FDS))
    {
        return Err(Error::new(format!("{}: too many descriptors", op.object)));
    }
    Ok(ops)
}

/// The parent's part of a meeting.
///
/// # Errors
/// The first act that fails.
pub fn meet(n: u8, s: &mut Starting) -> Result<()> {
    for (_, name, act) in PARENT.iter().filter(|p| p.0 == n) {
        timed(name, || act(s))?;
    }
    Ok(())
}

/// Runs something, with its time in the trace.
pub fn timed<T>(name: &str, f: impl FnOnce() -> T) -> T {
    if !crate::base::log::enabled(crate::base::log::Level::Trace) {
        return f();
    }
    let before = crate::sys::time::monotonic();
    let result = f();
    let took = crate::sys::time::monotonic().saturating_sub(before);
    log_trace!("step {name}: {:.3} ms", took.as_secs_f64() * 1000.0);
    result
}
