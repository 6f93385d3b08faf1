//! The table of rootfs types: how each is recognised, and which of them this build can start.
//! Lists and recognises; what a type does at a start is its own file's.
#![forbid(unsafe_code)]

use crate::base::{Error, Result};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// A rootfs type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// `LOWER[:LOWER…]:UPPER`.
    Overlay,
    /// A ZFS dataset.
    Zfs,
    /// An LVM logical volume.
    Lvm,
    /// A Ceph block device.
    Rbd,
    /// A btrfs subvolume.
    Btrfs,
    /// A file with a file system in it.
    Loop,
    /// A network block device.
    Nbd,
}

/// A row of the table.
struct Row {
    /// The word before the first `:` of `lxc.rootfs.path`.
    name: &'static str,
    kind: Kind,
    /// Whether a start is built.
    built: bool,
    /// Recognises a path that came without a type.
    detect: fn(&str) -> bool,
}

/// All types; the order is that of detection.
const TABLE: &[Row] = &[
    Row { name: "dir", kind: Kind::Dir, built: true, detect: |p| Path::new(p).is_dir() },
    Row { name: "zfs", kind: Kind::Zfs, built: false, detect: |_| false },
    Row { name: "lvm", kind: Kind::Lvm, built: false, detect: |p| is_block(p) && !p.starts_with("/dev/rbd/") },
    Row { name: "rbd", kind: Kind::Rbd, built: false, detect: |p| is_block(p) && p.starts_with("/dev/rbd/") },
    Row { name: "btrfs", kind: Kind::Btrfs, built: false, detect: |_| false },
    Row { name: "overlay", kind: Kind::Overlay, built: true, detect: |p| p.starts_with('/') && p.contains(":/") },
    Row { name: "overlayfs", kind: Kind::Overlay, built: true, detect: |_| false },
    Row { name: "loop", kind: Kind::Loop, built: false, detect: |p| Path::new(p).is_file() },
    Row { name: "nbd", kind: Kind::Nbd, built: false, detect: |_| false },
];

/// A block device.
fn is_block(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.file_type().is_block_device())
}

/// The words that `lxc.rootfs.path` may start with.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|r| r.name)
}

/// The type of a rootfs: the one that is named, else (none named, or an unknown word) the first that recognises it.
///
/// # Errors
/// Nothing is there; a type that this build cannot start.
pub fn resolve(backend: Option<&str>, path: &str) -> Result<Kind> {
    let named = backend.and_then(|b| TABLE.iter().find(|r| r.name == b));
    let Some(row) = named.or_else(|| TABLE.iter().find(|r| (r.detect)(path))) else {
        let e = std::fs::metadata(path).err().unwrap_or_else(|| std::io::Error::from_raw_os_error(libc::EINVAL));
        return Err(Error::io(&e, format!("lxc.rootfs.path = {path}"))
            .stage("rootfs")
            .hint("create the container first (lxc-create), or name an existing directory"));
    };
    if !row.built {
        return Err(Error::os(libc::ENOSYS, format!("lxc.rootfs.path = {}:{path}: not built yet", row.name))
            .stage("rootfs")
            .hint("types that start: dir, overlay"));
    }
    Ok(row.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_type_wins_and_an_unknown_one_is_detected() {
        assert_eq!(resolve(Some("overlayfs"), "/a:/b").expect("overlay"), Kind::Overlay);
        assert_eq!(resolve(None, "/etc").expect("dir"), Kind::Dir);
        assert_eq!(resolve(Some("nonsense"), "/etc").expect("dir"), Kind::Dir);
        assert_eq!(resolve(None, "/etc:/tmp/x").expect("overlay"), Kind::Overlay);
    }

    #[test]
    fn what_is_not_built_says_so() {
        for (backend, path) in [(Some("btrfs"), "/etc"), (Some("zfs"), "tank/c"), (None, "/etc/passwd")] {
            let e = resolve(backend, path).expect_err("refused");
            assert!(e.what.ends_with("not built yet"), "{}", e.what);
        }
    }

    #[test]
    fn a_missing_rootfs_is_named() {
        let e = resolve(None, "/no/such/rootfs").expect_err("missing");
        assert_eq!((e.errno, e.what.as_str()), (libc::ENOENT, "lxc.rootfs.path = /no/such/rootfs"));
    }

    #[test]
    fn the_names_are_those_of_the_manual() {
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        assert_eq!(all, ["btrfs", "dir", "loop", "lvm", "nbd", "overlay", "overlayfs", "rbd", "zfs"]);
    }
}
