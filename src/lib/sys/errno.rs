//! What the C library calls an error number: the words that users of C tools know. Allocates nothing, locks nothing.

use std::ffi::{CStr, c_char, c_int};

unsafe extern "C" {
    /// glibc 2.32: the text as strerror(3) has it in the C locale, static; null for a number that is none.
    fn strerrordesc_np(errno: c_int) -> *const c_char;
}

/// The words for an error number, as strerror(3) has them: "No such file or directory".
pub fn words(errno: i32) -> &'static str {
    // SAFETY: it takes any number and answers null or a static C string.
    let text = unsafe { strerrordesc_np(errno) };
    if text.is_null() {
        return "Unknown error";
    }
    // SAFETY: not null, so a static C string.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("Unknown error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_strerror_says() {
        assert_eq!(words(libc::EBADF), "Bad file descriptor");
        assert_eq!(words(libc::EAGAIN), "Resource temporarily unavailable");
        assert_eq!(words(0), "Success");
        assert_eq!(words(12345), "Unknown error");
        assert_eq!(words(-1), "Unknown error");
    }
}
