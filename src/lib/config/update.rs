//! A config of LXC 1.x or 2.0 rewritten to today's keys, line by line: lines that need no change keep their bytes, comments
//! too, commented settings are rewritten in their comment. The table says which names are old. Reads and writes no file.
#![forbid(unsafe_code)]

use super::table;
use crate::keys::syntax::{Item, Lines};
use std::fmt::Write as _;

/// A line: its old bytes with the line end, and what it becomes; nothing when it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The old line.
    pub old: Vec<u8>,
    /// The new line.
    pub new: Option<Vec<u8>>,
}

/// A rewritten text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Updated {
    /// Every line of the old text.
    pub lines: Vec<Line>,
    /// Lines that an old LXC took and that have no meaning here, by number (from 1).
    pub left: Vec<(usize, String)>,
}

impl Updated {
    /// The new text.
    pub fn text(&self) -> Vec<u8> {
        self.lines.iter().filter_map(|l| l.new.as_deref()).flatten().copied().collect()
    }

    /// Whether anything changes.
    pub fn changes(&self) -> bool {
        self.lines.iter().any(|l| l.new.as_ref() != Some(&l.old))
    }
}

/// The numbers that un-indexed network lines get: each `lxc.network.type` opens the next device.
#[derive(Default)]
struct Devices {
    next: u32,
    /// Indexed lines stand beside un-indexed ones: commented devices then take no number.
    mixed: bool,
    /// The device of un-indexed lines that count, and of commented ones.
    open: [Option<u32>; 2],
}

/// Rewrites a text.
pub fn update(text: &[u8]) -> Updated {
    let backend = backend(text);
    let mut devices = Devices { mixed: has_indexed(text), ..Devices::default() };
    let mut done = Updated::default();
    for (i, old) in lines(text).into_iter().enumerate() {
        let new = match line(old, backend.as_deref(), &mut devices) {
            Rewritten::Same => Some(old.to_vec()),
            Rewritten::Gone => None,
            Rewritten::New(new) => Some(new),
            Rewritten::Left(why) => {
                done.left.push((i + 1, why));
                Some(old.to_vec())
            }
        };
        done.lines.push(Line { old: old.to_vec(), new });
    }
    done
}

/// The text cut after each line end; CR LF is one.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    let mut start = 0;
    for (i, c) in text.iter().enumerate() {
        if *c == b'\n' || (*c == b'\r' && text.get(i + 1) != Some(&b'\n')) {
            all.extend(text.get(start..=i));
            start = i + 1;
        }
    }
    all.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    all
}

/// The storage type that the text names anywhere; the last counts.
fn backend(text: &[u8]) -> Option<String> {
    let pairs = Lines::new(text).filter_map(|l| match l.parse() {
        Item::Pair(pair) if pair.key == b"lxc.rootfs.backend" => std::str::from_utf8(pair.value).ok(),
        _ => None,
    });
    pairs.last().filter(|v| !v.is_empty()).map(str::to_string)
}

fn has_indexed(text: &[u8]) -> bool {
    Lines::new(text).any(|l| match l.parse() {
        Item::Pair(pair) => {
            let sub = pair.key.strip_prefix(b"lxc.network.").or_else(|| pair.key.strip_prefix(b"lxc.net."));
            sub.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
        }
        _ => false,
    })
}

enum Rewritten {
    Same,
    Gone,
    New(Vec<u8>),
    Left(String),
}

fn line(old: &[u8], backend: Option<&str>, devices: &mut Devices) -> Rewritten {
    let Ok(text) = std::str::from_utf8(old) else { return Rewritten::Same };
    let body = text.trim_start_matches([' ', '\t', '#']);
    let head = text.get(..text.len() - body.len()).unwrap_or_default();
    let commented = head.contains('#');
    let len = body.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(body.len());
    let (key, rest) = body.split_at(len);
    if !key.starts_with("lxc.") || !rest.trim_start_matches([' ', '\t']).starts_with('=') {
        return Rewritten::Same;
    }
    let new = match key {
        "lxc.kmsg" | "lxc.pivotdir" | "lxc.rootfs.backend" => return Rewritten::Gone,
        "lxc.network" => {
            devices.saw_all_go(commented);
            "lxc.net".to_string()
        }
        _ => match key.strip_prefix("lxc.network.") {
            Some(sub) => match devices.name(sub, value(rest).is_empty(), commented) {
                Ok(name) => name,
                Err(_) if commented => return Rewritten::Same,
                Err(why) => return Rewritten::Left(format!("{key}: {why}")),
            },
            None => {
                devices.saw(key, commented);
                match table::find(key) {
                    Some(found) if found.legacy => found.name(),
                    _ => key.to_string(),
                }
            }
        },
    };
    let mut line = String::with_capacity(old.len() + 16);
    if key == "lxc.rootfs" || (key == "lxc.rootfs.path" && backend.is_some()) {
        line.push_str(head);
        line.push_str(&new);
        line.push_str(&rootfs(rest, backend.unwrap_or("dir")));
    } else {
        let _ = write!(line, "{head}{new}{rest}");
    }
    if line.as_bytes() == old { Rewritten::Same } else { Rewritten::New(line.into_bytes()) }
}

