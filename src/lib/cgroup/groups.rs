//! A container's groups: `lxc.monitor.NAME` for its monitor and `lxc.payload.NAME` for what it runs, in every hierarchy,
//! from their making to their removal. Nothing stays behind, no empty parent either. How a group is made and removed in
//! the hierarchies is `make`'s and `remove`'s.
//!
//! Nobody is moved by somebody else: a move by process number waits for an RCU grace period (8–12 ms seen). cgroup2
//! groups are entered by clone3(CLONE_INTO_CGROUP), version 1 groups by the process itself, which writes `0` to `tasks`.
//!
//! A name belongs to whoever holds a lock (flock(2), shared) on its directory in one hierarchy, the leader. So leftovers of
//! a killed monitor are told from the groups of a running one, also of an equally named container of another store.
#![forbid(unsafe_code)]

mod handover;

use super::devices;
use super::layout::{Base, Hierarchy, Host, Kind, Layout};
use super::limits::Limits;
use super::make::{Role, cannot_make, claim, enable_controllers};
use super::names::{self, Names};
use super::remove::remove_role;
use super::{Conf, cpuset, file};
use crate::base::facts::Facts;
use crate::base::paths;
use crate::base::{Context, Error, Result};
use nix::unistd::{AccessFlags, access};
use std::cell::OnceCell;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

/// Which of the two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The monitor's.
    Monitor,
    /// Init's: below the limited group when `lxc.cgroup.dir.container.inner` is set, else the limited group itself.
    Payload,
    /// The group that the limits are set on.
    Limit,
}

/// A hierarchy as the mounts of `lxc.mount.auto = cgroup…` need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its directory below /sys/fs/cgroup; empty for cgroup2 on a pure cgroup2 layout.
    pub dir: String,
    /// Mount options of version 1: its controllers, or `none,name=…`.
    pub options: String,
    /// It is cgroup2.
    pub v2: bool,
    /// Where the host has it.
    pub host_mount: String,
    /// Init's group, from the top of the mount, with a leading `/`.
    pub payload: String,
}

/// The groups of one container.
#[derive(Debug)]
pub struct Groups {
    host: Arc<Host>,
    names: Names,
    monitor: Option<Role>,
    payload: Option<Role>,
    dirs: Vec<OnceCell<OwnedFd>>,
    limits: Limits,
    program: Option<devices::Program>,
    /// What new groups of the version 1 cpuset get.
    share: Option<cpuset::Share>,
    /// The process that removes them when it drops this value.
    owner: u32,
    /// The base hands no controllers on while processes are in it, the caller for one: cgroup2's "no internal processes".
    is_base_busy: bool,
}

/// Makes both groups of a container by its settings, and checks its limits as far as that goes without them.
///
/// # Errors
/// Settings that contradict each other, a limit of a controller that the machine lacks, a directory that cannot be made.
pub fn prepare(conf: &Conf, facts: &Facts) -> Result<Groups> {
    let base = if conf.relative || !facts.privileged { Base::Own } else { Base::Init };
    let mut host = Host::get(base)?;
    if !facts.privileged {
        // An ordinary user has what was delegated; hierarchies of others are as they are for any process.
        let mut mine = host.as_ref().clone();
        mine.hierarchies.retain(|h| access(h.base_dir().as_str(), AccessFlags::W_OK).is_ok());
        if mine.hierarchies.is_empty() {
            return Err(cannot_make(&io::Error::from_raw_os_error(libc::EACCES), &facts.name));
        }
        host = Arc::new(mine);
    }
    let settings = fs::read(paths::global_conf()).unwrap_or_default();
    let setting = |key| paths::global_in(key, &settings, facts.privileged).ok().flatten();
    if let Some(list) = setting("lxc.cgroup.use") {
        host = Arc::new(host.as_ref().clone().only(&list));
    }
    Groups::create(host, conf, facts, setting("lxc.cgroup.pattern").as_deref())
}

