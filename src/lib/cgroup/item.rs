//! One file of a running container's group, by its name: what lxc-cgroup and get_cgroup_item do through the directory that
//! the monitor sends.
#![forbid(unsafe_code)]

use super::{attach, file};
use crate::base::{Error, Result};
use std::os::fd::AsFd;

/// The controller of a file's name, for GET_LIMIT_CGROUP_FD.
///
/// # Errors
/// A name without a controller, with a `/`, or one that holds processes (`tasks`, `cgroup.procs`).
pub fn controller(name: &str) -> Result<&str> {
    let refuse = |why| Err(Error::os(libc::EINVAL, format!("cgroup file \"{name}\": {why}")));
    let bytes = name.as_bytes();
    if bytes.contains(&b'/') {
        return refuse("it is a path");
    }
    let dot = bytes.iter().position(|b| *b == b'.');
    match dot.map(|at| (name.get(..at).unwrap_or_default(), name.get(at + 1..).unwrap_or_default())) {
        Some(("cgroup", "procs" | "threads")) => refuse("processes are not moved by it"),
        Some((c, f)) if !c.is_empty() && !f.is_empty() => Ok(c),
        _ => refuse("it does not begin with CONTROLLER."),
    }
}

/// Writes the file.
///
/// # Errors
/// No such file, or a value that the kernel refuses.
pub fn set(dir: &impl AsFd, name: &str, value: &str) -> Result<()> {
    controller(name)?;
    attach::kind(dir.as_fd())?;
    file::write_at(dir, name, value.as_bytes()).map_err(|e| Error::io(&e, format!("cannot set {name} to {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(controller("memory.limit_in_bytes").unwrap(), "memory");
        for bad in ["tasks", "cgroup.procs", "a/../b.c", ".x", "memory.", "../memory.max"] {
            assert!(controller(bad).is_err(), "{bad}");
        }
        assert!(set(&std::fs::File::open("/tmp").unwrap(), "memory.max", "1").is_err());
    }
}
