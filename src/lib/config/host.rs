//! What a config asks of this host and the host lacks: a rootfs, a bridge, granted ids, files. All are warnings, in the
//! words of the start that would fail; files that can be read are looked through. Changes nothing.
#![forbid(unsafe_code)]

use super::check::{problem, refusal};
use super::{Config, Problem, Severity};
use crate::base::ids::IdKind;
use crate::base::{Error, paths};
use crate::hook::conf::When;
use crate::idmap;
use crate::network::conf::Kind;
use crate::storage::overlay;
use std::path::Path;

/// The warnings, and the errors of the files that the config names. `whole`: it is a container's own config, so that a
/// missing rootfs is worth a word.
pub fn lacks(config: &Config, whole: bool) -> Vec<Problem> {
    let mut all = Vec::new();
    if whole || config.storage.path.is_some() {
        rootfs(config, &mut all);
    }
    if !config.network.devices.values().any(|d| d.kind == Kind::None) {
        all.extend(crate::network::check_host(&config.network).iter().map(warning));
    }
    ids(config, &mut all);
    files(config, &mut all);
    hooks(config, &mut all);
    sysctls(config, &mut all);
    all
}

fn warning(error: &Error) -> Problem {
    refusal(Severity::Warning, error)
}

fn rootfs(config: &Config, all: &mut Vec<Problem>) {
    let conf = &config.storage;
    let Some(path) = conf.path.as_deref() else {
        if config.process.init_cmd.is_none() {
            let text = "neither lxc.rootfs.path nor lxc.init.cmd is set: lxc-start needs a command";
            all.push(problem(Severity::Warning, "", text, Some("set lxc.rootfs.path")));
        }
        return;
    };
    match crate::storage::backend::resolve(conf.backend.as_deref(), path) {
        // What is not built is refused by a start whatever the host has.
        Err(e) if e.errno == libc::ENOSYS => {}
        Err(e) => all.push(warning(&e)),
        Ok(crate::storage::backend::Kind::Overlay) => match overlay::split(path) {
            Err(e) => all.push(refusal(Severity::Error, &e)),
            Ok(parts) => {
                for lower in &parts.lower {
                    if let Err(e) = std::fs::metadata(lower) {
                        let text = format!("lxc.rootfs.path = overlay:{path}: lower directory {lower}");
                        all.push(Problem { key: "lxc.rootfs.path".into(), ..warning(&Error::io(&e, text)) });
                    }
                }
            }
        },
        Ok(_) => {
            let what = format!("lxc.rootfs.path = {path}");
            let fault = match std::fs::metadata(path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    let what = paths::missing(Path::new(path)).map(|m| format!("lxc.rootfs.path = {m}"));
                    Some(Error::io(&e, what.unwrap_or_default()))
                }
                Err(e) => Some(Error::io(&e, what)),
                Ok(m) if !m.is_dir() => Some(Error::os(libc::ENOTDIR, what)),
                Ok(_) => None,
            };
            let hint = "create the container first (lxc-create), or mend the path";
            all.extend(fault.map(|e| warning(&e.hint(hint))));
        }
    }
    let fault = conf.mount.as_deref().and_then(|dir| crate::storage::rootfs::check_mount_point(Path::new(dir)).err());
    all.extend(fault.as_ref().map(warning));
}

/// Ids that newuidmap(1) and newgidmap(1) will not map.
fn ids(config: &Config, all: &mut Vec<Problem>) {
    let maps = &config.idmap.maps;
    let path = std::env::var("PATH").unwrap_or_default();
    if maps.is_empty() || idmap::way(maps, &path) == idmap::Way::Direct {
        return;
    }
    for kind in [IdKind::Uid, IdKind::Gid] {
        all.extend(idmap::not_granted(maps, kind).iter().map(warning));
    }
}

/// The files that the config names: missing ones are warnings, faulty lines errors with their places.
fn files(config: &Config, all: &mut Vec<Problem>) {
    let named = [
        ("lxc.mount.fstab", &config.mount.fstab, super::format::Format::Fstab),
        ("lxc.seccomp.profile", &config.security.seccomp_profile, super::format::Format::Seccomp),
    ];
    for (key, path, format) in named {
        let Some(path) = path.as_deref() else { continue };
        match std::fs::read(path) {
            Ok(bytes) => all.extend(format.check(path, &bytes)),
            Err(e) => all.push(warning(&Error::io(&e, format!("{key} = {path}")))),
        }
    }
}

/// Files of `lxc.sysctl.*` and `lxc.proc.*` that this kernel does not have.
fn sysctls(config: &Config, all: &mut Vec<Problem>) {
    all.extend(crate::process::limits::missing(&config.process, Path::new("/proc")).iter().map(warning));
}

/// Hooks whose program is named by its path and is not there. Those inside the rootfs are not looked for.
fn hooks(config: &Config, all: &mut Vec<Problem>) {
    for when in When::ALL {
        if when == When::Start {
            continue;
        }
        for command in &config.hook.hooks[when as usize] {
            let program = command.split([' ', '\t']).next().unwrap_or_default();
            let what = || format!("lxc.hook.{} = {command}", when.name());
            let fault = match std::fs::metadata(program) {
                _ if !program.starts_with('/') => None,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    Some(Error::new(format!("{}: there is no such command", what())))
                }
                found => found.err().map(|e| Error::io(&e, what())),
            };
            all.extend(fault.as_ref().map(warning));
        }
    }
}
