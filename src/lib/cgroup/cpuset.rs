//! The version 1 cpuset controller: a new group has no CPUs and no memory nodes, so nothing can enter it (ENOSPC) until
//! both are copied from its parent (Linux: Documentation/admin-guide/cgroup-v1/cpusets.rst).
#![forbid(unsafe_code)]

use super::file;
use std::io;

/// What the groups of one parent get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    cpus: String,
    mems: String,
}

/// The parent's CPUs, without those set apart by `isolcpus=`, and its memory nodes. A parent below `top` without any (a
/// group that somebody made and left) is set up from its own parent first.
pub(crate) fn of_parent(dir: &str, top: &str) -> io::Result<Share> {
    let mut cpus = effective(dir, "cpus")?;
    let mems = effective(dir, "mems")?;
    if (cpus.is_empty() || mems.is_empty()) && dir.len() > top.len() {
        let parent = dir.rsplit_once('/').map_or(top, |(p, _)| p);
        let share = of_parent(parent, top)?;
        set(dir, &share, false)?;
        return Ok(share);
    }
    let isolated = file::value("/sys/devices/system/cpu/isolated").unwrap_or_default();
    if let Some(rest) = without(&cpus, &isolated) {
        cpus = rest;
    }
    Ok(Share { cpus, mems })
}

/// Online CPUs or nodes of a group; `effective_*` leaves out what is offline.
fn effective(dir: &str, what: &str) -> io::Result<String> {
    file::value(format!("{dir}/cpuset.effective_{what}")).or_else(|_| file::value(format!("{dir}/cpuset.{what}")))
}

/// Fills a new group; `inherit` sets clone_children, so that what the container makes inside is filled by the kernel.
pub(crate) fn set(dir: &str, share: &Share, inherit: bool) -> io::Result<()> {
    file::write(format!("{dir}/cpuset.cpus"), share.cpus.as_bytes())?;
    file::write(format!("{dir}/cpuset.mems"), share.mems.as_bytes())?;
    if inherit {
        file::write(format!("{dir}/cgroup.clone_children"), b"1")?;
    }
    Ok(())
}

/// The list `cpus` without the members of `minus`; `None` when nothing changes or nothing would be left.
fn without(cpus: &str, minus: &str) -> Option<String> {
    if minus.is_empty() {
        return None;
    }
    let (have, gone) = (expand(cpus)?, expand(minus)?);
    let rest: Vec<u32> = have.iter().copied().filter(|c| !gone.contains(c)).collect();
    (!rest.is_empty() && rest.len() != have.len()).then(|| compact(&rest))
}

fn expand(list: &str) -> Option<Vec<u32>> {
    let mut out = Vec::new();
    for part in list.split(',') {
        let (a, b) = part.split_once('-').unwrap_or((part, part));
        let (a, b) = (a.trim().parse::<u32>().ok()?, b.trim().parse::<u32>().ok()?);
        // A list of the kernel's is small; anything else is no list.
        if b < a || b > 65_535 {
            return None;
        }
        out.extend(a..=b);
    }
    Some(out)
}

fn compact(list: &[u32]) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut run: Option<(u32, u32)> = None;
    let text = |(a, b): (u32, u32)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    for &c in list {
        run = match run {
            Some((a, b)) if c == b + 1 => Some((a, c)),
            Some(r) => {
                out.push(text(r));
                Some((c, c))
            }
            None => Some((c, c)),
        };
    }
    out.extend(run.map(text));
    out.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(without("0-7", "2-3,6").as_deref(), Some("0-1,4-5,7"));
        assert_eq!(without("0-3", ""), None);
        assert_eq!(without("0-1", "0-1"), None);
        assert_eq!(without("0-1", "4"), None);
        assert_eq!(expand("3-1"), None);
        assert_eq!(expand("x"), None);
        assert_eq!(compact(&[1]), "1");
    }
}
