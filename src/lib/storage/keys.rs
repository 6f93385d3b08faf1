//! The keys of `storage`: rows only. What obeys them lies beside.
#![forbid(unsafe_code)]

use super::Conf;
use crate::base::paths::dirs;
use crate::keys::{Answer, Bad, Call, Empty, Key, Kind, Op, value};
use crate::slot;

/// All keys of this feature.
pub static KEYS: &[Key<Conf>] = &[
    Key::<Conf>::field(
        "lxc.rootfs.managed",
        Kind::Bool,
        slot!(Bool, managed),
        "since: 4.0
         good: 0 | 1
         bad: 2
         default: 1

         0 leaves the rootfs alone when the container is destroyed, and refuses snapshots. `lxc.rootfs.managed = 0`",
    )
    .empty(Empty::Number(1))
    .reset(1),
    Key::own(
        "lxc.rootfs.mount",
        mount,
        "since: 1.0
         good: /mnt/c1 | //mnt//
         default: the directory compiled in

         The directory of the host on which the rootfs is mounted for the set-up; it must exist. `lxc.rootfs.mount = /mnt`",
    ),
    Key::own(
        "lxc.rootfs.options",
        options,
        "since: 1.0
         good: ro,nosuid | idmap=container
         bad: create=dir | optional | ro,relative | idmap=

         Mount options of the rootfs, comma-separated; idmap=container mounts it with the container's id map.
         `lxc.rootfs.options = ro`",
    ),
    Key::own(
        "lxc.rootfs.path lxc.rootfs",
        path,
        "since: 1.0
         good: /srv/c1 | dir:/srv/c1 | overlay:/lower:/upper
         default: the host's root

         The rootfs: a directory, image or device, or TYPE:PATH with one of dir, zfs, lvm, rbd, btrfs, overlay, loop, nbd.
         Without a type it is found out. `lxc.rootfs.path = dir:/var/lib/lxc/web1/rootfs`",
    ),
];

fn mount(op: Op<'_, Conf>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(c) if call.value.is_empty() => c.mount = None,
        Op::Set(c) => c.mount = Some(value::path(call.value)?),
        Op::Get(c) => return Ok(c.mount.as_deref().unwrap_or(dirs::ROOTFSMOUNT).to_string()),
        Op::Clear(c) => c.mount = None,
    }
    Ok(String::new())
}

fn options(op: Op<'_, Conf>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(c) if call.value.is_empty() => c.options = None,
        Op::Set(c) => {
            let mut at = 0;
            for word in call.value.split(',') {
                if matches!(word, "create=dir" | "create=file" | "optional" | "relative") {
                    return Err(Bad::new(format!("\"{word}\" is for lxc.mount.entry, not for a rootfs")).at(at));
                }
                if let Some(idmap) = word.strip_prefix("idmap=")
                    && idmap != "container"
                    && std::fs::metadata(idmap).is_err()
                {
                    return Err(Bad::new("idmap= needs container or the file of a user namespace").at(at));
                }
                at += word.len() + 1;
            }
            c.options = Some(call.value.to_string());
        }
        Op::Get(c) => return Ok(c.options.clone().unwrap_or_default()),
        Op::Clear(c) => c.options = None,
    }
    Ok(String::new())
}

/// A type prefix has no slash: `/a:b` is a path with a colon.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((kind, rest)) if !kind.contains('/') => (Some(kind).filter(|k| !k.is_empty()), rest),
        _ => (None, text),
    }
}

fn path(op: Op<'_, Conf>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(c) if !call.value.is_empty() => {
            let (kind, rest) = split(call.value);
            let path = value::path(rest)?;
            // The old lxc.rootfs leaves what lxc.rootfs.backend said, before or after it.
            if kind.is_some() || !call.legacy {
                c.backend = kind.map(str::to_string);
            }
            c.path = Some(path).filter(|p| !p.is_empty());
        }
        Op::Get(c) => return Ok(c.path.clone().unwrap_or_default()),
        Op::Set(c) | Op::Clear(c) => (c.path, c.backend) = (None, None),
    }
    Ok(String::new())
}
