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

/// The three capability sets of a thread, a bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    /// Effective.
    pub effective: u64,
    /// Permitted.
    pub permitted: u64,
    /// Inheritable.
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// capget(2) of the calling thread.
///
/// # Errors
/// capget(2).
pub fn capget() -> io::Result<Caps> {
    let header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 fills two structures.
    check_long(unsafe { libc::syscall(libc::SYS_capget, &header, data.as_mut_ptr()) })?;
    let join = |f: fn(&Data) -> u32| u64::from(f(&data[0])) | u64::from(f(&data[1])) << 32;
    Ok(Caps {
        effective: join(|d| d.effective),
        permitted: join(|d| d.permitted),
        inheritable: join(|d| d.inheritable),
    })
}

/// capset(2) of the calling thread.
///
/// # Errors
/// capset(2).
pub fn capset(caps: Caps) -> io::Result<()> {
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |shift: u32| Data {
        effective: (caps.effective >> shift) as u32,
        permitted: (caps.permitted >> shift) as u32,
        inheritable: (caps.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 reads two structures.
    check_long(unsafe { libc::syscall(libc::SYS_capset, &header, data.as_ptr()) }).map(drop)
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

/// Raises an ambient capability.
///
/// # Errors
/// prctl(2), PR_CAP_AMBIENT_RAISE.
pub fn ambient_raise(n: u8) -> io::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong, libc::c_ulong::from(n)).map(drop)
}

/// Clears all ambient capabilities.
///
/// # Errors
/// prctl(2), PR_CAP_AMBIENT_CLEAR_ALL.
pub fn ambient_clear() -> io::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0).map(drop)
}

/// The kernel's highest capability, by asking for ever lower ones from 63; 0 when nothing answers.
pub fn last_cap() -> u8 {
    (0..64u8).rev().find(|n| cap_bset_read(*n).is_ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_and_written_back() {
        let caps = capget().unwrap();
        assert_eq!(caps.effective & !caps.permitted, 0);
        capset(caps).unwrap();
        assert!(last_cap() >= 40, "{}", last_cap());
    }
}
