//! The interpreter of ops: what the child does between clone and exec. Calls `sys` only; allocates nothing, takes no lock,
//! formats nothing (the global allocator aborts a debug build that does). Renders nothing and decides nothing: order and
//! content come from the plan.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods)]

use super::sync::{Channel, Kind, MAX_FDS, Record};
use crate::base::op::{Act, FdRef, OnFail, Op, slot};
use crate::sys;
use crate::sys::process::{Clone3, ExecArgs};
use nix::libc;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Everything that the child needs, rendered before the clone.
#[derive(Debug)]
pub struct Script {
    /// In order.
    pub ops: Vec<Op>,
    /// The hooks that run inside, by the number in `Act::Hook`.
    pub hooks: Vec<ExecArgs>,
    /// Becomes 1 and 2 of those hooks.
    pub hook_output: Option<OwnedFd>,
    /// /dev/null of the host.
    pub null: OwnedFd,
    /// Init.
    pub exec: Exec,
    /// The signal mask that init gets.
    pub mask: sys::signal::SigSet,
    /// Each op's time is told.
    pub trace: bool,
    /// lxc-execute: the child itself becomes the small init that supervises the command.
    pub supervise: Option<fn(&Exec) -> !>,
}

/// What is executed.
#[derive(Debug)]
pub struct Exec {
    /// Where it may be, in the order of the search.
    pub paths: Vec<CString>,
    /// Arguments and environment.
    pub args: ExecArgs,
}

/// An op's failure: errno, and the wait status of a hook that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Error number; 0 when a hook failed.
    pub errno: i32,
    /// Wait status of the hook.
    pub status: i32,
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        Self { errno: e.raw_os_error().unwrap_or(libc::EIO), status: 0 }
    }
}

/// Result of an op.
pub type Done = Result<(), Fault>;

/// An errno as an error, without allocation.
pub(super) fn err(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// The child's state.
pub struct Child<'a> {
    pub(super) script: &'a Script,
    pub(super) channel: &'a Channel,
    /// Base of `At::Rootfs`.
    pub(super) root: Option<OwnedFd>,
    /// A proc instance of the container's own, attached nowhere.
    pub(super) proc: Option<OwnedFd>,
    pub(super) slots: [Option<OwnedFd>; slot::COUNT],
    /// The directory worked in last.
    pub(super) parent: Option<super::interp_path::Parent>,
    /// The file mode mask that hooks and init get.
    umask: u32,
}

impl<'a> Child<'a> {
    /// Before the first op.
    pub fn new(script: &'a Script, channel: &'a Channel, umask: u32) -> Self {
        Self { script, channel, root: None, proc: None, slots: [const { None }; slot::COUNT], parent: None, umask }
    }

    /// Carries out all ops; the first failure that counts ends it.
    ///
    /// # Errors
    /// Number of the op, and its fault.
    pub fn run(&mut self) -> Result<(), (u32, Fault)> {
        let script = self.script;
        let mut before = if script.trace { now() } else { 0 };
        for (i, op) in script.ops.iter().enumerate() {
            let i = i as u32;
            if let Err(fault) = self.op(op) {
                if op.on_fail == OnFail::Abort {
                    return Err((i, fault));
                }
                let told = Record { b: fault.errno, c: fault.status, ..Record::new(Kind::Passed, i) };
                self.channel.send(&told, &[]).map_err(|e| (i, e.into()))?;
            }
            if script.trace {
                let now = now();
                let told = Record { time: now.saturating_sub(before), ..Record::new(Kind::Trace, i) };
                self.channel.send(&told, &[]).map_err(|e| (i, e.into()))?;
                before = now;
            }
        }
        Ok(())
    }

    fn op(&mut self, op: &Op) -> Done {
        match (self.act(&op.act), &op.fallback) {
            (Err(_), Some(second)) => self.act(second),
            (done, _) => done,
        }
    }

    fn act(&mut self, act: &Act) -> Done {
        match act {
            Act::Mkdir(..) | Act::Node { .. } | Act::Symlink { .. } | Act::Write { .. } => self.file_act(act),
            Act::WriteFd(..) | Act::Open { .. } | Act::Close(_) | Act::OwnFd { .. } => self.fd_act(act),
            Act::Mount(_) | Act::Umount(..) | Act::Rootfs(_) | Act::Pivot | Act::Hook(_) => self.mount_act(act),
            Act::Propagate(at, how) => Ok(self.propagate(at, *how)?),
            Act::Pty { .. } | Act::Stdio(_) | Act::Dup2 { .. } | Act::StdioNull | Act::Setsid => self.terminal_act(act),
            Act::Sync(n) => self.meet(*n),
            Act::SendFds { what, slots } => self.send_fds(*what, slots),
            other => self.process_act(other),
        }
    }

