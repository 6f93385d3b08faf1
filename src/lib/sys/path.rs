//! Paths below directory descriptors: the way into a rootfs. Resolution is the kernel's (openat2(2)), never ours by string.

use super::rc::{check, check_long};
use std::ffi::CStr;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// How far a path may lead (openat2(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolve {
    /// The directory is the root: absolute links and `..` end there.
    InRoot,
    /// Leading out fails, and so does any symbolic link (ELOOP).
    BeneathNoLinks,
    /// The same, and entering a mount fails with EXDEV.
    SameMount,
}

impl Resolve {
    const fn bits(self) -> u64 {
        const NO_XDEV: u64 = 0x01;
        const NO_MAGICLINKS: u64 = 0x02;
        const NO_SYMLINKS: u64 = 0x04;
        const BENEATH: u64 = 0x08;
        const IN_ROOT: u64 = 0x10;
        match self {
            Resolve::InRoot => IN_ROOT | NO_MAGICLINKS,
            Resolve::BeneathNoLinks => BENEATH | NO_SYMLINKS | NO_MAGICLINKS,
            Resolve::SameMount => BENEATH | NO_SYMLINKS | NO_MAGICLINKS | NO_XDEV,
        }
    }
}

/// The current directory, for calls that take a directory.
pub fn cwd() -> BorrowedFd<'static> {
    // SAFETY: AT_FDCWD is no descriptor but a mark that every *at call understands; it is not -1.
    unsafe { BorrowedFd::borrow_raw(libc::AT_FDCWD) }
}

/// Opens below `dir`; close-on-exec.
///
/// # Errors
/// openat2(2): EXDEV and ELOOP when the path leads where it must not.
pub fn openat2(dir: BorrowedFd<'_>, path: &CStr, flags: i32, mode: u32, how: Resolve) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct How {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    let flags = u64::from((flags | libc::O_CLOEXEC) as u32);
    let creates = flags & (libc::O_CREAT as u64) != 0 || flags & (libc::O_TMPFILE as u64) == libc::O_TMPFILE as u64;
    let how = How { flags, mode: if creates { u64::from(mode) } else { 0 }, resolve: how.bits() };
    loop {
        // SAFETY: the pointers are valid for the call, the size is the structure's.
        let ret = unsafe { libc::syscall(libc::SYS_openat2, dir.as_raw_fd(), path.as_ptr(), &how, size_of::<How>()) };
        match check_long(ret) {
            // SAFETY: the descriptor is new.
            Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
            // A rename raced with a `..`: the kernel asks to try again.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {}
            Err(e) => return Err(e),
        }
    }
}

/// Opens as open(2) does; close-on-exec. Much cheaper than a path that needs watching.
///
/// # Errors
/// open(2).
pub fn open(path: &CStr, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    openat(cwd(), path, flags, mode)
}

/// openat(2); close-on-exec.
///
/// # Errors
/// openat(2).
pub fn openat(dir: BorrowedFd<'_>, path: &CStr, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    // SAFETY: a C string and numbers; the descriptor is new.
    unsafe {
        let fd = libc::openat(dir.as_raw_fd(), path.as_ptr(), flags | libc::O_CLOEXEC, mode);
        Ok(OwnedFd::from_raw_fd(check(fd)?))
    }
}

/// mkdirat(2).
///
/// # Errors
/// mkdirat(2).
pub fn mkdirat(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: a C string and numbers.
    check(unsafe { libc::mkdirat(dir.as_raw_fd(), path.as_ptr(), mode) }).map(drop)
}

/// mknodat(2).
///
/// # Errors
/// mknodat(2): EPERM in a user namespace.
pub fn mknodat(dir: BorrowedFd<'_>, path: &CStr, mode: u32, dev: u64) -> io::Result<()> {
    // SAFETY: a C string and numbers.
    check(unsafe { libc::mknodat(dir.as_raw_fd(), path.as_ptr(), mode, dev) }).map(drop)
}

/// symlinkat(2).
///
/// # Errors
/// symlinkat(2).
pub fn symlinkat(target: &CStr, dir: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    // SAFETY: C strings and a number.
    check(unsafe { libc::symlinkat(target.as_ptr(), dir.as_raw_fd(), path.as_ptr()) }).map(drop)
}

/// linkat(2), without following.
///
/// # Errors
/// linkat(2).
pub fn linkat(from: BorrowedFd<'_>, old: &CStr, to: BorrowedFd<'_>, new: &CStr) -> io::Result<()> {
    // SAFETY: C strings and numbers.
    check(unsafe { libc::linkat(from.as_raw_fd(), old.as_ptr(), to.as_raw_fd(), new.as_ptr(), 0) }).map(drop)
}

