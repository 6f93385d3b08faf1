//! Where each setting of a config was written, for a check. Collected by the loader only when it collects problems.
#![forbid(unsafe_code)]

use super::{Problem, Severity};
use crate::keys::syntax::position;
use crate::keys::value::words;

/// Files in the order of reading, and every pair that was taken from them.
#[derive(Debug, Default)]
pub(super) struct Places {
    files: Vec<(String, Vec<u8>)>,
    pairs: Vec<Pair>,
}

#[derive(Debug)]
struct Pair {
    file: usize,
    key_at: usize,
    value_at: usize,
    /// The present spelling.
    key: String,
    value: String,
}

impl Places {
    /// A file is being read; answers its number.
    pub(super) fn enter(&mut self, name: &str, bytes: &[u8]) -> usize {
        self.files.push((name.to_string(), bytes.to_vec()));
        self.files.len() - 1
    }

    /// A pair was taken.
    pub(super) fn note(&mut self, file: usize, key_at: usize, value_at: usize, key: String, value: &str) {
        self.pairs.push(Pair { file, key_at, value_at, key, value: value.to_string() });
    }

    /// The place of a file in the order of reading.
    pub(super) fn order(&self, file: &str) -> usize {
        self.files.iter().position(|(name, _)| name == file).unwrap_or(usize::MAX)
    }

    /// What a new `lxc.net.N.type` line resets: the key and line of a setting of that device before it.
    pub(super) fn reset_by(&self, key: &str) -> Option<(String, usize)> {
        let device = key.strip_suffix("type")?;
        let mine = self.pairs.iter().rev().take_while(|p| p.key != key);
        let first = mine.filter(|p| p.key.starts_with(device) && !p.value.is_empty()).last()?;
        let (_, bytes) = self.files.get(first.file)?;
        Some((first.key.clone(), position(bytes, first.key_at).0))
    }

    /// Finds the line of the problem's key: of several the one whose value the text quotes, else the last. Without such a
    /// line one of the same device or group is taken. A column that is set already counts from the value's start.
    pub(super) fn locate(&self, problem: &mut Problem) {
        let key = problem.key.as_str();
        if key.is_empty() {
            return;
        }
        let named: Vec<&Pair> = self.pairs.iter().filter(|p| p.key == key && !p.value.is_empty()).collect();
        let quoted = |p: &&&Pair| {
            let value = words(&p.value).map(|w| w.1).collect::<Vec<_>>().join(" ");
            let mark = format!("{key} = ");
            let rest = problem.text.strip_prefix(&mark).unwrap_or_default();
            rest.starts_with(&value) || rest.starts_with(&p.value)
        };
        let near = || {
            let stem = key.rsplit_once('.').map_or(key, |(stem, _)| stem);
            self.pairs.iter().rev().find(|p| p.key.starts_with(stem) && !p.value.is_empty())
        };
        let found = named.iter().rev().find(quoted).or_else(|| named.last()).copied().or_else(near);
        let Some((pair, (file, bytes))) = found.and_then(|p| Some((p, self.files.get(p.file)?))) else { return };
        let (line, column) = position(bytes, pair.value_at);
        problem.file.clone_from(file);
        problem.line = line;
        problem.column = column + problem.column.saturating_sub(1);
    }
}

/// A line that LXC passes over in silence, if it looks as if it was meant.
pub(super) fn ignored(line: &[u8]) -> Option<(usize, String, Option<String>)> {
    let text = std::str::from_utf8(line).ok()?;
    let body = text.trim_start();
    if body.trim_end().is_empty() || body.starts_with('#') {
        return None;
    }
    let (name, _) = body.split_once('=').unwrap_or((body, ""));
    let hint = super::nearest(&name.trim().to_ascii_lowercase()).map(|near| format!("did you mean {near}?"));
    let hint = hint.unwrap_or_else(|| "begin a comment with #".to_string());
    let shown = crate::keys::value::cut(body.trim_end(), 80);
    Some((text.len() - body.len(), format!("the line is ignored, as it does not begin with lxc.: {shown}"), Some(hint)))
}

/// [`Severity`] of what LXC would pass over in silence.
pub(super) const IGNORED: Severity = Severity::Warning;
