//! Who a process is and what it may: ids, groups, capabilities (credentials(7), capabilities(7)). Raw calls, so that they
//! hold for the calling thread alone and work between clone and exec.

use super::rc::check_long;
use std::io;

/// The real, effective user and group ids.
pub fn uid() -> u32 {
    // SAFETY: it cannot fail.
    unsafe { libc::getuid() }
}

/// Effective user id.
pub fn euid() -> u32 {
    // SAFETY: it cannot fail.
    unsafe { libc::geteuid() }
}

/// Effective group id.
pub fn egid() -> u32 {
    // SAFETY: it cannot fail.
    unsafe { libc::getegid() }
}

/// setgroups(2) of the calling thread.
///
/// # Errors
/// setgroups(2): EPERM in a user namespace that denies it.
pub fn setgroups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer and the length are the slice's.
    check_long(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// setresuid(2) of the calling thread, all three.
///
/// # Errors
/// setresuid(2).
pub fn setuid_all(uid: u32) -> io::Result<()> {
    // SAFETY: numbers only.
    check_long(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// setresgid(2) of the calling thread, all three.
///
/// # Errors
/// setresgid(2).
pub fn setgid_all(gid: u32) -> io::Result<()> {
    // SAFETY: numbers only.
    check_long(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// setfsuid(2), setfsgid(2): whom files are opened as.
pub fn setfsids(uid: u32, gid: u32) {
    // SAFETY: numbers only; these calls report no errors.
    unsafe {
        libc::syscall(libc::SYS_setfsgid, gid);
        libc::syscall(libc::SYS_setfsuid, uid);
    }
}

fn prctl(op: i32, a: libc::c_ulong, b: libc::c_ulong) -> io::Result<libc::c_long> {
    let zero: libc::c_ulong = 0;
    // SAFETY: every caller here passes numbers only.
    check_long(libc::c_long::from(unsafe { libc::prctl(op, a, b, zero, zero) }))
}

/// Takes capability `n` out of the bounding set.
///
/// # Errors
/// prctl(2), PR_CAPBSET_DROP.
pub fn cap_bset_drop(n: u8) -> io::Result<()> {
    prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(n), 0).map(drop)
}

/// Capability `n` is in the bounding set.
///
/// # Errors
/// EINVAL: the kernel has no such capability.
pub fn cap_bset_read(n: u8) -> io::Result<bool> {
    prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(n), 0).map(|v| v == 1)
}

/// The kernel's highest capability, by asking for ever lower ones from 63; 0 when nothing answers.
pub fn last_cap() -> u8 {
    (0..64u8).rev().find(|n| cap_bset_read(*n).is_ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_capability_is_found() {
        assert!(last_cap() >= 40, "{}", last_cap());
    }
}
