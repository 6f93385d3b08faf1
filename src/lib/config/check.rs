//! What does not fit together in a config that loads: for `lxc-config --check` and, in the same words, for a start.
//! Looks at the config only; what the host lacks is [`super::host`]'s.
#![forbid(unsafe_code)]

use super::places::Places;
use super::{Config, Problem, Severity};
use crate::base::{Error, Result};
use crate::network::conf::Kind;
use std::path::Path;

/// A config and all that is wrong with it.
pub struct Report {
    /// What loaded.
    pub config: Config,
    /// What is wrong, each with its place where a line is to blame.
    pub problems: Vec<Problem>,
    places: Places,
}

impl Report {
    /// Adds problems that no line reported, placed at the line of the key that they name.
    pub fn add(&mut self, problems: impl IntoIterator<Item = Problem>) {
        for mut problem in problems {
            if problem.line == 0 {
                self.places.locate(&mut problem);
            }
            self.problems.push(problem);
        }
        self.problems.sort_by_key(|p| (self.places.order(&p.file), p.line, p.column));
    }
}

/// All problems of a file, those of its includes among them: its lines', then what does not fit together; by file (in the
/// order of reading), line and column.
///
/// # Errors
/// The file cannot be read at all.
pub fn file(path: &Path) -> Result<Report> {
    let mut config = Config::new();
    let (problems, places) = config.load_all(path)?;
    let more = conflicts(&config);
    let mut report = Report { config, problems, places };
    report.add(more);
    Ok(report)
}

/// A problem of a setting, not of a line. Its key is what [`Places::locate`] looks for.
pub(super) fn problem(severity: Severity, key: &str, text: impl Into<String>, hint: Option<&str>) -> Problem {
    Problem {
        file: String::new(),
        line: 0,
        column: 0,
        severity,
        text: text.into(),
        key: key.to_string(),
        hint: hint.map(str::to_string),
        errno: libc::EINVAL,
    }
}

/// A feature's refusal, whose text begins with the key.
pub(super) fn refusal(severity: Severity, error: &Error) -> Problem {
    let key = error.what.split([' ', ':', ',']).next().filter(|w| w.starts_with("lxc.")).unwrap_or_default();
    let mut text = error.what.clone();
    if error.errno != 0 && error.errno != libc::EINVAL {
        text = error.to_string();
    }
    let mut found = problem(severity, key, text, error.hint.as_deref());
    found.errno = if error.errno == 0 { libc::EINVAL } else { error.errno };
    found
}

/// What does not fit together: errors make a start refuse.
pub fn conflicts(config: &Config) -> Vec<Problem> {
    let mut all = Vec::new();
    all.extend(crate::cgroup::check(&config.cgroup).err().map(|e| refusal(Severity::Error, &e)));
    network(config, &mut all);
    if let Some(backend) = config.storage.backend.as_deref() {
        if config.storage.path.is_none() {
            let text = "lxc.rootfs.backend names a storage type, but there is no rootfs";
            all.push(problem(Severity::Warning, "lxc.rootfs.backend", text, Some("set lxc.rootfs.path")));
        } else if !crate::storage::backend::names().any(|n| n == backend) {
            let text = format!("lxc.rootfs.path: {backend} is no storage type: the type is guessed from the path");
            let names: Vec<_> = crate::storage::backend::names().collect();
            let hint = format!("one of: {}", names.join(" "));
            all.push(problem(Severity::Warning, "lxc.rootfs.path", text, Some(&hint)));
        }
    }
    all.extend(crate::process::limits::check(&config.process).iter().map(|e| refusal(Severity::Error, e)));
    all.extend(crate::idmap::check(&config.idmap.maps).err().map(|e| refusal(Severity::Error, &e)));
    let host_net = config.network.devices.values().any(|d| d.kind == Kind::None);
    let decided = crate::namespace::decide(&config.namespace, !config.idmap.maps.is_empty(), host_net);
    all.extend(decided.err().map(|e| refusal(Severity::Error, &e)));
    for entry in &config.mount.entries {
        if let Err(e) = crate::mount::fstab::parse_entry(entry) {
            let (column, text) = entry_fault(&e.what);
            let mut found =
                problem(Severity::Error, "lxc.mount.entry", format!("lxc.mount.entry = {entry}: {text}"), None);
            found.hint = e.hint;
            // Where in the value; the place of the value is added when it is found.
            found.column = column;
            all.push(found);
        }
    }
    all
}

/// `lxc.mount.entry:COLUMN: what`, taken apart.
fn entry_fault(what: &str) -> (usize, &str) {
    let parts = what.strip_prefix("lxc.mount.entry:").and_then(|rest| rest.split_once(": "));
    parts.and_then(|(column, text)| Some((column.parse().ok()?, text))).unwrap_or((1, what))
}

