//! Seccomp policy files, versions 1 and 2: text to rules, every complaint with its place. Pure; knows no system call.
//!
//! Line 1 is the version, line 2 the style (`denylist`, `allowlist` and their older names) with, in version 2, an action
//! for what no rule names. Version 1 then lists allowed numbers; version 2 rules: `NAME [ACTION] [[INDEX,VALUE,OP]…]`
//! under sections `[ARCH]`.
#![forbid(unsafe_code)]

use crate::base::{Error, Result};

/// What happens to a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The thread dies by SIGSYS.
    Kill,
    /// It fails with this error number.
    Errno(u16),
    /// It is made.
    Allow,
    /// The process gets SIGSYS.
    Trap,
    /// Whoever holds the listener decides.
    Notify,
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Differs.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Equal.
    Eq,
    /// Greater or equal.
    Ge,
    /// Greater.
    Gt,
    /// Equal in the bits of this mask.
    Masked(u64),
}

/// A test of one argument; all of a rule's must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    /// Which argument, 0 to 5.
    pub index: u32,
    /// What it is compared with.
    pub value: u64,
    /// How.
    pub op: Op,
}

/// Which system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// By number (version 1), the native one.
    Number(i32),
    /// By name, resolved on each architecture.
    Name(String),
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The section it stands in: `all`, or an architecture's name in lower case.
    pub section: &'static str,
    /// The system call.
    pub call: Call,
    /// What happens to it.
    pub action: Action,
    /// Under which conditions.
    pub tests: Vec<Test>,
    /// Its line, from 1.
    pub line: usize,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// 1 or 2.
    pub version: u8,
    /// What happens to a call that no rule names.
    pub default: Action,
    /// The rules, in file order.
    pub rules: Vec<Rule>,
    /// What was passed over, each with its place.
    pub warnings: Vec<String>,
}

/// The sections of version 2.
pub const SECTIONS: [&str; 18] = [
    "all",
    "x86",
    "x32",
    "x86_64",
    "arm",
    "arm64",
    "ppc",
    "ppc64",
    "ppc64le",
    "mips",
    "mips64",
    "mips64n32",
    "mipsel",
    "mipsel64",
    "mipsel64n32",
    "s390",
    "s390x",
    "loongarch64",
];

/// A complaint's place: the file and the line being read.
struct Place<'a> {
    file: &'a str,
    line: usize,
    text: &'a str,
}

impl Place<'_> {
    /// An error at `part`, which must be a piece of the line.
    fn error(&self, part: &str, what: &str, hint: &str) -> Error {
        let e = Error::os(libc::EINVAL, format!("{}: {what}", self.at(part))).stage("seccomp");
        if hint.is_empty() { e } else { e.hint(hint) }
    }

    fn at(&self, part: &str) -> String {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let column = self.text.get(..offset).map_or(1, |head| head.chars().count() + 1);
        format!("{}:{}:{column}", self.file, self.line)
    }
}

/// Reads a policy; `file` is its name for messages.
///
/// # Errors
/// `FILE:LINE:COLUMN: what is wrong`.
pub fn parse(file: &str, text: &[u8]) -> Result<Policy> {
    let text = std::str::from_utf8(text).map_err(|e| {
        let line = text.iter().take(e.valid_up_to()).filter(|b| **b == b'\n').count() + 1;
        Error::os(libc::EINVAL, format!("{file}:{line}:1: the policy is no text")).stage("seccomp")
    })?;
    let mut lines = text.lines().enumerate().map(|(i, text)| Place { file, line: i + 1, text });
    let short = |n| {
        Place { file, line: n, text: "" }.error(
            "",
            "the policy ends too early",
            "line 1 is 1 or 2, line 2 denylist or allowlist",
        )
    };
    let first = lines.next().ok_or_else(|| short(1))?;
    let style = lines.next().ok_or_else(|| short(2))?;
    let number: String = first.text.trim_start().chars().take_while(char::is_ascii_digit).collect();
    if style.text.contains("debug") {
        return Err(style.error(style.text, "debug policies are not supported", "remove the word debug"));
    }
    match number.parse() {
        Ok(1) => version1(&style, lines),
        Ok(2) => version2(&style, lines),
        _ => Err(first.error(first.text, "unknown policy version", "line 1 is 1 or 2")),
    }
}

