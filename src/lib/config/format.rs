//! The text formats of LXC that are no container's config: which one a file is, and all that is wrong with it, in one form.
#![forbid(unsafe_code)]

use super::{Problem, Severity, defaults, lxc_conf};
use crate::base::fault::Fault;
use crate::idmap::subid;
use crate::mount::fstab;
use crate::network::usernet;
use crate::security::seccomp;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A container's config, lxc.container.conf(5).
    Container,
    /// lxc.conf(5).
    LxcConf,
    /// lxc-usernet(5).
    Usernet,
    /// subuid(5), subgid(5).
    Subid,
    /// /etc/default/lxc and lxc-net.
    Defaults,
    /// A seccomp policy.
    Seccomp,
    /// fstab(5).
    Fstab,
}

impl Format {
    /// All, with the words that name them.
    pub const ALL: [(&'static str, Format); 7] = [
        ("config", Format::Container),
        ("lxc.conf", Format::LxcConf),
        ("usernet", Format::Usernet),
        ("subid", Format::Subid),
        ("default", Format::Defaults),
        ("seccomp", Format::Seccomp),
        ("fstab", Format::Fstab),
    ];

    /// The format of that name.
    pub fn named(word: &str) -> Option<Format> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, f)| *f)
    }

    /// The format that a file has by its name; a container's config when the name says nothing.
    pub fn of(path: &std::path::Path) -> Format {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let in_default = path.parent().is_some_and(|d| d.ends_with("default"));
        match name.as_ref() {
            "lxc.conf" => Format::LxcConf,
            "lxc-usernet" => Format::Usernet,
            "subuid" | "subgid" => Format::Subid,
            "lxc-net" => Format::Defaults,
            "lxc" if in_default => Format::Defaults,
            "fstab" => Format::Fstab,
            n if n.ends_with(".seccomp") => Format::Seccomp,
            _ => Format::Container,
        }
    }

    /// All that is wrong with a text of this format (nothing for a container's config: see [`super::check`]).
    pub fn check(self, file: &str, bytes: &[u8]) -> Vec<Problem> {
        let faults = |all: Vec<Fault>| all.into_iter().map(|f| Problem::of_fault(file, f)).collect();
        match self {
            Format::Container => Vec::new(),
            Format::LxcConf => faults(lxc_conf::check(bytes)),
            Format::Usernet => faults(usernet::parse(bytes).1),
            Format::Subid => faults(subid::parse(bytes).1),
            Format::Defaults => faults(defaults::parse(bytes).1),
            Format::Seccomp => match seccomp::parse::parse(file, bytes) {
                Ok(policy) => {
                    let unknown = seccomp::unknown_calls(file, &policy);
                    policy.warnings.iter().chain(&unknown).map(|w| passed_over(file, w)).collect()
                }
                Err(e) => vec![Problem::of_error(file, &e)],
            },
            Format::Fstab => {
                let text = String::from_utf8_lossy(bytes);
                let lines = text.lines().enumerate();
                let wrong = lines.filter_map(|(i, line)| fstab::parse_line(line, &format!("{file}:{}", i + 1)).err());
                wrong.map(|e| Problem::of_error(file, &e)).collect()
            }
        }
    }
}

fn passed_over(file: &str, warning: &str) -> Problem {
    let error = crate::base::Error::new(warning);
    Problem { severity: Severity::Warning, ..Problem::of_error(file, &error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_name_tells_the_format() {
        for (path, format) in [
            ("/etc/lxc/lxc.conf", Format::LxcConf),
            ("/etc/lxc/lxc-usernet", Format::Usernet),
            ("/etc/subgid", Format::Subid),
            ("/etc/default/lxc", Format::Defaults),
            ("/etc/default/lxc-net", Format::Defaults),
            ("common.seccomp", Format::Seccomp),
            ("/var/lib/lxc/c/fstab", Format::Fstab),
            ("/var/lib/lxc/c/config", Format::Container),
            ("/etc/lxc/default.conf", Format::Container),
        ] {
            assert_eq!(Format::of(Path::new(path)), format, "{path}");
        }
        assert_eq!(Format::named("usernet"), Some(Format::Usernet));
    }

    /// Every format's faults have one form: file, line, column.
    #[test]
    fn every_fault_has_file_line_and_column() {
        for (format, text) in [
            (Format::LxcConf, "lxc.lxcpaht = /x\n"),
            (Format::Usernet, "a vteh b 1\n"),
            (Format::Subid, "a:1\n"),
            (Format::Defaults, "LXC_AUTO=yes\n"),
            (Format::Seccomp, "2\ndenylist\nmkdir frob\n"),
            (Format::Seccomp, "2\ndenylist\nmkdri errno 1\n"),
            (Format::Fstab, "# x\ntmpfs\na b c create=x\n"),
        ] {
            let found = format.check("F", text.as_bytes());
            assert!(!found.is_empty(), "{text}");
            for p in found {
                assert!(p.line > 0 && p.column > 0 && p.to_string().starts_with(&format!("F:{}:", p.line)), "{p:?}");
            }
        }
    }
}