/// unlinkat(2); `dir_itself` removes a directory.
///
/// # Errors
/// unlinkat(2).
pub fn unlinkat(dir: BorrowedFd<'_>, path: &CStr, dir_itself: bool) -> io::Result<()> {
    let flags = if dir_itself { libc::AT_REMOVEDIR } else { 0 };
    // SAFETY: a C string and numbers.
    check(unsafe { libc::unlinkat(dir.as_raw_fd(), path.as_ptr(), flags) }).map(drop)
}

/// renameat2(2); `no_replace` fails with EEXIST when the new name is taken.
///
/// # Errors
/// renameat2(2).
pub fn renameat(from: BorrowedFd<'_>, old: &CStr, to: BorrowedFd<'_>, new: &CStr, no_replace: bool) -> io::Result<()> {
    let flags: libc::c_uint = u32::from(no_replace);
    // SAFETY: C strings and numbers.
    let ret = unsafe {
        libc::syscall(libc::SYS_renameat2, from.as_raw_fd(), old.as_ptr(), to.as_raw_fd(), new.as_ptr(), flags)
    };
    check_long(ret).map(drop)
}

/// fchownat(2); with an empty path the descriptor itself, links are never followed. `u32::MAX` leaves an id as it is.
///
/// # Errors
/// fchownat(2).
pub fn chownat(dir: BorrowedFd<'_>, path: &CStr, uid: u32, gid: u32) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: a C string and numbers.
    check(unsafe { libc::fchownat(dir.as_raw_fd(), path.as_ptr(), uid, gid, flags) }).map(drop)
}

/// fchmodat(2): follows a link in the last component.
///
/// # Errors
/// fchmodat(2).
pub fn chmodat(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: a C string and numbers.
    check(unsafe { libc::fchmodat(dir.as_raw_fd(), path.as_ptr(), mode, 0) }).map(drop)
}

/// fchmod(2); not for O_PATH descriptors.
///
/// # Errors
/// fchmod(2).
pub fn chmod_fd(fd: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::fchmod(fd.as_raw_fd(), mode) }).map(drop)
}

/// faccessat(2) with the effective ids: `mode` is of R_OK, W_OK, X_OK, 0 for existence.
///
/// # Errors
/// faccessat(2).
pub fn access(dir: BorrowedFd<'_>, path: &CStr, mode: i32) -> io::Result<()> {
    // SAFETY: a C string and numbers.
    check(unsafe { libc::faccessat(dir.as_raw_fd(), path.as_ptr(), mode, libc::AT_EACCESS) }).map(drop)
}

/// What stat(2) tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The file system's device number.
    pub dev: u64,
    /// The node's own device number.
    pub rdev: u64,
    /// Inode number.
    pub ino: u64,
    /// Bytes.
    pub size: i64,
    /// Hard links.
    pub nlink: u64,
}

impl Stat {
    /// The type bits (S_IFDIR …).
    pub const fn kind(&self) -> u32 {
        self.mode & libc::S_IFMT
    }
}

/// fstatat(2); an empty path is the descriptor itself. `follow` follows a link in the last component.
///
/// # Errors
/// fstatat(2).
pub fn statat(dir: BorrowedFd<'_>, path: &CStr, follow: bool) -> io::Result<Stat> {
    let mut buf = MaybeUninit::<libc::stat>::uninit();
    let flags = libc::AT_EMPTY_PATH | if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    // SAFETY: the buffer is filled when the call succeeds.
    let st = unsafe {
        check(libc::fstatat(dir.as_raw_fd(), path.as_ptr(), buf.as_mut_ptr(), flags))?;
        buf.assume_init()
    };
    Ok(Stat {
        mode: st.st_mode,
        uid: st.st_uid,
        gid: st.st_gid,
        dev: st.st_dev,
        rdev: st.st_rdev,
        ino: st.st_ino,
        size: st.st_size,
        nlink: st.st_nlink as u64,
    })
}

/// fstat(2).
///
/// # Errors
/// fstat(2).
pub fn fstat(fd: BorrowedFd<'_>) -> io::Result<Stat> {
    statat(fd, c"", false)
}

