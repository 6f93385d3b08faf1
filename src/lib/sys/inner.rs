//! Loading a seccomp program from bytes. Owns no policy; allocates nothing.

use super::check_long;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Loads a seccomp program: an array of `sock_filter` as bytes (seccomp(2)). With SECCOMP_FILTER_FLAG_NEW_LISTENER among the
/// flags the listener is returned.
///
/// # Errors
/// EINVAL for a program that is not whole; seccomp(2).
pub fn seccomp_load(program: &[u8], flags: u32) -> io::Result<Option<OwnedFd>> {
    const INSN: usize = 8;
    const NEW_LISTENER: u32 = 8;
    let len = u16::try_from(program.len() / INSN).ok().filter(|_| program.len() % INSN == 0);
    let Some(len) = len.filter(|l| *l > 0) else { return Err(io::Error::from_raw_os_error(libc::EINVAL)) };
    let prog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel copies `len` instructions of eight bytes, which the slice has; it takes any alignment.
    let ret = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &prog) };
    let ret = check_long(ret)?;
    // SAFETY: with that flag the answer is a new descriptor.
    Ok((flags & NEW_LISTENER != 0).then(|| unsafe { OwnedFd::from_raw_fd(ret as RawFd) }))
}
