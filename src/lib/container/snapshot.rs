//! Snapshots and the notes that copies leave with their originals. A clone that needs its original's rootfs is noted in the
//! original's `lxc_snapshots` (two lines each: store, name) and names its original in its own `lxc_rdepends`.
#![forbid(unsafe_code)]

use super::Container;
use super::clone::Copy;
use crate::base::{Context, Error, Result};
use crate::sys::fsops;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A longer timestamp of a snapshot is none; ours have 19 bytes.
const TIMESTAMP_MAX: u64 = 256;

/// A longer file of notes is none: some thousand clones fit.
const NOTES_MAX: u64 = 1 << 20;

/// A file of a container's directory, which may be its root's: a link, a fifo, a device, what is too long and what is no
/// text is none.
fn own_text(file: &Path, most: u64) -> std::io::Result<String> {
    let invalid = || std::io::Error::from_raw_os_error(libc::EINVAL);
    let mut how = std::fs::OpenOptions::new();
    let file = how.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY).open(file)?;
    if !file.metadata()?.is_file() {
        return Err(invalid());
    }
    let mut text = String::new();
    match file.take(most + 1).read_to_string(&mut text)? {
        len if len as u64 > most => Err(std::io::Error::from_raw_os_error(libc::EFBIG)),
        _ => Ok(text),
    }
}

/// Pairs of store and name in a notes file; none when it does not exist, or is no such file.
fn pairs(file: &Path) -> Vec<(String, String)> {
    let text = own_text(file, NOTES_MAX).unwrap_or_else(|e| {
        if e.kind() != std::io::ErrorKind::NotFound {
            crate::log_warn!(errno = e, "{} is no file of notes", file.display());
        }
        String::new()
    });
    let lines: Vec<&str> = text.lines().collect();
    lines.as_chunks::<2>().0.iter().map(|[path, name]| (path.to_string(), name.to_string())).collect()
}

/// A snapshot as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// `snapN`.
    pub name: String,
    /// The file of its comment, whether it exists or not.
    pub comment: PathBuf,
    /// When it was taken, `%Y:%m:%d %H:%M:%S`.
    pub timestamp: String,
    /// The directory of all snapshots: its store.
    pub lxcpath: PathBuf,
}

impl Container {
    /// The store of its snapshots.
    pub fn snaps(&self) -> PathBuf {
        self.dir().join("snaps")
    }

    /// Takes a snapshot; the comment's file is moved in. Its number.
    ///
    /// # Errors
    /// As [`Container::copy_to`]; the notes cannot be written.
    pub fn snapshot(&self, comment: Option<&Path>) -> Result<u32> {
        if !self.is_defined() {
            return Err(self.undefined());
        }
        let snaps = self.snaps();
        let what = || format!("Failed to create {}", snaps.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&snaps).ctx(what)?;
        let number = (0..u32::MAX)
            .find(|n| snaps.join(format!("snap{n}")).symlink_metadata().is_err())
            .ok_or_else(|| Error::new("no number is left for a snapshot"))?;
        // A directory is copied whole; layers share what lies below.
        let layered =
            self.config().and_then(|c| c.storage.backend.as_deref()).is_some_and(|b| b.starts_with("overlay"));
        let want = Copy {
            name: Some(format!("snap{number}")),
            lxcpath: Some(snaps.clone()),
            keep_name: true,
            keep_mac: true,
            snapshot: layered,
            ..Copy::default()
        };
        let taken = self.copy_to(&want).and_then(|snap| {
            let ts = snap.dir().join("ts");
            fsops::replace_file(&ts, timestamp().as_bytes(), 0o644)
                .ctx(|| format!("Failed to write {}", ts.display()))?;
            match comment {
                Some(file) => move_file(file, &snap.dir().join("comment")),
                None => Ok(()),
            }
        });
        if let Err(e) = taken {
            let _ = std::fs::remove_dir(&snaps);
            return Err(e);
        }
        Ok(number)
    }

