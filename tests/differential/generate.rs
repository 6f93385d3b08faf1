//! Configs and API calls, generated from the key table's own samples and from values that fit many keys badly.

use lxc::config::table::{Section, rows};
use lxc::keys::Row;
use std::path::{Path, PathBuf};

/// How a key was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// With a sample that is accepted.
    Valid,
    /// With an empty value.
    Empty,
    /// With a sample that is refused.
    Invalid,
    /// Cleared.
    Cleared,
    /// With whatever.
    Any,
}

/// An API call.
pub enum Act {
    /// set_config_item.
    Set(String, String),
    /// clear_config_item.
    Clear(String),
}

/// One config file, in two spellings if it is an old one, and calls made after it was loaded.
#[derive(Default)]
pub struct Case {
    /// The file for us.
    pub ours: Vec<u8>,
    /// The file for the reference.
    pub theirs: Vec<u8>,
    /// The settings in it, in present spelling.
    pub lines: Vec<(String, String)>,
    /// Calls for both.
    pub acts: Vec<Act>,
    /// The file for us has old names.
    pub legacy: bool,
    /// The keys in it (of the table) and how they were used.
    pub used: Vec<(String, What)>,
}

/// Values that fit some keys and that others refuse.
const ODD: &[&str] = &[
    "0",
    "1",
    "2",
    "-1",
    "+1",
    "0x1",
    "010",
    "08",
    " 5",
    "5 ",
    "7x",
    "4294967295",
    "99999999999999999999",
    "auto",
    "none",
    "foo",
    "a b",
    "/a//b/",
    "a/b/",
    "./a",
    "..",
    "unlimited",
    "1:2",
    "SIGTERM",
    "sigrtmin+1",
    "15",
    "user",
    "net mnt",
    "u 0 1 1",
    "10.0.0.1",
    "10.0.0.129/8",
    "::1/64",
    "fe80::1",
    "a,b",
    "1,2",
    "5s",
    "5 h",
    "5KB",
    "5 MB",
    "x=y",
    "A=b=c",
    "chown",
    "kill 5",
    "proc sys",
    "cgroup:ro",
    "veth",
    "bridge",
    "l3",
    "private",
    "up",
    "dev",
    "INFO",
    "daemon",
    "x86_64",
    "i686",
    "'q'",
    "\"q\"",
    "a\tb",
    "#x",
    "=",
    "é",
    "dir:/x",
    "unix:@a",
    "generated",
    "lo",
    "8192",
];

