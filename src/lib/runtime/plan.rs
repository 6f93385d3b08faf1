//! A start as data: what was asked for, the facts computed from it once, and all that the steps prepare until the clone.
//! Knows no order (`steps`), makes no process.
#![forbid(unsafe_code)]

use super::desk::Desk;
use super::interp::Script;
use super::interrupt::Interrupt;
use super::running::{Ending, Stack};
use crate::base::facts::Facts;
use crate::base::ids::{Ns, NsSet};
use crate::base::op::{Act, Op};
use crate::base::paths::dirs;
use crate::base::{Context, Error, Result};
use crate::config::Config;
use crate::hook::{self, Rendered};
use crate::security::conf::Caps;
use crate::{idmap, mount, namespace, network, security, storage, sys, terminal};
use nix::sys::epoll::Epoll;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What a caller asks for.
#[derive(Debug, Clone, Default)]
pub struct StartRequest {
    /// The container's name.
    pub name: String,
    /// The store, as spelled: its text is part of the command socket's name.
    pub lxcpath: PathBuf,
    /// The config, all of it.
    pub config: Config,
    /// The file it came from, for hooks.
    pub config_file: PathBuf,
    /// lxc-execute: a small init of ours supervises the command.
    pub useinit: bool,
    /// Init and its arguments; empty asks the config.
    pub argv: Vec<CString>,
    /// A monitor of its own stays behind.
    pub daemonize: bool,
    /// Foreground: descriptors that the caller left open do not reach init.
    pub close_fds: bool,
    /// Where the monitor writes its pid.
    pub pidfile: Option<PathBuf>,
    /// `lxc.ephemeral = 1`: how the container is destroyed at its end, store and name given.
    pub destroy: Option<fn(&std::path::Path, &str) -> Result<()>>,
    /// The caller is a program of somebody else's: it may have threads, or be large, and is not to be forked.
    pub from_library: bool,
    /// criu brings its processes back in place of a start; a reboot is a start again.
    pub restore: Option<super::restore::Restore>,
    /// This process is `lxc-spawn`: a fork of it is small.
    pub in_supervise: bool,
}

/// An id-mapped mount that the parent answers: whose user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdmapOf {
    /// The container's own.
    Container,
    /// The one at this path.
    Path(String),
}

/// A start on its way.
pub struct Starting<'a> {
    /// What was asked for.
    pub request: &'a StartRequest,
    /// The config in force.
    pub config: Config,
    /// The facts.
    pub facts: Facts,
    /// Environment of hooks on the host.
    pub env: Vec<String>,
    /// The signal mask that init gets.
    pub mask: sys::signal::SigSet,
    /// How the maps are written.
    pub idmap_way: idmap::Way,
    /// The namespaces to join, open.
    pub shared: Vec<(Ns, OwnedFd)>,
    /// The rootfs.
    pub storage: storage::Prepared,
    /// The terminals.
    pub terminal: terminal::Prepared,
    /// What `security` prepared.
    pub security: security::Prepared,
    /// The child's netlink socket.
    pub netlink: Option<OwnedFd>,
    /// The seccomp program has a listener.
    pub listens: bool,
    /// The proxy of its notifications.
    pub notify: Option<super::notify::Notify>,
    /// Mounts of fstab and entries, rendered after the pre-start hooks.
    pub entries: Vec<Op>,
    /// Id-mapped mounts, by the number that ops carry.
    pub idmapped: Vec<IdmapOf>,
    /// Version 1 `tasks` files that init enters by.
    pub tasks: Vec<OwnedFd>,
    /// The hooks that run inside, by number.
    pub hooks: Vec<Rendered>,
    /// lxc-execute: what the child becomes.
    pub supervise: Option<fn(&super::interp::Exec) -> !>,
    /// The child's script, when it is rendered.
    pub script: Option<Script>,
    /// What may end it before it is done; only where something of it may hang.
    pub interrupt: Option<Interrupt>,
    /// The command socket, as served while hooks run.
    pub attended: Option<Epoll>,
    /// The parent's end of the hooks' output.
    pub hook_output: Option<OwnedFd>,
    /// What undoings need.
    pub ending: &'a mut Ending,
    /// What has been made so far.
    pub undo: Stack,
}

