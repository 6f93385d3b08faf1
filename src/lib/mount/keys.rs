//! The keys of `mount`: rows only. What obeys them lies beside.
#![forbid(unsafe_code)]

use super::Conf;
use super::conf::{Cg, CgMode, Proc, Sys};
use crate::keys::{Answer, Bad, Call, Empty, Key, Kind, Op, value};
use crate::slot;

/// All keys of this feature.
pub static KEYS: &[Key<Conf>] = &[
    Key::own(
        "lxc.mount.auto",
        auto,
        "since: 1.0
         good: proc sys:ro cgroup | cgroup:mixed:force | shmounts:/srv/shared
         bad: proc:ro | tmpfs | cgroup2:rw

         File systems that are mounted without an entry, blank-separated: proc, proc:rw, sys:ro, sys:rw, sys:mixed, cgroup and
         cgroup-full each with :ro, :rw, :mixed and :force, cgroup2, cgroup2:ro, shmounts:HOSTDIR[:DIR].
         `lxc.mount.auto = proc:mixed sys:ro cgroup:mixed`",
    ),
    Key::field(
        "lxc.mount.entry",
        Kind::List,
        slot!(List, entries),
        "since: 1.0
         good: tmpfs tmp tmpfs rw,create=dir 0 0 | /srv srv none bind,optional 0 0

         One mount, as a line of fstab(5) with the target relative to the rootfs; more options: create=dir, create=file,
         optional, relative, idmap=. One line each. `lxc.mount.entry = /srv srv none bind,create=dir 0 0`",
    ),
    Key::<Conf>::field(
        "lxc.mount.fstab lxc.mount",
        Kind::Path,
        slot!(Text, fstab),
        "since: 1.0
         good: /var/lib/lxc/c1/fstab

         A file of mounts in the format of lxc.mount.entry. `lxc.mount.fstab = /var/lib/lxc/web1/fstab`",
    )
    .empty(Empty::Refuse),
];

/// One word of `lxc.mount.auto`, applied to `conf`.
fn word(conf: &mut Conf, word: &str) -> Result<(), Bad> {
    let cg = |full, v2, mode, force| Some(Cg { full, v2, mode, force });
    match word {
        "proc" | "proc:mixed" => conf.auto_proc = Proc::Mixed,
        "proc:rw" => conf.auto_proc = Proc::Rw,
        "sys" | "sys:mixed" => conf.auto_sys = Sys::Mixed,
        "sys:ro" => conf.auto_sys = Sys::Ro,
        "sys:rw" => conf.auto_sys = Sys::Rw,
        "cgroup2" | "cgroup2:force" => conf.auto_cgroup = cg(false, true, CgMode::Rw, true),
        "cgroup2:ro" | "cgroup2:ro:force" => conf.auto_cgroup = cg(false, true, CgMode::Ro, true),
        _ => {
            if let Some(dirs) = word.strip_prefix("shmounts:") {
                return shmounts(conf, dirs);
            }
            let mut parts = word.split(':');
            let full = match parts.next() {
                Some("cgroup") => false,
                Some("cgroup-full") => true,
                _ => return Err(Bad::new(format!("\"{word}\" is no automatic mount"))),
            };
            let (mode, force) = match (parts.next(), parts.next(), parts.next()) {
                (None, ..) => (CgMode::NoSpec, false),
                (Some("force"), None, _) => (CgMode::NoSpec, true),
                (Some(mode), tail @ (None | Some("force")), None) => (cg_mode(mode, word)?, tail.is_some()),
                _ => return Err(Bad::new(format!("\"{word}\" is no automatic mount"))),
            };
            conf.auto_cgroup = cg(full, false, mode, force);
        }
    }
    Ok(())
}

fn cg_mode(mode: &str, word: &str) -> Result<CgMode, Bad> {
    match mode {
        "ro" => Ok(CgMode::Ro),
        "rw" => Ok(CgMode::Rw),
        "mixed" => Ok(CgMode::Mixed),
        _ => Err(Bad::new(format!("\"{word}\" is no automatic mount"))),
    }
}

fn shmounts(conf: &mut Conf, dirs: &str) -> Result<(), Bad> {
    let (host, inside) = dirs.split_once(':').unwrap_or((dirs, ""));
    if host.is_empty() {
        return Err(Bad::new("shmounts: needs a directory of the host"));
    }
    let inside = if inside.is_empty() { "/dev/.lxc-mounts" } else { inside };
    conf.shmounts = Some((host.to_string(), inside.to_string()));
    Ok(())
}

fn clear_auto(conf: &mut Conf) {
    conf.auto_proc = Proc::No;
    conf.auto_sys = Sys::No;
    conf.auto_cgroup = None;
    conf.shmounts = None;
}

/// The words as a get shows them: not `cgroup2`, not `:force`, not `shmounts` (as LXC's, seen on 5.0.2).
fn show_auto(conf: &Conf) -> String {
    let proc = match conf.auto_proc {
        Proc::No => "",
        Proc::Mixed => "proc:mixed",
        Proc::Rw => "proc:rw",
    };
    let sys = match conf.auto_sys {
        Sys::No => "",
        Sys::Ro => "sys:ro",
        Sys::Rw => "sys:rw",
        Sys::Mixed => "sys:mixed",
    };
    let cgroup = match conf.auto_cgroup {
        Some(Cg { full, v2: false, mode, force: false }) => {
            let name = if full { "cgroup-full" } else { "cgroup" };
            let mode = match mode {
                CgMode::NoSpec => "",
                CgMode::Ro => ":ro",
                CgMode::Rw => ":rw",
                CgMode::Mixed => ":mixed",
            };
            format!("{name}{mode}")
        }
        _ => String::new(),
    };
    let words: Vec<&str> = [proc, sys, cgroup.as_str()].into_iter().filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

fn auto(op: Op<'_, Conf>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(c) if !call.value.is_empty() => {
            // All words or none.
            let mut new = Conf {
                auto_proc: c.auto_proc,
                auto_sys: c.auto_sys,
                auto_cgroup: c.auto_cgroup,
                shmounts: c.shmounts.clone(),
                ..Conf::default()
            };
            for (at, text) in value::words(call.value) {
                word(&mut new, text).map_err(|bad| bad.at(at))?;
            }
            c.auto_proc = new.auto_proc;
            c.auto_sys = new.auto_sys;
            c.auto_cgroup = new.auto_cgroup;
            c.shmounts = new.shmounts;
        }
        Op::Get(c) => return Ok(show_auto(c)),
        Op::Set(c) | Op::Clear(c) => clear_auto(c),
    }
    Ok(String::new())
}