/// What follows the key, as a value.
fn value(rest: &str) -> &str {
    rest.trim_start_matches([' ', '\t']).trim_start_matches('=').trim()
}

/// What follows `lxc.rootfs`, the type put before the path unless one is there.
fn rootfs(rest: &str, backend: &str) -> String {
    let value = value(rest);
    let typed = value.split_once(':').is_some_and(|(kind, _)| !kind.is_empty() && !kind.contains('/'));
    if value.is_empty() || typed {
        return rest.to_string();
    }
    let at = rest.find(value).unwrap_or(rest.len());
    let (before, after) = rest.split_at(at);
    let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
    match quote.filter(|q| value.len() > 1 && value.ends_with(*q)) {
        Some(q) => format!("{before}{q}{backend}:{}", after.get(1..).unwrap_or_default()),
        None => format!("{before}{backend}:{after}"),
    }
}

impl Devices {
    /// An indexed key was seen: un-indexed devices come after it.
    fn saw(&mut self, key: &str, commented: bool) {
        if key == "lxc.net" {
            self.saw_all_go(commented);
        }
        let number = key.strip_prefix("lxc.net.").and_then(|r| r.split('.').next()?.parse::<u32>().ok());
        if let Some(n) = number {
            self.next = self.next.max(n.saturating_add(1));
        }
    }

    /// All devices are taken away: numbers begin anew, un-indexed lines still go to the device that was opened last.
    fn saw_all_go(&mut self, commented: bool) {
        if !commented {
            self.next = 0;
        }
    }

    /// Today's name of `lxc.network.SUB`.
    fn name(&mut self, sub: &str, empty: bool, commented: bool) -> Result<String, &'static str> {
        let (index, sub) = match sub.split_once('.') {
            Some((number, sub)) if !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()) => {
                let index = number.parse::<u32>().map_err(|_| "the index is too large")?;
                if !commented {
                    self.next = self.next.max(index.saturating_add(1));
                }
                (index, sub)
            }
            None if sub.bytes().all(|c| c.is_ascii_digit()) => return Ok(format!("lxc.net.{sub}")),
            _ => {
                if sub == "type" && !empty {
                    let index = self.next;
                    if !(commented && self.mixed) {
                        self.next = index.saturating_add(1);
                    }
                    if !commented {
                        self.open[0] = Some(index);
                    }
                    self.open[1] = Some(index);
                }
                let open = self.open[usize::from(commented)];
                let open = open.ok_or("no lxc.network.type stands before it: left as it is")?;
                if !commented && !empty {
                    self.next = self.next.max(open.saturating_add(1));
                }
                (open, sub)
            }
        };
        let sub = match sub {
            "ipv4" => "ipv4.address",
            "ipv6" => "ipv6.address",
            other => other,
        };
        Ok(format!("lxc.net.{index}.{sub}"))
    }
}