/// Computes the facts of a request.
///
/// # Errors
/// Settings that contradict each other.
pub fn facts(request: &StartRequest) -> Result<Facts> {
    let c = &request.config;
    let host_net = network_is(c, network::conf::Kind::None);
    let mapped = !c.idmap.maps.is_empty();
    let ns = namespace::decide(&c.namespace, mapped, host_net).map_err(|e| e.stage("namespaces"))?;
    idmap::check(&c.idmap.maps).map_err(|e| e.stage("idmap"))?;
    let mut shared_ns = NsSet::default();
    for (n, _) in &ns.shared {
        shared_ns.add(*n);
    }
    // A user namespace that is kept or joined has its maps already.
    let own_maps = if ns.new.has(Ns::User) { c.idmap.maps.clone() } else { Vec::new() };
    let root_ids = idmap::root_ids(&own_maps, c.process.init_uid, c.process.init_gid);
    let mount_point = c.storage.mount.clone().unwrap_or_else(|| dirs::ROOTFSMOUNT.to_string());
    Ok(Facts {
        name: request.name.clone(),
        lxcpath: request.lxcpath.clone(),
        config_file: request.config_file.clone(),
        idmap: own_maps,
        new_ns: ns.new,
        shared_ns,
        caps: bounding(&c.security.caps),
        unified: false,
        useinit: request.useinit,
        daemonize: request.daemonize,
        rootfs: c.storage.path.as_ref().map(PathBuf::from),
        rootfs_mount: PathBuf::from(mount_point),
        privileged: sys::cred::euid() == 0,
        root_ids,
        net_is_empty: c.network.devices.values().all(|d| d.kind == network::conf::Kind::Empty && !d.up),
        hooks: hook::run::stages(&c.hook),
        pty_max: c.terminal.pty_max,
        tty_max: c.terminal.tty_max,
        autodev: c.terminal.autodev,
        allow_nesting: c.security.apparmor_allow_nesting,
    })
}

/// Whether all devices are of this kind, and there is one.
fn network_is(c: &Config, kind: network::conf::Kind) -> bool {
    !c.network.devices.is_empty() && c.network.devices.values().all(|d| d.kind == kind)
}

/// The bounding set that is left, a bit each.
fn bounding(caps: &Caps) -> u64 {
    let bits = |list: &[u8]| list.iter().filter(|c| **c < 64).fold(0_u64, |m, c| m | 1 << c);
    match caps {
        Caps::Unset => u64::MAX,
        Caps::Drop(list) => !bits(list),
        Caps::Keep(list) => bits(list),
    }
}

/// The environment of hooks on the host: the caller's, and what LXC documents.
pub fn hook_env(request: &StartRequest, facts: &Facts) -> Vec<String> {
    let c = &request.config;
    let mut env: Vec<String> = std::env::vars_os()
        .filter_map(|(k, v)| Some(format!("{}={}", k.into_string().ok()?, v.into_string().ok()?)))
        .filter(|e| !e.starts_with("LXC_PID=") && !e.starts_with("LXC_TARGET="))
        .collect();
    let mut set = |name: &str, value: &str| hook::run::set(&mut env, name, value);
    set("LXC_NAME", &facts.name);
    set("LXC_CONFIG_FILE", &facts.config_file.to_string_lossy());
    set("LXC_ROOTFS_MOUNT", &facts.rootfs_mount.to_string_lossy());
    if let Some(path) = &c.storage.path {
        set("LXC_ROOTFS_PATH", path);
    }
    if let Some(path) = &c.terminal.console_path {
        set("LXC_CONSOLE", path);
    }
    if let Some(path) = &c.terminal.console_logfile {
        set("LXC_CONSOLE_LOGPATH", path);
    }
    set("LXC_CGNS_AWARE", "1");
    set("LXC_LOG_LEVEL", crate::base::log::level().name());
    set("LXC_HOOK_VERSION", &c.hook.version.to_string());
    env
}

impl Starting<'_> {
    /// What goes on while a hook of this start runs.
    pub fn desk(&mut self) -> Desk<'_> {
        Desk {
            interrupt: self.interrupt.as_ref(),
            epoll: self.attended.as_ref(),
            monitor: self.ending.monitor.as_mut(),
            config: Some(&self.config),
            notify: self.ending.running.as_mut().and_then(|r| r.notify.as_mut()).filter(|n| n.is_active()),
            ended: None,
        }
    }

    /// Registers the inner hooks of a stage; the ops that run them.
    ///
    /// # Errors
    /// A NUL byte.
    pub fn inner_hooks(&mut self, when: hook::When, extra_env: &[String]) -> Result<Vec<Op>> {
        if self.facts.hooks & (1 << when as u16) == 0 {
            return Ok(Vec::new());
        }
        let mut env = crate::process::command::inner_hook_env(&self.config.process, &self.env);
        crate::process::command::merge(&mut env, extra_env);
        let rendered = hook::render_all(&self.config.hook, when, &self.facts.name, &[], &env)?;
        let mut ops = Vec::new();
        for r in rendered {
            ops.push(Op::new("hook", format!("lxc.hook.{} = {}", when.name(), r.command), Act::Hook(self.hooks.len())));
            self.hooks.push(r);
        }
        Ok(ops)
    }

    /// Renders the mounts; to be called after the pre-start hooks, which may make what is mounted.
    ///
    /// # Errors
    /// A line that is none.
    pub fn render_entries(&mut self) -> Result<()> {
        let (mut ops, idmapped) = mount::entry_ops(&self.config.mount, &self.facts)?;
        let of = |userns: &str| match userns {
            "container" => IdmapOf::Container,
            path => IdmapOf::Path(path.to_string()),
        };
        self.idmapped.clear();
        if let Some(userns) = &self.storage.idmapped {
            self.idmapped.push(of(userns));
        }
        let first = self.idmapped.len();
        for op in &mut ops {
            if let Act::Mount(m) = &mut op.act {
                m.idmapped = m.idmapped.map(|n| n + first);
            }
        }
        self.idmapped.extend(idmapped.iter().map(|i| of(&i.userns)));
        self.entries = ops;
        Ok(())
    }
}