    /// Its snapshots, in the order of the directory.
    ///
    /// # Errors
    /// It is not defined.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>> {
        if !self.is_defined() {
            return Err(self.undefined());
        }
        let snaps = self.snaps();
        let entries = match std::fs::read_dir(&snaps) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e).ctx(|| format!("Failed to read {}", snaps.display())),
        };
        let mut all = Vec::new();
        for name in entries.flatten().filter_map(|e| e.file_name().into_string().ok()) {
            let dir = snaps.join(&name);
            if dir.join("config").is_file() {
                let timestamp = own_text(&dir.join("ts"), TIMESTAMP_MAX).unwrap_or_default();
                all.push(Snapshot { comment: dir.join("comment"), timestamp, lxcpath: snaps.clone(), name });
            }
        }
        Ok(all)
    }

    /// A snapshot as a container of its own.
    fn snapshot_named(&self, name: &str) -> Result<Self> {
        let snap = Self::new(name, Some(&self.snaps()))?;
        if !snap.is_defined() {
            return Err(Error::os(libc::ENOENT, format!("{} has no snapshot {name}", self.name())));
        }
        Self::open(name, Some(&self.snaps()))
    }

    /// Makes a container of a snapshot; without a name, or with its own, it takes the container's place.
    ///
    /// # Errors
    /// There is no such snapshot; the container runs or clones need it; the copy failed.
    pub fn snapshot_restore(&mut self, name: &str, new: Option<&str>) -> Result<()> {
        let snap = self.snapshot_named(name)?;
        let new = new.unwrap_or_else(|| self.name()).to_string();
        if new == self.name() {
            if self.has_clones() {
                return Err(Error::new(format!("{} has clones that need it", self.name())));
            }
            if self.is_running() {
                return Err(Error::os(libc::EBUSY, format!("{} is running", self.name())));
            }
            self.remove_for_restore()?;
        }
        let want =
            Copy { name: Some(new), lxcpath: Some(self.lxcpath().to_path_buf()), keep_mac: true, ..Copy::default() };
        snap.copy_to(&want).map(drop)
    }

    /// Removes a snapshot.
    ///
    /// # Errors
    /// There is no such snapshot, or it cannot be removed.
    pub fn snapshot_destroy(&self, name: &str) -> Result<()> {
        self.snapshot_named(name)?.destroy()?;
        let _ = std::fs::remove_dir(self.snaps());
        Ok(())
    }

    /// Removes all its snapshots.
    ///
    /// # Errors
    /// There is no directory of snapshots; one cannot be removed.
    pub fn snapshot_destroy_all(&self) -> Result<()> {
        if self.snaps().symlink_metadata().is_err() {
            return Err(Error::os(libc::ENOENT, format!("{} has no snapshots", self.name())));
        }
        for snap in self.snapshots()? {
            self.snapshot_named(&snap.name)?.destroy()?;
        }
        crate::storage::tree::remove_below(&self.dir(), OsStr::new("snaps"), &[])
    }

    /// Removes all its snapshots, then the container.
    ///
    /// # Errors
    /// As [`Container::destroy`].
    pub fn destroy_with_snapshots(&mut self) -> Result<()> {
        if self.is_running() {
            return Err(Error::new(format!("{} is running", self.name())));
        }
        if self.snaps().symlink_metadata().is_ok() {
            self.snapshot_destroy_all()?;
        }
        self.destroy()
    }
}

/// The local time of now.
fn timestamp() -> String {
    use crate::sys::time;
    let seconds = i64::try_from(time::now().as_secs()).unwrap_or(0);
    let Some(t) = time::local(seconds) else { return String::new() };
    format!("{:04}:{:02}:{:02} {:02}:{:02}:{:02}", t.year, t.month, t.day, t.hour, t.minute, t.second)
}

/// Moves a file, to another file system if need be.
fn move_file(from: &Path, to: &Path) -> Result<()> {
    if std::fs::rename(from, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to).ctx(|| format!("Failed to copy {}", from.display()))?;
    std::fs::remove_file(from).ctx(|| format!("Failed to remove {}", from.display()))
}