fn version1<'a>(style: &Place<'a>, lines: impl Iterator<Item = Place<'a>>) -> Result<Policy> {
    if !style.text.contains("allowlist") {
        return Err(style.error(
            style.text,
            "only an allowlist is supported in version 1",
            "write allowlist, or use version 2",
        ));
    }
    let mut policy = Policy { version: 1, default: Action::Kill, rules: Vec::new(), warnings: Vec::new() };
    for place in lines {
        let word = place.text.trim();
        if word.is_empty() {
            continue;
        }
        let number = word.parse::<i32>().ok().filter(|n| *n >= 0);
        let number =
            number.ok_or_else(|| place.error(word, "expected a system call's number", "names need version 2"))?;
        let call = Call::Number(number);
        policy.rules.push(Rule { section: "all", call, action: Action::Allow, tests: Vec::new(), line: place.line });
    }
    Ok(policy)
}

fn version2<'a>(style: &Place<'a>, lines: impl Iterator<Item = Place<'a>>) -> Result<Policy> {
    let word = style.text.trim_start();
    let is = |names: [&str; 2]| names.iter().find_map(|n| word.strip_prefix(n));
    let (default, rule_default, rest) = match (is(["denylist", "blacklist"]), is(["allowlist", "whitelist"])) {
        (Some(rest), _) => (Action::Allow, Action::Kill, rest),
        (_, Some(rest)) => (Action::Kill, Action::Allow, rest),
        _ => return Err(style.error(style.text, "unknown policy style", "line 2 begins with denylist or allowlist")),
    };
    let default = match rest.trim() {
        "" => default,
        rest if rest.starts_with('#') => default,
        rest => action(style, rest)?.0,
    };
    let mut policy = Policy { version: 2, default, rules: Vec::new(), warnings: Vec::new() };
    let mut section = "all";
    for place in lines {
        let text = place.text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if text.starts_with('[') {
            section = section_name(&place, text)?;
            continue;
        }
        let rule = rule(&place, text, section, rule_default, &mut policy.warnings)?;
        policy.rules.push(rule);
    }
    Ok(policy)
}

