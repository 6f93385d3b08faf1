//! lxc-checkconfig: whether a kernel's configuration has what containers need. Reads, changes nothing.
#![forbid(unsafe_code)]

use super::common::{err_line, err_text, out};
use super::json;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const HELP: &str = "\
Usage: lxc-checkconfig [--format=json]

Tells whether the kernel's configuration has what containers need.

      --format=json  print JSON
  -h, --help         show this text
      --version      show the version

CONFIG=FILE in the environment names the configuration to read, MODNAME the module that holds it (configs).
";

/// The answer for one feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Enabled,
    Loaded,
    NotLoaded,
    Missing,
    Required,
}

impl Answer {
    const fn word(self) -> &'static str {
        match self {
            Answer::Enabled | Answer::Loaded | Answer::NotLoaded => "enabled",
            Answer::Missing => "missing",
            Answer::Required => "required",
        }
    }
}

/// A line or a note, as it is printed.
enum Row {
    Section(&'static str),
    /// Label and answer; LXC's script leaves the colour on until the next line in three places: `late`.
    Feature(&'static str, Answer, bool),
    Text(String),
}

/// A feature by its option: label, option, required, module.
struct Ask(&'static str, &'static str, bool, &'static str);

const NAMESPACES: [Ask; 4] = [
    Ask("Namespaces", "NAMESPACES", true, ""),
    Ask("Utsname namespace", "UTS_NS", false, ""),
    Ask("Ipc namespace", "IPC_NS", true, ""),
    Ask("Pid namespace", "PID_NS", true, ""),
];
const MISC_FIRST: [Ask; 5] = [
    Ask("Veth pair device", "VETH", false, "veth"),
    Ask("Macvlan", "MACVLAN", false, "macvlan"),
    Ask("Vlan", "VLAN_8021Q", false, "8021q"),
    Ask("Bridges", "BRIDGE", false, "bridge"),
    Ask("Advanced netfilter", "NETFILTER_ADVANCED", false, "nf_tables"),
];
const NAT: [Ask; 2] = [
    Ask("CONFIG_NF_NAT_IPV4", "NF_NAT_IPV4", false, "nf_nat_ipv4"),
    Ask("CONFIG_NF_NAT_IPV6", "NF_NAT_IPV6", false, "nf_nat_ipv6"),
];
const MISC_LAST: [Ask; 5] = [
    Ask("CONFIG_IP_NF_TARGET_MASQUERADE", "IP_NF_TARGET_MASQUERADE", false, "ipt_MASQUERADE"),
    Ask("CONFIG_IP6_NF_TARGET_MASQUERADE", "IP6_NF_TARGET_MASQUERADE", false, "ip6t_MASQUERADE"),
    Ask("CONFIG_NETFILTER_XT_TARGET_CHECKSUM", "NETFILTER_XT_TARGET_CHECKSUM", false, "xt_CHECKSUM"),
    Ask("CONFIG_NETFILTER_XT_MATCH_COMMENT", "NETFILTER_XT_MATCH_COMMENT", false, "xt_comment"),
    Ask("FUSE (for use with lxcfs)", "FUSE_FS", false, "fuse"),
];
const CHECKPOINT: [Ask; 8] = [
    Ask("checkpoint restore", "CHECKPOINT_RESTORE", false, ""),
    Ask("CONFIG_FHANDLE", "FHANDLE", false, ""),
    Ask("CONFIG_EVENTFD", "EVENTFD", false, ""),
    Ask("CONFIG_EPOLL", "EPOLL", false, ""),
    Ask("CONFIG_UNIX_DIAG", "UNIX_DIAG", false, "unix_diag"),
    Ask("CONFIG_INET_DIAG", "INET_DIAG", false, "inet_diag"),
    Ask("CONFIG_PACKET_DIAG", "PACKET_DIAG", false, "af_packet_diag"),
    Ask("CONFIG_NETLINK_DIAG", "NETLINK_DIAG", false, "netlink_diag"),
];

/// A kernel's configuration.
struct Kernel {
    text: String,
    /// Its version; the newest there can be when the text does not tell.
    version: Option<(u32, u32, u32)>,
    /// /proc/modules, where it exists.
    modules: Option<String>,
}

impl Kernel {
    fn value(&self, option: &str) -> Option<char> {
        self.text.lines().find_map(|l| {
            let rest = l.strip_prefix("CONFIG_")?.strip_prefix(option)?.strip_prefix('=')?;
            rest.chars().next().filter(|c| matches!(c, 'y' | 'm'))
        })
    }

    fn at_least(&self, major: u32, minor: u32, patch: u32) -> bool {
        self.version.is_none_or(|v| v >= (major, minor, patch))
    }

    fn ask(&self, a: &Ask) -> Row {
        let answer = match (self.value(a.1), &self.modules) {
            (None, _) if a.2 => Answer::Required,
            (None, _) => Answer::Missing,
            (Some('m'), Some(loaded)) if !a.3.is_empty() => {
                if loaded.lines().any(|l| l.split(' ').next() == Some(a.3)) {
                    Answer::Loaded
                } else {
                    Answer::NotLoaded
                }
            }
            _ => Answer::Enabled,
        };
        Row::Feature(a.0, answer, false)
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.namespaces(&mut rows);
        self.cgroups(&mut rows);
        rows.push(Row::Section("Misc"));
        rows.extend(MISC_FIRST.iter().map(|a| self.ask(a)));
        if self.version.is_some_and(|(major, minor, _)| major == 4 && minor >= 7) {
            rows.extend(NAT.iter().map(|a| self.ask(a)));
        }
        rows.extend(MISC_LAST.iter().map(|a| self.ask(a)));
        rows.push(Row::Section("Checkpoint/Restore"));
        rows.extend(CHECKPOINT.iter().map(|a| self.ask(a)));
        if self.at_least(2, 6, 33) {
            rows.push(Row::Feature("File capabilities", Answer::Enabled, true));
        } else {
            rows.push(self.ask(&Ask("File capabilities", "SECURITY_FILE_CAPABILITIES", false, "")));
        }
        rows
    }

    fn namespaces(&self, rows: &mut Vec<Row>) {
        rows.push(Row::Section("Namespaces"));
        rows.extend(NAMESPACES.iter().map(|a| self.ask(a)));
        let user = self.ask(&Ask("User namespace", "USER_NS", false, ""));
        let has_user = matches!(user, Row::Feature(_, Answer::Enabled, _));
        rows.push(user);
        if has_user {
            rows.extend(["newuidmap", "newgidmap"].iter().filter_map(|p| setuid_problem(p)).map(Row::Text));
        }
        rows.push(self.ask(&Ask("Network namespace", "NET_NS", false, "")));
        if !self.at_least(4, 7, 0) {
            rows.push(self.ask(&Ask("Multiple /dev/pts instances", "DEVPTS_MULTIPLE_INSTANCES", false, "")));
        }
        let limits = namespace_limits(Path::new("/proc/sys/user"));
        if !limits.is_empty() {
            rows.push(Row::Text("Namespace limits:".into()));
            rows.extend(limits.into_iter().map(|(name, n)| Row::Text(format!("  {name}: {n}"))));
        }
    }

    fn cgroups(&self, rows: &mut Vec<Row>) {
        rows.push(Row::Section("Control groups"));
        rows.push(self.ask(&Ask("Cgroups", "CGROUPS", false, "")));
        let namespace = if Path::new("/proc/self/ns/cgroup").exists() { Answer::Enabled } else { Answer::Missing };
        rows.push(Row::Feature("Cgroup namespace", namespace, false));
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let of = |kind: &str| cgroup_mounts(&mounts, kind);
        let v1 = of("cgroup");
        rows.push(Row::Text("Cgroup v1 mount points: ".into()));
        rows.extend(v1.iter().map(|(dir, _)| Row::Text(format!(" - {dir}"))));
        rows.push(Row::Text("Cgroup v2 mount points: ".into()));
        rows.extend(of("cgroup2").iter().map(|(dir, _)| Row::Text(format!(" - {dir}"))));
        let has = |word: &str| v1.iter().any(|(_, options)| options.split(',').any(|o| o == word));
        if !has("name=systemd") {
            rows.push(Row::Feature("Cgroup v1 systemd controller", Answer::Missing, false));
        }
        if !has("freezer") {
            rows.push(Row::Feature("Cgroup v1 freezer controller", Answer::Missing, false));
        }
        if v1.iter().any(|(dir, _)| Path::new(dir).join("cgroup.clone_children").exists()) {
            rows.push(Row::Feature("Cgroup v1 clone_children flag", Answer::Enabled, true));
        }
        let memory = if self.at_least(3, 6, 0) { "MEMCG" } else { "CGROUP_MEM_RES_CTLR" };
        rows.push(self.ask(&Ask("Cgroup device", "CGROUP_DEVICE", false, "")));
        rows.push(self.ask(&Ask("Cgroup sched", "CGROUP_SCHED", false, "")));
        rows.push(self.ask(&Ask("Cgroup cpu account", "CGROUP_CPUACCT", false, "")));
        rows.push(self.ask(&Ask("Cgroup memory controller", memory, false, "")));
        if self.value("SMP").is_some() {
            rows.push(self.ask(&Ask("Cgroup cpuset", "CPUSETS", false, "")));
        }
    }
}

/// `max_X_namespaces` below /proc/sys/user: X and the limit.
fn namespace_limits(dir: &Path) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| {
            let file = e.file_name().into_string().ok()?;
            let name = file.strip_prefix("max_")?.strip_suffix("_namespaces")?.to_string();
            Some((name, std::fs::read_to_string(e.path()).ok()?.trim().to_string()))
        })
        .collect();
    all.sort();
    all
}

/// Mount points and options of a file system type in /proc/self/mounts.
fn cgroup_mounts<'a>(mounts: &'a str, kind: &str) -> Vec<(&'a str, &'a str)> {
    mounts
        .lines()
        .filter_map(|l| {
            let mut f = l.split(' ').skip(1);
            let (dir, fstype, options) = (f.next()?, f.next()?, f.next()?);
            (fstype == kind).then_some((dir, options))
        })
        .collect()
}

