//! subuid(5) and subgid(5): which ranges of host ids a user may map. Text to ranges, every fault with its place. Grants
//! nothing itself: newuidmap(1) does.
#![forbid(unsafe_code)]

use crate::base::fault::{Fault, Faults, Line};

/// One line: `OWNER:START:COUNT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// A login name, or a user id in digits.
    pub owner: String,
    /// The first id.
    pub start: u32,
    /// How many.
    pub count: u32,
    /// Its line, from 1.
    pub line: usize,
}

impl Range {
    fn end(&self) -> u64 {
        u64::from(self.start) + u64::from(self.count)
    }
}

const FORM: &str = "write USER:START:COUNT, for example: alice:100000:65536";

/// Reads such a file.
pub fn parse(text: &[u8]) -> (Vec<Range>, Vec<Fault>) {
    let mut faults = Faults::new();
    let mut ranges: Vec<Range> = Vec::new();
    faults.lines(text, |faults, line| {
        if line.text.trim().is_empty() || line.text.starts_with('#') {
            return;
        }
        let Some(range) = range(faults, line) else { return };
        if let Some(other) = ranges
            .iter()
            .find(|o| o.owner != range.owner && u64::from(o.start) < range.end() && u64::from(range.start) < o.end())
        {
            let what = format!("{}'s ids overlap those of {} in line {}", range.owner, other.owner, other.line);
            faults.warn(line, line.text, what, Some("give each user ids of his own".into()));
        }
        ranges.push(range);
    });
    (ranges, faults.all)
}

fn range(faults: &mut Faults, line: Line<'_>) -> Option<Range> {
    let hint = || Some(FORM.to_string());
    let fields: Vec<&str> = line.text.split(':').collect();
    let [owner, start, count] = fields[..] else {
        let at = fields.get(3).copied().unwrap_or_else(|| line.text.get(line.text.len()..).unwrap_or_default());
        faults.error(line, at, format!("{} of 3 fields: the line counts for nothing", fields.len().min(9)), hint());
        return None;
    };
    if owner.trim().is_empty() || owner.contains([' ', '\t']) {
        faults.error(line, owner, "no user's name", hint());
        return None;
    }
    let mut number = |field: &str, what: &str| {
        let n = field.parse::<u32>().ok().filter(|_| field.bytes().all(|c| c.is_ascii_digit()));
        if n.is_none() {
            let shown = crate::keys::value::cut(field, 40);
            faults.error(line, field, format!("{what} \"{shown}\" is not a number from 0 to {}", u32::MAX), hint());
        }
        n
    };
    let range = Range {
        owner: owner.to_string(),
        start: number(start, "the first id")?,
        count: number(count, "the count")?,
        line: line.number,
    };
    if range.count == 0 {
        faults.warn(line, count, "the range is empty", None);
    }
    if range.end() > 1 << 32 {
        faults.error(line, count, "the range goes past the last id", None);
        return None;
    }
    Some(range)
}

/// Whether the ranges of these owners, taken together, hold all `count` ids from `start`.
pub fn granted(ranges: &[Range], owners: &[&str], start: u32, count: u32) -> bool {
    let mut mine: Vec<&Range> = ranges.iter().filter(|r| owners.contains(&r.owner.as_str())).collect();
    mine.sort_by_key(|r| r.start);
    let (mut at, end) = (u64::from(start), u64::from(start) + u64::from(count));
    for range in mine {
        if u64::from(range.start) <= at && at < range.end() {
            at = range.end();
        }
    }
    at >= end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first(text: &str) -> String {
        parse(text.as_bytes()).1[0].error("/etc/subuid").to_string()
    }

    #[test]
    fn ranges() {
        let (r, faults) = parse(b"alice:100000:65536\n# c\n\n1000:165536:10\n");
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!((r[1].owner.as_str(), r[1].start, r[1].count, r[1].line), ("1000", 165_536, 10, 4));
        assert!(granted(&r, &["alice"], 100_000, 65_536) && !granted(&r, &["alice"], 100_000, 65_537));
        assert!(granted(&r, &["alice", "1000"], 100_000, 65_546), "adjacent ranges count together");
        assert!(!granted(&r, &["bob"], 100_000, 1) && !granted(&r, &["alice"], 99_999, 1));
    }

    #[test]
    fn faults_have_places() {
        assert!(first("alice:1\n").starts_with("/etc/subuid:1:8: 2 of 3"), "{}", first("alice:1\n"));
        assert!(first("alice:x:1").starts_with("/etc/subuid:1:7: the first id \"x\""));
        assert!(first("alice:1:+1").starts_with("/etc/subuid:1:9: the count"));
        assert!(first("\n:1:1").starts_with("/etc/subuid:2:1: no user's name"));
        assert!(first("a:4294967295:2").contains("past the last id"));
        assert!(first("a:1:10\nb:5:10").starts_with("/etc/subuid:2:1: b's ids overlap those of a in line 1"));
        assert!(first("a:1:0").contains("empty"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_input_panics(text in prop::collection::vec(any::<u8>(), 0..120), tidy in "[a-z0-9:\n#]{0,80}") {
            parse(&text);
            parse(tidy.as_bytes());
        }
    }
}
