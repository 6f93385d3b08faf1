//! Containers inside of a container: listed by a child process that has gone there (the namespaces of a running one, the
//! rootfs of a stopped one), so that no path in there can lead outside; it is stopped when it takes too long.
#![forbid(unsafe_code)]

use super::{Entry, Query, State, gather};
use crate::config::Config;
use crate::sys::{fd, ns, path, poll, process};
use std::ffi::CString;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// How long a container may keep us busy.
const WITHIN: Duration = Duration::from_secs(5);
/// How much its listing may be.
const AT_MOST: usize = 4 << 20;

/// Where the child goes.
enum Place {
    /// The namespaces of this process.
    Running(i32),
    /// This directory.
    Stopped(CString),
}

/// The containers inside of `outer`, which is at `level` below `parent`.
pub(super) fn inside(q: &Query<'_>, outer: &Entry, parent: &str, level: u32) -> Vec<Entry> {
    let place = match (outer.pid, outer.state) {
        (Some(pid), _) => Place::Running(pid),
        (None, Some(State::Stopped)) => match rootfs(q, &outer.name) {
            Some(dir) => Place::Stopped(dir),
            None => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let parent = if parent.is_empty() { outer.name.clone() } else { format!("{parent}/{}", outer.name) };
    let Ok((read_end, write_end)) = fd::pipe() else { return Vec::new() };
    let inner = Query { nesting: q.nesting - 1, dead: q.dead || matches!(place, Place::Stopped(_)), ..q.clone() };
    let child = process::fork(|| {
        if enter(&place).is_ok() {
            let found = gather(&inner, &parent, level + 1);
            let _ = fd::write_all(write_end.as_fd(), &encode(&found));
        }
        process::exit_now(0)
    });
    drop(write_end);
    let Ok(pid) = child else { return Vec::new() };
    let bytes = read_within(read_end);
    if bytes.is_none() {
        let _ = process::kill(pid, libc::SIGKILL);
        crate::log_warn!("Gave up listing the containers inside of {}", outer.name);
    }
    let _ = process::wait_pid(pid, 0);
    decode(&bytes.unwrap_or_default())
}

fn rootfs(q: &Query<'_>, name: &str) -> Option<CString> {
    let mut config = Config::new();
    config.load_file(&q.lxcpath.join(name).join("config")).ok()?;
    let text = config.get("lxc.rootfs.path").ok()?;
    let dir = text.strip_prefix("dir:").unwrap_or(&text);
    let dir = std::path::Path::new(dir);
    (dir.is_absolute() && dir.is_dir()).then(|| CString::new(dir.as_os_str().as_bytes()).ok()).flatten()
}

fn enter(place: &Place) -> std::io::Result<()> {
    match place {
        Place::Stopped(dir) => process::chroot(dir).and_then(|()| process::chdir(c"/")),
        Place::Running(pid) => {
            let open = |kind: &str| {
                path::open(&CString::new(format!("/proc/{pid}/ns/{kind}")).unwrap_or_default(), libc::O_RDONLY, 0)
            };
            let same = |a: &OwnedFd, kind: &str| {
                let own = CString::new(format!("/proc/self/ns/{kind}")).unwrap_or_default();
                let own = path::statat(path::cwd(), &own, true);
                path::fstat(a.as_fd()).is_ok_and(|a| own.is_ok_and(|o| (a.dev, a.ino) == (o.dev, o.ino)))
            };
            let all = [("user", open("user")?), ("net", open("net")?), ("mnt", open("mnt")?)];
            for (kind, ns) in all {
                if !same(&ns, kind) {
                    ns::setns(ns.as_fd(), 0)?;
                }
            }
            process::chdir(c"/")
        }
    }
}

/// All that comes until the other end closes; `None` when it takes too long or is too much.
fn read_within(from: OwnedFd) -> Option<Vec<u8>> {
    let until = Instant::now() + WITHIN;
    let mut bytes = Vec::new();
    let mut file = std::fs::File::from(from);
    let mut buf = [0; 4096];
    loop {
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        if left == 0 || bytes.len() > AT_MOST || !readable(&file, i32::try_from(left).unwrap_or(0)) {
            return None;
        }
        match file.read(&mut buf) {
            Ok(0) => return Some(bytes),
            Ok(n) => bytes.extend_from_slice(buf.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

fn readable(file: &std::fs::File, timeout_ms: i32) -> bool {
    let mut set = [poll::PollFd::new(file.as_fd(), libc::POLLIN)];
    poll::poll(&mut set, timeout_ms).is_ok_and(|n| n > 0)
}

/// Entries as fields that end with NUL: an entry has ten, lists inside of a field are parted by newlines.
fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for e in entries {
        let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        for field in [
            e.parent.clone(),
            e.name.clone(),
            e.level.to_string(),
            e.state.map(|s| s.as_str().to_string()).unwrap_or_default(),
            format!("{}{}", u8::from(e.autostart), u8::from(e.unprivileged)),
            e.groups.join("\n"),
            e.net.interfaces.join("\n"),
            e.net.ipv4.join("\n"),
            e.net.ipv6.join("\n"),
            number(e.ram) + " " + &number(e.swap),
        ] {
            out.extend_from_slice(field.as_bytes());
            out.push(0);
        }
    }
    out
}

fn decode(bytes: &[u8]) -> Vec<Entry> {
    let text = String::from_utf8_lossy(bytes);
    let fields: Vec<&str> = text.split('\0').collect();
    let list = |s: &str| s.split('\n').filter(|l| !l.is_empty()).map(String::from).collect::<Vec<_>>();
    fields
        .chunks_exact(10)
        .filter_map(|f| {
            let [parent, name, level, state, flags, groups, interfaces, ipv4, ipv6, memory] = f else { return None };
            let (ram, swap) = memory.split_once(' ')?;
            Some(Entry {
                name: (*name).to_string(),
                parent: (*parent).to_string(),
                level: level.parse().ok()?,
                state: State::parse(state),
                pid: None, // of another pid namespace: of no use here
                autostart: flags.starts_with('1'),
                unprivileged: flags.ends_with('1'),
                groups: list(groups),
                net: crate::cli::live::Net { interfaces: list(interfaces), ipv4: list(ipv4), ipv6: list(ipv6) },
                ram: ram.parse().ok(),
                swap: swap.parse().ok(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_the_pipe() {
        let e = Entry {
            name: "a b".into(),
            parent: "x/y".into(),
            level: 2,
            state: Some(State::Frozen),
            groups: vec!["g".into(), "h".into()],
            swap: Some(7),
            autostart: true,
            ..Entry::default()
        };
        let none = Entry { name: "n".into(), ..Entry::default() };
        assert_eq!(decode(&encode(&[e.clone(), none.clone()])), [e, none]);
        assert_eq!(decode(b"rubbish\0"), []);
    }
}
