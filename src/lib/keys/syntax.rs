//! The grammar of a config file: lines, comments, foreign lines, `key = value`, quotes. Facts: config-formats sheet 1.
#![forbid(unsafe_code)]

use super::value::is_blank;
use crate::sys::bytes::find;

/// One line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Where it starts, in bytes from the start of the text.
    pub start: usize,
    /// Its bytes, without the line end.
    pub bytes: &'a [u8],
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// Blank, a comment, or not ours: kept in the text, otherwise ignored.
    Nothing,
    /// `key = value`.
    Pair(Pair<'a>),
    /// Starts with `lxc.` but has no `=`; the bytes are the line without outer blanks.
    NoEquals(&'a [u8]),
}

/// A key and its value, both without outer blanks, the value without its outer quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// Where the key starts, in bytes from the start of the line.
    pub key_at: usize,
    /// Where the value starts, likewise.
    pub value_at: usize,
}

/// The lines of a text. Any run of CR and LF ends a line, so that empty lines do not appear.
pub struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    /// A CR is somewhere in the text.
    returns: bool,
}

impl<'a> Lines<'a> {
    /// The lines of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, returns: find(text, b'\r').is_some() }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        while matches!(self.text.get(self.at)?, b'\n' | b'\r') {
            self.at += 1;
        }
        let start = self.at;
        let line = &self.text[start..];
        let line = &line[..find(line, b'\n').unwrap_or(line.len())];
        let end = if self.returns { find(line, b'\r') } else { None };
        let line = &line[..end.unwrap_or(line.len())];
        // The line's end is skipped by the next call.
        self.at = start + line.len();
        Some(Line { start, bytes: line })
    }
}

impl<'a> Line<'a> {
    /// What the line is.
    pub fn parse(&self) -> Item<'a> {
        let line = self.bytes;
        let Some(key_at) = line.iter().position(|c| !is_blank(*c)) else { return Item::Nothing };
        let body = &line[key_at..];
        if !body.starts_with(b"lxc.") {
            return Item::Nothing;
        }
        let Some(equals) = find(body, b'=') else { return Item::NoEquals(trim(body)) };
        let raw = &body[equals + 1..];
        let lead = raw.iter().position(|c| !is_blank(*c)).unwrap_or(raw.len());
        let value = trim(&raw[lead..]);
        let quoted = value.len() >= 2 && matches!(value.first(), Some(b'"' | b'\'')) && value.first() == value.last();
        let value_at = key_at + equals + 1 + lead + usize::from(quoted);
        #[cfg(feature = "planted-bug")]
        assert!(!quoted || value.get(1..) != Some(b"=\""), "planted bug: an equals sign between quotes");
        let value = if quoted { &value[1..value.len() - 1] } else { value };
        Item::Pair(Pair { key: trim(&body[..equals]), value, key_at, value_at })
    }
}

/// Splits `key=value` as an option `-s` has it.
pub fn pair(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    let blank = |c: char| c.is_ascii() && is_blank(c as u8);
    let value = value.trim_matches(blank);
    let quoted = value.len() >= 2
        && (value.starts_with('"') && value.ends_with('"') || value.starts_with('\'') && value.ends_with('\''));
    Some((key.trim_matches(blank), if quoted { &value[1..value.len() - 1] } else { value }))
}

/// The line and column (both from 1, the column in characters) of a byte.
pub fn position(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let mut line = 1;
    let mut start = 0;
    for (i, c) in before.iter().enumerate() {
        if *c == b'\n' || (*c == b'\r' && before.get(i + 1).or(text.get(i + 1)) != Some(&b'\n')) {
            line += 1;
            start = i + 1;
        }
    }
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

/// Without blanks at the end (and at the start).
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_blank(*first) {
            break;
        }
        bytes = rest;
    }
    while let [rest @ .., last] = bytes {
        if !is_blank(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Option<(String, String)> {
        let line = Lines::new(line.as_bytes()).next()?;
        match line.parse() {
            Item::Pair(p) => {
                Some((String::from_utf8_lossy(p.key).into_owned(), String::from_utf8_lossy(p.value).into_owned()))
            }
            _ => None,
        }
    }

    #[test]
    fn lines_end_at_any_run_of_cr_and_lf() {
        let lines: Vec<_> = Lines::new(b"\na\r\nb\rc\n\n  \nd").map(|l| (l.start, l.bytes)).collect();
        assert_eq!(lines, [(1, &b"a"[..]), (4, b"b"), (6, b"c"), (9, b"  "), (12, b"d")]);
    }

    #[test]
    fn quotes_lose_one_outer_pair() {
        for (line, value) in [
            ("lxc.a='x y'", "x y"),
            ("\t lxc.a = \"x\" ", "x"),
            ("lxc.a = \"x", "\"x"),
            ("lxc.a = 'a b' c", "'a b' c"),
            ("lxc.a = \"\"x\"\"", "\"x\""),
            ("lxc.a = '", "'"),
            ("lxc.a = ''", ""),
            ("lxc.a = a=b # c \\", "a=b # c \\"),
            ("lxc.a =", ""),
        ] {
            assert_eq!(one(line), Some(("lxc.a".into(), value.into())), "{line}");
        }
    }

    #[test]
    fn foreign_lines_are_nothing() {
        for line in ["# lxc.a = 1", "LXC.a = 1", "lxcfoo = 1", "garbage", " \x0c"] {
            assert_eq!(Lines::new(line.as_bytes()).next().unwrap().parse(), Item::Nothing, "{line}");
        }
        assert_eq!(Lines::new(b" lxc.a ").next().unwrap().parse(), Item::NoEquals(b"lxc.a"));
    }

    #[test]
    fn positions_count_lines_and_characters() {
        assert_eq!(position("a\né=b".as_bytes(), 4), (2, 2));
        assert_eq!(position(b"a\r\nb\rc", 5), (3, 1));
        assert_eq!(position(b"", 9), (1, 1));
    }
}
