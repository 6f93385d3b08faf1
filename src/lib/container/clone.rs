//! Copies of a container, on the backends dir and overlay: its config with the new name, addresses and paths, its rootfs
//! copied or, as a snapshot, laid under a new layer; the notes that say who needs whose rootfs.
#![forbid(unsafe_code)]

use super::{Container, copytree, create, destroy, snapshot};
use crate::base::{Context, Error, Result};
use crate::config::Config;
use crate::network::keys::fill_hwaddr;
use crate::storage::overlay;
use crate::sys::path::{self, Resolve};
use crate::sys::{fd, fsops};
use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// What kind of copy.
#[derive(Debug, Clone, Default)]
pub struct Copy {
    /// Its name; `None`: the same, in another store.
    pub name: Option<String>,
    /// Its store; `None`: the same.
    pub lxcpath: Option<PathBuf>,
    /// The host name stays.
    pub keep_name: bool,
    /// Hardware addresses stay.
    pub keep_mac: bool,
    /// The rootfs is not copied but shared below a new layer.
    pub snapshot: bool,
    /// A snapshot where the storage can, else a copy. Of `dir` it is a copy.
    pub maybe_snapshot: bool,
    /// Although the original runs.
    pub allow_running: bool,
    /// The backend of the copy; `None`: the original's, or overlay for a snapshot.
    pub bdev: Option<String>,
    /// Arguments of the clone hooks.
    pub hook_args: Vec<String>,
}

/// What the rootfs of a copy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Storage {
    /// There is none.
    None,
    /// A directory.
    Dir(PathBuf),
    /// Layers; the last is the upper one.
    Overlay(overlay::Parts),
}

impl Container {
    /// Makes a copy; the handle needs its config loaded.
    ///
    /// # Errors
    /// It is not defined or runs; the copy exists; the storage cannot be copied; a hook failed. Nothing is left then.
    pub fn copy_to(&self, want: &Copy) -> Result<Self> {
        let config = self.config().filter(|_| self.is_defined()).ok_or_else(|| self.undefined())?;
        if !want.allow_running && self.is_running() {
            return Err(Error::os(libc::EBUSY, format!("{} is running: stop it to copy it", self.name())));
        }
        let lxcpath = want.lxcpath.clone().unwrap_or_else(|| self.lxcpath().to_path_buf());
        let mut new = Self::new(want.name.as_deref().unwrap_or_else(|| self.name()), Some(&lxcpath))?;
        new.set_answer_limit(self.answer_limit());
        if new.is_defined() || new.dir() == self.dir() {
            return Err(Error::os(libc::EEXIST, format!("Container {} already exists", new.name())));
        }
        let storage = storage_of(config)?;
        let existed = new.dir().symlink_metadata().is_ok();
        std::fs::create_dir_all(&lxcpath).ctx(|| format!("Failed to create {}", lxcpath.display()))?;
        create::make_dir(&new.dir())?;
        let done = self.fill(&mut new, want, &storage);
        if let Err(e) = done {
            // What its hooks have made so far is theirs to take away.
            if let Err(also) = new.run_destroy_hooks() {
                crate::log_warn!("{also}: {} is removed all the same", new.name());
            }
            if !existed && let Err(also) = destroy::remove_dir(new.lxcpath(), new.name(), false) {
                crate::log_error!("{also}");
            }
            return Err(e);
        }
        Ok(new)
    }

    fn fill(&self, new: &mut Self, want: &Copy, storage: &Storage) -> Result<()> {
        let rootfs = self.copy_storage(new, want, storage)?;
        let config = self.copied_config(new, want, rootfs.as_deref())?;
        new.set_config(config);
        new.save()?;
        if !want.keep_name
            && let Some(rootfs) = &rootfs
        {
            // A rootfs without such a file, or one that leads elsewhere, keeps what it has.
            if let Err(e) = set_hostname(rootfs, new.name()) {
                crate::log_info!(errno = e, "{}: /etc/hostname stays as it is", new.name());
            }
        }
        new.run_clone_hooks(self.name(), rootfs.as_deref(), &want.hook_args)?;
        if rootfs.as_deref().is_some_and(|r| r.starts_with("overlay:")) {
            snapshot::note(self, new, matches!(storage, Storage::Overlay(_)))?;
        }
        Ok(())
    }

