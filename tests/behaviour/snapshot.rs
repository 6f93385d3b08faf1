//! What a machine holds that a container could leave behind, as comparable lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One snapshot: sorted lines `kind what`.
pub type Snapshot = BTreeSet<String>;

/// Take it, inside the sandbox.
pub fn take() -> Snapshot {
    let mut all = Snapshot::new();
    mounts(&mut all);
    cgroups(&mut all);
    links(&mut all);
    sockets(&mut all);
    loops(&mut all);
    files(Path::new("/run"), &mut all);
    processes(&mut all);
    all
}

/// Without the ids of mounts, which differ for the same mount.
fn mounts(all: &mut Snapshot) {
    for line in read("/proc/self/mountinfo").lines() {
        let f: Vec<&str> = line.split(' ').collect();
        if f.len() > 6 {
            all.insert(format!("mount {}", f[3..].join(" ")));
        }
    }
}

fn cgroups(all: &mut Snapshot) {
    for h in crate::sandbox::hierarchies() {
        for d in crate::sandbox::tree(&h.dir) {
            all.insert(format!("cgroup {}", d.display()));
        }
    }
}

fn links(all: &mut Snapshot) {
    for line in read("/proc/self/net/dev").lines().skip(2) {
        if let Some((name, _)) = line.split_once(':') {
            all.insert(format!("link {}", name.trim()));
        }
    }
}

fn sockets(all: &mut Snapshot) {
    for line in read("/proc/self/net/unix").lines().skip(1) {
        if let Some(name) = line.split_whitespace().nth(7) {
            // Listening sockets and names only: a peer of a closing connection is not a thing left.
            if name.starts_with('@') {
                all.insert(format!("socket {name}"));
            }
        }
    }
}

/// Loop devices are the whole machine's: only those that back a file of this sandbox count.
fn loops(all: &mut Snapshot) {
    for e in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let file = read(&format!("{}/loop/backing_file", e.path().display()));
        if file.contains("/var/lib/lxc/") || file.contains("lxc-behaviour") {
            all.insert(format!("loop {} {}", e.file_name().to_string_lossy(), file.trim()));
        }
    }
}

fn files(dir: &Path, all: &mut Snapshot) {
    for e in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = e.path();
        all.insert(format!("file {}", path.display()));
        if e.file_type().is_ok_and(|t| t.is_dir()) {
            files(&path, all);
        }
    }
}

fn processes(all: &mut Snapshot) {
    for e in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = e.file_name().to_string_lossy().into_owned();
        if name.bytes().all(|b| b.is_ascii_digit()) {
            let cmd = read(&format!("/proc/{name}/cmdline")).replace('\0', " ");
            let comm = read(&format!("/proc/{name}/comm"));
            if !comm.is_empty() {
                all.insert(format!("process {name} {} {}", comm.trim(), cmd.trim()));
            }
        }
    }
}

fn read(path: &str) -> String {
    fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
}

/// Is this line one that may stay? Lock files and the cache of compiled seccomp programs are kept
/// by design (a lock file that is removed is a race). The reference's own litter is known:
/// its monitor's groups and `lxc.pivot`.
fn tolerated(line: &str, reference: bool) -> bool {
    // /run/mount is util-linux's own book-keeping.
    let kept = ["file /run/lxc", "file /run/mount", "file /run/mount/utab", "file /run/mount/utab.lock"];
    if kept.iter().any(|k| {
        line == *k
            || line.starts_with("file /run/lxc/lock")
            || line.starts_with("file /run/lxc/seccomp")
            || line.starts_with("file /run/lock/")
    }) {
        return true;
    }
    if crate::sandbox::pure_v2() && line.starts_with("cgroup ") && line.ends_with("/lxc.pivot") {
        return true;
    }
    reference && line.starts_with("cgroup ") && (line.ends_with("/lxc.pivot") || line.contains("/lxc.monitor"))
}

/// What is new or gone, as text; empty when equal.
pub fn difference(before: &Snapshot, after: &Snapshot, reference: bool) -> String {
    let mut text = String::new();
    for line in after.difference(before).filter(|l| !tolerated(l, reference)) {
        text.push_str(&format!("  left:   {line}\n"));
    }
    for line in before.difference(after) {
        text.push_str(&format!("  gone:   {line}\n"));
    }
    text
}