fn section_name(place: &Place<'_>, text: &str) -> Result<&'static str> {
    let unknown = || {
        let hint = format!("one of: [{}]", SECTIONS.join("] ["));
        place.error(text, "unknown section", &hint)
    };
    let (name, _) = text.trim_start_matches('[').split_once(']').ok_or_else(unknown)?;
    let all_caps = !name.chars().any(|c| c.is_ascii_lowercase());
    SECTIONS.into_iter().find(|s| *s == name || (all_caps && s.eq_ignore_ascii_case(name))).ok_or_else(unknown)
}

fn rule(
    place: &Place<'_>,
    text: &str,
    section: &'static str,
    default: Action,
    warnings: &mut Vec<String>,
) -> Result<Rule> {
    let (name, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let mut rule =
        Rule { section, call: Call::Name(name.to_string()), action: default, tests: Vec::new(), line: place.line };
    let mut rest = rest.trim_start();
    if name == "reject_force_umount" || rest.is_empty() || rest.starts_with('#') {
        return Ok(rule);
    }
    if !rest.starts_with('[') {
        (rule.action, rest) = action(place, rest)?;
    }
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with('#') {
            return Ok(rule);
        }
        if !rest.starts_with('[') {
            let next = rest.find('[').unwrap_or(rest.len());
            let (junk, tail) = rest.split_at(next);
            warnings.push(format!("{}: \"{}\" is passed over", place.at(junk), junk.trim_end()));
            rest = tail;
            continue;
        }
        let end = rest.find(']').ok_or_else(|| place.error(rest, "an argument test has no ]", FORM))?;
        let (one, tail) = rest.split_at(end);
        let test = test(place, one.get(1..).unwrap_or(""))?;
        if rule.tests.len() == 6 {
            return Err(place.error(one, "more than six argument tests", ""));
        }
        rule.tests.push(test);
        rest = tail.get(1..).unwrap_or("");
    }
}

const FORM: &str = "write it as [INDEX,VALUE,OP] or [INDEX,VALUE,OP,MASK], for example [0,1,==]";

/// An action and what follows it. The words match by their beginning.
fn action<'a>(place: &Place<'_>, text: &'a str) -> Result<(Action, &'a str)> {
    let end = text.find([' ', '\t', '[']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let simple = [("kill", Action::Kill), ("allow", Action::Allow), ("trap", Action::Trap), ("notify", Action::Notify)];
    if let Some((_, a)) = simple.iter().find(|(name, _)| word.starts_with(name)) {
        return Ok((*a, rest));
    }
    // The number may follow without a blank, as in LXC.
    let Some(rest) = text.strip_prefix("errno") else {
        return Err(place.error(word, "unknown action", "kill, errno NUMBER, allow, trap or notify"));
    };
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    match digits.parse::<u16>() {
        Ok(n) => Ok((Action::Errno(n), rest)),
        Err(_) => Err(place.error(word, "errno needs a number", "for example errno 1 (EPERM)")),
    }
}

fn test(place: &Place<'_>, text: &str) -> Result<Test> {
    let mut fields = text.split(',').map(str::trim);
    let (Some(index), Some(value), Some(op), mask, None) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(place.error(text, "an argument test has three or four fields", FORM));
    };
    let index = index.parse::<u32>().ok().filter(|i| *i <= 5);
    let index = index.ok_or_else(|| place.error(text, "an argument's index is 0 to 5", FORM))?;
    let value = number(value).ok_or_else(|| place.error(value, "this is no number", FORM))?;
    let mask = match mask {
        Some(m) => Some(number(m).ok_or_else(|| place.error(m, "the mask is no number", FORM))?),
        None => None,
    };
    let op = match op {
        "SCMP_CMP_NE" | "!=" => Op::Ne,
        "SCMP_CMP_LT" | "<" => Op::Lt,
        "SCMP_CMP_LE" | "<=" => Op::Le,
        "SCMP_CMP_EQ" | "==" => Op::Eq,
        "SCMP_CMP_GE" | ">=" => Op::Ge,
        "SCMP_CMP_GT" | ">" => Op::Gt,
        "SCMP_CMP_MASKED_EQ" | "&=" => Op::Masked(mask.unwrap_or(0)),
        _ => return Err(place.error(op, "unknown comparison", "one of: != < <= == >= > &=, or SCMP_CMP_…")),
    };
    Ok(Test { index, value, op })
}

