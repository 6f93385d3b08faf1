//! From a failure record to the one line that matters: what failed, on which object, why, and the command that mends it.
//! Looks at files, changes nothing.
#![forbid(unsafe_code)]

use super::interp::Fault;
use crate::base::facts::Facts;
use crate::base::op::{Act, At, Op, Source};
use crate::base::{Error, paths};
use crate::sys::path;
use nix::libc;
use std::ffi::CStr;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The stages that messages name, so that one can come back over a socket.
const STAGES: [&str; 28] = [
    "apparmor",
    "capabilities",
    "cgroup",
    "clone",
    "console",
    "cwd",
    "dev",
    "devpts",
    "hook",
    "hostname",
    "idmap",
    "ids",
    "init",
    "limits",
    "mount",
    "namespaces",
    "network",
    "pivot",
    "proc",
    "restore",
    "rootfs",
    "seccomp",
    "security",
    "start",
    "storage",
    "sync",
    "sysctl",
    "tty",
];

/// The stage of this name.
pub fn stage(name: &str) -> &'static str {
    STAGES.iter().find(|s| **s == name).copied().unwrap_or("start")
}

/// An op of the child failed.
pub fn op(op: &Op, fault: Fault, facts: &Facts) -> Error {
    if let Some(how) = super::host_hooks::script_said(fault.status) {
        let error = Error::new(format!("{}: {how}", op.object)).stage(op.stage);
        let helps = super::host_hooks::helps(fault.status);
        // Those of a start run inside, where the rootfs is /.
        let inside = if op.object.starts_with("lxc.hook.start ") { "; it runs inside of the rootfs" } else { "" };
        return error.hint(format!("{helps}{inside}"));
    }
    let error = Error::os(fault.errno, op.object.clone()).stage(op.stage);
    match hint(op, fault.errno, facts) {
        Some((what, hint)) => Error { what: what.unwrap_or(error.what.clone()), hint: Some(hint), ..error },
        None => error,
    }
}

/// A better text, when there is one, and what mends it.
fn hint(op: &Op, errno: i32, facts: &Facts) -> Option<(Option<String>, String)> {
    match errno {
        libc::ENOSPC | libc::EDQUOT => return Some((None, "make room: df shows what is full".into())),
        libc::EMFILE | libc::ENFILE => {
            return Some((None, "raise the limit on open files (ulimit -n, fs.file-max)".into()));
        }
        libc::ELOOP => {
            let text = "a symbolic link stands in the way inside the rootfs: replace it by a directory".to_string();
            return Some((None, text));
        }
        _ => {}
    }
    match &op.act {
        Act::Rootfs(r) => {
            let Some(Source::Bind { from: At::Host(path), .. }) = &r.source else { return None };
            path_trouble(path_of(path), errno, "lxc.rootfs.path =")
        }
        Act::Mount(m) => match &m.source {
            Source::Bind { from: At::Host(path), .. } if matches!(errno, libc::ENOENT | libc::EACCES) => {
                path_trouble(path_of(path), errno, "mount source")
            }
            Source::Fs { fstype, .. } if errno == libc::ENODEV => {
                let name = fstype.to_string_lossy();
                Some((None, format!("the kernel has no file system {name}: modprobe {name}")))
            }
            Source::Fs { fstype, .. } if errno == libc::EPERM && facts.userns() => {
                let name = fstype.to_string_lossy();
                Some((None, format!("the kernel does not let a user namespace mount {name}")))
            }
            _ if errno == libc::ENOENT => {
                Some((None, "the target does not exist: add create=dir or create=file".into()))
            }
            _ => None,
        },
        Act::Hostname(_) if errno == libc::EINVAL => Some((None, "lxc.uts.name may have 64 bytes at most".into())),
        Act::Unshare(_) if errno == libc::ENOSPC => {
            Some((None, "the limit on namespaces is reached: see /proc/sys/user/max_*_namespaces".into()))
        }
        Act::Chdir { .. } => Some((None, "lxc.init.cwd names a directory inside the container".into())),
        _ => None,
    }
}

