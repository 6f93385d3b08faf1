//! A lock between processes: a file whose lock ends with its holder. Knows no place (`paths::lock_path` does) and what a
//! lock protects even less.
#![forbid(unsafe_code)]

use super::{Context, Error, Result};
use crate::sys::fsops;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// A lock held; dropping it frees it. The file stays: removing it would let two hold it at once.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// How long to wait for a lock that another one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// At most this long.
    For(Duration),
    /// Until it is free.
    Forever,
}

impl Lock {
    /// Takes the lock whose file is `path`; the file and its directories are made when they are missing (0600, 0755).
    /// `None`: another one holds it and the wait is over. The lock belongs to this handle, not to the process: a second
    /// one of the same process waits as everybody does.
    ///
    /// # Errors
    /// When the file cannot be made, is a symlink, or its file system knows no locks.
    pub fn acquire(path: &Path, wait: Wait) -> Result<Option<Self>> {
        let file = open(path)?;
        let what = || format!("cannot lock {}", path.display());
        let until = match wait {
            Wait::No => Some(Instant::now()),
            Wait::For(limit) => Instant::now().checked_add(limit),
            Wait::Forever => None,
        };
        let Some(until) = until else {
            return fsops::lock_file(&file, true, true).ctx(what).map(|got| got.then_some(Self { file }));
        };
        // The kernel has no wait with a limit for file locks.
        loop {
            if fsops::lock_file(&file, true, false).ctx(what)? {
                return Ok(Some(Self { file }));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open(path: &Path) -> Result<File> {
    let parent = path.parent().filter(|d| !d.as_os_str().is_empty());
    let what = |e: &std::io::Error| Error::io(e, format!("cannot make the lock file {}", path.display()));
    let try_open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
    };
    match (try_open(), parent) {
        (Err(e), Some(dir)) if e.kind() == std::io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(|e| what(&e))?;
            try_open().map_err(|e| what(&e))
        }
        (done, _) => done.map_err(|e| what(&e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_its_end_frees_it() {
        let dir = std::env::temp_dir().join(format!("lxc-lock-{}", std::process::id()));
        let path = dir.join("lxc/lock/var/lib/lxc/.c1");
        let lock = Lock::acquire(&path, Wait::Forever).unwrap().unwrap();
        assert!(Lock::acquire(&path, Wait::No).unwrap().is_none());
        let begun = Instant::now();
        assert!(Lock::acquire(&path, Wait::For(Duration::from_millis(50))).unwrap().is_none());
        assert!(begun.elapsed() >= Duration::from_millis(50));
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || Lock::acquire(&path, Wait::For(Duration::from_secs(60))).unwrap().is_some()
        });
        drop(lock);
        assert!(waiter.join().unwrap());
        let link = dir.join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(Lock::acquire(&link, Wait::No).unwrap_err().errno, libc::ELOOP);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