    /// What may put something else where paths led before.
    fn mount_act(&mut self, act: &Act) -> Done {
        let done = match act {
            Act::Mount(m) => self.mount(m).map_err(Fault::from),
            Act::Umount(at, flags) => self.umount(at, *flags).map_err(Fault::from),
            Act::Rootfs(r) => self.rootfs(r).map_err(Fault::from),
            Act::Pivot => self.pivot().map_err(Fault::from),
            Act::Hook(n) => self.hook(*n),
            _ => Err(err(libc::ENOSYS).into()),
        };
        self.parent = None;
        done
    }

    fn fd_act(&mut self, act: &Act) -> Done {
        match act {
            Act::WriteFd(fd, bytes) => Ok(sys::fd::write_all(self.fd(*fd)?, bytes)?),
            Act::Open { at, flags, slot } => {
                let fd = self.open(at, *flags)?;
                self.put(*slot, fd)
            }
            Act::Close(slot) => {
                self.slots.get_mut(*slot).ok_or_else(|| err(libc::EBADF))?.take();
                Ok(())
            }
            Act::OwnFd { fd, ids, mode } => {
                let fd = self.fd(*fd)?;
                if let Some((uid, gid)) = ids {
                    sys::path::chownat(fd, c"", *uid, *gid)?;
                }
                if let Some(mode) = mode {
                    sys::path::chmod_fd(fd, *mode)?;
                }
                Ok(())
            }
            _ => Err(err(libc::ENOSYS).into()),
        }
    }

    fn terminal_act(&mut self, act: &Act) -> Done {
        match act {
            Act::Pty { ptmx, slot } => {
                let ptx = self.open(ptmx, libc::O_RDWR | libc::O_NOCTTY)?;
                let pair = sys::pty::open_from(ptx)?;
                self.put(*slot, pair.ptx)?;
                self.put(*slot + 1, pair.pty)
            }
            Act::Stdio(fd) => Ok(stdio(self.fd(*fd)?)?),
            Act::Dup2 { fd, to } => Ok(sys::fd::dup_onto(self.fd(*fd)?, *to)?),
            Act::StdioNull => {
                let own = own_null();
                Ok(stdio(own.as_ref().map_or(self.script.null.as_fd(), AsFd::as_fd))?)
            }
            Act::Setsid => Ok(sys::process::setsid().map(drop)?),
            _ => Err(err(libc::ENOSYS).into()),
        }
    }

    fn process_act(&mut self, act: &Act) -> Done {
        match act {
            Act::Hostname(name) => sys::ns::sethostname(name)?,
            Act::Unshare(flags) => sys::ns::unshare(*flags)?,
            Act::Setns(fd, flags) => sys::ns::setns(self.fd(*fd)?, *flags)?,
            Act::SetGroups(groups) => sys::cred::setgroups(groups)?,
            Act::SetIds { uid, gid } => {
                if let Some(gid) = gid {
                    sys::cred::setgid_all(*gid)?;
                }
                if let Some(uid) = uid {
                    sys::cred::setuid_all(*uid)?;
                }
            }
            Act::Dumpable(on) => sys::process::set_dumpable(*on)?,
            Act::Pdeathsig(sig) => {
                sys::process::set_pdeathsig(*sig)?;
                if *sig != 0 && self.channel.peer_gone() {
                    return Err(err(libc::ECANCELED).into());
                }
            }
            Act::CapBound(mask) => drop_bounding(*mask)?,
            Act::NoNewPrivs => sys::process::set_no_new_privs()?,
            Act::Personality(p) => drop(sys::process::personality(*p)?),
            Act::Keyring => sys::process::new_session_keyring()?,
            Act::Seccomp { program, flags, slot } => {
                if let Some(listener) = sys::seccomp::load_filter(program, *flags)? {
                    self.put(*slot, listener)?;
                }
            }
            Act::Chdir { path, create } => chdir(path, *create)?,
            Act::Netlink(slot) => {
                let socket = sys::netlink::open_fd()?;
                self.put(*slot, socket)?;
            }
            _ => return Err(err(libc::ENOSYS).into()),
        }
        Ok(())
    }