    /// Makes the rootfs; the value of `lxc.rootfs.path`.
    fn copy_storage(&self, new: &Self, want: &Copy, storage: &Storage) -> Result<Option<String>> {
        let wanted = want.bdev.as_deref().filter(|b| *b != "best");
        if !matches!(wanted, None | Some("dir" | "overlay" | "overlayfs")) {
            let name = wanted.unwrap_or_default();
            return Err(Error::os(libc::ENOSYS, format!("the storage backend {name} is not built yet")));
        }
        let layered = want.snapshot || matches!(wanted, Some("overlay" | "overlayfs"));
        let upper = new.dir().join("overlay/delta");
        let text = |p: &Path| p.to_string_lossy().into_owned();
        match storage {
            Storage::None => Ok(None),
            Storage::Dir(from) if layered => {
                make_layer(&upper, from)?;
                Ok(Some(format!("overlay:{}:{}", text(from), text(&upper))))
            }
            Storage::Dir(from) => {
                let to = new.dir().join("rootfs");
                copytree::copy(from, &to, false)?;
                Ok(Some(format!("dir:{}", text(&to))))
            }
            Storage::Overlay(parts) if wanted == Some("dir") => {
                let to = new.dir().join("rootfs");
                flatten(parts, &to)?;
                Ok(Some(format!("dir:{}", text(&to))))
            }
            Storage::Overlay(parts) => {
                make_layer(&upper, Path::new(&parts.upper))?;
                copytree::copy(Path::new(&parts.upper), &upper, true)?;
                Ok(Some(format!("overlay:{}:{}", parts.lower.join(":"), text(&upper))))
            }
        }
    }

    /// The config of the copy: the original's text with other values, read anew.
    fn copied_config(&self, new: &Self, want: &Copy, rootfs: Option<&str>) -> Result<Config> {
        let mut config = self.config().cloned().unwrap_or_default();
        let (old_dir, new_dir) = (self.dir(), new.dir());
        let mut files = Vec::new();
        let mut has_rootfs = false;
        config.rewrite_text(|key, value| match key {
            "lxc.rootfs.path" | "lxc.rootfs" => {
                has_rootfs = true;
                rootfs.map(str::to_string)
            }
            "lxc.uts.name" | "lxc.utsname" if !want.keep_name => Some(new.name().to_string()),
            k if k.ends_with(".hwaddr") && !value.is_empty() && !want.keep_mac => fill_hwaddr("00:16:3e:xx:xx:xx"),
            k if k.starts_with("lxc.hook.") || k == "lxc.mount.fstab" || k == "lxc.mount" => {
                let below = Path::new(value).strip_prefix(&old_dir).ok()?.to_path_buf();
                let to = new_dir.join(&below);
                files.push((old_dir.join(&below), to.clone()));
                Some(to.to_string_lossy().into_owned())
            }
            _ => None,
        });
        for (from, to) in files {
            if let Some(dir) = to.parent() {
                std::fs::create_dir_all(dir).ctx(|| format!("Failed to create {}", dir.display()))?;
            }
            if from.is_file() {
                std::fs::copy(&from, &to).ctx(|| format!("Failed to copy {}", from.display()))?;
            }
        }
        let mut read = Config::new();
        read.load_bytes(config.text_bytes().to_vec(), &new.config_file().display().to_string())?;
        if let Some(rootfs) = rootfs.filter(|_| !has_rootfs) {
            read.set("lxc.rootfs.path", rootfs)?;
        }
        if !want.keep_name && read.get("lxc.uts.name").ok().as_deref() != Some(new.name()) {
            read.set("lxc.uts.name", new.name())?;
        }
        Ok(read)
    }
}

/// What a config's rootfs is.
fn storage_of(config: &Config) -> Result<Storage> {
    let Some(path) = config.storage.path.as_deref() else { return Ok(Storage::None) };
    match config.storage.backend.as_deref() {
        Some("overlay" | "overlayfs") => overlay::split(path).map(Storage::Overlay),
        None if path.contains(":/") => overlay::split(path).map(Storage::Overlay),
        None | Some("dir") => Ok(Storage::Dir(PathBuf::from(path))),
        Some(other) => {
            Err(Error::os(libc::ENOSYS, format!("the storage backend {other} is not built yet: it cannot be copied")))
        }
    }
}

