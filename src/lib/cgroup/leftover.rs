//! What a killed monitor leaves: a container that dies with it (its parent-death signal), unless version 1 has it frozen:
//! then SIGKILL waits until somebody thaws it. Judges by the kernel's own record only, since an equally named group may be
//! another store's container.
#![forbid(unsafe_code)]

use super::file;
use super::layout::{Host, Kind};

/// Thaws the group `rel` when the first process of a pid namespace in it has been killed and is kept by the freezer.
pub(crate) fn thaw_dying(host: &Host, rel: &str) {
    let Some(h) = host.v1("freezer").and_then(|i| host.hierarchies.get(i)) else { return };
    let dir = h.dir(rel);
    let frozen = file::read(format!("{dir}/freezer.state")).is_ok_and(|s| s.trim() != "THAWED");
    if frozen && file::read(format!("{dir}/cgroup.procs")).unwrap_or_default().lines().any(is_dying_init) {
        thaw(host, rel);
    }
}

/// Thaws the group `rel` of the version 1 freezer, where there is one.
pub(crate) fn thaw(host: &Host, rel: &str) {
    let freezer = host.v1("freezer").and_then(|i| host.hierarchies.get(i));
    if let Some(h) = freezer.filter(|h| h.kind == Kind::V1) {
        _ = file::write(format!("{}/freezer.state", h.dir(rel)), b"THAWED");
    }
}

fn is_dying_init(pid: &str) -> bool {
    file::read(format!("/proc/{pid}/status")).is_ok_and(|s| killed_init(&s))
}

/// By proc_pid_status(5): the first process of its innermost pid namespace, with SIGKILL pending.
fn killed_init(status: &str) -> bool {
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
    let pending = |name: &str| {
        let bits = field(name).and_then(|v| u64::from_str_radix(v, 16).ok()).unwrap_or(0);
        bits & (1 << (libc::SIGKILL - 1)) != 0
    };
    let mut ids = field("NSpid:").unwrap_or("").split_whitespace();
    ids.clone().count() > 1 && ids.next_back() == Some("1") && (pending("ShdPnd:") || pending("SigPnd:"))
}

#[cfg(test)]
mod tests {
    use super::killed_init;

    #[test]
    fn status() {
        let s = |ids: &str, pending: &str| {
            format!("Name:\tinit\nNSpid:\t{ids}\nSigPnd:\t0000000000000000\nShdPnd:\t{pending}\n")
        };
        assert!(killed_init(&s("4711\t1", "0000000000000100")));
        assert!(!killed_init(&s("4711\t1", "0000000000000000")));
        assert!(!killed_init(&s("4711\t7", "0000000000000100")));
        assert!(!killed_init(&s("1", "0000000000000100")));
        assert!(!killed_init(""));
    }
}
