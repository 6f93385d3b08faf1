//! Where a container's command socket is: the abstract name, hashed when it would not fit. Opens nothing.
#![forbid(unsafe_code)]

use crate::base::paths::{FNV1A64_INIT, fnv1a64};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The longest name that is used as it is, bytes without the leading NUL; seen with LXC 5.0.2.
pub const PLAIN_MAX: usize = 105;

/// The abstract name (without the leading NUL) of the command socket of `name` in the store `lxcpath`, which is used as
/// spelled: `LXCPATH/NAME/command`, or `lxc/HASH/command` when that has more than [`PLAIN_MAX`] bytes.
pub fn address(lxcpath: &Path, name: &str) -> Vec<u8> {
    let path = lxcpath.as_os_str().as_bytes();
    let len = path.len() + name.len() + 2 + "command".len();
    if len > PLAIN_MAX {
        let hash = [path, b"/", name.as_bytes()].into_iter().fold(FNV1A64_INIT, |h, piece| fnv1a64(piece, h));
        return format!("lxc/{hash:016x}/command").into_bytes();
    }
    [path, b"/", name.as_bytes(), b"/command"].concat()
}

/// The hash in a hashed name; `None` for a plain one.
pub fn is_hashed(abstract_name: &[u8]) -> bool {
    abstract_name
        .strip_prefix(b"lxc/")
        .and_then(|n| n.strip_suffix(b"/command"))
        .is_some_and(|h| h.len() == 16 && h.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_plain_and_long_ones_hashed() {
        assert_eq!(address(Path::new("/var/lib/lxc"), "c1"), b"/var/lib/lxc/c1/command");
        // 105 bytes still fit, 106 do not.
        let n = "n".repeat(105 - "/tmp/rvstore//command".len());
        assert_eq!(address(Path::new("/tmp/rvstore"), &n).len(), 105);
        // The hash that Debian's 5.0.2 was seen to bind for this name.
        let n = "n".repeat(85);
        let hashed = address(Path::new("/tmp/rvstore"), &n);
        assert_eq!(hashed, b"lxc/3c87dd45dfbe5d68/command");
        assert!(is_hashed(&hashed));
        assert!(!is_hashed(b"lxc/3c87/command"));
    }
}