/// A number as C writes it: 0x hexadecimal, 0 octal, else decimal.
fn number(text: &str) -> Option<u64> {
    let low = text.to_ascii_lowercase();
    match (low.strip_prefix("0x"), low.strip_prefix('0')) {
        (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
        (None, Some(oct)) if !oct.is_empty() => u64::from_str_radix(oct, 8).ok(),
        _ => low.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_whole() {
        for (text, fine) in [
            ("02\ndenylist\n", true),
            ("2\ndenylist errno1\nmkdir errno2\n", true),
            ("2\ndenylist\nmkdir errnox 2\n", false),
            ("2\ndenylist\nmkdir\r\n", true),
            ("2x\ndenylist\n", true),
            ("2\ndenylistx\nmkdir\n", false),
            ("1\nallowlist\n5 6\n", false),
            ("2\ndenylist\n [all]\nmkdir\n", true),
            ("2\ndenylist\n[x86_64] # c\nmkdir\n", true),
        ] {
            assert_eq!(parse("p", text.as_bytes()).is_ok(), fine, "{text}");
        }
    }

    fn ok(text: &str) -> Policy {
        parse("p", text.as_bytes()).unwrap()
    }
    fn bad(text: &str) -> String {
        parse("p", text.as_bytes()).unwrap_err().what
    }

    #[test]
    fn shipped_form() {
        let p = ok("2\ndenylist\nreject_force_umount  # comment\n[all]\nkexec_load errno 1\nmkdir\n# x\n\n");
        assert_eq!(p.default, Action::Allow);
        assert_eq!(p.rules.len(), 3);
        assert_eq!((p.rules[1].action, p.rules[2].action), (Action::Errno(1), Action::Kill));
        assert_eq!(p.rules[1].line, 5);
    }

    #[test]
    fn styles_and_defaults() {
        assert_eq!(ok("2\nblacklist errno 5\n").default, Action::Errno(5));
        assert_eq!(ok("2\nwhitelist\nread\n").rules[0].action, Action::Allow);
        assert_eq!(ok("1\nallowlist\n0\n1\n").rules[1].call, Call::Number(1));
        assert!(bad("1\nwhitelist\n").starts_with("p:2:1: only an allowlist"));
        assert!(bad("3\nallowlist\n").starts_with("p:1:1: "));
        assert!(bad("2\ngreylist\n").starts_with("p:2:1: "));
        assert!(bad("2\ndenylist debug\n").contains("debug"));
        assert!(bad("2\n").starts_with("p:2:1: "));
        assert!(bad("").starts_with("p:1:1: "));
        assert!(bad("1\nallowlist\n0\nread\n").starts_with("p:4:1: expected a system call's number"));
    }

    #[test]
    fn rules() {
        let p = ok("2\ndenylist\n[X86_64]\nmkdir errno 17 [0,0x10,!=][1,010,&=,0xff] # why\nclose notify\n");
        let t = &p.rules[0].tests;
        assert_eq!((p.rules[0].section, t.len()), ("x86_64", 2));
        assert_eq!(t[0], Test { index: 0, value: 16, op: Op::Ne });
        assert_eq!(t[1], Test { index: 1, value: 8, op: Op::Masked(0xff) });
        let p = ok("2\ndenylist\nmkdir errno 5 junk [0,1,==]\n");
        assert_eq!(
            (p.rules[0].tests.len(), p.warnings.as_slice()),
            (1, ["p:3:15: \"junk\" is passed over".to_string()].as_slice())
        );
        assert!(bad("2\ndenylist\n[sparc]\n").starts_with("p:3:1: unknown section"));
        assert!(bad("2\ndenylist\n[X86_Sixtyfour]\n").starts_with("p:3:1: unknown section"));
        assert!(bad("2\ndenylist\nmkdir frob\n").starts_with("p:3:7: unknown action"));
        assert!(bad("2\ndenylist\nmkdir errno\n").starts_with("p:3:7: errno needs"));
        assert!(bad("2\ndenylist\nmkdir errno 1 [0,1]\n").starts_with("p:3:16: an argument test has three"));
        assert!(bad("2\ndenylist\nmkdir errno 1 [9,1,==]\n").contains("0 to 5"));
        assert!(bad("2\ndenylist\nmkdir errno 1 [0,1,~]\n").starts_with("p:3:20: unknown comparison"));
        assert!(bad("2\ndenylist\nmkdir errno 1 [0,1,==\n").contains("no ]"));
    }

    proptest! {
        #[test]
        fn no_input_panics(text in prop::collection::vec(any::<u8>(), 0..200), tail in "[a-z0-9 \\[\\],=&!#\n]{0,80}") {
            _ = parse("p", &text);
            _ = parse("p", format!("2\ndenylist\n{tail}").as_bytes());
            _ = parse("p", format!("1\nallowlist\n{tail}").as_bytes());
        }
    }
}
