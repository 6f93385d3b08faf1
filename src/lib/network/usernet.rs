//! lxc-usernet(5): who may attach how many interfaces to which bridge. Text to grants, every fault with its place; a
//! line that is none counts for nothing. Grants nothing itself.
#![forbid(unsafe_code)]

use crate::base::fault::{Fault, Faults, Line};
use crate::keys::near;
use crate::keys::value::words;

/// Whom a line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A login name.
    User(String),
    /// A group's name, written `@NAME`.
    Group(String),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whom it is for.
    pub who: Who,
    /// The bridge; `none` for interfaces without one.
    pub bridge: String,
    /// How many interfaces. Each line is a quota of its own.
    pub count: u32,
    /// Its line, from 1.
    pub line: usize,
}

/// A longer field is none.
const FIELD_MAX: usize = 99;
/// The only type.
const TYPES: [&str; 1] = ["veth"];
const FORM: &str = "write USER TYPE BRIDGE COUNT, for example: alice veth lxcbr0 10";

/// Reads a file of grants.
pub fn parse(text: &[u8]) -> (Vec<Grant>, Vec<Fault>) {
    let mut faults = Faults::new();
    let mut grants = Vec::new();
    faults.lines(text, |faults, line| {
        let body = line.text.trim_matches([' ', '\t', '\r']);
        if !body.is_empty() && !body.starts_with('#') {
            grants.extend(grant(faults, line, body));
        }
    });
    (grants, faults.all)
}

fn grant(faults: &mut Faults, line: Line<'_>, body: &str) -> Option<Grant> {
    let fields: Vec<&str> = words(body).map(|w| w.1).collect();
    let [who, kind, bridge, count, rest @ ..] = &fields[..] else {
        let end = body.get(body.len()..).unwrap_or_default();
        faults.error(line, end, format!("{} of 4 fields: the line counts for nothing", fields.len()), form());
        return None;
    };
    for field in &fields[..4] {
        if field.len() > FIELD_MAX {
            faults.error(line, field, format!("a field is longer than {FIELD_MAX} bytes"), None);
            return None;
        }
    }
    if !TYPES.contains(kind) {
        let hint = near::nearest(kind, TYPES.into_iter()).map(|n| format!("did you mean {n}?")).or_else(form);
        faults.error(line, kind, format!("{kind} is no type that is granted: the only one is veth"), hint);
        return None;
    }
    if bridge.len() > 15 || bridge.contains('/') {
        faults.error(line, bridge, format!("{bridge} is no interface's name"), None);
        return None;
    }
    // As scanf(3) reads it: leading digits count, whatever follows them.
    let digits = count.len() - count.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let Some(number) = count.get(..digits).and_then(|n| n.parse::<u32>().ok()) else {
        faults.error(line, count, format!("{count} is no number of interfaces"), form());
        return None;
    };
    if digits < count.len() {
        faults.warn(line, count.get(digits..).unwrap_or_default(), format!("{count} is read as {number}"), None);
    }
    if let Some(first) = rest.first() {
        faults.warn(line, first, format!("\"{first}\" and what follows is passed over"), form());
    }
    let who = match who.strip_prefix('@') {
        Some("") => {
            faults.error(line, who, "@ without a group's name", form());
            return None;
        }
        Some(group) => Who::Group(group.to_string()),
        None => Who::User((*who).to_string()),
    };
    Some(Grant { who, bridge: (*bridge).to_string(), count: number, line: line.number })
}

fn form() -> Option<String> {
    Some(FORM.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first(text: &str) -> String {
        parse(text.as_bytes()).1[0].error("/u").to_string()
    }

    #[test]
    fn grants_and_comments() {
        let (grants, faults) = parse(b"# x y z 3\n\nalice veth lxcbr0 10\r\n\t@web  veth\tnone 2\n");
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(grants[0], Grant { who: Who::User("alice".into()), bridge: "lxcbr0".into(), count: 10, line: 3 });
        assert_eq!((&grants[1].who, grants[1].line), (&Who::Group("web".into()), 4));
    }

    #[test]
    fn faults_have_places() {
        assert!(first("alice veth lxcbr0\n").starts_with("/u:1:18: 3 of 4 fields"), "{}", first("alice veth lxcbr0\n"));
        assert!(first("\nalice vteh lxcbr0 1\n").starts_with("/u:2:7: vteh is no type"));
        assert_eq!(parse(b"a vteh b 1").1[0].hint.as_deref(), Some("did you mean veth?"));
        assert!(first("alice veth lxcbr0 x").starts_with("/u:1:19: x is no number"));
        assert!(first("alice veth a/b 1").starts_with("/u:1:12: "));
        assert!(first("@ veth b 1").starts_with("/u:1:1: @ without"));
        let (grants, faults) = parse(b"a veth b 3x more");
        assert_eq!((grants[0].count, faults.len()), (3, 2));
        assert!(parse(format!("{} veth b 1", "a".repeat(100)).as_bytes()).0.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_input_panics(text in prop::collection::vec(any::<u8>(), 0..120), tidy in "[@a-z0-9 \t#\n]{0,80}") {
            parse(&text);
            parse(tidy.as_bytes());
        }
    }
}