/// Notes a clone that needs its original's rootfs: with the original, and in the clone. A copy of layers needs those that
/// its original needed.
///
/// # Errors
/// A note cannot be written.
pub(super) fn note(original: &Container, clone: &Container, inherits: bool) -> Result<()> {
    let mut needed = if inherits { pairs(&original.dir().join("lxc_rdepends")) } else { Vec::new() };
    if !inherits {
        needed.push((original.lxcpath().display().to_string(), original.name().to_string()));
    }
    let line = |(store, name): &(String, String)| format!("{store}\n{name}\n");
    let own = (clone.lxcpath().display().to_string(), clone.name().to_string());
    for (store, name) in &needed {
        if super::name::check(name).is_err() {
            continue;
        }
        let file = Path::new(store).join(name).join("lxc_snapshots");
        if file.parent().is_none_or(|d| !d.is_dir()) {
            continue;
        }
        let mut all = pairs(&file);
        if !all.contains(&own) {
            all.push(own.clone());
        }
        super::clone::write_note(&file, &all.iter().map(line).collect::<String>())?;
    }
    if needed.is_empty() {
        return Ok(());
    }
    super::clone::write_note(&clone.dir().join("lxc_rdepends"), &needed.iter().map(line).collect::<String>())
}

/// Takes a clone that is being removed out of its originals' notes.
///
/// # Errors
/// A note cannot be rewritten.
pub(super) fn forget(clone: &Container) -> Result<()> {
    let own = (clone.lxcpath().display().to_string(), clone.name().to_string());
    for (store, name) in pairs(&clone.dir().join("lxc_rdepends")) {
        // The notes are the container's owner's: a name that leads elsewhere is no container.
        if super::name::check(&name).is_err() {
            continue;
        }
        let file = Path::new(&store).join(&name).join("lxc_snapshots");
        let old = pairs(&file);
        let left: String = old.iter().filter(|p| **p != own).map(|(s, n)| format!("{s}\n{n}\n")).collect();
        if old.contains(&own) {
            let what = || format!("Failed to update {}", file.display());
            if left.is_empty() {
                std::fs::remove_file(&file).ctx(what)?;
            } else {
                fsops::replace_file(&file, left.as_bytes(), 0o644).ctx(what)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_clone_is_forgotten_by_its_original() {
        let top = std::env::temp_dir().join(format!("lxc-snap-{}", std::process::id()));
        std::fs::create_dir_all(top.join("a")).unwrap();
        std::fs::create_dir_all(top.join("b")).unwrap();
        let store = top.display();
        std::fs::write(top.join("a/lxc_snapshots"), format!("{store}\nb\n{store}\nc\n")).unwrap();
        std::fs::write(top.join("b/lxc_rdepends"), format!("{store}\na\n")).unwrap();
        let b = Container::new("b", Some(&top)).unwrap();
        forget(&b).unwrap();
        assert_eq!(std::fs::read_to_string(top.join("a/lxc_snapshots")).unwrap(), format!("{store}\nc\n"));
        std::fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn notes_that_somebody_else_has_put_there_are_none() {
        let top = std::env::temp_dir().join(format!("lxc-notes-{}", std::process::id()));
        std::fs::create_dir_all(top.join("dir")).unwrap();
        let at = |name: &str| top.join(name);
        std::fs::write(at("plain"), "/store\na\n/store\nb\n/odd").unwrap();
        std::os::unix::fs::symlink(at("plain"), at("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::write(at("bytes"), b"/store\n\xff\n").unwrap();
        std::fs::File::create(at("long")).unwrap().set_len(1 << 40).unwrap();
        let ab = ["a", "b"].map(|n| ("/store".to_string(), n.to_string()));
        assert_eq!(pairs(&at("plain")), ab);
        for name in ["link", "zero", "fifo", "bytes", "long", "dir", "none"] {
            assert_eq!(pairs(&at(name)), [], "{name}");
        }
        assert_eq!(own_text(&at("plain"), 5).unwrap_err().raw_os_error(), Some(libc::EFBIG));
        std::fs::remove_dir_all(&top).unwrap();
    }
}
