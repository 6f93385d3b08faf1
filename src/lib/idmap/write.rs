//! How id maps reach the kernel: by newuidmap(1) and newgidmap(1) where both are usable, else by one write to
//! /proc/PID/uid_map and gid_map. Decides and renders; runs the helpers; knows no container.
#![forbid(unsafe_code)]

use super::subid;
use crate::base::ids::{IdKind, IdMap};
use crate::base::spawn::Command;
use crate::base::{Context, Error, Result};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How a map is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// One write(2) for each kind.
    Direct,
    /// The two setuid helpers of package uidmap.
    Helpers {
        /// newuidmap.
        uid: PathBuf,
        /// newgidmap.
        gid: PathBuf,
    },
}

/// The ids that act as root inside: 0 where it is mapped, else `init_uid` and `init_gid`.
pub fn root_ids(maps: &[IdMap], init_uid: u32, init_gid: u32) -> (u32, u32) {
    let has = |kind| maps.iter().any(|m| m.kind == kind && m.nsid == 0 && m.range > 0);
    (
        if maps.is_empty() || has(IdKind::Uid) { 0 } else { init_uid },
        if maps.is_empty() || has(IdKind::Gid) { 0 } else { init_gid },
    )
}

/// The way for these maps, searching `path` (a PATH value) for the helpers.
pub fn way(maps: &[IdMap], path: &str) -> Way {
    if maps.iter().any(|m| m.hostid == 0) {
        return Way::Direct;
    }
    match (helper("newuidmap", path), helper("newgidmap", path)) {
        (Some(uid), Some(gid)) => Way::Helpers { uid, gid },
        _ => Way::Direct,
    }
}

/// A helper that can do its work: setuid root, or with file capabilities (they are not looked into).
fn helper(name: &str, path: &str) -> Option<PathBuf> {
    let found =
        path.split(':').filter(|d| d.starts_with('/')).map(|d| Path::new(d).join(name)).find(|p| p.is_file())?;
    let meta = std::fs::metadata(&found).ok()?;
    let setuid_root = meta.permissions().mode() & 0o4000 != 0 && meta.uid() == 0;
    (setuid_root || has_file_caps(&found)).then_some(found)
}

/// Whether the file has a `security.capability` attribute.
fn has_file_caps(path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::CString::new(path.as_os_str().as_bytes())
        .is_ok_and(|p| crate::sys::xattr::get(&p, c"security.capability", &mut [0_u8; 64]).is_ok())
}

/// The lines that the kernel takes (user_namespaces(7)).
pub fn text(maps: &[IdMap], kind: IdKind) -> String {
    let line = |m: &IdMap| format!("{} {} {}\n", m.nsid, m.hostid, m.range);
    maps.iter().filter(|m| m.kind == kind).map(line).collect()
}

/// Arguments of a helper: pid, then three numbers for each entry.
fn arguments(maps: &[IdMap], kind: IdKind, pid: i32) -> Vec<String> {
    let mut args = vec![pid.to_string()];
    for m in maps.iter().filter(|m| m.kind == kind) {
        args.extend([m.nsid.to_string(), m.hostid.to_string(), m.range.to_string()]);
    }
    args
}

/// Refuses maps that the kernel would refuse, naming the entry.
///
/// # Errors
/// Overlapping or empty ranges, ranges past 2^32, only one of the two kinds.
pub fn check(maps: &[IdMap]) -> Result<()> {
    for (i, m) in maps.iter().enumerate() {
        let end = |from: u32| u64::from(from) + u64::from(m.range);
        let shown = show(m);
        if m.range == 0 {
            return Err(Error::new(format!("lxc.idmap = {shown}: the range is empty")));
        }
        if end(m.nsid) > 1 << 32 || end(m.hostid) > 1 << 32 {
            return Err(Error::new(format!("lxc.idmap = {shown}: the range goes past the last id")));
        }
        let meets =
            |a: u32, b: u32, o: &IdMap| u64::from(a) < u64::from(b) + u64::from(o.range) && u64::from(b) < end(a);
        for o in maps.iter().take(i).filter(|o| o.kind == m.kind) {
            if meets(m.nsid, o.nsid, o) || meets(m.hostid, o.hostid, o) {
                return Err(Error::new(format!("lxc.idmap = {shown} overlaps lxc.idmap = {}", show(o))));
            }
        }
    }
    for (kind, word) in [(IdKind::Uid, "u"), (IdKind::Gid, "g")] {
        if !maps.is_empty() && !maps.iter().any(|m| m.kind == kind) {
            return Err(Error::new(format!("lxc.idmap has no entry of kind {word}"))
                .hint(format!("add lxc.idmap = {word} 0 100000 65536 (a range that /etc/sub{word}id grants)")));
        }
    }
    Ok(())
}

/// An entry as the config has it.
pub fn show(m: &IdMap) -> String {
    let kind = if m.kind == IdKind::Uid { 'u' } else { 'g' };
    format!("{kind} {} {} {}", m.nsid, m.hostid, m.range)
}

