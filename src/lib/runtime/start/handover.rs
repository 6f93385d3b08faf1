//! The background monitor as a program of its own: `lxc-supervise` takes the place of the fork that `daemonise` would make.
//! The tool has checked everything and made the groups and the command socket by then; the program gets them with the
//! config as read, by a file in memory, and is the monitor from its first moment. It is static, has nothing to relocate,
//! and its heap never saw a command line: a third of the memory. Owns that file's form.
#![forbid(unsafe_code)]

use super::{Life, StartRequest, background};
use crate::base::facts::Facts;
use crate::base::pack::{Pack, Unpack};
use crate::base::{Error, Result, log};
use crate::cgroup::Groups;
use crate::runtime::pidfile::Pidfile;
use crate::runtime::{plan, supervise};
use crate::sys::signal::SigSet;
use crate::sys::{self, process, vfork};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// What the file begins with: only the program of the same build understands it.
const MARK: &str = concat!("monitor ", env!("CARGO_PKG_VERSION"));

/// The exit code of a program that did not take over.
pub(in crate::runtime) const REFUSED: i32 = 125;

/// Lets the program take over; the monitor's pid.
///
/// # Errors
/// The program is not installed, or cannot be executed: a fork will do.
pub(super) fn give(life: &Life<'_>) -> io::Result<i32> {
    let program = supervise::program();
    let missing = || io::Error::from_raw_os_error(nix::libc::ENOENT);
    let starter = life.starter.as_ref().ok_or_else(missing)?;
    let cgroup = life.groups.monitor_fd();
    let mut out = Pack::default();
    out.put(MARK.as_bytes());
    supervise::pack(life.request, &mut out);
    out.put(&signals(&life.mask));
    out.number(i64::from(cgroup.is_some()));
    out.number(i64::from(vfork::leaves_behind()));
    out.option(process::name().ok().as_deref());
    out.fd(life.command.as_fd());
    out.fd(starter.as_fd());
    out.number(i64::from(life.pidfile.is_some()));
    life.groups.pack(&mut out);
    log::pack(&mut out);
    let memory = sys::fd::memfd(c"lxc-monitor", out.bytes())?;
    let keep: Vec<_> = out.fds().iter().copied().chain([memory.as_raw_fd()]).collect();
    let number = CString::new(memory.as_raw_fd().to_string())?;
    let first = u32::try_from(super::first_foreign()).unwrap_or(3);
    vfork::exec_child(&program, &[&program, &number], cgroup, &keep, first)
}

/// The numbers of a set.
fn signals(set: &SigSet) -> Vec<u8> {
    (1..=64).filter(|n| set.has(i32::from(*n))).collect()
}

/// What the program takes over. Boxed, so that the stack of the monitor's long life stays low.
struct Taken {
    request: StartRequest,
    facts: Facts,
    mask: SigSet,
    cloned: bool,
    clean: bool,
    command: OwnedFd,
    starter: OwnedFd,
    pidfile: Option<Pidfile>,
    groups: Groups,
}

/// The monitor's whole life, in the program; the exit code. `bytes` is the file, `destroy` is for `lxc.ephemeral = 1`.
///
/// # Errors
/// The bytes are none that the tool of this build wrote.
pub(in crate::runtime) fn take(bytes: Vec<u8>, destroy: fn(&Path, &str) -> Result<()>) -> Result<i32> {
    let taken = taken(&bytes, destroy).ok_or_else(|| {
        Error::new("lxc-supervise and liblxc.so.1 are not of one build")
            .hint("install both from the same version; nothing else calls lxc-supervise")
    })?;
    drop(bytes);
    let Taken { request, facts, mask, cloned, clean, command, starter, pidfile, groups } = *taken;
    let life = Life { request: &request, facts: &facts, mask, command, pidfile, groups, starter: Some(starter) };
    Ok(background(life, cloned, clean))
}

#[inline(never)]
fn taken(bytes: &[u8], destroy: fn(&Path, &str) -> Result<()>) -> Option<Box<Taken>> {
    let mut from = Unpack::new(bytes);
    if from.field()? != MARK.as_bytes() {
        return None;
    }
    let mut request = supervise::unpack(&mut from)?;
    request.destroy = Some(destroy);
    let mut mask = SigSet::empty();
    from.field()?.iter().for_each(|n| mask.add(i32::from(*n)));
    let (cloned, clean) = (from.number()? != 0, from.number()? != 0);
    if let Some(name) = from.option()?.and_then(|n| CString::new(n).ok()) {
        let _ = process::set_name(&name);
    }
    let (command, starter) = (from.fd()?, from.fd()?);
    let pidfile = match (from.number()? != 0, &request.pidfile) {
        (true, Some(path)) => Some(Pidfile::created(path).ok()?),
        _ => None,
    };
    let groups = Groups::unpack(&mut from, &request.config.cgroup)?.ok()?;
    let mut facts = plan::facts(&request).ok()?;
    facts.unified = groups.host().layout == crate::cgroup::Layout::Unified;
    // Only now: the tool has logged all that the lines above had to say.
    let logging = log::unpack(&mut from)?;
    if !from.is_done() {
        return None;
    }
    logging.start();
    Some(Box::new(Taken { request, facts, mask, cloned, clean, command, starter, pidfile, groups }))
}
