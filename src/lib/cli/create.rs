//! lxc-create: makes a container. Owns the options; the order of a creation lies in `container::create`.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, not_built, told, utf8};
use crate::base::{Error, Result, spawn};
use crate::container::create::{Create, find_template, first_config};
use crate::container::{Container, create};
use clap::Command;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-create",
    text: "\
--name=NAME --template=TEMPLATE [OPTION...] [-- template-options]

lxc-create creates a container

-B, --bdev=BDEV\tStore the rootfs on BDEV: dir (default), none,
\tbest; the others are not built yet
-f, --config=CONFIG\tBegin with the config file CONFIG
-t, --template=TEMPLATE\tFill the container by TEMPLATE; none makes a
\tconfig file only
#Options of -B lvm:
-0; --lvname=LVNAME\tThe logical volume's name (the container's)
-1; --vgname=VGNAME\tThe volume group (lxc)
-2; --thinpool=THINPOOL\tThe thin pool (lxc)
#Options of -B lvm, loop and rbd:
-3; --fstype=FSTYPE\tThe file system (ext4)
-4; --fssize=FSSIZE\tIts size: a number and one of bBkKmMgGtT (1G)
#Options of -B zfs:
-5; --zfsroot=ZFSROOT\tThe file system to make it below (lxc)
#Options of -B dir:
-6; --dir=DIR\tThe rootfs's directory, an absolute path
#Options of -B rbd:
-7; --rbdname=RBDNAME\tThe image's name (the container's)
-8; --rbdpool=RBDPOOL\tThe pool (lxc)
-9; --rbduser=RBDUSER\tThe user (admin)
=
=What follows -- is passed to the template: lxc-create -t TEMPLATE -h
=shows what it takes.",
    named: Named::Must,
    types,
    check: |_| Ok(()),
    more_help: Some(template_help),
    run,
};

/// The backends that LXC knows.
const BACKENDS: [&str; 11] =
    ["dir", "lvm", "loop", "btrfs", "nbd", "rbd", "zfs", "overlay", "overlayfs", "best", "none"];

fn types(cmd: Command) -> Command {
    cmd.mut_arg("template", |a| a.value_parser(utf8)).mut_arg("bdev", |a| a.value_parser(utf8))
}

/// `-t TEMPLATE -h` shows the template's own help as well.
fn template_help(call: &Call) {
    let Some(name) = call.get::<String>("template") else { return };
    if let Ok(path) = find_template(&name) {
        let shown = spawn::Command::new(path).args(["-h"]).output(spawn::Output::Inherit).run(|_| ());
        if let Err(e) = shown {
            call.say(e);
        }
    }
}

/// `none`, or a prefix of it, as LXC takes it.
fn is_none(template: &str) -> bool {
    !template.is_empty() && "none".starts_with(template)
}

/// Options of one backend are wrong with another.
fn check_backend(call: &Call, bdev: Option<&str>) -> std::result::Result<(), String> {
    let given = |names: &[&str]| names.iter().any(|n| call.os(n).is_some());
    if given(&["fstype", "fssize"]) && !matches!(bdev, Some("lvm" | "loop" | "rbd")) {
        return Err("--fstype and --fssize are only valid with -B lvm, -B loop or -B rbd".into());
    }
    if given(&["lvname", "vgname", "thinpool"]) && bdev != Some("lvm") {
        return Err("--lvname, --vgname and --thinpool are only valid with -B lvm".into());
    }
    if given(&["rbdname", "rbdpool", "rbduser"]) && bdev != Some("rbd") {
        return Err("--rbdname and --rbdpool are only valid with -B rbd".into());
    }
    if given(&["zfsroot"]) && bdev != Some("zfs") {
        return Err("zfsroot is only valid with -B zfs".into());
    }
    Ok(())
}

fn run(call: &Call) -> Result<i32> {
    let Some(template) = call.get::<String>("template") else {
        crate::log_error!("A template must be specified");
        crate::log_error!("Use \"none\" if you really want a container without a rootfs");
        return Ok(1);
    };
    let dir = call.path("dir");
    if dir.is_some_and(|d| !d.is_absolute()) {
        crate::log_error!("--dir should use absolute path");
        return Ok(1);
    }
    let bdev = call.get::<String>("bdev");
    if let Some(name) = bdev.as_deref()
        && !BACKENDS.contains(&name)
    {
        crate::log_error!("{name} is not a valid backing storage type");
        return Ok(1);
    }
    if let Err(e) = check_backend(call, bdev.as_deref()) {
        crate::log_error!("{e}");
        return Ok(1);
    }
    if let Some(name) = bdev.as_deref().filter(|b| !matches!(*b, "dir" | "none" | "best")) {
        return Err(not_built(format_args!("-B {name}")));
    }
    let mut container = Container::new(&call.name, Some(&call.lxcpath))?;
    container.clear_broken_creation()?;
    if container.is_defined() || container.creation() == crate::container::partial::Creation::Ongoing {
        crate::log_error!("Container already exists");
        return Ok(1);
    }
    let file = call.path("config").or(call.rcfile.as_deref());
    container.set_config(first_config(file).map_err(|e| match file {
        Some(file) => Error { what: format!("{} (initial config {})", e.what, file.display()), ..e },
        None => e,
    })?);
    let want = Create {
        template: (!is_none(&template)).then_some(template),
        args: call.operands.clone(),
        dir: dir.map(Into::into),
        bdev,
        quiet: call.quiet,
    };
    match container.create(&want) {
        Ok(()) => Ok(0),
        Err(e) => {
            super::common::tell(call, &e);
            if e.code <= 128 {
                crate::log_error!("Failed to create container {}", call.name);
            }
            Err(told(e.code.max(1)))
        }
    }
}

/// The templates that are installed, for completion.
pub fn templates() -> Vec<String> {
    create::templates()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_prefix_of_none_is_none() {
        assert!(is_none("none") && is_none("n"));
        assert!(!is_none("") && !is_none("nonexist") && !is_none("busybox"));
    }
}
