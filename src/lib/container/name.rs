//! What may be a container's name. Owns the rule and its message; a name becomes a directory, a socket and a cgroup.
#![forbid(unsafe_code)]

use crate::base::{Error, Result};

/// The longest name in bytes: what a file name may have (path_resolution(7)).
pub const MAX: usize = 255;

/// Refuses what would leave the store or break a line of output.
///
/// # Errors
/// The rule that the name breaks, in words.
pub fn check(name: &str) -> Result<()> {
    let wrong = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "it names a directory of the store itself"
    } else if name.contains('/') {
        "it contains a slash"
    } else if name.bytes().any(|b| b < 0x20 || b == 0x7f) {
        "it contains a control character"
    } else if name.len() > MAX {
        "it is longer than 255 bytes"
    } else {
        return Ok(());
    };
    Err(Error::new(format!("Invalid container name \"{}\": {wrong}", printable(name))))
}

/// The name with control characters replaced, and cut, for messages.
pub fn printable(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_store_are_refused() {
        for bad in ["", ".", "..", "a/b", "../x", "a\nb", "a\u{7f}", &"x".repeat(256)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        for good in ["c1", "a b", "-x", "cli:colon", ".hidden", "é", "cli%d", &"x".repeat(255)] {
            assert!(check(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn messages_stay_on_one_line() {
        let e = check("a\nb").unwrap_err().to_string();
        assert!(!e.contains('\n') && e.contains("a?b"), "{e}");
    }
}