    /// A descriptor by reference.
    pub(super) fn fd(&self, fd: FdRef) -> io::Result<BorrowedFd<'_>> {
        match fd {
            FdRef::Inherited(raw) => sys::fd::borrow(raw),
            FdRef::Slot(n) => {
                self.slots.get(n).and_then(Option::as_ref).map(AsFd::as_fd).ok_or_else(|| err(libc::EBADF))
            }
        }
    }

    /// Fills a slot; what was in it is closed.
    pub(super) fn put(&mut self, slot: usize, fd: OwnedFd) -> Done {
        *self.slots.get_mut(slot).ok_or_else(|| err(libc::EBADF))? = Some(fd);
        Ok(())
    }

    fn meet(&mut self, n: u8) -> Done {
        self.channel.send(&Record::new(Kind::Meet, u32::from(n)), &[])?;
        self.channel.wait_go()?;
        Ok(())
    }

    fn send_fds(&mut self, what: u8, slots: &[usize]) -> Done {
        let mut list = [self.script.null.as_fd(); MAX_FDS];
        let (mut n, mut filled) = (0, 0_i32);
        for (i, slot) in slots.iter().enumerate().take(MAX_FDS) {
            if let (Some(fd), Some(place)) = (self.slots.get(*slot).and_then(Option::as_ref), list.get_mut(n)) {
                *place = fd.as_fd();
                filled |= 1 << i;
                n += 1;
            }
        }
        let record = Record { b: filled, ..Record::new(Kind::Fds, u32::from(what)) };
        let list = list.get(..n).ok_or_else(|| err(libc::EINVAL))?;
        Ok(self.channel.send(&record, list)?)
    }

    /// Runs a hook and waits for it.
    fn hook(&mut self, n: usize) -> Done {
        let (script, umask) = (self.script, self.umask);
        let args = script.hooks.get(n).ok_or_else(|| err(libc::EINVAL))?;
        self.channel.send(&Record::new(Kind::Hook, n as u32), &[])?;
        let child = sys::process::clone3(&Clone3::default(), || {
            if let Some(out) = &script.hook_output {
                let _ = sys::fd::dup_onto(out.as_fd(), 1);
                let _ = sys::fd::dup_onto(out.as_fd(), 2);
            }
            sys::process::umask(umask);
            let e = sys::process::execve(args.program().unwrap_or(c""), args);
            sys::process::exit_now(if e.raw_os_error() == Some(libc::ENOENT) { 127 } else { 126 })
        })?;
        let status = sys::process::wait_pid(child.pid, 0)?.1;
        if status == 0 { Ok(()) } else { Err(Fault { errno: 0, status }) }
    }

    /// The private proc instance, made at its first use.
    pub(super) fn proc(&mut self) -> io::Result<BorrowedFd<'_>> {
        if self.proc.is_none() {
            let context = sys::mount::fsopen(c"proc")?;
            sys::mount::fsconfig_create(context.as_fd())?;
            self.proc = Some(sys::mount::fsmount(context.as_fd(), sys::mount::ATTR_NOSUID | sys::mount::ATTR_NODEV)?);
        }
        self.proc.as_ref().map(AsFd::as_fd).ok_or_else(|| err(libc::ENOENT))
    }
}

/// Drops what the mask lacks, up to the kernel's last capability.
fn drop_bounding(mask: u64) -> io::Result<()> {
    for cap in 0..64_u8 {
        if mask & (1 << cap) != 0 {
            continue;
        }
        match sys::cred::cap_bset_drop(cap) {
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => return Ok(()),
            done => done?,
        }
    }
    Ok(())
}

/// The descriptor becomes 0, 1 and 2.
fn stdio(fd: BorrowedFd<'_>) -> io::Result<()> {
    for n in 0..3 {
        sys::fd::dup_onto(fd, n)?;
    }
    Ok(())
}

/// The container's own /dev/null, when it is one: a file of the host's would tie init to a mount outside of its namespace,
/// which criu cannot dump. What else lies there is hostile and not waited for.
fn own_null() -> Option<OwnedFd> {
    const NULL: u64 = 0x103;
    let flags = libc::O_RDWR | libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
    let fd = sys::path::open(c"/dev/null", flags, 0).ok()?;
    let st = sys::path::fstat(fd.as_fd()).ok()?;
    let null = st.mode & libc::S_IFMT == libc::S_IFCHR && st.rdev == NULL;
    (null && sys::fd::set_nonblocking(fd.as_fd(), false).is_ok()).then_some(fd)
}

/// Nanoseconds of a clock that does not jump.
fn now() -> u64 {
    sys::time::monotonic().as_nanos() as u64
}

fn chdir(path: &CString, create: bool) -> io::Result<()> {
    match sys::process::chdir(path) {
        Err(e) if create && e.raw_os_error() == Some(libc::ENOENT) => {
            let root = sys::path::open(c"/", libc::O_PATH | libc::O_DIRECTORY, 0)?;
            drop(super::interp_path::make_dirs(root.as_fd(), path, 0o755)?);
            sys::process::chdir(path)
        }
        done => done,
    }
}