/// The rootfs cannot be used: the component that is to blame is named.
pub fn rootfs(e: Error, facts: &Facts) -> Error {
    let Some(path) = facts.rootfs.as_deref().filter(|_| matches!(e.errno, libc::ENOENT | libc::EACCES)) else {
        return e;
    };
    match path_trouble(path, e.errno, "lxc.rootfs.path =") {
        Some((what, hint)) if e.what.contains(&*path.to_string_lossy()) => {
            let hint = e.hint.clone().filter(|_| e.errno == libc::EACCES).unwrap_or(hint);
            Error { what: what.unwrap_or_else(|| e.what.clone()), ..e }.hint(hint)
        }
        _ => e,
    }
}

fn path_of(path: &CStr) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()))
}

/// Names the first component that is missing, or that may not be passed.
fn path_trouble(path: &Path, errno: i32, what: &str) -> Option<(Option<String>, String)> {
    match errno {
        libc::ENOENT => {
            let gone = paths::first_missing(path)?;
            Some((
                Some(format!("{what} {}", paths::missing(path)?)),
                format!("create it, or correct the path: ls -ld {}", gone.display()),
            ))
        }
        libc::EACCES => {
            let shut = path.ancestors().filter(|a| !may_pass(a)).last()?;
            let text =
                format!("{what} {}: {} has no x permission for the container's root", path.display(), shut.display());
            Some((Some(text), format!("chmod o+x {}", shut.display())))
        }
        _ => None,
    }
}

fn may_pass(dir: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(dir).is_ok_and(|m| !m.is_dir() || m.permissions().mode() & 0o001 != 0)
}

/// Init could not be executed.
pub fn exec(program: &str, errno: i32, facts: &Facts) -> Error {
    let error = Error::os(errno, format!("cannot execute {program} in the container")).stage("init");
    let machine = facts.rootfs.as_deref().and_then(|r| elf_machine(r, program));
    match errno {
        libc::ENOENT => match machine {
            Some(_) => {
                error.hint("the file is there, but the interpreter that it names is not (dynamic loader, or #! line)")
            }
            None => error.hint("install an init in the rootfs, or name one: lxc.init.cmd, or lxc-start … -- COMMAND"),
        },
        libc::ENOEXEC => match machine {
            Some(m) if m != own_machine() => {
                let what = format!(
                    "cannot execute {program} in the container: it is made for {}, this machine is {}",
                    machine_name(m),
                    machine_name(own_machine())
                );
                Error { what, ..error }
                    .hint("use a rootfs of this machine's architecture, or install qemu-user-static with binfmt")
            }
            _ => error.hint("it is neither a program of this machine nor a script with #!"),
        },
        libc::EACCES => {
            error.hint(format!("it needs x permission, and so does each directory above it: chmod +x {program}"))
        }
        _ => error,
    }
}

/// `e_machine` of an ELF file (elf(5)), looked up inside the rootfs: its links lead nowhere else.
fn elf_machine(rootfs: &Path, program: &str) -> Option<u16> {
    let root = std::fs::File::open(rootfs).ok()?;
    let path = std::ffi::CString::new(program).ok()?;
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = path::openat2(root.as_fd(), &path, flags, 0, path::Resolve::InRoot).ok()?;
    let mut head = [0_u8; 20];
    std::fs::File::from(file).read_exact(&mut head).ok()?;
    let little = head.get(5) == Some(&1);
    let m: [u8; 2] = head.get(18..20)?.try_into().ok()?;
    head.starts_with(b"\x7fELF").then(|| if little { u16::from_le_bytes(m) } else { u16::from_be_bytes(m) })
}

/// `e_machine` of programs that this one was built for.
const fn own_machine() -> u16 {
    if cfg!(target_arch = "x86_64") {
        62
    } else if cfg!(target_arch = "aarch64") {
        183
    } else if cfg!(target_arch = "riscv64") {
        243
    } else if cfg!(target_arch = "s390x") {
        22
    } else if cfg!(target_arch = "powerpc64") {
        21
    } else if cfg!(target_arch = "x86") {
        3
    } else if cfg!(target_arch = "arm") {
        40
    } else {
        0
    }
}

fn machine_name(m: u16) -> String {
    match m {
        3 => "i386".into(),
        8 => "mips".into(),
        20 => "ppc".into(),
        21 => "ppc64".into(),
        22 => "s390x".into(),
        40 => "arm".into(),
        62 => "x86_64".into(),
        183 => "aarch64".into(),
        243 => "riscv64".into(),
        258 => "loongarch64".into(),
        n => format!("ELF machine {n}"),
    }
}