/// Writes both maps of `pid`.
///
/// # Errors
/// A helper that refuses (hint: the line of /etc/subuid or /etc/subgid that it wants), or the kernel.
pub fn write(maps: &[IdMap], pid: i32, way: &Way) -> Result<()> {
    for kind in [IdKind::Uid, IdKind::Gid] {
        match way {
            Way::Direct => write_direct(maps, kind, pid)?,
            Way::Helpers { uid, gid } => {
                let tool = if kind == IdKind::Uid { uid } else { gid };
                let file = if kind == IdKind::Uid { "/etc/subuid" } else { "/etc/subgid" };
                run_helper(tool, &arguments(maps, kind, pid), maps, kind, file)?;
            }
        }
    }
    Ok(())
}

fn write_direct(maps: &[IdMap], kind: IdKind, pid: i32) -> Result<()> {
    let path = format!("/proc/{pid}/{}", if kind == IdKind::Uid { "uid_map" } else { "gid_map" });
    let text = text(maps, kind);
    if text.len() >= 4096 {
        return Err(Error::new(format!("lxc.idmap: the entries are {} bytes, the kernel takes 4095", text.len())));
    }
    std::fs::write(&path, text).ctx(|| format!("writing the id map to {path}"))
}

/// The maps that subuid(5) or subgid(5) does not grant the caller, so that newuidmap(1) or newgidmap(1) will refuse them.
pub fn not_granted(maps: &[IdMap], kind: IdKind) -> Vec<Error> {
    let file = if kind == IdKind::Uid { "/etc/subuid" } else { "/etc/subgid" };
    let uid = nix::unistd::getuid();
    let number = uid.to_string();
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| number.clone(), |u| u.name);
    let (ranges, _) = subid::parse(&std::fs::read(file).unwrap_or_default());
    let own = |m: &IdMap| m.range == 1 && m.hostid == uid.as_raw();
    let wanted = maps.iter().filter(|m| m.kind == kind && !own(m));
    let lacking = wanted.filter(|m| !subid::granted(&ranges, &[&name, &number], m.hostid, m.range));
    let error = |m: &IdMap| {
        Error::new(format!("lxc.idmap = {}: {file} does not grant {name} these ids", show(m)))
            .hint(format!("add the line {name}:{}:{} to {file}", m.hostid, m.range))
    };
    lacking.map(error).collect()
}

fn run_helper(tool: &Path, args: &[String], maps: &[IdMap], kind: IdKind, file: &str) -> Result<()> {
    let (status, said) = Command::new(tool).args(args).collect()?;
    if status.success() {
        return Ok(());
    }
    let said = said.first().map_or("no word", String::as_str);
    if let Some(e) = not_granted(maps, kind).into_iter().next() {
        return Err(Error { what: format!("{} ({said})", e.what), ..e });
    }
    let own = maps.iter().filter(|m| m.kind == kind);
    let wants = own.map(|m| format!("root:{}:{}", m.hostid, m.range)).collect::<Vec<_>>().join(" and ");
    Err(Error::new(format!("{} refused the id map: {said}", tool.display()))
        .hint(format!("grant the range: add the line {wants} to {file}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(kind: IdKind, nsid: u32, hostid: u32, range: u32) -> IdMap {
        IdMap { kind, nsid, hostid, range }
    }

    #[test]
    fn text_and_arguments_keep_the_order() {
        let maps = [map(IdKind::Uid, 0, 100_000, 10), map(IdKind::Gid, 0, 200_000, 5), map(IdKind::Uid, 10, 7, 1)];
        assert_eq!(text(&maps, IdKind::Uid), "0 100000 10\n10 7 1\n");
        assert_eq!(arguments(&maps, IdKind::Gid, 42), ["42", "0", "200000", "5"]);
    }

    #[test]
    fn root_is_zero_where_mapped() {
        assert_eq!(root_ids(&[], 5, 6), (0, 0));
        assert_eq!(root_ids(&[map(IdKind::Uid, 5, 1005, 1), map(IdKind::Gid, 0, 1000, 1)], 5, 6), (5, 0));
    }

    #[test]
    fn a_map_of_host_id_0_is_written_directly() {
        assert_eq!(way(&[map(IdKind::Uid, 0, 0, 1)], "/usr/bin"), Way::Direct);
        assert_eq!(way(&[map(IdKind::Uid, 0, 5, 1)], "/nonexistent:relative"), Way::Direct);
    }

    #[test]
    fn impossible_maps_are_refused() {
        let g = map(IdKind::Gid, 0, 0, 1);
        assert!(check(&[map(IdKind::Uid, 0, 1000, 10), g]).is_ok());
        assert!(check(&[map(IdKind::Uid, 0, 1000, 10)]).is_err());
        assert!(check(&[map(IdKind::Uid, 0, 1000, 0), g]).is_err());
        assert!(check(&[map(IdKind::Uid, 0, u32::MAX, 2), g]).is_err());
        assert!(check(&[map(IdKind::Uid, 0, 1000, 10), map(IdKind::Uid, 9, 5000, 1), g]).is_err());
        assert!(check(&[map(IdKind::Uid, 0, 1000, 10), map(IdKind::Uid, 10, 1009, 1), g]).is_err());
    }
}