impl Groups {
    /// Makes both groups in the hierarchies of `host`; `pattern` is `lxc.cgroup.pattern`.
    ///
    /// # Errors
    /// As [`prepare`].
    pub fn create(host: Arc<Host>, conf: &Conf, facts: &Facts, pattern: Option<&str>) -> Result<Groups> {
        if host.hierarchies.is_empty() {
            return Err(
                Error::os(libc::ENOENT, "lxc.cgroup.use of lxc.conf leaves no cgroup hierarchy").stage("cgroup")
            );
        }
        let names = names::names(conf, &facts.name, pattern)?;
        let limits = Limits::plan(conf, &host)?;
        let dirs = host.hierarchies.iter().map(|_| OnceCell::new()).collect();
        let owner = std::process::id();
        let is_base_busy = match (host.layout, host.hierarchies.first()) {
            (Layout::Unified, Some(h)) => !enable_controllers(&h.base_dir()),
            _ => false,
        };
        let (monitor, payload, program, share) = (None, None, None, None);
        let mut groups = Groups { host, names, monitor, payload, dirs, limits, program, share, owner, is_base_busy };
        groups.monitor = Some(claim(&groups.host, &groups.names.monitor, None, &mut groups.share)?);
        groups.make_payload()?;
        Ok(groups)
    }

    /// Makes the payload's group again, after [`Groups::remove_payload`]: for a reboot.
    ///
    /// # Errors
    /// A directory that cannot be made.
    pub fn make_payload(&mut self) -> Result<()> {
        let role = claim(&self.host, &self.names.payload, Some(self.names.inner.as_deref()), &mut self.share)?;
        self.payload = Some(role);
        self.dirs.iter_mut().for_each(|d| *d = OnceCell::new());
        Ok(())
    }

    /// Makes the calling process the one that removes the groups: the monitor, after the fork that made it.
    pub fn adopt(&mut self) {
        self.owner = std::process::id();
    }

    /// The machine's hierarchies, those in use.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The path of a group below the base of every hierarchy; `None` while it does not exist.
    fn rel(&self, who: Who) -> Option<String> {
        match who {
            Who::Monitor => self.monitor.as_ref().map(|r| r.rel.clone()),
            Who::Limit => self.payload.as_ref().map(|r| r.rel.clone()),
            Who::Payload => self.payload.as_ref().map(|r| match &self.names.inner {
                Some(inner) => format!("{}/{inner}", r.rel),
                None => r.rel.clone(),
            }),
        }
    }

    /// What GET_CGROUP and GET_LIMIT_CGROUP answer: the group's path from the top of the controller's hierarchy. Without
    /// a controller it is cgroup2's, on a pure cgroup2 layout only; beside version 1 those that cgroup2 has name it.
    pub fn path(&self, controller: Option<&str>, who: Who) -> Option<String> {
        let of_v2 =
            || self.host.v2().filter(|_| self.host.v2_controllers().iter().any(|c| Some(c.as_str()) == controller));
        let h = self.hierarchy(self.host.of_controller(controller).or_else(of_v2)?)?;
        Some(h.path(&self.rel(who)?))
    }

    /// The group's directory on the host in the controller's hierarchy.
    #[cfg(test)]
    pub(super) fn dir(&self, controller: Option<&str>, who: Who) -> Option<String> {
        let h = self.hierarchy(self.host.of_controller(controller)?)?;
        Some(h.dir(&self.rel(who)?))
    }

    fn hierarchy(&self, index: usize) -> Option<&Hierarchy> {
        self.host.hierarchies.get(index)
    }

