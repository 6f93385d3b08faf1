//! Small grammars that keys share: numbers, switches, paths, words. Facts: config-keys sheet, section 1; seen on 5.0.2.
#![forbid(unsafe_code)]

use super::Bad;

/// The longest path that the kernel takes, with its NUL (limits.h).
pub const PATH_MAX: usize = 4096;

/// The blanks of isspace(3) in the C locale.
pub const fn is_blank(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// An unsigned number of C (leading blanks, 0x, leading 0 for octal), 32 bits; a plus is taken, a minus is not.
///
/// # Errors
/// Anything else.
pub fn unsigned(text: &str) -> Result<u32, Bad> {
    u32::try_from(unsigned64(text)?).map_err(|_| Bad::new("the number is too large"))
}

/// [`unsigned`] with 64 bits.
///
/// # Errors
/// Anything else.
pub fn unsigned64(text: &str) -> Result<u64, Bad> {
    let text = text.trim_start_matches(|c: char| c.is_ascii() && is_blank(c as u8));
    digits(text.strip_prefix('+').unwrap_or(text))
}

/// A signed number of C, 32 bits.
///
/// # Errors
/// Anything else.
pub fn signed(text: &str) -> Result<i32, Bad> {
    i32::try_from(signed64(text)?).map_err(|_| Bad::new("the number is too large"))
}

/// A signed number of C, 64 bits.
///
/// # Errors
/// Anything else.
pub fn signed64(text: &str) -> Result<i64, Bad> {
    let text = text.trim_start_matches(|c: char| c.is_ascii() && is_blank(c as u8));
    let (negative, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let n = i128::from(digits(text)?);
    i64::try_from(if negative { -n } else { n }).map_err(|_| Bad::new("the number is too large"))
}

fn digits(text: &str) -> Result<u64, Bad> {
    let (radix, rest) = if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        (16, hex)
    } else if text.len() > 1 && text.starts_with('0') {
        (8, &text[1..])
    } else {
        (10, text)
    };
    if rest.is_empty() || !rest.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Bad::new("not a number"));
    }
    u64::from_str_radix(rest, radix).map_err(|e| match e.kind() {
        std::num::IntErrorKind::PosOverflow => Bad::new("the number is too large"),
        _ => Bad::new("not a number"),
    })
}

/// `0` or `1`.
///
/// # Errors
/// Anything else.
pub fn boolean(text: &str) -> Result<bool, Bad> {
    match unsigned(text) {
        Ok(0) => Ok(false),
        Ok(1) => Ok(true),
        _ => Err(Bad::new("neither 0 nor 1")),
    }
}

/// A path without doubled and trailing slashes and without `.` parts.
///
/// # Errors
/// It is longer than the kernel takes.
pub fn path(text: &str) -> Result<String, Bad> {
    if text.len() >= PATH_MAX {
        return Err(Bad::os(libc::ENAMETOOLONG, "the path is longer than 4095 bytes"));
    }
    let mut out = String::with_capacity(text.len());
    if text.starts_with('/') {
        out.push('/');
    }
    for part in text.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if !matches!(out.as_str(), "" | "/") {
            out.push('/');
        }
        out.push_str(part);
    }
    if out.is_empty() && !text.is_empty() {
        out.push('.');
    }
    Ok(out)
}

/// A relative path that does not climb.
///
/// # Errors
/// It is absolute, too long, or has a `..`.
pub fn relative_path(text: &str) -> Result<String, Bad> {
    if text.starts_with('/') {
        return Err(Bad::new("the path must be relative"));
    }
    if text.contains("..") {
        return Err(Bad::new("the path must not contain .."));
    }
    path(text)
}

/// The name of one file.
///
/// # Errors
/// It has a slash, or is `.` or `..`.
pub fn file_name(text: &str) -> Result<String, Bad> {
    if text == "." || text == ".." || text.contains('/') {
        return Err(Bad::new("not a single directory name"));
    }
    Ok(text.to_string())
}

/// The first `max` bytes of a text, less the piece of a character at the end.
pub fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The words of a text between blanks and tabs, each with the byte where it starts.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let base = text.as_ptr() as usize;
    text.split([' ', '\t']).filter(|w| !w.is_empty()).map(move |w| (w.as_ptr() as usize - base, w))
}

/// Numbers that nobody can guess from the last ones; not for keys or passwords.
pub struct Random(u64);

impl Random {
    /// A fresh one, different after a fork.
    pub fn new() -> Self {
        use std::hash::{BuildHasher, Hasher};
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        if let Ok(now) = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            hasher.write_u128(now.as_nanos());
        }
        Self(hasher.finish())
    }

    /// A number below `limit`, which must not be 0 (splitmix64).
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % u64::from(limit.max(1))) as u32
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_c() {
        assert_eq!(unsigned(" 7"), Ok(7));
        assert_eq!(unsigned("010"), Ok(8));
        assert_eq!(unsigned("0x10"), Ok(16));
        assert_eq!(unsigned("0"), Ok(0));
        assert_eq!(unsigned("+1"), Ok(1));
        assert_eq!(unsigned("4294967295"), Ok(u32::MAX));
        for bad in ["7 ", "", " ", "-1", "++1", "0x", "08", "1k", "4294967296", "99999999999999999999", "1_0"] {
            assert!(unsigned(bad).is_err(), "{bad}");
        }
        assert_eq!(signed("-5"), Ok(-5));
        assert_eq!(signed("+5"), Ok(5));
        assert_eq!(signed("-2147483648"), Ok(i32::MIN));
        assert!(signed("2147483648").is_err());
        assert!(signed("--5").is_err());
    }

    #[test]
    fn paths_lose_doubled_slashes() {
        assert_eq!(path("//a///b//").unwrap(), "/a/b");
        for (text, short) in
            [("/", "/"), (".", "."), ("./.", "."), ("/./a", "/a"), ("a/./", "a"), ("./..", ".."), ("", "")]
        {
            assert_eq!(path(text).unwrap(), short, "{text}");
        }
        assert!(path(&"a".repeat(4096)).is_err());
        assert!(relative_path("/a").is_err());
        assert!(relative_path("a/../b").is_err());
        assert_eq!(relative_path("./ab//c/").unwrap(), "ab/c");
        assert!(file_name("a/b").is_err());
        assert!(file_name("..").is_err());
    }

    #[test]
    fn words_know_their_place() {
        assert_eq!(words(" a\tbc ").collect::<Vec<_>>(), [(1, "a"), (3, "bc")]);
    }
}
