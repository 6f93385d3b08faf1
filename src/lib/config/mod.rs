//! config: to be filled by its owner (helper `keys`); this much lets `runtime` compile until then.
#![forbid(unsafe_code)]

/// The settings of every feature.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Control groups.
    pub cgroup: crate::cgroup::Conf,
    /// Hooks.
    pub hook: crate::hook::Conf,
    /// Id maps.
    pub idmap: crate::idmap::Conf,
    /// Mounts.
    pub mount: crate::mount::Conf,
    /// Namespaces.
    pub namespace: crate::namespace::Conf,
    /// Network devices.
    pub network: crate::network::Conf,
    /// The payload's process.
    pub process: crate::process::Conf,
    /// Security.
    pub security: crate::security::Conf,
    /// The rootfs.
    pub storage: crate::storage::Conf,
    /// Terminals and /dev.
    pub terminal: crate::terminal::Conf,
}
