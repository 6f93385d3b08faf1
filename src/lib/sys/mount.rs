//! Mounting, by the old call and the new ones (mount(2), fsopen(2), open_tree(2), move_mount(2), mount_setattr(2)).

use super::rc::{check, check_long};
use std::ffi::CStr;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// open_tree(2): a copy of the mount, not attached anywhere.
pub const OPEN_TREE_CLONE: u32 = 1;
/// open_tree(2), mount_setattr(2): with everything below.
pub const AT_RECURSIVE: u32 = 0x8000;
/// Attributes of mount_setattr(2) and fsmount(2).
pub const ATTR_RDONLY: u64 = 0x1;
/// No set-user-ID.
pub const ATTR_NOSUID: u64 = 0x2;
/// No devices.
pub const ATTR_NODEV: u64 = 0x4;
/// No programs.
pub const ATTR_NOEXEC: u64 = 0x8;
/// The mask of the access time choice.
pub const ATTR_ATIME: u64 = 0x70;
/// No access times.
pub const ATTR_NOATIME: u64 = 0x10;
/// All access times.
pub const ATTR_STRICTATIME: u64 = 0x20;
/// No access times of directories.
pub const ATTR_NODIRATIME: u64 = 0x80;
/// Ids are mapped by a user namespace.
pub const ATTR_IDMAP: u64 = 0x0010_0000;
/// Symbolic links are not followed (Linux 5.14).
pub const ATTR_NOSYMFOLLOW: u64 = 0x0020_0000;

fn ptr(text: Option<&CStr>) -> *const libc::c_char {
    text.map_or(std::ptr::null(), CStr::as_ptr)
}

/// mount(2).
///
/// # Errors
/// mount(2).
pub fn mount(
    source: Option<&CStr>,
    target: &CStr,
    fstype: Option<&CStr>,
    flags: u64,
    data: Option<&CStr>,
) -> io::Result<()> {
    // SAFETY: C strings or null, as mount(2) allows; nothing is kept.
    check(unsafe { libc::mount(ptr(source), target.as_ptr(), ptr(fstype), flags as libc::c_ulong, ptr(data).cast()) })
        .map(drop)
}

/// umount2(2): flags are MNT_* and UMOUNT_NOFOLLOW.
///
/// # Errors
/// umount2(2).
pub fn umount2(target: &CStr, flags: i32) -> io::Result<()> {
    // SAFETY: a C string and a number.
    check(unsafe { libc::umount2(target.as_ptr(), flags) }).map(drop)
}

/// open_tree(2); close-on-exec. An empty path is the descriptor itself.
///
/// # Errors
/// open_tree(2).
pub fn open_tree(dir: BorrowedFd<'_>, path: &CStr, flags: u32) -> io::Result<OwnedFd> {
    let flags = flags | libc::O_CLOEXEC as u32 | libc::AT_EMPTY_PATH as u32;
    // SAFETY: a C string and numbers; the descriptor is new.
    unsafe {
        let fd = check_long(libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), path.as_ptr(), flags))?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// move_mount(2): the detached mount `from` onto the place that `to` is open on.
///
/// # Errors
/// move_mount(2).
pub fn move_mount(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    move_mount_at(from, to, c"")
}

/// move_mount(2) onto `path` below `dir`.
///
/// # Errors
/// move_mount(2).
pub fn move_mount_at(from: BorrowedFd<'_>, dir: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    const F_EMPTY_PATH: libc::c_uint = 0x4;
    const T_EMPTY_PATH: libc::c_uint = 0x40;
    // SAFETY: C strings and numbers.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            from.as_raw_fd(),
            c"".as_ptr(),
            dir.as_raw_fd(),
            path.as_ptr(),
            F_EMPTY_PATH | T_EMPTY_PATH,
        )
    };
    check_long(ret).map(drop)
}

/// fsopen(2): a configuration of a file system type.
///
/// # Errors
/// fsopen(2): ENODEV for an unknown type.
pub fn fsopen(fstype: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: a C string and a number; the descriptor is new.
    unsafe {
        let fd = check_long(libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), 1u32))?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// fsconfig(2): a key with a text.
///
/// # Errors
/// fsconfig(2).
pub fn fsconfig_string(fs: BorrowedFd<'_>, key: &CStr, value: &CStr) -> io::Result<()> {
    fsconfig(fs, 1, Some(key), Some(value))
}

/// fsconfig(2): a key without a value.
///
/// # Errors
/// fsconfig(2).
pub fn fsconfig_flag(fs: BorrowedFd<'_>, key: &CStr) -> io::Result<()> {
    fsconfig(fs, 0, Some(key), None)
}

/// fsconfig(2): makes the superblock.
///
/// # Errors
/// fsconfig(2).
pub fn fsconfig_create(fs: BorrowedFd<'_>) -> io::Result<()> {
    fsconfig(fs, 6, None, None)
}

fn fsconfig(fs: BorrowedFd<'_>, cmd: u32, key: Option<&CStr>, value: Option<&CStr>) -> io::Result<()> {
    // SAFETY: C strings or null, as each command allows.
    let ret = unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), cmd, ptr(key), ptr(value), 0) };
    check_long(ret).map(drop)
}

/// fsmount(2): a detached mount with these `ATTR_*`.
///
/// # Errors
/// fsmount(2).
pub fn fsmount(fs: BorrowedFd<'_>, attrs: u64) -> io::Result<OwnedFd> {
    // SAFETY: numbers only; the descriptor is new.
    unsafe {
        let fd = check_long(libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), 1u32, attrs as u32))?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// What [`mount_setattr`] changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetAttr {
    /// `ATTR_*` to set.
    pub set: u64,
    /// `ATTR_*` to clear.
    pub clear: u64,
    /// MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE; 0 leaves it.
    pub propagation: u64,
}

/// mount_setattr(2) (Linux 5.12) on `path` below `dir`, an empty path is the descriptor itself. With ATTR_IDMAP, `userns`.
///
/// # Errors
/// mount_setattr(2).
pub fn mount_setattr(
    dir: BorrowedFd<'_>,
    path: &CStr,
    recursive: bool,
    attr: SetAttr,
    userns: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns: u64,
    }
    let attr = MountAttr {
        set: attr.set,
        clear: attr.clear,
        propagation: attr.propagation,
        userns: userns.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH as u32 | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the structure lives through the call and its size is given.
    let ret = unsafe {
        libc::syscall(libc::SYS_mount_setattr, dir.as_raw_fd(), path.as_ptr(), flags, &attr, size_of::<MountAttr>())
    };
    check_long(ret).map(drop)
}

/// pivot_root(2).
///
/// # Errors
/// pivot_root(2).
pub fn pivot_root(new_root: &CStr, put_old: &CStr) -> io::Result<()> {
    // SAFETY: C strings.
    check_long(unsafe { libc::syscall(libc::SYS_pivot_root, new_root.as_ptr(), put_old.as_ptr()) }).map(drop)
}