/// What is wrong with a helper of shadow's.
fn setuid_problem(program: &str) -> Option<String> {
    let Some(path) = find_program(program) else { return Some(format!("{program} is not installed")) };
    let stat = std::fs::metadata(path).ok()?;
    (stat.mode() & 0o4000 == 0 || stat.uid() != 0).then(|| format!("Warning: {program} is not setuid-root"))
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file())
}

/// Runs it.
pub fn main(args: &[OsString]) -> i32 {
    let mut as_json = false;
    for word in args.iter().skip(1) {
        match word.to_str() {
            Some("--help" | "-h") => {
                err_text(HELP);
                return 0;
            }
            Some("--version") => {
                out(concat!(env!("CARGO_PKG_VERSION"), "\n"));
                return 0;
            }
            Some("--format=json") => as_json = true,
            _ => {} // LXC's script looks at no argument
        }
    }
    let terminal = std::io::stdout().is_terminal();
    let mut head = String::new();
    if find_program("lxc-start").is_some() {
        head.push_str(concat!("LXC version ", env!("CARGO_PKG_VERSION"), "\n"));
    }
    let wanted = std::env::var_os("CONFIG").map_or_else(|| PathBuf::from("/proc/config.gz"), PathBuf::from);
    let (text, note) = match find_config(&wanted) {
        Ok(found) => found,
        Err(note) => {
            out(&(head + &note));
            err_line("lxc-checkconfig: unable to retrieve kernel configuration\n");
            err_line("Name one by CONFIG=FILE lxc-checkconfig, or install the kernel's configuration");
            err_line("below /boot, or build the kernel with IKCONFIG_PROC (/proc/config.gz).");
            return 1;
        }
    };
    let kernel = Kernel { version: version_of(&text), text, modules: std::fs::read_to_string("/proc/modules").ok() };
    let rows = kernel.rows();
    if as_json {
        out(&(render_json(&rows) + "\n"));
        return 0;
    }
    head.push_str(&note);
    if kernel.version.is_none() {
        head.push_str("WARNING: Unable to detect version from configuration, assuming latest\n\n");
    }
    out(&(head + &render(&rows, terminal)));
    0
}