/// The clone itself was refused.
pub fn clone(errno: i32, facts: &Facts) -> Error {
    let error = Error::os(errno, "cannot create the container's namespaces").stage("clone");
    match errno {
        libc::EPERM if !facts.privileged => error.hint("start it as root, or give it an id map (lxc.idmap)"),
        libc::EPERM => error.hint("a capability is missing: CAP_SYS_ADMIN in the caller's user namespace"),
        libc::ENOSPC => error.hint("the limit on namespaces is reached: see /proc/sys/user/max_*_namespaces"),
        libc::EAGAIN => error.hint("the limit on processes is reached: ulimit -u, pids.max of the cgroup"),
        libc::EINVAL => error.hint("the kernel lacks one of the namespaces: see lxc-checkconfig"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::op::{MountOp, RootfsOp};

    fn fault(errno: i32) -> Fault {
        Fault { errno, status: 0 }
    }

    fn rootfs(path: &CStr) -> Op {
        let source = Source::Bind { from: At::Host(path.to_owned()), recursive: true };
        let r = RootfsOp {
            source: Some(source),
            mount: c"/mnt".into(),
            flags: 0,
            clear: 0,
            propagation: 0,
            idmapped: None,
        };
        Op::new("rootfs", "lxc.rootfs.path", Act::Rootfs(r))
    }

    #[test]
    fn the_first_missing_component_is_named() {
        let e = op(&rootfs(c"/tmp/lxc-no-such/a/b"), fault(libc::ENOENT), &Facts::default());
        assert_eq!(e.what, "lxc.rootfs.path = /tmp/lxc-no-such/a/b: /tmp/lxc-no-such does not exist");
        assert_eq!((e.stage, e.errno), ("rootfs", libc::ENOENT));
        assert!(e.hint.unwrap().contains("/tmp/lxc-no-such"));
    }

    #[test]
    fn a_hook_is_named_with_its_status() {
        let o = Op::new("hook", "lxc.hook.mount = /h", Act::Hook(0));
        let e = op(&o, Fault { errno: 0, status: 3 << 8 }, &Facts::default());
        assert_eq!(e.to_string(), "hook: lxc.hook.mount = /h: the script exited with status 3");
        assert!(e.hint.unwrap().contains("-l DEBUG"));
        let gone = op(&o, Fault { errno: 0, status: 127 << 8 }, &Facts::default()).hint.unwrap();
        assert!(gone.contains("correct the path"), "{gone}");
    }

    #[test]
    fn mounts_say_what_mends_them() {
        let fs = Source::Fs { fstype: c"btrfs".into(), name: c"none".into(), data: None };
        let m = Op::new("mount", "x", Act::Mount(MountOp::new(fs, At::Rootfs(c"y".into()))));
        assert!(op(&m, fault(libc::ENODEV), &Facts::default()).hint.unwrap().contains("modprobe btrfs"));
        assert!(op(&m, fault(libc::ENOSPC), &Facts::default()).hint.unwrap().contains("df"));
        assert!(op(&m, fault(libc::ELOOP), &Facts::default()).hint.unwrap().contains("symbolic link"));
    }

    #[test]
    fn a_foreign_init_is_told_from_a_missing_one() {
        let dir = std::env::temp_dir().join(format!("lxc-diagnose-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("sbin")).unwrap();
        let facts = Facts { rootfs: Some(dir.clone()), ..Facts::default() };
        assert!(exec("/sbin/init", libc::ENOENT, &facts).hint.unwrap().contains("lxc.init.cmd"));
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(18, 0);
        elf.extend([0xf3, 0, 0, 0]);
        std::fs::write(dir.join("sbin/init"), elf).unwrap();
        assert!(exec("/sbin/init", libc::ENOEXEC, &facts).what.contains("made for riscv64"));
        assert!(exec("/sbin/init", libc::ENOENT, &facts).hint.unwrap().contains("interpreter"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn stages_come_back_by_name() {
        assert_eq!((stage("mount"), stage("nonsense")), ("mount", "start"));
    }
}