/// An upper layer and its work directory, owned like what it covers.
fn make_layer(upper: &Path, covers: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let what = || format!("Failed to create {}", upper.display());
    let meta = covers.metadata().ctx(|| format!("Failed to read {}", covers.display()))?;
    std::fs::create_dir_all(upper).ctx(what)?;
    let work = upper.with_file_name("work");
    std::fs::create_dir_all(&work).ctx(what)?;
    for dir in [upper, &work] {
        std::os::unix::fs::chown(dir, Some(meta.uid()), Some(meta.gid())).ctx(what)?;
        std::fs::set_permissions(dir, meta.permissions()).ctx(what)?;
    }
    Ok(())
}

/// Copies what layers show as one.
fn flatten(parts: &overlay::Parts, to: &Path) -> Result<()> {
    use crate::sys::mount;
    let what = || format!("Failed to read the layers of {}", parts.upper);
    let escaped = |p: &String| p.replace('\\', "\\\\").replace(':', "\\:");
    let lower: Vec<String> = std::iter::once(&parts.upper).chain(&parts.lower).map(escaped).collect();
    let lower = CString::new(lower.join(":")).map_err(|_| Error::new(what()))?;
    let shown = mount::fsopen(c"overlay")
        .and_then(|fs| {
            mount::fsconfig_string(fs.as_fd(), c"lowerdir", &lower)?;
            mount::fsconfig_create(fs.as_fd())?;
            mount::fsmount(fs.as_fd(), 0)
        })
        .ctx(what)?;
    let dir = path::openat(shown.as_fd(), c".", libc::O_RDONLY | libc::O_DIRECTORY, 0).ctx(what)?;
    copytree::copy_fd(&dir, Path::new(&parts.upper), to, false)
}

/// Writes /etc/hostname of a rootfs that has one.
fn set_hostname(rootfs: &str, name: &str) -> std::io::Result<()> {
    let invalid = || std::io::Error::from_raw_os_error(libc::EINVAL);
    let (kind, place) = rootfs.split_once(':').ok_or_else(invalid)?;
    let dir = |p: &str| {
        let p = CString::new(p).map_err(|_| invalid())?;
        path::open(&p, libc::O_PATH | libc::O_DIRECTORY, 0)
    };
    if kind == "dir" {
        let etc = c"etc/hostname";
        let file = path::openat2(dir(place)?.as_fd(), etc, libc::O_WRONLY | libc::O_TRUNC, 0, Resolve::BeneathNoLinks)?;
        return fd::write_all(file.as_fd(), format!("{name}\n").as_bytes());
    }
    // In a new layer: only where the layers below have the file.
    let (lower, upper) = place.rsplit_once(":/").ok_or_else(invalid)?;
    let upper = format!("/{upper}");
    let below = lower.split(":/").next().unwrap_or(lower);
    let etc = path::openat2(dir(below)?.as_fd(), c"etc", libc::O_PATH | libc::O_DIRECTORY, 0, Resolve::BeneathNoLinks)?;
    path::statat(etc.as_fd(), c"hostname", false)?;
    let meta = path::fstat(etc.as_fd())?;
    let top = dir(&upper)?;
    match path::mkdirat(top.as_fd(), c"etc", meta.mode & 0o7777) {
        Ok(()) => path::chownat(top.as_fd(), c"etc", meta.uid, meta.gid)?,
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
    let file = path::openat2(top.as_fd(), c"etc/hostname", flags, 0o644, Resolve::BeneathNoLinks)?;
    path::chownat(file.as_fd(), c"", meta.uid, meta.gid)?;
    fd::write_all(file.as_fd(), format!("{name}\n").as_bytes())
}

/// Writes a small file of a container beside its config.
pub(super) fn write_note(file: &Path, text: &str) -> Result<()> {
    fsops::replace_file(file, text.as_bytes(), 0o644).ctx(|| format!("Failed to write {}", file.display()))
}
