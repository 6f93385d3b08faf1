//! Which containers there are: defined ones (a directory with a config file) and active ones (a command socket).
//! Reads one directory and /proc/net/unix; opens no config.
#![forbid(unsafe_code)]

use crate::base::{Context, Result};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// Names with a `config` below the store, sorted by bytes; hidden directories are left out.
///
/// # Errors
/// The store cannot be read.
pub fn defined(lxcpath: &Path) -> Result<Vec<String>> {
    let what = || format!("Failed to open the container directory {}", lxcpath.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(lxcpath).ctx(what)? {
        let name = entry.ctx(what)?.file_name();
        let Some(name) = usable(name) else { continue };
        if lxcpath.join(&name).join("config").symlink_metadata().is_ok() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A directory entry that can be a container.
fn usable(name: OsString) -> Option<String> {
    let name = String::from_utf8(name.into_vec()).ok()?;
    (!name.starts_with('.')).then_some(name)
}

/// Names that run in the store, sorted by bytes.
///
/// # Errors
/// /proc/net/unix cannot be read.
pub fn active(lxcpath: &Path) -> Result<Vec<String>> {
    let mut names = crate::ipc::list::active_names(lxcpath)?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Both, each once, sorted by bytes.
///
/// # Errors
/// As [`defined`] and [`active`].
pub fn all(lxcpath: &Path) -> Result<Vec<String>> {
    let mut names: BTreeSet<String> = defined(lxcpath)?.into_iter().collect();
    names.extend(active(lxcpath)?);
    Ok(names.into_iter().collect())
}
