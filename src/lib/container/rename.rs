//! Another name for a container: as LXC does it, a copy with the same addresses, then the old one is destroyed with its
//! hooks. Owns the order and what refuses it; copying is `clone`'s.
#![forbid(unsafe_code)]

use super::clone::Copy;
use super::{Container, destroy};
use crate::base::{Error, Result};

impl Container {
    /// Renames it: the result has the new name, the handle keeps the old one.
    ///
    /// # Errors
    /// It is not defined, runs, has snapshots or clones; the new name is taken or refused.
    pub fn rename(&mut self, new: &str) -> Result<Self> {
        if !self.is_defined() {
            return Err(self.undefined());
        }
        if self.is_running() {
            return Err(Error::os(libc::EBUSY, format!("{} is running", self.name())));
        }
        if self.has_snapshots() {
            return Err(Error::new(format!("Renaming {0} failed: {0} has snapshots", self.name())));
        }
        if self.has_clones() {
            return Err(Error::new(format!("Renaming {0} failed: {0} has clones", self.name())));
        }
        if self.config().is_none() {
            self.load(None)?;
        }
        let want = Copy { name: Some(new.to_string()), keep_mac: true, ..Copy::default() };
        let renamed = self.copy_to(&want)?;
        if let Err(e) = self.destroy() {
            // Two of the same would be worse than the old one alone.
            destroy::remove_dir(renamed.lxcpath(), renamed.name(), false)?;
            return Err(e);
        }
        Ok(renamed)
    }
}