/// The change as a unified diff, three lines of context; empty when there is none.
pub fn diff(file: &str, updated: &Updated) -> Vec<u8> {
    const CONTEXT: usize = 3;
    let lines = &updated.lines;
    let differs = |l: &Line| l.new.as_ref() != Some(&l.old);
    let mut out = Vec::new();
    let mut at = 0;
    let mut removed_before = 0;
    while let Some(first) = lines.iter().skip(at).position(differs).map(|n| n + at) {
        let start = first.saturating_sub(CONTEXT).max(at);
        let mut end = first + 1;
        while let Some(next) = lines.iter().skip(end).take(2 * CONTEXT + 1).position(differs) {
            end += next + 1;
        }
        let stop = (end + CONTEXT).min(lines.len());
        let hunk = lines.get(start..stop).unwrap_or_default();
        if out.is_empty() {
            out.extend(format!("--- {file}\n+++ {file}\n").into_bytes());
        }
        removed_before += lines.get(at..start).unwrap_or_default().iter().filter(|l| l.new.is_none()).count();
        let kept = hunk.iter().filter(|l| l.new.is_some()).count();
        let new_start = start - removed_before + usize::from(kept > 0);
        out.extend(format!("@@ -{},{} +{new_start},{kept} @@\n", start + 1, hunk.len()).into_bytes());
        hunk_lines(&mut out, hunk);
        removed_before += hunk.len() - kept;
        at = stop;
    }
    out
}

