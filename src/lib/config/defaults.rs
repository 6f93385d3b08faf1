//! /etc/default/lxc and /etc/default/lxc-net: shell assignments that the boot scripts source. Text to assignments with
//! literal values; what only a shell could evaluate is said and passed over. Runs no shell.
#![forbid(unsafe_code)]

use crate::base::fault::{Fault, Faults, Line};
use crate::keys::near;

/// The names that the boot scripts read.
pub const NAMES: [&str; 21] = [
    "LXC_AUTO",
    "BOOTGROUPS",
    "SHUTDOWNDELAY",
    "OPTIONS",
    "STOPOPTS",
    "USE_LXC_BRIDGE",
    "LXC_BRIDGE",
    "LXC_BRIDGE_MAC",
    "LXC_ADDR",
    "LXC_NETMASK",
    "LXC_NETWORK",
    "LXC_DHCP_RANGE",
    "LXC_DHCP_MAX",
    "LXC_DHCP_CONFILE",
    "LXC_DHCP_PING",
    "LXC_DOMAIN",
    "LXC_USE_NFT",
    "LXC_IPV6_ADDR",
    "LXC_IPV6_MASK",
    "LXC_IPV6_NETWORK",
    "LXC_IPV6_NAT",
];

/// `NAME=VALUE`, the value without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Its line, from 1.
    pub line: usize,
}

/// Reads such a file. Of two assignments of a name the last counts, as in a shell.
pub fn parse(text: &[u8]) -> (Vec<Assignment>, Vec<Fault>) {
    let mut faults = Faults::new();
    let mut all = Vec::new();
    faults.lines(text, |faults, line| {
        let body = line.text.trim();
        let body = body.strip_prefix("export ").unwrap_or(body).trim_start();
        if body.is_empty() || body.starts_with('#') || sources_another(body) {
            return;
        }
        let is_name = |n: &str| {
            n.bytes().all(|c| c == b'_' || c.is_ascii_alphanumeric()) && n.starts_with(|c: char| !c.is_ascii_digit())
        };
        let Some((name, raw)) = body.split_once('=').filter(|(n, _)| is_name(n)) else {
            let hint = match body.split_once('=') {
                Some((n, _)) if is_name(n.trim_end()) => "a shell takes no blank before =".to_string(),
                _ => "write NAME=\"VALUE\"".to_string(),
            };
            faults.warn(line, body, "no assignment: only a shell can say what this does", Some(hint));
            return;
        };
        let Some(value) = literal(faults, line, raw) else { return };
        look_at(faults, line, name, raw, &value);
        all.push(Assignment { name: name.to_string(), value, line: line.number });
    });
    (all, faults.all)
}

/// `. FILE`, with or without a test before it: the line by which each of the two files takes the other in.
fn sources_another(body: &str) -> bool {
    let tail = body.rsplit_once("|| ").or_else(|| body.rsplit_once("&& ")).filter(|_| body.starts_with('['));
    tail.map_or(body, |(_, tail)| tail).strip_prefix(". ").is_some_and(|file| file.trim().starts_with('/'))
}

/// A word of the shell without expansions.
fn literal(faults: &mut Faults, line: Line<'_>, raw: &str) -> Option<String> {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = raw.char_indices();
    while let Some((at, c)) = chars.next() {
        let rest = raw.get(at..).unwrap_or_default();
        match (c, quote) {
            ('"' | '\'', None) => quote = Some((c, rest)),
            (c, Some((q, _))) if c == q => quote = None,
            ('\\', None | Some(('"', _))) => out.extend(chars.next().map(|n| n.1)),
            ('$' | '`', None | Some(('"', _))) => {
                faults.warn(line, rest, "only a shell can expand this: the line is passed over", None);
                return None;
            }
            (' ' | '\t', None) => {
                let tail = rest.trim_start();
                if !tail.is_empty() && !tail.starts_with('#') {
                    let what = "what follows the blank is a command to a shell";
                    faults.error(line, tail, what, Some("put quotes around the value".into()));
                    return None;
                }
                break;
            }
            (c, _) => out.push(c),
        }
    }
    if let Some((_, at)) = quote {
        faults.error(line, at, "the quote is not closed in this line", None);
        return None;
    }
    Some(out)
}

