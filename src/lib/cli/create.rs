//! lxc-create: makes a container by a template.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, not_built, tell, tell_config, told, utf8};
use crate::base::Result;
use crate::config::Config;
use crate::container::create::{Create, find_template};
use clap::Command;
use std::path::{Path, PathBuf};

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-create",
    text: "\
--name=NAME --template=TEMPLATE [OPTION...] [-- template-options]

Creates the container NAME: its config, its storage, and what TEMPLATE puts there.

-B, --bdev=BDEV\tkind of storage: dir (default), none, best; others are not built yet
-f, --config=CONFIG\tconfig to begin with (default: lxc.default_config of lxc.conf)
-t, --template=TEMPLATE\tname or path of the template; none makes only a config
#Storage on LVM (with -B lvm)
-0; --lvname=LVNAME\tname of the logical volume (the container's name)
-1; --vgname=VG\tvolume group (lxc)
-2; --thinpool=TP\tthin pool (lxc)
#Storage on LVM, a loop device or Ceph (with -B lvm, loop, rbd)
-3; --fstype=TYPE\tfile system (ext4)
-4; --fssize=SIZE[U]\tits size, with a unit of bBkKmMgGtT (1G; without a unit: M)
#Storage on ZFS (with -B zfs)
-5; --zfsroot=PATH\tdataset that it is made in (tank/lxc)
#Storage in a directory
-6; --dir=DIR\tput the rootfs at this absolute path
#Storage on Ceph (with -B rbd)
-7; --rbdname=RBDNAME\tname of the image (the container's name)
-8; --rbdpool=POOL\tpool (lxc)
-9; --rbduser=RBDUSER\tuser (admin)
=
=  -- template-options
=         What follows -- goes to the template as it stands;
=         lxc-create -t TEMPLATE -h shows what it knows.
=",
    named: Named::Must,
    types,
    check: |_| Ok(()),
    more_help: Some(template_help),
    run,
};

/// LXC's words for a name that is taken.
const EXISTS: &str = "Container already exists";

/// The kinds of storage that LXC knows.
pub(super) const KINDS: [&str; 11] =
    ["dir", "none", "best", "lvm", "loop", "btrfs", "zfs", "rbd", "nbd", "overlay", "overlayfs"];

fn types(mut cmd: Command) -> Command {
    for id in [
        "bdev", "template", "lvname", "vgname", "thinpool", "fstype", "fssize", "zfsroot", "rbdname", "rbdpool",
        "rbduser",
    ] {
        cmd = cmd.mut_arg(id, |a| a.value_parser(utf8));
    }
    cmd
}

/// `-t TEMPLATE -h`: the template's own help follows.
fn template_help(call: &Call) {
    let Some(name) = call.get::<String>("template").filter(|n| n != "none") else { return };
    match find_template(&name) {
        Ok(path) => {
            let _ = std::process::Command::new(path).arg("-h").status();
        }
        Err(e) => tell(call, &e),
    }
}

/// What does not go together.
fn conflict(call: &Call) -> Option<String> {
    let has = |ids: &[&str]| ids.iter().any(|id| call.get::<String>(id).is_some());
    let bdev = call.get::<String>("bdev").unwrap_or_default();
    if !call.path("dir").is_none_or(Path::is_absolute) {
        return Some("--dir should use absolute path".into());
    }
    if !bdev.is_empty() && !KINDS.contains(&bdev.as_str()) {
        return Some(format!("{bdev} is not a valid backing storage type"));
    }
    if has(&["fstype", "fssize"]) && !["lvm", "loop", "rbd", "best"].contains(&bdev.as_str()) {
        return Some("Filesystem type and size are only valid with block devices".into());
    }
    if has(&["lvname", "vgname", "thinpool"]) && !["lvm", "best"].contains(&bdev.as_str()) {
        return Some("--lvname, --vgname and --thinpool are only valid with -B lvm".into());
    }
    if has(&["rbdname", "rbdpool", "rbduser"]) && !["rbd", "best"].contains(&bdev.as_str()) {
        return Some("--rbdname and --rbdpool are only valid with -B rbd".into());
    }
    if has(&["zfsroot"]) && !["zfs", "best"].contains(&bdev.as_str()) {
        return Some("zfsroot is only valid with -B zfs".into());
    }
    None
}

fn run(call: &Call) -> Result<i32> {
    let Some(template) = call.get::<String>("template") else {
        crate::log_error!("A template must be specified");
        crate::log_error!("Use \"none\" if you really want a container without a rootfs");
        return Err(told(1));
    };
    if let Some(text) = conflict(call) {
        crate::log_error!("{text}");
        return Err(told(1));
    }
    let bdev = call.get::<String>("bdev");
    if let Some(kind) = bdev.as_deref().filter(|k| !["dir", "none", "best"].contains(k)) {
        return Err(not_built(format_args!("-B {kind}")));
    }
    let mut c = call.container()?;
    if c.is_running() && c.is_defined() {
        crate::log_error!("{EXISTS}");
        return Err(told(1));
    }
    // Before anything is said of its first config: where nothing can be made, that does not matter.
    if let Err(e) = c.make_store() {
        tell(call, &e);
        crate::log_error!("Failed to create container {}", call.name);
        return Err(told(1));
    }
    c.set_config(first_config(call));
    // Only the whole word: LXC took any beginning of it.
    let template = Some(template).filter(|t| t != "none");
    let want = Create {
        template,
        args: call.operands.clone(),
        dir: call.path("dir").map(Path::to_path_buf),
        bdev,
        quiet: call.quiet,
        complete: false,
    };
    match c.create(&want) {
        Ok(()) => Ok(0),
        Err(e) => {
            if e.what == EXISTS {
                crate::log_error!("{EXISTS}");
            } else {
                tell(call, &e);
                crate::log_error!("Failed to create container {}", call.name);
            }
            Err(told(if e.code == 0 { 1 } else { e.code }))
        }
    }
}

/// The config to begin with. One that cannot be read or parsed is told of and does not stop the creation.
fn first_config(call: &Call) -> Config {
    let file = call.path("config").map(Path::to_path_buf);
    let default = crate::base::paths::global("lxc.default_config").ok().flatten().map(PathBuf::from);
    let mut config = Config::new();
    if let Some(file) = file.or(default)
        && let Err(e) = config.load_file(&file)
    {
        tell_config(call, &e);
    }
    config
}
