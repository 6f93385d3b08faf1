//! The seccomp program that an attached process shares with its container. Compiles none of its own.
#![forbid(unsafe_code)]

use crate::base::Result;
use crate::security::seccomp;

/// The program of the policy at this path, with its load flags. A listener is the container's own: an attached process
/// asks for none.
///
/// # Errors
/// The policy cannot be read or compiled: attaching without it would widen what the process may do.
pub fn program(profile: &str) -> Result<(Vec<u8>, u32)> {
    let program = seccomp::program(profile)?;
    Ok((program.bpf, program.flags))
}