    /// Init's directories, one for each hierarchy, opened when first asked for: what GET_CGROUP_CTX sends.
    ///
    /// # Errors
    /// A directory that cannot be opened.
    pub fn fds(&self) -> Result<Vec<BorrowedFd<'_>>> {
        (0..self.dirs.len()).map(|i| self.payload_dir(i)).collect()
    }

    fn payload_dir(&self, index: usize) -> Result<BorrowedFd<'_>> {
        let gone = || Error::os(libc::ENOENT, "the container has no cgroup").stage("cgroup");
        let cell = self.dirs.get(index).ok_or_else(gone)?;
        if let Some(fd) = cell.get() {
            return Ok(fd.as_fd());
        }
        let h = self.hierarchy(index).ok_or_else(gone)?;
        let path = h.dir(&self.rel(Who::Payload).ok_or_else(gone)?);
        let fd = file::open_dir(&path).ctx(|| format!("cannot open cgroup {path}")).map_err(|e| e.stage("cgroup"))?;
        Ok(cell.get_or_init(|| fd).as_fd())
    }

    /// A new descriptor of a group's directory in the controller's hierarchy, and its version: GET_CGROUP_FD and kin.
    ///
    /// # Errors
    /// ENOENT for a controller that the machine lacks; a directory that cannot be opened.
    pub fn fd(&self, controller: Option<&str>, who: Who) -> Result<(Kind, OwnedFd)> {
        let gone = || Error::os(libc::ENOENT, "no such cgroup controller").stage("cgroup");
        let h = self.hierarchy(self.host.of_controller(controller).ok_or_else(gone)?).ok_or_else(gone)?;
        let path = h.dir(&self.rel(who).ok_or_else(gone)?);
        Ok((h.kind, file::open_dir(&path).ctx(|| format!("cannot open cgroup {path}"))?))
    }

    /// The monitor's cgroup2 directory, for clone3(CLONE_INTO_CGROUP).
    pub fn monitor_fd(&self) -> Option<BorrowedFd<'_>> {
        self.host.v2()?;
        self.monitor.as_ref().map(|r| r.leader.as_fd())
    }

    /// Init's cgroup2 directory, for clone3(CLONE_INTO_CGROUP).
    pub fn payload_fd(&self) -> Option<BorrowedFd<'_>> {
        let v2 = self.host.v2()?;
        match (&self.names.inner, &self.payload) {
            (None, Some(role)) => Some(role.leader.as_fd()),
            _ => self.payload_dir(v2).ok(),
        }
    }

    /// The version 1 `tasks` files of a group, opened for writing: a process that writes `0` to each has entered.
    /// It must do so before it makes a cgroup namespace of its own, whose top is the group it is in then.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn tasks_fds(&self, who: Who) -> Result<Vec<OwnedFd>> {
        let Some(rel) = self.rel(who) else { return Ok(Vec::new()) };
        let v1 = self.host.hierarchies.iter().filter(|h| h.kind == Kind::V1);
        v1.map(|h| {
            let path = format!("{}/tasks", h.dir(&rel));
            let f = OpenOptions::new().write(true).open(&path).ctx(|| format!("cannot open {path}"));
            f.map(Into::into).map_err(|e| e.stage("cgroup"))
        })
        .collect()
    }

    /// Puts the calling process, of one thread, into the monitor's groups; `cloned` says that it is in the cgroup2 group
    /// already (CLONE_INTO_CGROUP), or need not be: the move there waits for an RCU grace period.
    ///
    /// # Errors
    /// A group that cannot be entered.
    pub fn enter_monitor(&self, cloned: bool) -> Result<()> {
        let Some(rel) = self.rel(Who::Monitor) else { return Ok(()) };
        for h in &self.host.hierarchies {
            let name = match h.kind {
                Kind::V1 => "tasks",
                Kind::V2 if cloned => continue,
                Kind::V2 => "cgroup.procs",
            };
            let path = format!("{}/{name}", h.dir(&rel));
            file::write(&path, b"0").ctx(|| format!("cannot enter the monitor's cgroup: {path}")).map_err(stage)?;
        }
        Ok(())
    }

    /// Whether the calling process must leave the base, for the monitor's group, before the limits can be set.
    pub fn is_base_busy(&self) -> bool {
        self.is_base_busy
    }

    /// Hands controllers on once more, down to init's group.
    fn hand_on(&self, h: &Hierarchy) {
        enable_controllers(&h.base_dir());
        let rel = self.rel(Who::Payload).unwrap_or_default();
        for (at, _) in rel.match_indices('/') {
            enable_controllers(&h.dir(rel.get(..at).unwrap_or_default()));
        }
    }

    /// Sets the limits, all but devices, in the order of the config (`memory.memsw` last).
    ///
    /// # Errors
    /// A limit that the kernel refuses.
    pub fn set_limits(&self) -> Result<()> {
        let Some(rel) = self.rel(Who::Limit) else { return Ok(()) };
        if let (true, Some(h)) = (self.is_base_busy, self.host.hierarchies.first()) {
            // The monitor has left the base by now: what was refused before may be granted.
            self.hand_on(h);
        }
        self.limits.set(&self.host, &rel)
    }

    /// Sets the device rules: after the container's own set-up, which may need more.
    ///
    /// # Errors
    /// A rule that the kernel refuses; without the right to set any (EACCES, EPERM) it is a warning.
    pub fn set_devices(&mut self) -> Result<()> {
        let Some(rel) = self.rel(Who::Limit) else { return Ok(()) };
        self.program = self.limits.set_devices(&self.host, &rel)?;
        Ok(())
    }

    /// Adds one device rule to a running container on cgroup2 (ADD_BPF_DEVICE_CGROUP).
    ///
    /// # Errors
    /// EOPNOTSUPP where version 1 rules; what the kernel says to the new program.
    pub fn add_device(&mut self, rule: &devices::Rule) -> Result<()> {
        let rel = self.rel(Who::Limit);
        let v2 = if self.host.v1("devices").is_some() { None } else { self.host.v2() };
        let Some((dir, _)) = v2.and_then(|i| self.hierarchy(i)).zip(rel).map(|(h, r)| (h.dir(&r), ())) else {
            return Err(Error::os(libc::EOPNOTSUPP, "device rules are not cgroup2's here").stage("cgroup"));
        };
        let mut set = self.program.as_ref().map_or_else(devices::Set::default, |p| p.set().clone());
        set.add(rule);
        self.program = Some(devices::Program::attach(set, &dir, self.program.take())?);
        Ok(())
    }

    /// Gives init's groups to the root of an id-mapped container: the directory and the files that may be delegated get
    /// its group and become group-writable (Linux: cgroup-v2.rst, "Delegation"). The owner stays.
    ///
    /// # Errors
    /// The directory cannot be given.
    pub fn chown(&self, facts: &Facts) -> Result<()> {
        let (true, Some(rel)) = (facts.userns(), self.rel(Who::Payload)) else { return Ok(()) };
        let gid = facts.host_root().1;
        for h in &self.host.hierarchies {
            let dir = h.dir(&rel);
            give(&dir, gid, 0o775).ctx(|| format!("cannot give cgroup {dir} to the container")).map_err(stage)?;
            for name in delegated(h.kind).iter() {
                match give(&format!("{dir}/{name}"), gid, 0o664) {
                    Err(e) if e.raw_os_error() != Some(libc::ENOENT) => {
                        crate::log_warn!(errno = e, "Cannot give {dir}/{name} to the container");
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The hierarchies as the container's own cgroup mounts need them.
    pub fn mounts(&self) -> Vec<Mount> {
        let rel = self.rel(Who::Payload).unwrap_or_default();
        let view = |h: &Hierarchy| Mount {
            dir: h.mount.strip_prefix("/sys/fs/cgroup").unwrap_or(&h.mount).trim_start_matches('/').to_string(),
            options: match h.controllers.first() {
                Some(c) if c.starts_with("name=") => format!("none,{c}"),
                _ => h.controllers.join(","),
            },
            v2: h.kind == Kind::V2,
            host_mount: h.mount.clone(),
            payload: h.path(&rel),
        };
        self.host.hierarchies.iter().map(view).collect()
    }

    /// Removes the payload's groups; what still runs in them is killed.
    ///
    /// # Errors
    /// The first group that could not be removed; the others are gone.
    pub fn remove_payload(&mut self) -> Result<()> {
        self.program = None;
        self.share = None;
        self.dirs.iter_mut().for_each(|d| *d = OnceCell::new());
        let Some(role) = self.payload.take() else { return Ok(()) };
        remove_role(&self.host, &role, true, None)
    }

    /// Removes the monitor's groups, the caller's own as a rule: it leaves them for the base first. The very last act.
    ///
    /// On cgroup2 the base may refuse processes (it hands controllers on and is not the top: "no internal processes");
    /// where PID 1's group refuses as well, one leaf stays for all containers: `lxc.pivot`.
    ///
    /// # Errors
    /// The first group that could not be removed.
    pub fn remove_monitor(&mut self) -> Result<()> {
        let Some(role) = self.monitor.take() else { return Ok(()) };
        remove_role(&self.host, &role, false, Some(&self.names.pivot))
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        if std::process::id() != self.owner {
            return;
        }
        for done in [self.remove_payload(), self.remove_monitor()] {
            if let Err(e) = done {
                crate::log_warn!("{e}");
            }
        }
    }
}

pub(super) fn stage(e: Error) -> Error {
    e.stage("cgroup")
}

fn give(path: &str, gid: u32, mode: u32) -> io::Result<()> {
    std::os::unix::fs::lchown(path, None, Some(gid))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// The files of a group that its delegate may write (cgroups(7): "Cgroups v2 delegation").
fn delegated(kind: Kind) -> Vec<String> {
    let fixed: &[&str] = match kind {
        Kind::V1 => return vec!["cgroup.procs".into(), "tasks".into()],
        Kind::V2 => &["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"],
    };
    match file::read("/sys/kernel/cgroup/delegate") {
        // One name a line; names of a kernel file only, never a path.
        Ok(text) => text.lines().filter(|l| !l.is_empty() && !l.contains('/')).map(str::to_string).collect(),
        Err(_) => fixed.iter().map(|s| (*s).to_string()).collect(),
    }
}
