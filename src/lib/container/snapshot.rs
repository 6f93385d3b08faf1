//! Snapshots and the notes that copies leave with their originals. A clone that needs its original's rootfs is noted in the
//! original's `lxc_snapshots` (two lines each: store, name) and names its original in its own `lxc_rdepends`.
#![forbid(unsafe_code)]

use super::Container;
use crate::base::{Context, Result};
use std::path::Path;

/// Pairs of store and name in a notes file; none when it does not exist.
fn pairs(file: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.as_chunks::<2>().0.iter().map(|[path, name]| (path.to_string(), name.to_string())).collect()
}

impl Container {
    /// Removes all its snapshots, then the container.
    ///
    /// # Errors
    /// As [`Container::destroy`].
    pub fn destroy_with_snapshots(&mut self) -> Result<()> {
        if self.is_running() {
            return Err(crate::base::Error::new(format!("{} is running", self.name())));
        }
        super::destroy::remove_below(&self.dir(), std::ffi::OsStr::new("snaps"), &[])?;
        self.destroy()
    }
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
                crate::sys::fsops::replace_file(&file, left.as_bytes(), 0o644).ctx(what)?;
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
}
