//! What a row's `info` text says. A row keeps it as one text, so that a table of rows costs one pointer for it; only
//! manual pages, completion, `lxc-config --check` and tests read it.
//!
//! The text starts with lines `word: rest`, ended by an empty line, after which the documentation follows:
//! `since:` and `until:` (LXC versions), `default:` (in words), `good:` and `bad:` (sample values, separated by ` | `),
//! `sub:` (what stands for `*` in the samples). Only `since` and one `good` sample are mandatory. `good: -` means that
//! the key takes no value.
#![forbid(unsafe_code)]

use super::Row;

/// A row's `info`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Info {
    /// First LXC version with the key under any name.
    pub since: &'static str,
    /// Last LXC version with it; empty when the present one has it.
    pub until: &'static str,
    /// The default in words; empty for none.
    pub default: &'static str,
    /// What stands for the `*` of a prefix row in samples.
    pub sub: &'static str,
    /// Values that are accepted.
    pub good: Vec<&'static str>,
    /// Values that are refused.
    pub bad: Vec<&'static str>,
    /// The documentation.
    pub doc: &'static str,
}

impl Row {
    /// The row's information, taken apart.
    pub fn info(&self) -> Info {
        let mut info = Info::default();
        let (head, doc) = self.info.split_once("\n\n").unwrap_or((self.info, ""));
        info.doc = doc.trim();
        let list = |text: &'static str| text.split(" | ").map(str::trim).collect();
        for line in head.lines() {
            let (word, rest) = line.trim().split_once(':').unwrap_or((line, ""));
            let rest = rest.trim();
            match word {
                "since" => info.since = rest,
                "until" => info.until = rest,
                "default" => info.default = rest,
                "sub" => info.sub = rest,
                "good" => info.good = list(rest),
                "bad" => info.bad = list(rest),
                _ => {}
            }
        }
        info
    }

    /// The name with a sample in place of `*` and `[i]`.
    pub fn sample_name(&self) -> String {
        let name = self.name().replace("[i]", "0");
        match name.strip_suffix('*') {
            Some(prefix) => format!("{prefix}{}", self.info().sub),
            None => name,
        }
    }
}
