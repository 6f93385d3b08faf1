//! Searching bytes. Knows nothing of what they mean.

/// How far the first `byte` in `text` is (memchr(3), which uses the widest registers that the machine has).
pub fn find(text: &[u8], byte: u8) -> Option<usize> {
    // SAFETY: the pointer and the length are those of one slice, which memchr only reads.
    let found = unsafe { libc::memchr(text.as_ptr().cast(), i32::from(byte), text.len()) };
    (!found.is_null()).then(|| found as usize - text.as_ptr() as usize)
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_first_one_is_found() {
        assert_eq!(find(b"a=b=c", b'='), Some(1));
        assert_eq!(find(b"abc", b'='), None);
        assert_eq!(find(b"", 0), None);
    }
}
