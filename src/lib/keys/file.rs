//! Writing a config so that a crash leaves the old one or the new one whole. Refuses to know what it writes.
#![forbid(unsafe_code)]

use crate::base::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Replaces the content of `path`: a new file beside it, fsync, rename. Mode and owner of an existing file are kept, a
/// symbolic link is followed, a device is written to. A new file gets 0660 less the umask. Concurrent writers of one
/// directory wait for each other.
///
/// # Errors
/// The file system's, on the object that failed. The old content is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let lock = lock(&path);
    write(&path, bytes, lock.as_deref())
}

/// Reads `path` and replaces its content as [`replace`] does by what `make` makes of it, if that is anything. Other
/// writers wait meanwhile, so that nothing is made of a content that is not there any more.
///
/// # Errors
/// As [`replace`], and those of `make`.
pub fn change(path: &Path, make: impl FnOnce(&[u8]) -> Result<Option<Vec<u8>>>) -> Result<()> {
    let path = std::fs::canonicalize(path).ctx(|| format!("read {}", path.display()))?;
    let lock = lock(&path);
    let old = std::fs::read(&path).ctx(|| format!("read {}", path.display()))?;
    match make(&old)? {
        Some(new) => write(&path, &new, lock.as_deref()),
        None => Ok(()),
    }
}

fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Waits until nobody else writes into the directory of `path`; nothing when it cannot be opened.
fn lock(path: &Path) -> Option<Flock<File>> {
    let dir = File::open(dir_of(path)).ok()?;
    Flock::lock(dir, FlockArg::LockExclusive).ok()
}

fn write(path: &Path, bytes: &[u8], dirfd: Option<&File>) -> Result<()> {
    let old = std::fs::metadata(path).ok();
    if old.as_ref().is_some_and(|m| !m.is_file()) {
        return in_place(path, bytes);
    }
    let dir = dir_of(path);
    let (new_path, mut new) = match beside(path, dir) {
        Ok(found) => found,
        // A file that may be written in a directory that may not.
        Err(_) if old.is_some() && writable(path) => return in_place(path, bytes),
        Err(e) => return Err(e).ctx(|| format!("create a file in {}", dir.display())),
    };
    let done = fill(&mut new, bytes, old.as_ref()).and_then(|()| std::fs::rename(&new_path, path));
    if let Err(e) = done {
        drop(std::fs::remove_file(&new_path));
        // A file that is a mount of its own cannot be renamed over.
        if e.raw_os_error() == Some(libc::EBUSY) {
            return in_place(path, bytes);
        }
        return Err(e).ctx(|| format!("write {}", path.display()));
    }
    if let Some(dirfd) = dirfd {
        drop(dirfd.sync_all());
    }
    Ok(())
}

fn writable(path: &Path) -> bool {
    OpenOptions::new().write(true).open(path).is_ok()
}

fn fill(new: &mut File, bytes: &[u8], old: Option<&std::fs::Metadata>) -> std::io::Result<()> {
    if let Some(old) = old {
        let now = new.metadata()?;
        if (now.uid(), now.gid()) != (old.uid(), old.gid()) {
            // Only root can give a file away; for others the writer owns the new one.
            drop(fchown(&*new, Some(old.uid()), Some(old.gid())));
        }
        new.set_permissions(std::fs::Permissions::from_mode(old.mode() & 0o7777))?;
    }
    new.write_all(bytes)?;
    new.sync_all()
}

fn in_place(path: &Path, bytes: &[u8]) -> Result<()> {
    let open = OpenOptions::new().write(true).truncate(true).open(path);
    let mut file = open.ctx(|| format!("open {}", path.display()))?;
    file.write_all(bytes).ctx(|| format!("write {}", path.display()))?;
    drop(file.sync_all());
    Ok(())
}

fn beside(path: &Path, dir: &Path) -> std::io::Result<(PathBuf, File)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut last = std::io::Error::from_raw_os_error(libc::EEXIST);
    for _ in 0..100 {
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let new = dir.join(format!(".{name}.{}.{n}", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o660).custom_flags(libc::O_NOFOLLOW);
        match options.open(&new) {
            Ok(file) => return Ok((new, file)),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => last = e,
            Err(e) => return Err(e),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dir(PathBuf);
    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("lxc-keys-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }
    }
    impl Drop for Dir {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn mode_and_link_are_kept_and_nothing_is_left() {
        let dir = Dir::new("replace");
        let (file, link) = (dir.0.join("config"), dir.0.join("link"));
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o604)).unwrap();
        std::os::unix::fs::symlink("config", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o604);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        replace(&dir.0.join("fresh"), b"x").unwrap();
        assert_eq!(std::fs::metadata(dir.0.join("fresh")).unwrap().mode() & 0o007, 0);
        assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 3);
        assert!(replace(&dir.0.join("no/such"), b"x").is_err());
        replace(Path::new("/dev/null"), b"x").unwrap();
    }

    #[test]
    fn writers_at_once_leave_one_whole_file() {
        let dir = Dir::new("writers");
        let file = dir.0.join("config");
        std::thread::scope(|s| {
            for i in 0..8_u8 {
                let file = &file;
                s.spawn(move || (0..20).for_each(|_| replace(file, &vec![b'a' + i; 5000]).unwrap()));
            }
        });
        let bytes = std::fs::read(&file).unwrap();
        assert!(bytes.len() == 5000 && bytes.iter().all(|b| *b == bytes[0]));
        assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 1);
    }

    #[test]
    fn changes_at_once_build_on_each_other() {
        let dir = Dir::new("changes");
        let file = dir.0.join("config");
        std::fs::write(&file, "").unwrap();
        std::thread::scope(|s| {
            for i in 0..8_u8 {
                let one = [b'a' + i];
                let file = &file;
                s.spawn(move || {
                    (0..20).for_each(|_| change(file, |old| Ok(Some([old, &one].concat()))).unwrap());
                });
            }
        });
        let bytes = std::fs::read(&file).unwrap();
        (0..8_u8).for_each(|i| assert_eq!(bytes.iter().filter(|b| **b == b'a' + i).count(), 20));
        change(&file, |_| Ok(None)).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
        assert!(change(&dir.0.join("none"), |_| Ok(None)).is_err());
    }
}