/// Opens a namespace to join: a path of /proc, a pid, or a container's name.
///
/// # Errors
/// There is no such thing, or it has no such namespace.
pub fn open_shared(ns: Ns, text: &str, lxcpath: &std::path::Path) -> Result<OwnedFd> {
    let key = format!("lxc.namespace.share.{} = {text}", ns.name());
    let path = if text.starts_with('/') && std::path::Path::new(text).is_file() {
        text.to_string()
    } else if let Ok(pid) = text.parse::<i32>() {
        format!("/proc/{pid}/ns/{}", ns.name())
    } else {
        let (store, name) = match text.rsplit_once('/') {
            Some((store, name)) => (PathBuf::from(store), name),
            None => (lxcpath.to_path_buf(), text),
        };
        let client = crate::ipc::command::Client::new(&store, name);
        let pid = client.init_pid().ok().flatten().filter(|p| *p > 0);
        let Some(pid) = pid else {
            return Err(Error::new(format!("{key}: no running container of that name in {}", store.display()))
                .stage("namespaces")
                .hint(format!("start it first: lxc-start -P {} {name}", store.display())));
        };
        format!("/proc/{pid}/ns/{}", ns.name())
    };
    std::fs::File::open(&path).map(OwnedFd::from).ctx(|| format!("{key}: {path}")).map_err(|e| e.stage("namespaces"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> StartRequest {
        let mut r = StartRequest { name: "c1".into(), lxcpath: "/store".into(), ..StartRequest::default() };
        r.config.storage.path = Some("/store/c1/rootfs".into());
        r
    }

    #[test]
    fn bounding_sets() {
        assert_eq!(bounding(&Caps::Unset), u64::MAX);
        assert_eq!(bounding(&Caps::Drop(vec![0, 3])), !0b1001);
        assert_eq!(bounding(&Caps::Keep(vec![1])), 0b10);
        assert_eq!(bounding(&Caps::Keep(vec![])), 0);
    }

    #[test]
    fn facts_of_a_plain_container() {
        let f = facts(&request()).unwrap();
        assert!(f.net_is_empty && f.new_ns.has(Ns::Net) && !f.userns());
        assert_eq!(f.host_root(), (0, 0));
        assert_eq!(f.rootfs_mount, PathBuf::from(dirs::ROOTFSMOUNT));
    }

    #[test]
    fn hooks_get_the_documented_environment() {
        let mut r = request();
        r.config.terminal.console_logfile = Some("/log".into());
        r.config.hook.version = 1;
        let env = hook_env(&r, &facts(&r).unwrap());
        for wanted in [
            "LXC_NAME=c1",
            "LXC_ROOTFS_PATH=/store/c1/rootfs",
            "LXC_CGNS_AWARE=1",
            "LXC_HOOK_VERSION=1",
            "LXC_CONSOLE_LOGPATH=/log",
        ] {
            assert!(env.iter().any(|e| e == wanted), "{wanted}");
        }
        assert!(!env.iter().any(|e| e.starts_with("LXC_CONSOLE=") || e.starts_with("LXC_PID=")));
    }

    #[test]
    fn a_namespace_to_share_must_exist() {
        assert!(open_shared(Ns::Net, "/proc/self/ns/net", "/store".as_ref()).is_ok());
        assert!(open_shared(Ns::Net, &std::process::id().to_string(), "/store".as_ref()).is_ok());
        let e = open_shared(Ns::Net, "nosuch", "/store".as_ref()).unwrap_err();
        assert!(e.hint.unwrap().contains("lxc-start -P /store nosuch"));
    }
}
