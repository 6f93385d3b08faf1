//! Extended attributes (xattr(7)), by path and by descriptor, O_PATH ones included. Attribute values are bytes: what they
//! mean is the caller's. Only the `Vec` forms allocate.

use super::rc::{check, check_len};
use std::ffi::{CStr, CString};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// The attribute of the file at `path`, symlinks followed; returns its length. An empty buffer only asks for that.
///
/// # Errors
/// ENODATA without such an attribute, ERANGE for a buffer that is too short, EOPNOTSUPP.
pub fn get(path: &CStr, name: &CStr, value: &mut [u8]) -> io::Result<usize> {
    // SAFETY: both names are NUL-terminated and value is writable for its length.
    check_len(unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) })
}

/// The same for a symlink itself.
///
/// # Errors
/// As [`get`].
pub fn get_link(path: &CStr, name: &CStr, value: &mut [u8]) -> io::Result<usize> {
    // SAFETY: both names are NUL-terminated and value is writable for its length.
    check_len(unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) })
}

/// Sets an attribute of the file at `path`, symlinks followed.
///
/// # Errors
/// The kernel's.
pub fn set(path: &CStr, name: &CStr, value: &[u8]) -> io::Result<()> {
    // SAFETY: both names are NUL-terminated and value is readable for its length.
    check(unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) }).map(drop)
}

/// Sets an attribute of a symlink itself.
///
/// # Errors
/// The kernel's.
pub fn set_link(path: &CStr, name: &CStr, value: &[u8]) -> io::Result<()> {
    // SAFETY: both names are NUL-terminated and value is readable for its length.
    check(unsafe { libc::lsetxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) }).map(drop)
}

/// The attribute of an open file; returns its length. An empty buffer only asks for that.
///
/// # Errors
/// As [`get`].
pub fn fd_get(fd: impl AsFd, name: &CStr, value: &mut [u8]) -> io::Result<usize> {
    by_fd(fd.as_fd(), |way| match way {
        // SAFETY: name is NUL-terminated and value is writable for its length.
        Way::Fd(fd) => check_len(unsafe { libc::fgetxattr(fd, name.as_ptr(), value.as_mut_ptr().cast(), value.len()) }),
        Way::Path(path) => get(path, name, value),
    })
}

/// Sets an attribute of an open file.
///
/// # Errors
/// The kernel's.
pub fn fd_set(fd: impl AsFd, name: &CStr, value: &[u8]) -> io::Result<()> {
    let rc = |rc| check(rc).map(drop);
    by_fd(fd.as_fd(), |way| match way {
        // SAFETY: name is NUL-terminated and value is readable for its length.
        Way::Fd(fd) => rc(unsafe { libc::fsetxattr(fd, name.as_ptr(), value.as_ptr().cast(), value.len(), 0) }),
        Way::Path(path) => set(path, name, value),
    })
}

/// The attribute of an open file, whole; `None` when it has none of this name or its file system no attributes at all.
///
/// # Errors
/// The kernel's.
pub fn fd_value(fd: impl AsFd, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    let got = grown(|buf| fd_get(fd.as_fd(), name, buf));
    match got {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENODATA | libc::EOPNOTSUPP)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The names of an open file's attributes.
///
/// # Errors
/// The kernel's.
pub fn fd_list(fd: impl AsFd) -> io::Result<Vec<CString>> {
    let names = grown(|buf| {
        by_fd(fd.as_fd(), |way| {
            let (to, len) = (buf.as_mut_ptr().cast(), buf.len());
            check_len(match way {
                // SAFETY: buf is writable for its length.
                Way::Fd(fd) => unsafe { libc::flistxattr(fd, to, len) },
                // SAFETY: path is NUL-terminated and buf is writable for its length.
                Way::Path(path) => unsafe { libc::listxattr(path.as_ptr(), to, len) },
            })
        })
    })?;
    Ok(names.split(|b| *b == 0).filter(|n| !n.is_empty()).filter_map(|n| CString::new(n).ok()).collect())
}

// Asks for the length, then for the bytes, again when they grew between.
fn grown(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<Vec<u8>> {
    loop {
        let want = read(&mut [])?;
        // Never empty: that would only ask again.
        let mut buf = vec![0; want.max(1)];
        match read(&mut buf) {
            Err(e) if e.raw_os_error() == Some(libc::ERANGE) => {}
            Err(e) => return Err(e),
            Ok(n) => {
                buf.truncate(n);
                return Ok(buf);
            }
        }
    }
}

enum Way<'a> {
    Fd(i32),
    Path(&'a CStr),
}

// The f* calls refuse O_PATH descriptors with EBADF; those are reached through their /proc/self/fd name.
fn by_fd<T>(fd: BorrowedFd<'_>, mut call: impl FnMut(Way<'_>) -> io::Result<T>) -> io::Result<T> {
    match call(Way::Fd(fd.as_raw_fd())) {
        Err(e) if e.raw_os_error() == Some(libc::EBADF) => {
            let mut buf = [0; 32];
            let mut rest = buf.as_mut_slice();
            // Fits: the name has 14 bytes and the number at most 10; the rest stays NUL.
            write!(rest, "/proc/self/fd/{}", fd.as_raw_fd())?;
            CStr::from_bytes_until_nul(&buf).map_or(Err(e), |path| call(Way::Path(path)))
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::OpenOptionsExt;

    #[test]
    fn attributes_come_back_and_go() {
        let path = std::env::temp_dir().join(format!("lxc-xattr-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        let at = CString::new(path.as_os_str().as_bytes()).unwrap();
        let name = c"user.lxc.test";
        if let Err(e) = set(&at, name, b"value") {
            std::fs::remove_file(&path).unwrap();
            // Not every file system has user attributes.
            return assert_eq!(e.raw_os_error(), Some(libc::EOPNOTSUPP));
        }
        let mut buf = [0; 16];
        assert_eq!(get(&at, name, &mut buf).unwrap(), 5);
        assert_eq!(get_link(&at, name, &mut []).unwrap(), 5);
        assert_eq!(get(&at, name, &mut [0; 2]).unwrap_err().raw_os_error(), Some(libc::ERANGE));
        let opath = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(&path).unwrap();
        assert_eq!(fd_value(&opath, name).unwrap().unwrap(), b"value");
        assert!(fd_list(&opath).unwrap().iter().any(|n| n.as_c_str() == name));
        fd_set(&opath, name, b"").unwrap();
        assert_eq!(fd_value(&file, name).unwrap().unwrap(), b"");
        assert_eq!(fd_value(&file, c"user.lxc.none").unwrap(), None);
        std::fs::remove_file(&path).unwrap();
    }
}
