//! The settings of `hook`, as its keys leave them. Data only; parsing lies in `keys.rs`, acting elsewhere.
#![forbid(unsafe_code)]

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum When {
    /// Before anything, on the host.
    PreStart,
    /// In the container's namespaces, before its rootfs is mounted.
    PreMount,
    /// After the mounts.
    Mount,
    /// After /dev is there.
    Autodev,
    /// On the host, just before init runs.
    StartHost,
    /// Inside, just before init runs.
    Start,
    /// On the host, after init ended, namespaces still held.
    Stop,
    /// On the host, after all is gone.
    PostStop,
    /// On the host, for a copy.
    Clone,
    /// On the host, before a container is destroyed.
    Destroy,
}

impl When {
    /// All ten.
    pub const ALL: [When; 10] = [
        When::PreStart,
        When::PreMount,
        When::Mount,
        When::Autodev,
        When::StartHost,
        When::Start,
        When::Stop,
        When::PostStop,
        When::Clone,
        When::Destroy,
    ];

    /// The name in keys and in hook arguments.
    pub const fn name(self) -> &'static str {
        match self {
            When::PreStart => "pre-start",
            When::PreMount => "pre-mount",
            When::Mount => "mount",
            When::Autodev => "autodev",
            When::StartHost => "start-host",
            When::Start => "start",
            When::Stop => "stop",
            When::PostStop => "post-stop",
            When::Clone => "clone",
            When::Destroy => "destroy",
        }
    }
}

/// Hooks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conf {
    /// Commands, indexed by `When as usize`.
    pub hooks: [Vec<String>; 10],
    /// `lxc.hook.version`, 0 or 1.
    pub version: u32,
}