fn hunk_lines(out: &mut Vec<u8>, hunk: &[Line]) {
    let mut put = |sign: u8, line: &[u8]| {
        out.push(sign);
        out.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            out.extend_from_slice(b"\n\\ No newline at end of file\n");
        }
    };
    let mut at = 0;
    while let Some(line) = hunk.get(at) {
        if line.new.as_ref() == Some(&line.old) {
            put(b' ', &line.old);
            at += 1;
            continue;
        }
        let rest = hunk.get(at..).unwrap_or_default();
        let run = rest.iter().take_while(|l| l.new.as_ref() != Some(&l.old)).count();
        let changed = rest.get(..run).unwrap_or_default();
        changed.iter().for_each(|l| put(b'-', &l.old));
        changed.iter().filter_map(|l| l.new.as_deref()).for_each(|l| put(b'+', l));
        at += run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use proptest::prelude::*;

    fn new(text: &str) -> String {
        String::from_utf8(update(text.as_bytes()).text()).unwrap()
    }

    #[test]
    fn old_names_become_new_ones_and_comments_stay() {
        let old = "# mine\nlxc.utsname = x\n#lxc.tty = 4\n\tlxc.console =/x\nlxc.rootfs = /a/b\nlxc.kmsg = 0\n\
                   lxc.limit.nofile = 10\nlxc.rootfs.backend = overlay\nlxc.rootfs.mount = /m\nlxc.id_map = u 0 1 2\n\
                   garbage\r\nlxc.pivotdir=x\nlxc.se_context = c";
        let want = "# mine\nlxc.uts.name = x\n#lxc.tty.max = 4\n\tlxc.console.path =/x\nlxc.rootfs.path = overlay:/a/b\n\
                    lxc.prlimit.nofile = 10\nlxc.rootfs.mount = /m\nlxc.idmap = u 0 1 2\ngarbage\r\nlxc.selinux.context = c";
        assert_eq!(new(old), want);
        assert_eq!(new(want), want, "a second time nothing changes");
        assert!(!update(want.as_bytes()).changes());
    }

    #[test]
    fn the_rootfs_gets_its_type() {
        assert_eq!(new("lxc.rootfs = /a\n"), "lxc.rootfs.path = dir:/a\n");
        assert_eq!(new("lxc.rootfs.backend = zfs\nlxc.rootfs=tank/a \n"), "lxc.rootfs.path=zfs:tank/a \n");
        assert_eq!(new("lxc.rootfs = overlayfs:/a:/b\n"), "lxc.rootfs.path = overlayfs:/a:/b\n");
        assert_eq!(new("lxc.rootfs = \"/a b\"\n"), "lxc.rootfs.path = \"dir:/a b\"\n");
        assert_eq!(new("lxc.rootfs =\n"), "lxc.rootfs.path =\n");
        assert_eq!(new("lxc.rootfs.path = /a\n"), "lxc.rootfs.path = /a\n");
    }

    #[test]
    fn networks_are_numbered() {
        let old = "lxc.network.type = veth\nlxc.network.link = br0\nlxc.network.ipv4 = 1.2.3.4/24\n#lxc.network.type = phys\n\
                   #lxc.network.link = eth1\nlxc.network.ipv6.gateway = auto\nlxc.network.type = empty\n";
        let want = "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.ipv4.address = 1.2.3.4/24\n#lxc.net.1.type = phys\n\
                    #lxc.net.1.link = eth1\nlxc.net.0.ipv6.gateway = auto\nlxc.net.2.type = empty\n";
        assert_eq!(new(old), want);
        let mixed = "#lxc.network.type = veth\nlxc.network.7.ipv4 = 1.1.1.1/8\nlxc.network.type = none\n";
        let want = "#lxc.net.0.type = veth\nlxc.net.7.ipv4.address = 1.1.1.1/8\nlxc.net.8.type = none\n";
        assert_eq!(new(mixed), want);
        assert_eq!(new("lxc.network =\n"), "lxc.net =\n");
        let left = update(b"x\nlxc.network.link = a\n");
        assert_eq!(
            left.left,
            [(2, "lxc.network.link: no lxc.network.type stands before it: left as it is".to_string())]
        );
    }

    #[test]
    fn every_old_name_of_the_table_is_rewritten() {
        for (_, row) in table::rows() {
            for old in row.legacy() {
                let name = old.replace('*', row.info().sub).replace("[i]", "0");
                let good = row.info().good[0].trim_matches('-');
                let text = new(&format!("{name} = {good}\n"));
                assert!(!text.starts_with(&format!("{name} ")), "{name}");
                let mut config = Config::new();
                config.load_str(&text, "new").unwrap();
                assert!(config.notes().is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn diffs_are_what_patch_takes() {
        let old: String = (0..20)
            .map(|i| match i {
                3 => "lxc.utsname = a\n".to_string(),
                4 => "lxc.kmsg = 0\n".to_string(),
                19 => "lxc.tty = 1".to_string(),
                n => format!("# {n}\n"),
            })
            .collect();
        let text = String::from_utf8(diff("c", &update(old.as_bytes()))).unwrap();
        let want = "--- c\n+++ c\n@@ -1,8 +1,7 @@\n # 0\n # 1\n # 2\n-lxc.utsname = a\n-lxc.kmsg = 0\n+lxc.uts.name = a\n # 5\n # 6\n # 7\n\
                    @@ -17,4 +16,4 @@\n # 16\n # 17\n # 18\n-lxc.tty = 1\n\\ No newline at end of file\n+lxc.tty.max = 1\n\\ No newline at end of file\n";
        assert_eq!(text, want);
        assert!(diff("c", &update(b"# x\n")).is_empty());
    }

    fn old_line() -> impl Strategy<Value = String> {
        prop::sample::select(vec![
            "lxc.utsname = a",
            "lxc.tty = 5",
            "lxc.rootfs = /a/b",
            "lxc.rootfs = overlay:/a:/b",
            "lxc.rootfs =",
            "lxc.rootfs.backend = overlay",
            "lxc.rootfs.backend = zfs",
            "lxc.network.type = veth",
            "lxc.network.type=empty",
            "lxc.network.link = br0",
            "lxc.network.mtu = 1400",
            "lxc.network.ipv4 = 10.0.0.1/8",
            "lxc.network.2.type = veth",
            "lxc.network.2.ipv4 = 10.0.0.1/8",
            "lxc.limit.nofile = 5",
            "lxc.id_map = u 0 1 1",
            "lxc.pts = 5",
            "lxc.group = x",
            "lxc.network =",
            "# lxc.tty = 4",
            "#lxc.network.type = veth",
            "#lxc.network.link = x",
            "lxc.kmsg = 1",
            "lxc.net.3.type = veth",
        ])
        .prop_map(str::to_string)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// What an old text means, its new text means.
        #[test]
        fn the_meaning_stays(lines in prop::collection::vec(old_line(), 0..12)) {
            let text = lines.join("\n");
            let (mut before, mut after) = (Config::new(), Config::new());
            prop_assume!(before.load_str(&text, "old").is_ok());
            let updated = update(text.as_bytes());
            prop_assert!(updated.left.is_empty());
            let new = String::from_utf8(updated.text()).unwrap();
            prop_assert!(after.load_str(&new, "new").is_ok(), "{}\n---\n{}", text, new);
            for key in ["lxc.uts.name", "lxc.tty.max", "lxc.rootfs.path", "lxc.net", "lxc.prlimit", "lxc.idmap", "lxc.group"] {
                prop_assert_eq!(before.get(key), after.get(key), "{}:\n{}\n---\n{}", key, text, new);
            }
            prop_assert!(after.notes().is_empty());
        }

        #[test]
        fn no_input_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let updated = update(&text);
            prop_assert_eq!(updated.lines.iter().flat_map(|l| l.old.clone()).collect::<Vec<_>>(), text);
            diff("f", &updated);
        }
    }
}
