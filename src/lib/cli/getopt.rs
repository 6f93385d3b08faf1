//! getopt_long(3)'s habits: permutation, `--`, POSIXLY_CORRECT, unambiguous prefixes, glued and optional arguments, clusters of
//! short options, and its messages. Knows no option: the table is the caller's; clap gets what this leaves.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Whether an option takes an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// None.
    Nothing,
    /// One, glued or the next word.
    Value,
    /// One, but only glued.
    Maybe,
}

/// One row of the table. Two rows may bear one name: a prefix of it is then ambiguous, as in the C library, unless `val` is
/// equal too.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The long name, without dashes.
    pub long: &'a str,
    /// The short name.
    pub short: Option<u8>,
    /// What it takes.
    pub takes: Takes,
}

impl Row<'_> {
    /// Two rows mean the same to getopt.
    fn same(&self, other: &Row<'_>) -> bool {
        self.takes == other.takes && self.short == other.short && (self.short.is_some() || self.long == other.long)
    }
}

/// One option that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// The row's index.
    pub row: usize,
    /// Its argument.
    pub value: Option<OsString>,
}

/// What a command line holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// The options, in order.
    pub met: Vec<Met>,
    /// What is no option, in order.
    pub operands: Vec<OsString>,
    /// The option that ended the scan, or getopt's complaint.
    pub end: Option<End>,
}

/// Why a scan stopped before the last word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// `stop` said so of this row.
    At(usize),
    /// A wrong option; the text is getopt's, without the program's name.
    Wrong(Vec<u8>),
}

/// Scans the words after the program's name. `stop` tells of a row whether it ends the scan.
pub fn scan(rows: &[Row<'_>], words: &[OsString], posix: bool, stop: impl Fn(usize) -> bool) -> Scan {
    let mut out = Scan::default();
    let mut next = 0;
    while let Some(word) = words.get(next) {
        next += 1;
        let bytes = word.as_bytes();
        if bytes == b"--" {
            break;
        }
        if bytes.len() < 2 || bytes.first() != Some(&b'-') {
            if posix {
                next -= 1;
                break;
            }
            out.operands.push(word.clone());
            continue;
        }
        let found = match bytes.strip_prefix(b"--") {
            Some(long) => long_option(rows, long, words, &mut next, &mut out.met),
            None => short_options(rows, bytes.get(1..).unwrap_or_default(), words, &mut next, &mut out.met, &stop),
        };
        if let Err(text) = found {
            out.end = Some(End::Wrong(text));
            return out;
        }
        if let Some(met) = out.met.last()
            && stop(met.row)
        {
            out.end = Some(End::At(met.row));
            out.met.pop();
            return out;
        }
    }
    out.operands.extend(words.get(next..).unwrap_or_default().iter().cloned());
    out
}

fn take(words: &[OsString], next: &mut usize) -> Option<OsString> {
    let word = words.get(*next).cloned();
    *next += usize::from(word.is_some());
    word
}

fn text(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn long_option(
    rows: &[Row<'_>],
    word: &[u8],
    words: &[OsString],
    next: &mut usize,
    met: &mut Vec<Met>,
) -> Result<(), Vec<u8>> {
    let cut = word.iter().position(|b| *b == b'=');
    let name = word.get(..cut.unwrap_or(word.len())).unwrap_or_default();
    let glued = cut.and_then(|c| word.get(c + 1..)).map(|v| OsStr::from_bytes(v).to_os_string());
    let (row, found) = find_long(rows, name, word)?;
    let value = match (found.takes, glued) {
        (Takes::Nothing, Some(_)) => {
            return Err(text(&[b"option '--", found.long.as_bytes(), b"' doesn't allow an argument"]));
        }
        (Takes::Value, None) => match take(words, next) {
            Some(v) => Some(v),
            None => return Err(text(&[b"option '--", found.long.as_bytes(), b"' requires an argument"])),
        },
        (_, glued) => glued,
    };
    met.push(Met { row, value });
    Ok(())
}

/// The row that a name or the beginning of one means.
fn find_long<'a, 'r>(rows: &'r [Row<'a>], name: &[u8], word: &[u8]) -> Result<(usize, &'r Row<'a>), Vec<u8>> {
    if let Some(exact) = rows.iter().enumerate().find(|(_, r)| r.long.as_bytes() == name) {
        return Ok(exact);
    }
    let mut fits = rows.iter().enumerate().filter(|(_, r)| r.long.as_bytes().starts_with(name));
    let Some(first) = fits.next() else {
        return Err(text(&[b"unrecognized option '--", word, b"'"]));
    };
    let others: Vec<_> = fits.filter(|(_, r)| !r.same(first.1)).collect();
    if others.is_empty() {
        return Ok(first);
    }
    let mut says = text(&[b"option '--", word, b"' is ambiguous; possibilities:"]);
    for (_, row) in std::iter::once(&first).chain(&others) {
        says.extend_from_slice(&text(&[b" '--", row.long.as_bytes(), b"'"]));
    }
    Err(says)
}

fn short_options(
    rows: &[Row<'_>],
    mut cluster: &[u8],
    words: &[OsString],
    next: &mut usize,
    met: &mut Vec<Met>,
    stop: impl Fn(usize) -> bool,
) -> Result<(), Vec<u8>> {
    while let Some((letter, rest)) = cluster.split_first() {
        let found = rows.iter().enumerate().find(|(_, r)| r.short == Some(*letter));
        let Some((row, found)) = found.filter(|_| !matches!(letter, b':' | b';')) else {
            return Err(text(&[b"invalid option -- '", &[*letter], b"'"]));
        };
        let glued = || OsString::from_vec(rest.to_vec());
        let value = match found.takes {
            Takes::Nothing => None,
            _ if !rest.is_empty() => Some(glued()),
            Takes::Maybe => None,
            Takes::Value => match take(words, next) {
                Some(v) => Some(v),
                None => return Err(text(&[b"option requires an argument -- '", &[*letter], b"'"])),
            },
        };
        met.push(Met { row, value });
        if found.takes != Takes::Nothing || stop(row) {
            break;
        }
        cluster = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
