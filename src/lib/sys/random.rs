//! Random bytes from the kernel (getrandom(2)). No generator of our own.

use super::rc::{again, check_len};
use std::io;

/// Fills the buffer. Allocates nothing.
///
/// # Errors
/// ENOSYS where the call is filtered.
pub fn fill(buf: &mut [u8]) -> io::Result<()> {
    let mut have = 0;
    while let Some(rest) = buf.get_mut(have..).filter(|r| !r.is_empty()) {
        // SAFETY: rest is writable for its whole length.
        have += again(|| check_len(unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) }))?;
    }
    Ok(())
}

/// Four random bytes as a number.
///
/// # Errors
/// As [`fill`].
pub fn u32() -> io::Result<u32> {
    let mut bytes = [0; 4];
    fill(&mut bytes)?;
    Ok(u32::from_ne_bytes(bytes))
}

/// `count` random characters of `alphabet`, each equally likely; empty for an empty alphabet.
///
/// # Errors
/// As [`fill`].
pub fn text(count: usize, alphabet: &[u8]) -> io::Result<String> {
    let len = u32::try_from(alphabet.len()).unwrap_or(u32::MAX);
    let mut out = String::with_capacity(count);
    // Values at or above the largest multiple of len would favour the first characters.
    let limit = u32::MAX - u32::MAX.checked_rem(len).unwrap_or(0);
    while len > 0 && out.len() < count {
        let n = u32()?;
        if n < limit {
            let at = usize::try_from(n % len).unwrap_or(0);
            out.extend(alphabet.get(at).map(|c| char::from(*c)));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_differ_and_text_keeps_to_its_alphabet() {
        let (mut a, mut b) = ([0; 300], [0; 300]);
        fill(&mut a).unwrap();
        fill(&mut b).unwrap();
        assert_ne!(a, b);
        fill(&mut []).unwrap();
        let word = text(40, b"0123456789abcdef").unwrap();
        assert!(word.len() == 40 && word.bytes().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(word, text(40, b"0123456789abcdef").unwrap());
        assert_eq!(text(3, b"").unwrap(), "");
    }
}
