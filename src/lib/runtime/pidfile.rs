//! The file that names the monitor's pid (`lxc-start -p`). Made before the start, so that a bad path fails early; removed
//! while the name is still taken, so that the next start's file is never the one that goes.
#![forbid(unsafe_code)]

use crate::base::{Context, Result};
use crate::sys::process;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The pid file; dropped by the process that owns it it is removed.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
    owner: i32,
}

impl Pidfile {
    /// Makes it, empty.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let what = || format!("pid file {}", path.display());
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).ctx(what)?;
        let path = std::path::absolute(path).ctx(what)?;
        Ok(Self { path, owner: process::pid() })
    }

    /// One that the process has made that the caller takes the place of.
    ///
    /// # Errors
    /// The working directory is unknown.
    pub fn created(path: &Path) -> std::io::Result<Self> {
        Ok(Self { path: std::path::absolute(path)?, owner: process::pid() })
    }

    /// The caller is the monitor.
    ///
    /// # Errors
    /// It cannot be written any more.
    pub fn adopt(&mut self) -> Result<()> {
        self.owner = process::pid();
        let what = || format!("pid file {}", self.path.display());
        let mut file = File::options().write(true).truncate(true).open(&self.path).ctx(what)?;
        file.write_all(self.owner.to_string().as_bytes()).ctx(what)
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if self.owner == process::pid() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lives_as_long_as_its_owner_has_it() {
        let path = std::env::temp_dir().join(format!("lxc-pidfile-{}", process::pid()));
        let mut p = Pidfile::create(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        p.adopt().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), process::pid().to_string());
        drop(p);
        assert!(!path.exists());
        assert!(Pidfile::create(Path::new("/nonexistent/pid")).is_err());
    }
}
