//! Taking a container off the disk. Owns the rules of when that is refused; the walk that removes a tree is `storage`'s.
#![forbid(unsafe_code)]

use super::Container;
use crate::base::{Error, Result};
use crate::storage::tree::remove_below;
use std::ffi::OsStr;
use std::path::Path;

impl Container {
    /// Clones that need this one's rootfs are noted in `lxc_snapshots`.
    pub fn has_clones(&self) -> bool {
        let note = self.dir().join("lxc_snapshots").symlink_metadata();
        note.is_ok_and(|m| m.is_file() && m.len() > 0)
    }

    /// There is something below `snaps`.
    pub fn has_snapshots(&self) -> bool {
        std::fs::read_dir(self.dir().join("snaps")).is_ok_and(|mut d| d.next().is_some())
    }

    /// Removes it: the destroy hooks, the rootfs unless it is not managed, its directory, its note with its original.
    ///
    /// # Errors
    /// It is not defined, runs, has snapshots or clones; a hook failed; something cannot be removed.
    pub fn destroy(&mut self) -> Result<()> {
        if !self.is_defined() {
            return Err(self.undefined());
        }
        if self.is_running() {
            return Err(Error::new(format!("{} is running", self.name())));
        }
        // From here on nobody starts it.
        let _name = crate::runtime::start::reserve(self.lxcpath(), self.name())?;
        let refused = |what: &str| Error::new(format!("Destroying {} failed: {0} has {what}", self.name()));
        if self.has_snapshots() {
            return Err(refused("snapshots"));
        }
        if self.has_clones() {
            return Err(refused("clones"));
        }
        // A config file that does not parse must not make a container that cannot be removed.
        if self.config().is_none()
            && let Err(e) = self.load(None)
        {
            crate::log_warn!("{e}: its hooks are not run and only its own directory is removed");
        }
        self.run_destroy_hooks()?;
        if self.config().is_some_and(|c| !c.storage.managed) {
            return Ok(());
        }
        if let Some(config) = self.config() {
            remove_storage(self.lxcpath(), self.name(), config)?;
        }
        super::snapshot::forget(self)?;
        remove_dir(self.lxcpath(), self.name(), true)?;
        self.clear_config();
        Ok(())
    }

    /// Makes room for a snapshot that takes its place: hooks, rootfs and directory as [`Container::destroy`], but for its
    /// snapshots.
    ///
    /// # Errors
    /// A hook failed; something cannot be removed.
    pub(super) fn remove_for_restore(&mut self) -> Result<()> {
        if self.config().is_none() {
            self.load(None)?;
        }
        self.run_destroy_hooks()?;
        if let Some(config) = self.config() {
            remove_storage(self.lxcpath(), self.name(), config)?;
        }
        super::snapshot::forget(self)?;
        remove_dir(self.lxcpath(), self.name(), true)?;
        self.clear_config();
        Ok(())
    }
}

/// Removes the rootfs that the config names, when it lies outside of the container's own directory.
fn remove_storage(lxcpath: &Path, name: &str, config: &crate::config::Config) -> Result<()> {
    let Some(rootfs) = config.storage.path.as_deref() else { return Ok(()) };
    let backend = config.storage.backend.as_deref().unwrap_or("dir");
    if !matches!(backend, "dir" | "overlay" | "overlayfs") {
        return Err(Error::new(format!(
            "the storage backend {backend} of {name} is not built yet: nothing was removed"
        )));
    }
    // Of an overlay only the upper layer is the container's.
    let own = match backend {
        "dir" => rootfs,
        _ => {
            rootfs.rsplit_once(":/").map_or("", |(_, upper)| rootfs.get(rootfs.len() - upper.len() - 1..).unwrap_or(""))
        }
    };
    let path = Path::new(own);
    if own.is_empty() || path.starts_with(lxcpath.join(name)) || path.symlink_metadata().is_err() {
        return Ok(());
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(last)) => remove_below(parent, last, &[]),
        _ => Err(Error::new(format!("{own} is not a directory that a container owns: it was not removed"))),
    }
}

/// Removes a container's directory; `keep_snaps` leaves `snaps` and, with it, the directory.
///
/// # Errors
/// Something cannot be removed.
pub fn remove_dir(lxcpath: &Path, name: &str, keep_snaps: bool) -> Result<()> {
    let name = OsStr::new(name);
    let [snaps, config] = ["snaps", "config"].map(OsStr::new);
    let keep: &[&OsStr] = if keep_snaps { &[snaps, config] } else { &[config] };
    // The config last: without it a container whose rootfs cannot be removed now could not be destroyed later either.
    remove_below(lxcpath, name, keep)?;
    remove_below(lxcpath, name, keep.get(..keep.len() - 1).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_removed_and_what_its_links_point_to_is_not() {
        let top = std::env::temp_dir().join(format!("lxc-destroy-{}", std::process::id()));
        std::fs::create_dir_all(top.join("c1/rootfs/a/b")).unwrap();
        std::fs::create_dir_all(top.join("canary")).unwrap();
        std::fs::write(top.join("canary/file"), "x").unwrap();
        std::os::unix::fs::symlink(top.join("canary"), top.join("c1/rootfs/a/link")).unwrap();
        std::os::unix::fs::symlink(top.join("canary"), top.join("c1/out")).unwrap();
        std::fs::create_dir_all(top.join("c1/snaps/snap0")).unwrap();
        remove_dir(&top, "c1", true).unwrap();
        assert!(top.join("c1/snaps/snap0").exists() && !top.join("c1/rootfs").exists());
        assert!(top.join("canary/file").exists());
        remove_dir(&top, "c1", false).unwrap();
        remove_dir(&top, "c1", false).unwrap();
        assert!(!top.join("c1").exists());
        // A name that is a link goes itself.
        std::os::unix::fs::symlink(top.join("canary"), top.join("c2")).unwrap();
        remove_dir(&top, "c2", false).unwrap();
        assert!(top.join("canary/file").exists() && top.join("c2").symlink_metadata().is_err());
        std::fs::remove_dir_all(&top).unwrap();
    }
}
