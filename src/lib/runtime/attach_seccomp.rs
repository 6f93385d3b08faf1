//! The seccomp program that an attached process shares with its container.
#![forbid(unsafe_code)]

use crate::base::{Error, Result};
use crate::ipc::command::Client;

/// The program of the policy at this path, with its load flags.
///
/// # Errors
/// Always, as long as policies cannot be compiled: attaching without the container's policy would widen what it may do.
pub fn program(client: &Client, profile: &str) -> Result<(Vec<u8>, u32)> {
    let what = format!("{}: lxc.seccomp.profile = {profile}: policies are not built yet", client.container());
    Err(Error::os(nix::libc::ENOSYS, what).hint("attach with -e LSM to do without it"))
}
