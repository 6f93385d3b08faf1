//! What a case is: a row of data and a function.

use crate::ctx::T;
use std::time::Duration;

/// What a case needs of the machine. A missing one makes a skip, which tests/skips.txt must list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// euid 0 and the right to make namespaces: without it no sandbox can be built.
    Root,
    /// At least the freezer, memory and devices controllers mounted as cgroup v1.
    CgroupV1,
    /// cgroup2 alone on /sys/fs/cgroup.
    CgroupV2,
    /// overlayfs can be mounted.
    Overlay,
    /// An AppArmor kernel with the profiles of LXC loaded.
    Apparmor,
    /// A kernel without AppArmor.
    NoApparmor,
    /// A Debian tree with systemd in $LXC_TEST_DEBIAN.
    Systemd,
    /// Package registries can be reached (LXC_TEST_REGISTRY=1 says so).
    Registry,
    /// Both subjects are installed; on the reference both sides are the reference.
    Both,
    /// The project's fact sheets at $LXC_SHARED.
    Shared,
    /// seccomp filters in the kernel.
    Seccomp,
    /// tmpfs, on which the sandboxes live, can be idmapped (Linux 6.3).
    IdmappedTmpfs,
    /// Bridges can be made in a new network namespace.
    Bridge,
    /// gcc, for a case that compiles its init.
    Compiler,
    /// The C headers of the subject.
    Headers,
}

impl Need {
    pub fn name(self) -> &'static str {
        match self {
            Need::Root => "root",
            Need::CgroupV1 => "cgroup-v1",
            Need::CgroupV2 => "cgroup-v2",
            Need::Overlay => "overlay",
            Need::Apparmor => "apparmor",
            Need::NoApparmor => "no-apparmor",
            Need::Systemd => "systemd",
            Need::Registry => "registry",
            Need::Both => "both",
            Need::Shared => "shared",
            Need::Seccomp => "seccomp",
            Need::IdmappedTmpfs => "idmapped-tmpfs",
            Need::Bridge => "bridge",
            Need::Compiler => "compiler",
            Need::Headers => "headers",
        }
    }
}

/// One test.
pub struct Case {
    pub name: String,
    pub needs: Vec<Need>,
    /// "" or the LXC version whose behaviour this is, when 5.0.2 lacks it.
    pub since: &'static str,
    /// Row of docs/differences.md, when ours deliberately differs from the reference.
    pub differs: Option<&'static str>,
    /// Options that the case exercises: `start -F --rcfile`, several tools separated by `;`.
    pub covers: &'static str,
    /// Keys of the table whose effect the case shows, by their names there, blank-separated. It must use each (ctx.rs).
    pub keys: &'static str,
    pub limit: Duration,
    pub run: Box<dyn Fn(&mut T) + Send + Sync>,
}

/// The list that the files in cases/ fill.
#[derive(Default)]
pub struct Cases(pub Vec<Case>);

impl Cases {
    /// Add a case; the returned row can be refined.
    pub fn add(&mut self, name: impl Into<String>, run: impl Fn(&mut T) + Send + Sync + 'static) -> &mut Case {
        self.0.push(Case {
            name: name.into(),
            needs: vec![Need::Root],
            since: "",
            differs: None,
            covers: "",
            keys: "",
            limit: Duration::from_secs(60),
            run: Box::new(run),
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }
}

impl Case {
    pub fn needs(&mut self, needs: &[Need]) -> &mut Case {
        self.needs.extend_from_slice(needs);
        self
    }
    pub fn since(&mut self, version: &'static str) -> &mut Case {
        self.since = version;
        self
    }
    pub fn differs(&mut self, id: &'static str) -> &mut Case {
        self.differs = Some(id);
        self
    }
    pub fn covers(&mut self, options: &'static str) -> &mut Case {
        self.covers = options;
        self
    }
    pub fn keys(&mut self, keys: &'static str) -> &mut Case {
        self.keys = keys;
        self
    }
    pub fn limit(&mut self, seconds: u64) -> &mut Case {
        self.limit = Duration::from_secs(seconds);
        self
    }
}
