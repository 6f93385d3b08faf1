//! The unexpanded text of a config: what a save writes. Lines stay byte for byte as they were read; a set appends, a
//! clear removes, a MAC template is filled in where it stands. Knows no key.
#![forbid(unsafe_code)]

use super::syntax::{Item, Lines};
use super::value::is_blank;

/// The text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(Vec<u8>);

impl Text {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Appends a whole file.
    pub fn push_file(&mut self, bytes: Vec<u8>) {
        if self.0.is_empty() {
            self.0 = bytes;
        } else {
            self.end_line();
            self.0.extend_from_slice(&bytes);
        }
    }

    /// Appends `key = value`.
    pub fn push(&mut self, key: &str, value: &str) {
        self.end_line();
        self.0.reserve(key.len() + value.len() + 4);
        for part in [key, " = ", value, "\n"] {
            self.0.extend_from_slice(part.as_bytes());
        }
    }

    fn end_line(&mut self) {
        if self.0.last().is_some_and(|c| *c != b'\n') {
            self.0.push(b'\n');
        }
    }

    /// Removes the lines whose key `is_gone` names, each with its line end.
    pub fn remove(&mut self, mut is_gone: impl FnMut(&str) -> bool) {
        let mut cuts = Vec::new();
        for line in Lines::new(&self.0) {
            let key = match line.parse() {
                Item::Pair(pair) => pair.key,
                Item::NoEquals(text) => text.split(|c| is_blank(*c)).next().unwrap_or_default(),
                Item::Nothing => continue,
            };
            if std::str::from_utf8(key).is_ok_and(&mut is_gone) {
                let mut end = line.start + line.bytes.len();
                if self.0.get(end) == Some(&b'\r') {
                    end += 1;
                }
                if self.0.get(end) == Some(&b'\n') {
                    end += 1;
                }
                cuts.push(line.start..end);
            }
        }
        for cut in cuts.into_iter().rev() {
            self.0.drain(cut);
        }
    }

    /// Replaces the value of every line whose key `change` has something to say on.
    pub fn rewrite(&mut self, mut change: impl FnMut(&str, &str) -> Option<String>) {
        let mut edits = Vec::new();
        for line in Lines::new(&self.0) {
            let Item::Pair(pair) = line.parse() else { continue };
            let (Ok(key), Ok(value)) = (std::str::from_utf8(pair.key), std::str::from_utf8(pair.value)) else {
                continue;
            };
            if let Some(new) = change(key, value) {
                let at = line.start + pair.value_at;
                edits.push((at..at + pair.value.len(), new));
            }
        }
        for (place, new) in edits.into_iter().rev() {
            self.0.splice(place, new.into_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untouched_lines_keep_their_bytes() {
        let mut text = Text::default();
        text.push_file(b"# a\r\n\n lxc.a  = 1\r\nlxc.b=2\n\xff\nlxc.a=3".to_vec());
        text.push("lxc.c", "x");
        text.remove(|k| k == "lxc.a");
        assert_eq!(text.bytes(), b"# a\r\n\nlxc.b=2\n\xff\nlxc.c = x\n");
        text.rewrite(|k, v| (k == "lxc.b").then(|| format!("{v}{v}")));
        assert_eq!(text.bytes(), b"# a\r\n\nlxc.b=22\n\xff\nlxc.c = x\n");
    }
}