/// The source of everything.
pub struct Generator {
    state: u64,
    rows: Vec<(Section, &'static Row)>,
    turn: usize,
    dir: PathBuf,
}

impl Generator {
    /// From a seed.
    pub fn new(seed: u64, dir: &Path) -> Self {
        let state = (seed ^ (seed << 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self { state, rows: rows().collect(), turn: 0, dir: dir.to_path_buf() }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// The next row in turn, so that none is left out.
    fn row(&mut self) -> &'static Row {
        self.turn += 1;
        let count = self.rows.len();
        let number = if self.below(3) == 0 { self.below(count) } else { self.turn % count };
        self.rows[number].1
    }

    fn name(&mut self, row: &Row, index: usize) -> String {
        match row.prefix() {
            Some("lxc.namespace.share.") => row.sample_name(),
            Some(prefix) if self.below(3) == 0 => format!("{prefix}other"),
            _ => row.sample_name().replace("lxc.net.0.", &format!("lxc.net.{index}.")),
        }
    }

    /// A type that a network key is for.
    fn kind_for(row: &Row) -> &'static str {
        let sub = row.name().strip_prefix("lxc.net.[i].").unwrap_or_default();
        ["macvlan", "ipvlan", "vlan"].into_iter().find(|k| sub.starts_with(&format!("{k}."))).unwrap_or("veth")
    }

    fn value(&mut self, row: &Row, what: What) -> String {
        let info = row.info();
        match (row.name(), what) {
            ("lxc.log.file", What::Valid | What::Any) => self.dir.join("log/x.log").display().to_string(),
            ("lxc.include", _) => self.include(),
            (_, What::Valid) => self.pick(&info.good).to_string(),
            (_, What::Invalid) if !info.bad.is_empty() => self.pick(&info.bad).to_string(),
            (_, What::Any | What::Invalid) => self.pick(ODD).to_string(),
            _ => String::new(),
        }
    }

    fn include(&mut self) -> String {
        let number = self.below(3);
        let path = self.dir.join(format!("include{number}"));
        if !path.exists() {
            std::fs::write(&path, "# included\nlxc.group = inc\nlxc.start.order = 5\n")
                .expect("the directory is writable");
        }
        path.display().to_string()
    }

    fn pair(&mut self, used: &mut Vec<(String, What)>, what: What) -> Vec<(String, String, &'static Row)> {
        let mut row = self.row();
        if what == What::Invalid && row.info().bad.is_empty() {
            row = self.rows.iter().map(|(_, r)| *r).find(|r| r.name() == "lxc.start.auto").expect("in the table");
        }
        if what == What::Valid && row.info().good == ["-"] && row.name() != "lxc.include" {
            row = self.rows.iter().map(|(_, r)| *r).find(|r| r.name() == "lxc.uts.name").expect("in the table");
        }
        let index = *self.pick(&[0, 1, 10]);
        let mut out = Vec::new();
        if row.name().contains("[i]") && !row.name().ends_with(".type") && self.below(5) > 0 {
            let kind =
                self.rows.iter().map(|(_, r)| *r).find(|r| r.name() == "lxc.net.[i].type").expect("in the table");
            out.push((format!("lxc.net.{index}.type"), Self::kind_for(row).to_string(), kind));
        }
        let name = self.name(row, index);
        out.push((name, self.value(row, what), row));
        used.push((row.name().to_string(), what));
        out
    }

    fn line(&mut self, key: &str, value: &str) -> String {
        let quoted = if self.below(8) == 0 { format!("\"{value}\"") } else { value.to_string() };
        match self.below(8) {
            0 => format!("{key}={quoted}"),
            1 => format!("{key}\t=   {quoted}  "),
            _ => format!("{key} = {quoted}"),
        }
    }

    /// The old spelling of a key, if it has one.
    fn old_name(key: &str, row: &Row) -> String {
        if let Some(rest) = key.strip_prefix("lxc.net.") {
            let old = format!("lxc.network.{rest}");
            return old.replace(".ipv4.address", ".ipv4").replace(".ipv6.address", ".ipv6");
        }
        match (row.legacy().next(), row.prefix()) {
            (Some(old), Some(prefix)) => key.replace(prefix, old.trim_end_matches('*')),
            (Some(old), None) => old.to_string(),
            (None, _) => key.to_string(),
        }
    }

    /// The next config.
    pub fn case(&mut self, number: u64) -> Case {
        let mut case = Case { legacy: number % 5 == 4, ..Case::default() };
        let ends: &[&str] = if number % 7 == 3 { &["\r\n", "\n\n", "\n", "\r"] } else { &["\n"] };
        for _ in 0..self.below(12) {
            let what = match self.below(40) {
                0 => What::Invalid,
                1 => What::Any,
                2..=5 => What::Empty,
                _ => What::Valid,
            };
            match self.below(10) {
                0 => {
                    let odd =
                        ["# a comment", "  # another = one", "foreign = 1", "LXC.x = 1", "   ", "#lxc.uts.name = x"];
                    let end = *self.pick(ends);
                    let line = self.pick(&odd).to_string() + end;
                    case.ours.extend(line.bytes());
                    case.theirs.extend(line.bytes());
                }
                _ => {
                    for (key, value, row) in self.pair(&mut case.used, what) {
                        // The reference would not load a key that is newer than itself.
                        if row.info().since == "7.0" {
                            continue;
                        }
                        case.lines.push((key.clone(), value.clone()));
                        let end = *self.pick(ends);
                        let line = self.line(&key, &value) + end;
                        case.theirs.extend(line.bytes());
                        let old = if case.legacy { Self::old_name(&key, row) } else { key.clone() };
                        case.ours.extend(line.replacen(&key, &old, 1).bytes());
                    }
                }
            }
        }
        for _ in 0..self.below(12) {
            let what = *self.pick(&[What::Valid, What::Valid, What::Empty, What::Invalid, What::Any, What::Cleared]);
            for (key, value, _) in self.pair(&mut case.used, what) {
                let clear = what == What::Cleared && value.is_empty();
                case.acts.push(if clear { Act::Clear(key) } else { Act::Set(key, value) });
            }
        }
        case
    }
}
