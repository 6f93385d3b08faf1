//! Pseudo terminals of a container: its devpts instance, /dev/ptmx, the console, the ttys, init's standard streams.
//! Renders ops and opens the host's pair where the console is one; carries no bytes (that is the supervisor's).
#![forbid(unsafe_code)]

use super::{Conf, Prepared};
use crate::base::facts::Facts;
use crate::base::ids::IdKind;
use crate::base::op::{Act, At, Create, FdRef, MountOp, Op, Source, cstring, slot};
use crate::base::{Error, Result};
use libc::{MS_NOEXEC, MS_NOSUID, O_DIRECTORY, O_PATH};
use std::io::IsTerminal;
use std::os::fd::AsRawFd;

/// Slot of the console's monitor end; the container's end is the next one.
pub const CONSOLE: usize = slot::TERMINAL;
/// Slot of the devpts instance.
pub const DEVPTS: usize = slot::TERMINAL + 2;
/// Slot of tty1's monitor end; then tty1's other end, tty2's monitor end …
pub const TTYS: usize = slot::TERMINAL + 3;
/// How many ttys the slots hold.
pub const TTY_LIMIT: u32 = ((slot::COUNT - TTYS) / 2) as u32;
/// The group `tty` (Debian base-passwd).
const TTY_GID: u32 = 5;

/// How many ttys this start makes: lxc-execute and a shared root have none.
pub fn tty_count(conf: &Conf, facts: &Facts) -> u32 {
    if facts.useinit || facts.rootfs.is_none() { 0 } else { conf.tty_max }
}

/// There is a console at all.
pub fn has_console(conf: &Conf) -> bool {
    conf.console_path.as_deref() != Some("none")
}

/// The console comes from the container's own devpts.
pub fn console_inside(conf: &Conf, facts: &Facts) -> bool {
    has_console(conf) && conf.pty_max > 1 && facts.rootfs.is_some()
}

/// The console comes from the host's devpts.
pub fn console_outside(conf: &Conf, facts: &Facts) -> bool {
    has_console(conf) && !console_inside(conf, facts)
}

/// The number of ttys must fit.
///
/// # Errors
/// `lxc.tty.max` is larger than [`TTY_LIMIT`].
pub fn check(conf: &Conf, facts: &Facts) -> Result<()> {
    if tty_count(conf, facts) > TTY_LIMIT {
        return Err(
            Error::os(libc::ERANGE, format!("lxc.tty.max = {}: at most {TTY_LIMIT}", conf.tty_max)).stage("tty")
        );
    }
    Ok(())
}

/// How many ptys the devpts instance must allow; 0 for no instance.
fn instance_size(conf: &Conf, facts: &Facts) -> u32 {
    conf.pty_max.saturating_add(tty_count(conf, facts))
}

/// The ptmx of the container's devpts.
fn ptmx() -> At {
    At::Slot(DEVPTS, c"ptmx".into())
}

/// The devpts instance on /dev/pts, kept in a slot, and /dev/ptmx.
///
/// # Errors
/// None that input can reach.
pub fn devpts_ops(conf: &Conf, facts: &Facts) -> Result<Vec<Op>> {
    let max = instance_size(conf, facts);
    if max == 0 {
        return Ok(Vec::new());
    }
    let group = match facts.host_id(IdKind::Gid, TTY_GID) {
        Some(_) => format!("gid={TTY_GID},"),
        None => String::new(),
    };
    let data = Some(cstring(format!("{group}ptmxmode=0666,mode=0620,max={max}"))?);
    let mount = MountOp::fs(c"devpts".into(), c"devpts".into(), data, c"dev/pts".into(), MS_NOSUID | MS_NOEXEC);
    let open = Act::Open { at: At::Rootfs(c"dev/pts".into()), flags: O_PATH | O_DIRECTORY, slot: DEVPTS };
    let mut ops = vec![
        Op::new("devpts", "/dev/pts", Act::Mount(MountOp { create: Create::Dir, ..mount })),
        Op::new("devpts", "/dev/pts", open),
    ];
    if conf.pty_max > 0 {
        let bind = MountOp { create: Create::File, ..MountOp::bind(ptmx(), false, c"dev/ptmx".into(), 0) };
        let link = Act::Symlink { to: c"pts/ptmx".into(), at: At::Rootfs(c"dev/ptmx".into()) };
        ops.push(Op::new("devpts", "/dev/ptmx", Act::Mount(bind)).or(link));
    }
    Ok(ops)
}

/// A bind of a terminal on a file of /dev that is made when it is missing.
fn bind_on(stage: &'static str, source: Source, path: &str) -> Result<Op> {
    let target = At::Rootfs(cstring(path)?);
    let mount = MountOp { create: Create::File, ..MountOp::new(source, target) };
    Ok(Op::new(stage, format!("/{path}"), Act::Mount(mount)))
}