/// The file system type's magic number (statfs(2)).
///
/// # Errors
/// fstatfs(2).
pub fn fs_type(fd: BorrowedFd<'_>) -> io::Result<i64> {
    let mut buf = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the buffer is filled when the call succeeds.
    unsafe {
        check(libc::fstatfs(fd.as_raw_fd(), buf.as_mut_ptr()))?;
        Ok(buf.assume_init().f_type)
    }
}

/// The mount flags of the file system, as statvfs(3) has them (ST_RDONLY, ST_NOSUID …).
///
/// # Errors
/// fstatvfs(3).
pub fn fs_flags(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let mut buf = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the buffer is filled when the call succeeds.
    unsafe {
        check(libc::fstatvfs(fd.as_raw_fd(), buf.as_mut_ptr()))?;
        Ok(buf.assume_init().f_flag)
    }
}

/// readlinkat(2) into `buf`; an empty path is the O_PATH descriptor itself. Returns the length, cut at the buffer's.
///
/// # Errors
/// readlinkat(2).
pub fn readlinkat(dir: BorrowedFd<'_>, path: &CStr, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are the slice's.
    let n = unsafe { libc::readlinkat(dir.as_raw_fd(), path.as_ptr(), buf.as_mut_ptr().cast(), buf.len()) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// `/proc/self/fd/N`, without allocation: the way to hand a descriptor to a call that wants a path.
pub fn proc_fd_path<'a>(fd: BorrowedFd<'_>, buf: &'a mut [u8; 32]) -> &'a CStr {
    numbered(b"/proc/self/fd/", fd.as_raw_fd().unsigned_abs(), b"", buf)
}

/// `PREFIX` + decimal number + `SUFFIX` as a C string in `buf`; cut to nothing when it does not fit.
pub fn numbered<'a, const N: usize>(prefix: &[u8], number: u32, suffix: &[u8], buf: &'a mut [u8; N]) -> &'a CStr {
    let mut digits = [0u8; 10];
    let (mut n, mut at) = (number, digits.len());
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    let mut len = 0;
    for part in [prefix, digits.get(at..).unwrap_or_default(), suffix, b"\0"] {
        if let Some(to) = buf.get_mut(len..len + part.len()) {
            to.copy_from_slice(part);
        }
        len += part.len();
    }
    CStr::from_bytes_until_nul(buf.get(..len).unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn numbers_are_written_without_allocation() {
        let mut buf = [0; 32];
        assert_eq!(numbered(b"/proc/self/fd/", 4_294_967_295, b"/x", &mut buf), c"/proc/self/fd/4294967295/x");
        assert_eq!(numbered(b"a", 0, b"", &mut buf), c"a0");
        let mut small = [0; 4];
        assert_eq!(numbered(b"abcdef", 7, b"", &mut small).to_bytes(), b"");
    }

    #[test]
    fn a_hostile_tree_does_not_lead_out() {
        let top = std::env::temp_dir().join(format!("lxc-path-{}", std::process::id()));
        std::fs::create_dir_all(top.join("root/etc")).unwrap();
        std::fs::write(top.join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("/", top.join("root/abs")).unwrap();
        std::os::unix::fs::symlink("../secret", top.join("root/up")).unwrap();
        let root = std::ffi::CString::new(top.join("root").to_str().unwrap()).unwrap();
        let dir = open(&root, libc::O_PATH | libc::O_DIRECTORY, 0).unwrap();
        let rd = libc::O_RDONLY;
        assert!(openat(dir.as_fd(), c"up", rd, 0).is_ok());
        assert!(openat2(dir.as_fd(), c"up", rd, 0, Resolve::InRoot).is_err());
        assert!(openat2(dir.as_fd(), c"up", rd, 0, Resolve::BeneathNoLinks).is_err());
        assert_eq!(
            openat2(dir.as_fd(), c"abs/etc", rd, 0, Resolve::BeneathNoLinks).unwrap_err().raw_os_error(),
            Some(libc::ELOOP)
        );
        // An absolute link leads to the root itself.
        let inside = openat2(dir.as_fd(), c"abs/etc", libc::O_PATH, 0, Resolve::InRoot).unwrap();
        assert_eq!(fstat(inside.as_fd()).unwrap().kind(), libc::S_IFDIR);
        let proc = open(c"/", libc::O_PATH | libc::O_DIRECTORY, 0).unwrap();
        let mounted = openat2(proc.as_fd(), c"proc", libc::O_PATH, 0, Resolve::SameMount).unwrap_err();
        assert_eq!(mounted.raw_os_error(), Some(libc::EXDEV));
        std::fs::remove_dir_all(&top).unwrap();
    }
}
