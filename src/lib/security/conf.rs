//! The settings of `security`, as its keys leave them. Data only; parsing lies in `keys.rs`, acting elsewhere.
#![forbid(unsafe_code)]

/// The capability list in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Caps {
    /// Neither key is set.
    #[default]
    Unset,
    /// `lxc.cap.drop`.
    Drop(Vec<u8>),
    /// `lxc.cap.keep`; empty keeps nothing.
    Keep(Vec<u8>),
}

/// Security.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conf {
    /// Capabilities.
    pub caps: Caps,
    /// The words of `lxc.cap.drop` or `lxc.cap.keep` as they were written (a get shows them).
    pub caps_words: Vec<String>,
    /// `lxc.no_new_privs`.
    pub no_new_privs: bool,
    /// `lxc.apparmor.profile`.
    pub apparmor_profile: Option<String>,
    /// `lxc.apparmor.allow_incomplete`.
    pub apparmor_allow_incomplete: bool,
    /// `lxc.apparmor.allow_nesting`.
    pub apparmor_allow_nesting: bool,
    /// `lxc.apparmor.raw`.
    pub apparmor_raw: Vec<String>,
    /// `lxc.selinux.context`.
    pub selinux_context: Option<String>,
    /// `lxc.selinux.context.keyring`.
    pub selinux_keyring: Option<String>,
    /// `lxc.keyring.session = 1`: make no session keyring.
    pub no_session_keyring: bool,
    /// `lxc.seccomp.profile`.
    pub seccomp_profile: Option<String>,
    /// `lxc.seccomp.allow_nesting`.
    pub seccomp_allow_nesting: bool,
    /// `lxc.seccomp.notify.proxy`: path, or `@name`.
    pub seccomp_proxy: Option<String>,
    /// `lxc.seccomp.notify.cookie`.
    pub seccomp_cookie: Option<String>,
    /// `lxc.sched.core`.
    pub sched_core: bool,
}
