//! The marker of a creation under way: `partial` in the container's directory, locked by the creator. An unlocked one was
//! left by a creator that died, and what it began is removed.
#![forbid(unsafe_code)]

use super::Container;
use crate::base::{Context, Result};
use crate::sys::fsops;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

/// What the marker says.
#[derive(Debug, PartialEq, Eq)]
pub enum Creation {
    /// There is none.
    None,
    /// Somebody is creating the container.
    Ongoing,
    /// The creator died.
    Died,
}

/// The marker, held: removed by [`Marker::finish`], or left for the next to find when its holder dies.
#[derive(Debug)]
pub struct Marker {
    /// Locked for as long as it is open.
    _file: File,
    path: std::path::PathBuf,
}

impl Container {
    /// Whether a creation is under way or was broken off.
    pub fn creation(&self) -> Creation {
        // The directory may be the container's root's: a link put in its place is no marker.
        let mut how = OpenOptions::new();
        how.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        match how.open(self.dir().join("partial")) {
            Err(_) => Creation::None,
            Ok(file) => match fsops::lock_file(&file, true, false) {
                Ok(true) => Creation::Died,
                _ => Creation::Ongoing,
            },
        }
    }

    /// Removes what a creator that died has left; true when there was something.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn clear_broken_creation(&mut self) -> Result<bool> {
        if self.creation() != Creation::Died {
            return Ok(false);
        }
        super::destroy::remove_dir(self.lxcpath(), self.name(), false)?;
        self.clear_config();
        Ok(true)
    }

    /// Makes the marker and locks it.
    ///
    /// # Errors
    /// It exists, or cannot be made.
    pub(super) fn mark(&self) -> Result<Marker> {
        let path = self.dir().join("partial");
        let what = || format!("Failed to mark the creation of {} by {}", self.name(), path.display());
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path).ctx(what)?;
        fsops::lock_file(&file, true, false).ctx(what)?;
        Ok(Marker { _file: file, path })
    }
}

impl Marker {
    /// The creation is done.
    ///
    /// # Errors
    /// The marker cannot be removed.
    pub fn finish(self) -> Result<()> {
        std::fs::remove_file(&self.path).ctx(|| format!("Failed to remove {}", self.path.display()))
    }
}