/// /dev/console, and the same in `lxc.tty.dir`.
///
/// # Errors
/// NUL in `lxc.tty.dir`.
pub fn console_ops(conf: &Conf, facts: &Facts, prepared: &Prepared) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    if facts.rootfs.is_none() {
        return Ok(ops);
    }
    let source = if console_inside(conf, facts) {
        ops.push(Op::new("console", "/dev/console", Act::Pty { ptmx: ptmx(), slot: CONSOLE }));
        Source::Fd(FdRef::Slot(CONSOLE + 1))
    } else if let Some(host) = &prepared.console {
        Source::Bind { from: At::Host(cstring(host.path.as_str())?), recursive: false }
    } else {
        return Ok(ops);
    };
    if let Some(dir) = conf.tty_dir.as_deref().filter(|d| !d.is_empty()) {
        ops.push(bind_on("console", source.clone(), &format!("dev/{dir}/console"))?);
    }
    ops.push(bind_on("console", source, "dev/console")?);
    Ok(ops)
}

/// /dev/tty1 … /dev/ttyN; in `lxc.tty.dir` with links when that is set. Takes /dev/pts away again when only the ttys
/// needed it.
///
/// # Errors
/// NUL in `lxc.tty.dir`.
pub fn tty_ops(conf: &Conf, facts: &Facts) -> Result<Vec<Op>> {
    let count = tty_count(conf, facts);
    let mut ops = Vec::new();
    let dir = conf.tty_dir.as_deref().filter(|d| !d.is_empty());
    for (n, slot) in (1..=count).zip((TTYS..).step_by(2)) {
        ops.push(Op::new("tty", format!("/dev/tty{n}"), Act::Pty { ptmx: ptmx(), slot }));
        let source = Source::Fd(FdRef::Slot(slot + 1));
        match dir {
            None => ops.push(bind_on("tty", source, &format!("dev/tty{n}"))?),
            Some(dir) => {
                ops.push(bind_on("tty", source, &format!("dev/{dir}/tty{n}"))?);
                let at = At::Rootfs(cstring(format!("dev/tty{n}"))?);
                let act = Act::Symlink { to: cstring(format!("{dir}/tty{n}"))?, at };
                ops.push(Op::new("tty", format!("/dev/tty{n}"), act));
            }
        }
    }
    if conf.pty_max == 0 && count > 0 {
        ops.push(Op::new("devpts", "/dev/pts", Act::Umount(At::Rootfs(c"dev/pts".into()), libc::MNT_DETACH)));
    }
    Ok(ops)
}

