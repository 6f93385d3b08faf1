//! fstab(5) lines, of `lxc.mount.fstab` and of `lxc.mount.entry`: their fields, with every fault placed at file, line and
//! column. Knows the syntax only; what a line means is `entry`'s.
#![forbid(unsafe_code)]

use crate::base::mount_options::MountOptions;
use crate::base::{Context, Error, Result};
use std::path::Path;

/// A longer line is refused; getmntent(3), which LXC reads with, would cut it in two without a word.
const LINE_MAX: usize = 4096;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// First field: device, name or path.
    pub source: String,
    /// Second field: where.
    pub target: String,
    /// Third field; `none` for binds, empty when it is missing.
    pub fstype: String,
    /// Fourth field.
    pub options: MountOptions,
    /// How messages name it: `FILE:LINE: TEXT`, or `lxc.mount.entry = TEXT`.
    pub origin: String,
}

/// Parses one line. `place` names it in messages (`/etc/fstab:3`). `None` for a blank line and for a comment.
///
/// # Errors
/// No target, an option that is none, a bad escape, a line that is too long: `PLACE:COLUMN: what`.
pub fn parse_line(text: &str, place: &str) -> Result<Option<Line>> {
    let fault =
        |column: usize, what: String| Error::os(libc::EINVAL, format!("{place}:{column}: {what}")).stage("mount");
    if text.len() >= LINE_MAX {
        return Err(fault(LINE_MAX, format!("a mount line must be shorter than {LINE_MAX} bytes")));
    }
    let trimmed = text.trim_start_matches([' ', '\t']).trim_end_matches(['\n', '\r', ' ', '\t']);
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return Ok(None);
    }
    let mut fields = Vec::with_capacity(6);
    let mut rest = text;
    let mut at = 0_usize;
    while fields.len() < 4 {
        let skipped = rest.trim_start_matches([' ', '\t']);
        at += rest.len() - skipped.len();
        let end = skipped.find([' ', '\t', '\n', '\r']).unwrap_or(skipped.len());
        let Some((field, after)) = skipped.split_at_checked(end) else { break };
        if field.is_empty() {
            break;
        }
        fields.push((at + 1, field));
        at += end;
        rest = after;
    }
    let mut decoded = fields.iter().map(|(column, f)| unescape(f).map_err(|what| fault(*column, what)));
    let mut next = || decoded.next().transpose();
    let source = next()?.unwrap_or_default();
    let Some(target) = next()? else {
        return Err(fault(
            trimmed.len() + 1,
            format!("\"{trimmed}\" has no mount target; wanted: SOURCE TARGET TYPE OPTIONS 0 0"),
        ));
    };
    let fstype = next()?.unwrap_or_default();
    let options = next()?.unwrap_or_default();
    let column = fields.get(3).map_or(1, |f| f.0);
    let options = MountOptions::parse(&options).map_err(|e| fault(column, e.what))?;
    Ok(Some(Line { source, target, fstype, options, origin: format!("{place}: {trimmed}") }))
}

/// Reads a file of such lines.
///
/// # Errors
/// The file cannot be read, or holds a faulty line.
pub fn read(file: &Path) -> Result<Vec<Line>> {
    let bytes = std::fs::read(file)
        .ctx(|| format!("lxc.mount.fstab = {}", file.display()))
        .map_err(|e| e.stage("mount").hint("name an existing file in fstab(5) format, or remove the line"))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = Vec::new();
    for (i, text) in text.lines().enumerate() {
        lines.extend(parse_line(text, &format!("{}:{}", file.display(), i + 1))?);
    }
    Ok(lines)
}

/// Parses the value of one `lxc.mount.entry`.
///
/// # Errors
/// As [`parse_line`].
pub fn parse_entry(value: &str) -> Result<Option<Line>> {
    let line = parse_line(value, "lxc.mount.entry")?;
    Ok(line.map(|l| Line { origin: format!("lxc.mount.entry = {}", value.trim()), ..l }))
}

/// Undoes fstab's octal escapes (`\040` is a blank) and `\\`.
fn unescape(field: &str) -> std::result::Result<String, String> {
    if !field.contains('\\') {
        return Ok(field.to_string());
    }
    let bytes = field.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&c, after)) = rest.split_first() {
        rest = after;
        if c != b'\\' {
            out.push(c);
        } else if let Some(([a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'], after)) = rest.split_first_chunk::<3>()
        {
            let code = (a - b'0') * 64 + (b - b'0') * 8 + (c - b'0');
            if code == 0 {
                return Err(format!("\"{field}\": \\000 cannot be part of a path"));
            }
            out.push(code);
            rest = after;
        } else {
            out.push(b'\\');
            rest = rest.strip_prefix(b"\\").unwrap_or(rest);
        }
    }
    String::from_utf8(out).map_err(|_| format!("\"{field}\" is not UTF-8 once its escapes are undone"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_and_escapes() {
        let l = parse_line("  /a\\040b\t mnt\\134x none bind,ro 0 0", "f:1").expect("parses").expect("a line");
        assert_eq!((l.source.as_str(), l.target.as_str(), l.fstype.as_str()), ("/a b", "mnt\\x", "none"));
        assert_eq!(l.options.flags, libc::MS_BIND | libc::MS_RDONLY);
        assert_eq!(l.origin, "f:1: /a\\040b\t mnt\\134x none bind,ro 0 0");
    }

    #[test]
    fn blank_lines_and_comments_are_none() {
        for text in ["", "   \t", "# x", "  # /a b none bind"] {
            assert_eq!(parse_line(text, "f:1").expect("parses"), None);
        }
    }

    #[test]
    fn missing_type_and_options_are_empty() {
        let l = parse_line("tmpfs run", "f:1").expect("parses").expect("a line");
        assert_eq!((l.fstype.as_str(), &l.options), ("", &MountOptions::default()));
    }

    #[test]
    fn faults_name_line_and_column() {
        let e = parse_line("tmpfs", "/x:7").expect_err("no target");
        assert!(e.what.starts_with("/x:7:6: "), "{}", e.what);
        let e = parse_line("a b none bind,create=x", "/x:7").expect_err("bad option");
        assert!(e.what.starts_with("/x:7:10: "), "{}", e.what);
        assert!(parse_line(&"x".repeat(5000), "/x:1").is_err());
        assert!(parse_line("a\\000b c none bind", "/x:1").is_err());
    }

    #[test]
    fn an_entry_is_named_by_its_key() {
        let l = parse_entry(" proc proc proc nodev 0 0 ").expect("parses").expect("a line");
        assert_eq!(l.origin, "lxc.mount.entry = proc proc proc nodev 0 0");
    }

    proptest! {
        #[test]
        fn no_line_panics(text in "[ -~\\t\\\\]{0,80}|.{0,40}") {
            let _ = parse_line(&text, "p:1");
        }

        #[test]
        fn escaping_undone(path in "[^\u{0}]{1,20}") {
            let escaped: String = path.bytes().map(|b| format!("\\{b:03o}")).collect();
            let escaped_ok = path.bytes().all(|b| b != 0);
            prop_assert!(escaped_ok);
            prop_assert_eq!(unescape(&escaped), Ok(path));
        }
    }
}
