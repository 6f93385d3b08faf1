//! POSIX extended regular expressions of the C library (regcomp(3)): the kind that lxc-ls and lxc-monitor filter by.
//! Owns no pattern.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;

/// A compiled expression.
pub struct Ere(Box<libc::regex_t>);

impl Ere {
    /// Compiles it; `None` when it is malformed.
    pub fn new(pattern: &str) -> Option<Ere> {
        let pattern = CString::new(pattern).ok()?;
        let mut re = Box::new(MaybeUninit::<libc::regex_t>::zeroed());
        // SAFETY: regcomp fills the structure when it returns 0, and reads a C string.
        let rc = unsafe { libc::regcomp(re.as_mut_ptr(), pattern.as_ptr(), libc::REG_EXTENDED | libc::REG_NOSUB) };
        if rc != 0 {
            return None;
        }
        // SAFETY: rc was 0, so all of it is set; the Box keeps it where regcomp put it.
        Some(Ere(unsafe { re.assume_init() }))
    }

    /// Whether it matches anywhere in `text`.
    pub fn is_match(&self, text: &CStr) -> bool {
        // SAFETY: the expression is compiled, the text ends with NUL, and no matches are asked for.
        unsafe { libc::regexec(&raw const *self.0, text.as_ptr(), 0, std::ptr::null_mut(), 0) == 0 }
    }
}

impl Drop for Ere {
    fn drop(&mut self) {
        // SAFETY: compiled once, freed once.
        unsafe { libc::regfree(&raw mut *self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_anywhere_and_refuses_nonsense() {
        let re = Ere::new("a+b|^x$").unwrap();
        assert!(re.is_match(c"zaab"));
        assert!(re.is_match(c"x"));
        assert!(!re.is_match(c"xy"));
        assert!(Ere::new("[").is_none());
    }
}