/// The value of init's `container_ttys`: the ttys' names below /dev; `None` without ttys. The instance is new and nobody
/// else opens it, so its numbers are known.
pub fn container_ttys(conf: &Conf, facts: &Facts) -> Option<String> {
    let first = u32::from(console_inside(conf, facts));
    let names: Vec<_> = (0..tty_count(conf, facts)).map(|i| format!("pts/{}", first + i)).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

/// Init's standard streams; near the end, after `start` hooks. A background container whose console is the host's gets
/// /dev/null (as LXC does), lxc-execute keeps what is no terminal.
pub fn stdio_ops(conf: &Conf, facts: &Facts, prepared: &Prepared, init_uid: u32) -> Vec<Op> {
    let console = if console_inside(conf, facts) {
        Some(FdRef::Slot(CONSOLE + 1))
    } else {
        prepared.console.as_ref().filter(|_| !facts.daemonize).map(|c| FdRef::Inherited(c.pty.as_raw_fd()))
    };
    let act = match console {
        // A command in the foreground keeps what is no terminal.
        Some(fd) if facts.useinit && !facts.daemonize => return replace_terminals(fd),
        Some(fd) => Act::Stdio(fd),
        None if facts.daemonize => Act::StdioNull,
        None => return Vec::new(),
    };
    let mut ops = vec![Op::new("console", "standard input, output and error", act.clone())];
    if let Act::Stdio(fd) = act {
        // -1 leaves the group (chown(2)): `tty` may write.
        let own = Act::OwnFd { fd, ids: Some((init_uid, u32::MAX)), mode: Some(0o600) };
        ops.push(Op::new("console", "/dev/console", own).optional());
    }
    ops
}

/// The console in place of those of 0, 1 and 2 that are terminals now.
fn replace_terminals(console: FdRef) -> Vec<Op> {
    let streams = [std::io::stdin().is_terminal(), std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
    let dup = |(to, _)| Op::new("console", format!("file descriptor {to}"), Act::Dup2 { fd: console, to });
    (0..).zip(streams).filter(|s| s.1).map(dup).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts { rootfs: Some("/r".into()), daemonize: true, ..Facts::default() }
    }

    fn paths(ops: &[Op]) -> Vec<String> {
        ops.iter()
            .map(|o| match &o.act {
                Act::Mount(MountOp { target: At::Rootfs(p), .. }) => format!("on {}", p.to_string_lossy()),
                Act::Symlink { to, at: At::Rootfs(p) } => {
                    format!("{} -> {}", p.to_string_lossy(), to.to_string_lossy())
                }
                Act::Pty { slot, .. } => format!("pty {slot}"),
                Act::Umount(At::Rootfs(p), _) => format!("off {}", p.to_string_lossy()),
                Act::Open { slot, .. } => format!("open {slot}"),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn no_ptys_no_instance() {
        assert!(devpts_ops(&Conf::default(), &facts()).expect("renders").is_empty());
    }

    #[test]
    fn the_instance_counts_ptys_and_ttys() {
        let conf = Conf { pty_max: 1024, tty_max: 4, ..Conf::default() };
        let ops = devpts_ops(&conf, &facts()).expect("renders");
        let Act::Mount(MountOp { source: Source::Fs { data: Some(d), .. }, .. }) = &ops[0].act else {
            panic!("{ops:?}")
        };
        assert_eq!(d.to_string_lossy(), "gid=5,ptmxmode=0666,mode=0620,max=1028");
        assert_eq!(paths(&ops), ["on dev/pts", &format!("open {DEVPTS}"), "on dev/ptmx"]);
        let execute = Facts { useinit: true, ..facts() };
        let ops = devpts_ops(&conf, &execute).expect("renders");
        let Act::Mount(MountOp { source: Source::Fs { data: Some(d), .. }, .. }) = &ops[0].act else {
            panic!("{ops:?}")
        };
        assert!(d.to_string_lossy().ends_with("max=1024"));
    }

    #[test]
    fn console_inside_and_in_a_directory() {
        let conf = Conf { pty_max: 2, tty_dir: Some("lxc".into()), ..Conf::default() };
        let ops = console_ops(&conf, &facts(), &Prepared::default()).expect("renders");
        assert_eq!(paths(&ops), [format!("pty {CONSOLE}").as_str(), "on dev/lxc/console", "on dev/console"]);
        let none = Conf { console_path: Some("none".into()), ..conf };
        assert!(console_ops(&none, &facts(), &Prepared::default()).expect("renders").is_empty());
    }

    #[test]
    fn ttys_plain_and_in_a_directory() {
        let conf = Conf { pty_max: 2, tty_max: 2, ..Conf::default() };
        let (a, b) = (format!("pty {TTYS}"), format!("pty {}", TTYS + 2));
        assert_eq!(paths(&tty_ops(&conf, &facts()).expect("renders")), [&a, "on dev/tty1", &b, "on dev/tty2"]);
        let conf = Conf { tty_max: 1, tty_dir: Some("d".into()), ..Conf::default() };
        assert_eq!(
            paths(&tty_ops(&conf, &facts()).expect("renders")),
            [&a, "on dev/d/tty1", "dev/tty1 -> d/tty1", "off dev/pts"]
        );
        assert!(check(&Conf { tty_max: TTY_LIMIT, ..Conf::default() }, &facts()).is_ok());
        assert!(check(&Conf { tty_max: TTY_LIMIT + 1, ..Conf::default() }, &facts()).is_err());
    }

    #[test]
    fn names_told_to_init() {
        let conf = Conf { pty_max: 2, tty_max: 2, ..Conf::default() };
        assert_eq!(container_ttys(&conf, &facts()).as_deref(), Some("pts/1 pts/2"));
        assert_eq!(container_ttys(&Conf { pty_max: 1, ..conf.clone() }, &facts()).as_deref(), Some("pts/0 pts/1"));
        assert_eq!(container_ttys(&conf, &Facts { useinit: true, ..facts() }), None);
    }

    #[test]
    fn streams_of_a_background_container() {
        let conf = Conf { pty_max: 2, ..Conf::default() };
        let ops = stdio_ops(&conf, &facts(), &Prepared::default(), 0);
        assert_eq!(ops[0].act, Act::Stdio(FdRef::Slot(CONSOLE + 1)));
        let ops = stdio_ops(&Conf::default(), &facts(), &Prepared::default(), 0);
        assert_eq!(ops[0].act, Act::StdioNull);
        let foreground = Facts { daemonize: false, ..facts() };
        let none = Conf { console_path: Some("none".into()), ..Conf::default() };
        assert!(stdio_ops(&none, &foreground, &Prepared::default(), 0).is_empty());
    }
}
