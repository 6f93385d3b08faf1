//! The settings of `storage`, as its keys leave them. Data only; parsing lies in `keys.rs`, acting elsewhere.
#![forbid(unsafe_code)]

/// The rootfs.
#[derive(Debug, Clone, PartialEq)]
pub struct Conf {
    /// `lxc.rootfs.path`, type prefix stripped.
    pub path: Option<String>,
    /// The type before the first `:` of `lxc.rootfs.path`, when it was given.
    pub backend: Option<String>,
    /// `lxc.rootfs.mount`; `None` is the compiled default.
    pub mount: Option<String>,
    /// `lxc.rootfs.options`.
    pub options: Option<String>,
    /// `lxc.rootfs.managed`.
    pub managed: bool,
}

impl Default for Conf {
    fn default() -> Self {
        Self { path: None, backend: None, mount: None, options: None, managed: true }
    }
}