/// The configuration's text and what is to be said about where it came from; without one only the latter.
fn find_config(wanted: &Path) -> Result<(String, String), String> {
    if wanted.as_os_str() == "/proc/config.gz" && !wanted.exists() {
        let module = std::env::var("MODNAME").unwrap_or_else(|_| "configs".into());
        let _ = std::process::Command::new("modprobe")
            .arg(module)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
    }
    if let Some(text) = read_config(wanted) {
        return Ok((text, String::new()));
    }
    let mut note = format!("Kernel configuration not found at {}; searching...\n", wanted.display());
    let release = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default();
    for file in [format!("/lib/modules/{release}/build/.config"), format!("/boot/config-{release}")] {
        if let Some(text) = read_config(Path::new(&file)) {
            note.push_str(&format!("Kernel configuration found at {file}\n"));
            return Ok((text, note));
        }
    }
    Err(note)
}

fn read_config(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    let unpacked = std::process::Command::new("gzip").arg("-dc").arg("--").arg(path).output().ok()?;
    unpacked.status.success().then(|| String::from_utf8_lossy(&unpacked.stdout).into_owned())
}

/// The version in `# Linux/x86 6.1.0 Kernel Configuration`.
fn version_of(text: &str) -> Option<(u32, u32, u32)> {
    let line = text.lines().find(|l| l.starts_with("# ") && l.ends_with(" Kernel Configuration"))?;
    let word = line.split(' ').find(|w| w.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = word.split(['.', '-']).map(|n| n.parse().unwrap_or(0));
    Some((numbers.next()?, numbers.next()?, numbers.next().unwrap_or(0)))
}

fn render(rows: &[Row], terminal: bool) -> String {
    let mut out = String::new();
    for row in rows {
        match row {
            Row::Section(name) => out.push_str(&format!("\n--- {name} ---\n")),
            Row::Text(text) => out.push_str(&format!("{text}\n")),
            Row::Feature(label, answer, late) => {
                let (on, off) = match (terminal, answer) {
                    (false, _) => ("", ""),
                    (true, Answer::Required) => ("\x1b[1;31m", "\x1b[0;39m"),
                    (true, Answer::Missing) => ("\x1b[1;33m", "\x1b[0;39m"),
                    (true, _) => ("\x1b[1;32m", "\x1b[0;39m"),
                };
                let more = match answer {
                    Answer::Loaded => ", loaded",
                    Answer::NotLoaded => ", not loaded",
                    _ => "",
                };
                let word = answer.word();
                if *late {
                    out.push_str(&format!("{label}: {on}{word}\n{off}"));
                } else {
                    out.push_str(&format!("{label}: {on}{word}{off}{more}\n"));
                }
            }
        }
    }
    out.push_str(
        "\nNote : Before booting a new kernel, you can check its configuration:\n\n  \
         CONFIG=/path/to/config lxc-checkconfig\n\n",
    );
    out
}

fn render_json(rows: &[Row]) -> String {
    let mut sections: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
    for row in rows {
        match row {
            Row::Section(name) => sections.push((name, Vec::new())),
            Row::Feature(label, answer, _) => {
                if let Some(s) = sections.last_mut() {
                    s.1.push((label, json::string(answer.word())));
                }
            }
            Row::Text(_) => {}
        }
    }
    json::object(sections.into_iter().map(|(name, rows)| (name, json::object(rows))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(text: &str, modules: Option<&str>) -> Kernel {
        Kernel { text: text.into(), version: version_of(text), modules: modules.map(String::from) }
    }

    fn answer(k: &Kernel, label: &str) -> Option<Answer> {
        k.rows().into_iter().find_map(|r| match r {
            Row::Feature(l, a, _) if l == label => Some(a),
            _ => None,
        })
    }

    #[test]
    fn versions() {
        assert_eq!(version_of("#\n# Linux/x86 6.18.44 Kernel Configuration\n"), Some((6, 18, 44)));
        assert_eq!(version_of("# Linux/x86_64 4.19.0-rc1 Kernel Configuration\n"), Some((4, 19, 0)));
        assert_eq!(version_of("CONFIG_SMP=y\n"), None);
    }

    #[test]
    fn answers() {
        let k =
            kernel("CONFIG_VETH=m\nCONFIG_BRIDGE=m\nCONFIG_MACVLAN=y\nCONFIG_VETHX=y\n", Some("veth 1 0 - Live 0\n"));
        assert_eq!(answer(&k, "Veth pair device"), Some(Answer::Loaded));
        assert_eq!(answer(&k, "Bridges"), Some(Answer::NotLoaded));
        assert_eq!(answer(&k, "Macvlan"), Some(Answer::Enabled));
        assert_eq!(answer(&k, "Vlan"), Some(Answer::Missing));
        assert_eq!(answer(&k, "Pid namespace"), Some(Answer::Required));
        assert_eq!(answer(&k, "Cgroup cpuset"), None);
        assert_eq!(answer(&k, "Multiple /dev/pts instances"), None);
    }

    #[test]
    fn old_kernels() {
        let k = kernel("# Linux/x86 2.6.32 Kernel Configuration\nCONFIG_CGROUP_MEM_RES_CTLR=y\n", None);
        assert_eq!(answer(&k, "Cgroup memory controller"), Some(Answer::Enabled));
        assert_eq!(answer(&k, "File capabilities"), Some(Answer::Missing));
        assert_eq!(answer(&k, "Multiple /dev/pts instances"), Some(Answer::Missing));
        assert_eq!(answer(&k, "CONFIG_NF_NAT_IPV4"), None);
        let k = kernel("# Linux/x86 4.9.0 Kernel Configuration\n", None);
        assert_eq!(answer(&k, "CONFIG_NF_NAT_IPV4"), Some(Answer::Missing));
    }

    #[test]
    fn colours_only_on_a_terminal() {
        let rows = [Row::Feature("X", Answer::Missing, false), Row::Feature("Y", Answer::Enabled, true)];
        assert!(render(&rows, false).starts_with("X: missing\nY: enabled\n\nNote"));
        assert!(
            render(&rows, true).starts_with("X: \x1b[1;33mmissing\x1b[0;39m\nY: \x1b[1;32menabled\n\x1b[0;39m\nNote")
        );
    }
}
