//! Feature `security`: capabilities, AppArmor, SELinux, seccomp, keyring (lxc.cap.*, lxc.apparmor.* …).
#![forbid(unsafe_code)]

pub mod conf;
pub mod keys;

pub use conf::Conf;