fn look_at(faults: &mut Faults, line: Line<'_>, name: &str, raw: &str, value: &str) {
    if !NAMES.contains(&name) {
        let hint = near::nearest(name, NAMES.into_iter()).map(|n| format!("did you mean {n}?"));
        let part = line.text.get(line.text.find(name).unwrap_or(0)..).unwrap_or_default();
        faults.warn(line, part, format!("{name} is no name that the boot scripts read"), hint);
        return;
    }
    let wrong = match name {
        _ if value.is_empty() => None,
        "LXC_AUTO" | "USE_LXC_BRIDGE" | "LXC_IPV6_NAT" if !matches!(value, "true" | "false") => Some("true or false"),
        "SHUTDOWNDELAY" | "LXC_DHCP_MAX" if value.parse::<u32>().is_err() => Some("a number"),
        "LXC_ADDR" | "LXC_NETMASK" if value.parse::<std::net::Ipv4Addr>().is_err() => Some("an IPv4 address"),
        "LXC_IPV6_ADDR" if value.parse::<std::net::Ipv6Addr>().is_err() => Some("an IPv6 address"),
        "LXC_BRIDGE" if value.len() > 15 => Some("an interface's name of at most 15 bytes"),
        _ => None,
    };
    if let Some(wanted) = wrong {
        faults.error(line, raw, format!("{name}={value}: not {wanted}"), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(all: &'a [Assignment], name: &str) -> Option<&'a str> {
        all.iter().rev().find(|a| a.name == name).map(|a| a.value.as_str())
    }
    use proptest::prelude::*;

    fn first(text: &str) -> String {
        parse(text.as_bytes()).1[0].error("/d").to_string()
    }

    #[test]
    fn assignments() {
        let (all, faults) = parse(b"# c\nUSE_LXC_BRIDGE=\"true\"\nexport LXC_DOMAIN='a b'\nLXC_ADDR=10.0.3.1 # x\nBOOTGROUPS=\"onboot,\"\nLXC_DHCP_MAX=\n");
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(value(&all, "LXC_DOMAIN"), Some("a b"));
        assert_eq!(value(&all, "LXC_ADDR"), Some("10.0.3.1"));
        assert_eq!(value(&all, "BOOTGROUPS"), Some("onboot,"));
        assert_eq!(value(&all, "OPTIONS"), None);
    }

    #[test]
    fn the_shipped_file_is_read() {
        let (all, faults) = parse(include_bytes!("../../../config/etc/default-lxc"));
        assert!(faults.iter().all(|f| f.what.contains("no assignment")), "{faults:?}"); // @SYSCONFDIR@ is not filled in
        assert!(value(&all, "LXC_AUTO").is_some());
    }

    #[test]
    fn faults_have_places() {
        assert!(first("LXC_ADR=1").starts_with("/d:1:1: LXC_ADR is no name"));
        assert_eq!(parse(b"LXC_ADR=1").1[0].hint.as_deref(), Some("did you mean LXC_ADDR?"));
        assert!(first("LXC_AUTO = true").starts_with("/d:1:1: no assignment"));
        assert!(first("LXC_AUTO=yes").starts_with("/d:1:10: LXC_AUTO=yes: not true or false"));
        assert!(first("\nLXC_DOMAIN=a b").starts_with("/d:2:14: what follows"));
        assert!(first("LXC_DOMAIN=\"a").starts_with("/d:1:12: the quote"));
        assert!(first("LXC_DOMAIN=$X").starts_with("/d:1:12: only a shell"));
        assert!(first("LXC_ADDR=10.0.3").contains("not an IPv4 address"));
        assert!(parse(b"[ ! -f /etc/default/lxc-net ] || . /etc/default/lxc-net").1.is_empty());
        assert!(first("[ -f x ] || rm x").contains("no assignment"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_input_panics(text in prop::collection::vec(any::<u8>(), 0..120), tidy in "[A-Z_=\"'\\\\ #$a\n]{0,80}") {
            parse(&text);
            parse(tidy.as_bytes());
        }
    }
}
