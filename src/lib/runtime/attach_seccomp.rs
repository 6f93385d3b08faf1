//! The seccomp program that an attached process shares with its container, and the way of its listener to the monitor.
#![forbid(unsafe_code)]

use super::attach_child::Script;
use crate::base::{Context, Result};
use crate::ipc::command::Client;
use crate::log_info;
use crate::security::seccomp;
use crate::sys::{scm, socket};
use std::os::fd::{AsFd, OwnedFd};

/// The program of the policy at this path, with its load flags.
///
/// # Errors
/// The policy cannot be read or compiled: attaching without it would widen what the process may do.
pub fn program(profile: &str) -> Result<(Vec<u8>, u32)> {
    let program = seccomp::program(profile)?;
    Ok((program.bpf, program.flags))
}

/// Where the listener will arrive, when the script loads a program that has one.
///
/// # Errors
/// No descriptor is left.
pub fn listener(script: &mut Script) -> Result<Option<OwnedFd>> {
    if script.seccomp.as_ref().is_none_or(|(_, flags)| flags & seccomp::NEW_LISTENER == 0) {
        return Ok(None);
    }
    let (ours, theirs) = socket::pair_seqpacket().ctx(|| "Failed to create a socket pair".into())?;
    script.listener = Some(theirs);
    Ok(Some(ours))
}

/// Waits for the listener and gives it to the monitor. A child that fails before it has one closes its end.
pub fn hand_over(client: &Client, from: &OwnedFd) {
    let Ok(mut got) = scm::recv(from.as_fd(), &mut [0]) else { return };
    let Some(listener) = got.fds.pop() else { return };
    if let Err(f) = client.add_seccomp_listener(listener.as_fd()) {
        // As in LXC: without a proxy the calls that notify fail.
        log_info!("the monitor does not take the seccomp listener of the attached process (errno {})", f.errno());
    }
}
