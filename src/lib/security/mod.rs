//! Feature `security`: capabilities, AppArmor, SELinux, seccomp, keyring (lxc.cap.*, lxc.apparmor.* …).
//!
//! Decides on the host what init is confined by and renders it; the child applies it. Loads no profile into the kernel.
#![forbid(unsafe_code)]

pub mod caps;
pub mod conf;
pub mod keys;
pub mod lsm;
pub mod seccomp;

pub use conf::Conf;

use crate::base::facts::Facts;
use crate::base::{Context, Result};
use crate::sys::cred;

/// What the child applies, in the order of the fields.
#[derive(Debug, Clone, Default)]
pub struct Prepared {
    /// A session keyring of its own (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING), with this label first.
    pub session_keyring: bool,
    /// The capabilities to drop from the bounding set.
    pub cap_drops: Vec<u8>,
    /// Labels: the keyring's before it is made, the process's after the capabilities are dropped.
    pub labels: lsm::Labels,
    /// PR_SET_NO_NEW_PRIVS, after the label.
    pub no_new_privs: bool,
    /// The seccomp program, last; without no_new_privs its load needs CAP_SYS_ADMIN in the user namespace.
    pub seccomp: Option<seccomp::Program>,
}

/// Renders the confinement of one start.
///
/// # Errors
/// An AppArmor profile that is not loaded; a seccomp policy that cannot be read, parsed or compiled.
pub fn prepare(conf: &Conf, facts: &Facts) -> Result<Prepared> {
    let wants_status = conf.seccomp_profile.is_some() || conf.caps != conf::Caps::Unset;
    let status = if wants_status {
        std::fs::read_to_string("/proc/self/status").ctx(|| "cannot read /proc/self/status".into())?
    } else {
        String::new()
    };
    let cap_drops = match conf.caps {
        conf::Caps::Unset => Vec::new(),
        // A new user namespace begins with a full bounding set.
        _ if facts.userns() => caps::drops(&conf.caps, cred::last_cap(), None),
        _ => caps::drops(&conf.caps, cred::last_cap(), caps::bounding(&status)),
    };
    Ok(Prepared {
        session_keyring: !conf.no_session_keyring,
        cap_drops,
        labels: lsm::labels(conf, facts)?,
        no_new_privs: conf.no_new_privs,
        seccomp: seccomp_program(conf, &status)?,
    })
}

/// The program, unless the kernel has no seccomp, or the caller is filtered already and nesting is not wanted.
fn seccomp_program(conf: &Conf, status: &str) -> Result<Option<seccomp::Program>> {
    let Some(path) = &conf.seccomp_profile else { return Ok(None) };
    let mode = status.lines().find_map(|l| l.strip_prefix("Seccomp:")).map(str::trim);
    match mode {
        None => {
            crate::log_info!("The kernel has no seccomp: {path} is not loaded");
            return Ok(None);
        }
        Some(m) if m != "0" && !conf.seccomp_allow_nesting => {
            crate::log_info!("Filtered by seccomp already, lxc.seccomp.allow_nesting is not set: {path} is not loaded");
            return Ok(None);
        }
        Some(_) => {}
    }
    seccomp::program(path).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepared() {
        let conf = Conf { caps: conf::Caps::Drop(vec![16, 25]), no_new_privs: true, ..Conf::default() };
        let facts = Facts { privileged: true, ..Facts::default() };
        let p = prepare(&conf, &facts).unwrap();
        assert!(p.no_new_privs && p.session_keyring && p.seccomp.is_none());
        assert!(p.cap_drops.iter().all(|c| [16, 25].contains(c)));
        let conf = Conf { seccomp_profile: Some("/nowhere/policy".into()), ..Conf::default() };
        assert!(prepare(&conf, &facts).unwrap_err().what.contains("/nowhere/policy"));
        let status = "Seccomp:\t2\n";
        assert_eq!(seccomp_program(&conf, status).unwrap(), None);
        assert_eq!(seccomp_program(&conf, "").unwrap(), None);
    }
}
