//! Files as the host side needs them: whole-file locks, durable directories, atomic replacement, nameless files. Knows no
//! file of LXC's; nothing here is for the child between clone and exec (it allocates).

use super::rc::{again, check};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Locks the whole file for this open file description (F_OFD_SETLK and F_OFD_SETLKW, fcntl(2)); flock(2) where the file
/// system or kernel knows no such locks. The lock ends when the last duplicate of the descriptor closes. `Ok(false)`:
/// another one holds it and `wait` is false.
///
/// # Errors
/// The kernel's: EBADF when the descriptor is not open for what the lock needs (writing when `exclusive`).
pub fn lock_file(fd: impl AsFd, exclusive: bool, wait: bool) -> io::Result<bool> {
    let kind = if exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
    let done = match ofd_lock(fd.as_fd(), kind, wait) {
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
            let how = if exclusive { libc::LOCK_EX } else { libc::LOCK_SH };
            flock(fd.as_fd(), how | if wait { 0 } else { libc::LOCK_NB })
        }
        done => done,
    };
    match done {
        Ok(()) => Ok(true),
        Err(e) if !wait && matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(e) => Err(e),
    }
}

fn ofd_lock(fd: BorrowedFd<'_>, kind: i32, wait: bool) -> io::Result<()> {
    let lock = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let cmd = if wait { libc::F_OFD_SETLKW } else { libc::F_OFD_SETLK };
    // SAFETY: lock is a whole struct flock that lives until the call returns.
    again(|| check(unsafe { libc::fcntl(fd.as_raw_fd(), cmd, &raw const lock) })).map(drop)
}

fn flock(fd: BorrowedFd<'_>, how: i32) -> io::Result<()> {
    // SAFETY: flock(2) takes two integers.
    again(|| check(unsafe { libc::flock(fd.as_raw_fd(), how) })).map(drop)
}

/// Makes the names in a directory durable (fsync(2) of the directory itself).
///
/// # Errors
/// open(2) or fsync(2).
pub fn fsync_dir(dir: &Path) -> io::Result<()> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(dir)?.sync_all()
}

/// rename(2), replacing what is there.
///
/// # Errors
/// rename(2).
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

/// A new file beside `path`, on the same file system, under a random hidden name (`.NAME.XXXXXXXX`); the caller renames
/// or removes it.
///
/// # Errors
/// EINVAL for a path without a last component; else open(2).
pub fn tmpfile_beside(path: &Path, mode: u32) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    loop {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{:08x}", super::random::u32()?));
        let at = path.with_file_name(hidden);
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(&at) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
            Ok(file) => return Ok((file, at)),
        }
    }
}

/// Puts `data` in the place of `path` so that a reader, or a crash at any moment, sees the old content or the new one,
/// nothing between. The new file has this mode (less the umask).
///
/// # Errors
/// The first step's that failed; the old file is untouched then and no other file is left behind.
pub fn replace_file(path: &Path, data: &[u8], mode: u32) -> io::Result<()> {
    let (mut file, at) = tmpfile_beside(path, mode)?;
    let done = file.write_all(data).and_then(|()| file.sync_all()).and_then(|()| rename(&at, path));
    if done.is_err() {
        // Best effort: the error that counts is the one above.
        let _ = std::fs::remove_file(&at);
        return done;
    }
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => fsync_dir(dir),
        _ => fsync_dir(Path::new(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Dir(PathBuf);

    impl Dir {
        fn new(tag: &str) -> Self {
            let at = std::env::temp_dir().join(format!("lxc-fsops-{tag}-{}", std::process::id()));
            std::fs::create_dir_all(&at).unwrap();
            Self(at)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn open(path: &Path) -> File {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
    }

    #[test]
    fn locks_exclude_other_descriptions_and_end_with_theirs() {
        let dir = Dir::new("lock");
        let path = dir.0.join("lock");
        let (a, b) = (open(&path), open(&path));
        assert!(lock_file(&a, true, false).unwrap());
        assert!(lock_file(&a, true, false).unwrap(), "one's own lock is no obstacle");
        assert!(!lock_file(&b, true, false).unwrap());
        assert!(!lock_file(&b, false, false).unwrap());
        drop(a);
        let a = open(&path);
        assert!(lock_file(&b, false, false).unwrap());
        assert!(lock_file(&a, false, false).unwrap(), "readers share");
        drop(b);
        assert!(lock_file(&a, true, true).unwrap());
    }

    #[test]
    fn replacing_leaves_one_file_with_the_mode() {
        let dir = Dir::new("replace");
        let path = dir.0.join("config");
        std::fs::write(&path, "old").unwrap();
        replace_file(&path, b"new", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 1);
        let taken = dir.0.join("taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(replace_file(&taken, b"x", 0o600).is_err());
        assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 2, "nothing is left behind");
    }
}
