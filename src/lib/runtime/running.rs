//! A container whose init runs: what `start` hands to the monitor's event loop (`supervisor`), and what comes back.
//! The seam between the two; it acts on nothing itself.
#![forbid(unsafe_code)]

use super::notify::Notify;
use super::pidfile::Pidfile;
use super::supervisor::Monitor;
use super::undo::Undo;
use crate::base::facts::Facts;
use crate::cgroup::groups::Groups;
use crate::config::Config;
use crate::ipc::State;
use crate::network::Network;
use std::os::fd::OwnedFd;

/// A terminal pair of `lxc.tty.max`, or the console.
#[derive(Debug)]
pub struct Pty {
    /// The monitor's end.
    pub ptx: OwnedFd,
    /// The container's end, kept open so that the pair outlives a getty.
    pub pty: OwnedFd,
    /// `lxc-console` has it: the pid of the client, 0 when free.
    pub busy: i32,
}

/// Everything the event loop needs of a running container. Dropped only after the undo stack has been unwound.
#[derive(Debug)]
pub struct Running {
    /// What was computed before the start.
    pub facts: Facts,
    /// The config it was started with (answers GET_CONFIG_ITEM; SET_CONFIG_ITEM changes it).
    pub config: Config,
    /// Init's process id in the monitor's pid namespace.
    pub pid: i32,
    /// Init, for signals and for its end (pollable).
    pub pidfd: OwnedFd,
    /// /proc/PID/ns/X of the namespaces that init has new, by `Ns as usize`: held so that the stop hook can enter them.
    pub ns_fds: [Option<OwnedFd>; 8],
    /// CLONE_NEW* flags of the namespaces that init has (answer to GET_CLONE_FLAGS).
    pub clone_flags: u64,
    /// The console's pair; `None` with `lxc.console.path = none`.
    pub console: Option<Pty>,
    /// The ttys, index 0 is tty1.
    pub ttys: Vec<Pty>,
    /// The container's own devpts instance.
    pub devpts: Option<OwnedFd>,
    /// The seccomp listener, when the policy notifies.
    pub seccomp_listener: Option<OwnedFd>,
    /// Who answers its notifications, with `lxc.seccomp.notify.proxy`.
    pub notify: Option<Notify>,
    /// The groups.
    pub groups: Option<Groups>,
    /// Host ends of veth pairs: N of `lxc.net.N` and the name (answer to `lxc.net.N.veth.pair` where none is configured).
    pub host_veths: Vec<(u32, String)>,
    /// Environment of hooks on the host, with LXC_PID.
    pub hook_env: Vec<String>,
    /// How init ended, waitid(2)-like raw status; the event loop sets it when it has reaped init.
    pub status: Option<i32>,
}

/// How the event loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Init is reaped; the container is to be started again with the same config.
    Reboot,
    /// Init is reaped; raw wait status.
    Stopped(i32),
}

/// What undoings may need: see `runtime::start`.
#[derive(Debug, Default)]
pub struct Ending {
    /// The container, from the clone on; undoings take from it what they close.
    pub running: Option<Box<Running>>,
    /// The network devices.
    pub network: Option<Network>,
    /// The groups, until there is a container that has them.
    pub groups: Option<Groups>,
    /// Tells states and owns the command socket.
    pub monitor: Option<Monitor>,
    /// The file with the monitor's pid.
    pub pidfile: Option<Pidfile>,
    /// It will be started again (LXC_TARGET=reboot).
    pub reboot: bool,
    /// The start failed.
    pub failed: bool,
}

impl Ending {
    /// The groups, wherever they are.
    pub fn groups(&mut self) -> Option<&mut Groups> {
        match self.running.as_mut().and_then(|r| r.groups.as_mut()) {
            Some(g) => Some(g),
            None => self.groups.as_mut(),
        }
    }

    /// Whether somebody has asked for the end: no reboot follows.
    pub fn is_killed(&self) -> bool {
        self.monitor.as_ref().is_some_and(Monitor::is_killed)
    }

    /// The name is free from now on.
    pub fn let_name_go(&mut self) {
        self.pidfile = None;
        if let Some(m) = &mut self.monitor {
            m.close_command();
        }
    }

    /// Tells a state.
    pub fn announce(&mut self, state: State) {
        if let Some(m) = &mut self.monitor {
            m.announce(state);
        }
    }
}

/// The start's undo stack.
pub type Stack = Undo<Ending>;
