//! The settings of `process`, as its keys leave them. Data only; parsing lies in `keys.rs`, acting elsewhere.
#![forbid(unsafe_code)]

/// The payload's process.
#[derive(Debug, Clone, PartialEq)]
pub struct Conf {
    /// `lxc.arch`: `Some(false)` 64 bits, `Some(true)` 32 bits (PER_LINUX32).
    pub arch32: Option<bool>,
    /// `lxc.uts.name`.
    pub uts_name: Option<String>,
    /// `lxc.init.cmd`.
    pub init_cmd: Option<String>,
    /// `lxc.execute.cmd`.
    pub execute_cmd: Option<String>,
    /// `lxc.init.cwd`.
    pub init_cwd: Option<String>,
    /// `lxc.init.uid`.
    pub init_uid: u32,
    /// `lxc.init.gid`.
    pub init_gid: u32,
    /// `lxc.init.groups`.
    pub init_groups: Vec<u32>,
    /// `lxc.ephemeral`.
    pub ephemeral: bool,
    /// `lxc.group`.
    pub groups: Vec<String>,
    /// `lxc.start.auto`.
    pub start_auto: bool,
    /// `lxc.start.delay`, seconds.
    pub start_delay: u32,
    /// `lxc.start.order`.
    pub start_order: i32,
    /// `lxc.signal.halt`; 0 is automatic.
    pub signal_halt: i32,
    /// `lxc.signal.reboot`; 0 is SIGINT.
    pub signal_reboot: i32,
    /// `lxc.signal.stop`; 0 is SIGKILL.
    pub signal_stop: i32,
    /// `lxc.monitor.signal.pdeath`; 0 is none.
    pub pdeath: i32,
    /// `lxc.monitor.unshare`.
    pub monitor_unshare: u32,
    /// `lxc.environment`: `NAME=value`.
    pub environment: Vec<String>,
    /// `lxc.environment.runtime`.
    pub environment_runtime: Vec<String>,
    /// `lxc.environment.hooks`.
    pub environment_hooks: Vec<String>,
    /// `lxc.prlimit.RES`: name, soft, hard; `u64::MAX` is unlimited.
    pub prlimits: Vec<(String, u64, u64)>,
    /// `lxc.sysctl.NAME`.
    pub sysctls: Vec<(String, String)>,
    /// `lxc.proc.FILE`.
    pub procs: Vec<(String, String)>,
}

impl Default for Conf {
    fn default() -> Self {
        Self {
            arch32: None,
            uts_name: None,
            init_cmd: None,
            execute_cmd: None,
            init_cwd: None,
            init_uid: 0,
            init_gid: 0,
            init_groups: Vec::new(),
            ephemeral: false,
            groups: Vec::new(),
            start_auto: false,
            start_delay: 0,
            start_order: 0,
            signal_halt: 0,
            signal_reboot: 0,
            signal_stop: 0,
            pdeath: 9,
            monitor_unshare: 0,
            environment: Vec::new(),
            environment_runtime: Vec::new(),
            environment_hooks: Vec::new(),
            prlimits: Vec::new(),
            sysctls: Vec::new(),
            procs: Vec::new(),
        }
    }
}