fn network(config: &Config, all: &mut Vec<Problem>) {
    let devices = &config.network.devices;
    let hosts: Vec<u32> = devices.iter().filter(|(_, d)| d.kind == Kind::None).map(|(i, _)| *i).collect();
    if let [first, second, ..] = hosts[..] {
        let text = format!("lxc.net.{first} and lxc.net.{second} are both of type none");
        // LXC starts such a container: one line too many, but no harm.
        all.push(problem(Severity::Warning, &format!("lxc.net.{second}.type"), text, Some("keep one of them")));
    }
    if let (Some(first), Some((other, _))) = (hosts.first(), devices.iter().find(|(_, d)| d.kind != Kind::None)) {
        let text = format!("lxc.net.{other} has no effect: lxc.net.{first} shares the host's network");
        all.push(problem(Severity::Warning, &format!("lxc.net.{other}.type"), text, Some("remove one of them")));
    }
    for (index, device) in devices {
        if matches!(device.kind, Kind::Macvlan | Kind::Ipvlan | Kind::Vlan | Kind::Phys) && device.link.is_none() {
            let text = format!("lxc.net.{index} needs lxc.net.{index}.link, the parent interface");
            all.push(problem(Severity::Error, &format!("lxc.net.{index}.type"), text, None));
        }
    }
    if hosts.is_empty() {
        all.extend(crate::network::check(&config.network).iter().map(|e| refusal(Severity::Error, e)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        let dir = std::env::temp_dir().join(format!("lxc-check-{}-{:x}", std::process::id(), text.len()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("c");
        std::fs::write(&path, text).unwrap();
        let report = file(&path).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        let place = |p: &Problem| format!("{}:{}: {}: {}", p.line, p.column, p.severity.name(), p.text);
        report.problems.iter().map(place).collect()
    }

    #[test]
    fn every_problem_has_its_place() {
        let found = of("lxc.uts.nam = x\n\nlxc.tty.max = 5x\n  lxc.utsname = a\n\
             lxc.net.0.type = veth\nlxc.net.0.mtu = abc\nlxc.idmap = u 0 100000 10\nlxc.idmap = u 5 200000 10\n\
             lxc.cgroup.dir.monitor = a\nlxc.mount.entry = a b none bind,create=x\nlxc.rootfs.path = foo:/a\n");
        let want = [
            "1:1: error: unknown key lxc.uts.nam",
            "3:15: error: lxc.tty.max = 5x: ",
            "4:3: info: lxc.utsname is an old name of lxc.uts.name",
            "6:17: error: lxc.net.0.mtu = abc: not a number of bytes",
            "8:13: error: lxc.idmap = u 5 200000 10 overlaps lxc.idmap = u 0 100000 10",
            "9:26: error: lxc.cgroup.dir.monitor needs lxc.cgroup.dir.container too",
            "10:28: error: lxc.mount.entry = a b none bind,create=x: ",
            "11:19: warning: lxc.rootfs.path: foo is no storage type",
        ];
        assert_eq!(found.len(), want.len(), "{found:#?}");
        for (found, want) in found.iter().zip(want) {
            assert!(found.starts_with(want), "{found}\n{want}");
        }
    }

    #[test]
    fn conflicts_have_places() {
        assert!(of("lxc.cap.drop = chown\nlxc.cap.keep = kill\n")[0].starts_with("2:16: error: lxc.cap.keep = kill"));
        assert!(of("lxc.namespace.clone = net\nlxc.namespace.keep = pid\n")[0].starts_with("2:22: error: "));
        let two = of("lxc.net.0.type = none\nlxc.net.3.type = none\n");
        assert_eq!(two, ["2:18: warning: lxc.net.0 and lxc.net.3 are both of type none"]);
        assert!(
            of("lxc.net.0.type = veth\nlxc.net.0.hwaddr = zz\n")[0].starts_with("2:20: error: lxc.net.0.hwaddr = zz")
        );
        assert!(of("lxc.net.0.type = macvlan\n")[0].starts_with("1:18: error: lxc.net.0 needs lxc.net.0.link"));
        assert!(
            of("lxc.net.0.link = a\nlxc.net.0.type = veth\n")[0].starts_with("2:18: warning: lxc.net.0.type resets")
        );
        let both = of("lxc.cgroup.dir = a\nlxc.cgroup.dir.monitor = b\nlxc.cgroup.dir.container = c\n");
        assert!(both[0].starts_with("1:18: error: lxc.cgroup.dir does not go together"), "{both:?}");
    }

    #[test]
    fn lines_that_are_none_are_told() {
        assert!(of("LXC.uts.name = x\n")[0].starts_with("1:1: warning: the line is ignored"));
        assert!(of("lxcfoo = x\n")[0].contains("ignored"));
        assert_eq!(of("# x\n\n   \n"), [""; 0]);
        assert!(of("lxc.include = /no/such/file\n")[0].starts_with("1:15: error: "));
        assert!(of("lxc.include = /no/such/dir/\n")[0].starts_with("1:15: info: lxc.include = /no/such/dir/: "));
    }

    #[test]
    fn a_value_is_refused_with_its_type_and_an_example() {
        let dir = std::env::temp_dir().join(format!("lxc-check-hint-{}", std::process::id()));
        std::fs::write(&dir, "lxc.tty.max = x\n").unwrap();
        let report = file(&dir).unwrap();
        std::fs::remove_file(&dir).unwrap();
        let hint = report.problems[0].hint.clone().unwrap();
        assert!(hint.starts_with("lxc.tty.max takes "), "{hint}");
    }
}
