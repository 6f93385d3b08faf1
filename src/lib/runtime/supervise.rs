//! A start from a process that must not be forked: one with threads, or a large one (callers of the C library). A small
//! program, libexec/lxc/lxc-supervise, gets the request by a file in memory, starts the container as lxc-start would, says
//! how that went and ends. Owns that request's form; what a start is lies in `start`.
#![forbid(unsafe_code)]

use super::restore::Restore;
use super::start::{self, StartRequest, Started};
use crate::base::log;
use crate::base::pack::{Pack, Unpack};
use crate::base::{Context, Error, Result};
use crate::config::Config;
use crate::sys::{self, process, scm};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Where the program finds its request; above what LISTEN_FDS may pass on.
const REQUEST: RawFd = 240;
/// Where it answers. Left open over exec, so that the monitor closes it as one that the caller left behind.
const ANSWER: RawFd = 241;

/// The program.
pub(super) fn program() -> CString {
    CString::new(concat!(env!("LXC_LIBEXECDIR"), "/lxc/lxc-supervise")).unwrap_or_default()
}

/// Starts `request`, which is a background one, by the program.
///
/// # Errors
/// As [`start::run`]; `None` when the program is not installed: the caller has to fork then.
pub fn spawn(request: &StartRequest) -> Option<Result<Started>> {
    let program = program();
    if std::fs::metadata(OsStr::from_bytes(program.as_bytes())).is_err() {
        return None;
    }
    Some(by_program(&program, request))
}

fn by_program(program: &CStr, request: &StartRequest) -> Result<Started> {
    let what = || format!("running {}", program.to_string_lossy());
    let memory = sys::fd::memfd(c"lxc-request", &encode(request)).ctx(what)?;
    let (ours, theirs) = sys::socket::pair_seqpacket().ctx(what)?;
    let env: Vec<CString> = std::env::vars_os()
        .filter_map(|(k, v)| CString::new([k.as_bytes(), b"=", v.as_bytes()].concat()).ok())
        .collect();
    let args = process::ExecArgs::new(&[program.to_owned()], &env);
    // Above both numbers, so that putting one in its place overwrites none of the others.
    let high = |fd: OwnedFd| sys::fd::dup_above(fd.as_fd(), ANSWER + 1).ctx(what);
    let (memory, theirs) = (high(memory)?, high(theirs)?);
    let fds = [(memory.as_raw_fd(), REQUEST), (theirs.as_raw_fd(), ANSWER)];
    let pid = process::spawn(program, &args, &fds, false).ctx(what)?;
    drop((memory, theirs));
    let answer = answer(&ours, pid).ctx(what);
    // A caller that ignores SIGCHLD has nothing left to reap.
    let _ = process::wait_pid(pid, 0);
    start::understood(&String::from_utf8_lossy(&answer?)).map(Started::Monitor)
}

/// What the program says, or nothing when it ends without a word. Its end is watched: that of the socket is not, since
/// another thread may have forked a process that holds a copy of the program's side.
fn answer(from: &OwnedFd, pid: i32) -> std::io::Result<Vec<u8>> {
    use crate::sys::poll::{POLLIN, PollFd, poll};
    let mut answer = vec![0; 16384];
    if let Ok(program) = process::pidfd_open(pid) {
        let mut set = [PollFd::new(from.as_fd(), POLLIN), PollFd::new(program.as_fd(), POLLIN)];
        poll(&mut set, -1)?;
        sys::fd::set_nonblocking(from.as_fd(), true)?;
    }
    let bytes = match scm::recv(from.as_fd(), &mut answer) {
        Ok(got) => got.bytes,
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => 0,
        Err(e) => return Err(e),
    };
    answer.truncate(bytes);
    Ok(answer)
}

/// The program's whole life; the exit code. `file` is the number of the file that says what the monitor takes over; without
/// one it starts a container for a caller of the library. `destroy` is for `lxc.ephemeral = 1`.
pub fn main(file: Option<&str>, destroy: fn(&Path, &str) -> Result<()>) -> i32 {
    if let Some(file) = file {
        let taken = read(file.parse().unwrap_or(-1)).and_then(|bytes| start::handover::take(bytes, destroy));
        return taken.unwrap_or_else(|e| {
            eprintln!("lxc-supervise: {e}");
            start::handover::REFUSED
        });
    }
    let done = answered(destroy);
    let text = match &done {
        Ok(pid) => format!("R{pid}"),
        Err(e) => start::failure(e),
    };
    if let Ok(to) = sys::fd::borrow(ANSWER) {
        let _ = sys::fd::write_all(to, text.as_bytes());
    }
    i32::from(done.is_err())
}

/// In the program: the other end of this is the caller's, who may end before the monitor has said a word.
pub(super) fn caller() -> Option<BorrowedFd<'static>> {
    sys::fd::borrow(ANSWER).ok()
}

/// The whole of a file by its number.
fn read(number: RawFd) -> Result<Vec<u8>> {
    let usage = |_| Error::new("lxc-supervise is run by liblxc only");
    let memory = sys::fd::adopt(number).map_err(usage)?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::from(memory), &mut bytes).ctx(|| "the request".into())?;
    Ok(bytes)
}

fn answered(destroy: fn(&Path, &str) -> Result<()>) -> Result<i32> {
    let usage = || Error::new("lxc-supervise is run by liblxc only");
    let bytes = read(REQUEST)?;
    let (mut request, setup) = decode(&bytes).ok_or_else(usage)?;
    request.destroy = Some(destroy);
    open_log(&setup.unwrap_or_else(|| log::Setup { quiet: true, ..log::Setup::default() }), &request.config);
    match start::run(&request)? {
        Started::Monitor(pid) => Ok(pid),
        Started::Ended(_) => Err(usage()),
    }
}

/// The caller's log; where it has none, what the config says.
fn open_log(setup: &log::Setup, config: &Config) {
    let opened = log::init(setup).and_then(|()| {
        let level = config.log.level.and_then(|l| log::Level::from_number(i32::from(l)));
        log::apply_config(level, config.log.file.as_deref().map(Path::new))
    });
    if let Err(e) = opened {
        crate::log_warn!("{e}");
    }
}

/// Writes a request down; of the config its settings, as they were read.
pub(super) fn pack(request: &StartRequest, out: &mut Pack) {
    out.put(&[u8::from(request.useinit), u8::from(request.close_fds), u8::from(request.pidfile.is_some())]);
    out.put(request.name.as_bytes());
    out.path(&request.lxcpath);
    out.path(&request.config_file);
    out.path(request.pidfile.as_deref().unwrap_or(Path::new("")));
    out.put(request.config.effective().as_bytes());
    out.put(&request.restore.as_ref().map(Restore::pack).unwrap_or_default());
    out.number(request.argv.len() as i64);
    request.argv.iter().for_each(|arg| out.put(arg.as_bytes()));
}

/// A request that [`pack`] wrote, for a background start in the program.
pub(super) fn unpack(from: &mut Unpack<'_>) -> Option<StartRequest> {
    let flags = from.field()?;
    let on = |i: usize| flags.get(i) == Some(&1);
    let (name, lxcpath, config_file, pidfile) = (from.text()?, from.path()?, from.path()?, from.path()?);
    let config = Config::from_effective(std::str::from_utf8(from.field()?).ok()?).ok()?;
    let restore = Restore::unpack(from.field()?);
    let argv = (0..from.number()?).map(|_| CString::new(from.field()?).ok()).collect::<Option<Vec<_>>>()?;
    Some(StartRequest {
        name,
        lxcpath,
        config,
        config_file,
        useinit: on(0),
        argv,
        daemonize: true,
        close_fds: on(1),
        pidfile: on(2).then_some(pidfile),
        destroy: None,
        from_library: false,
        restore,
        in_supervise: true,
    })
}

fn encode(request: &StartRequest) -> Vec<u8> {
    let mut out = Pack::default();
    pack(request, &mut out);
    let setup = log::setup();
    out.number(i64::from(setup.is_some()));
    let setup = setup.unwrap_or_default();
    out.put(setup.prog.as_bytes());
    out.path(setup.file.as_deref().unwrap_or(Path::new("none")));
    out.put(log::level().name().as_bytes());
    out.bytes().to_vec()
}

fn decode(bytes: &[u8]) -> Option<(StartRequest, Option<log::Setup>)> {
    let mut from = Unpack::new(bytes);
    let request = unpack(&mut from)?;
    let logs = from.number()? == 1;
    let setup = log::Setup {
        prog: from.text()?,
        file: Some(from.path()?),
        level: Some(from.text()?),
        name: request.name.clone(),
        lxcpath: request.lxcpath.clone(),
        quiet: true,
        ..log::Setup::default()
    };
    from.is_done().then_some((request, logs.then_some(setup)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_way() {
        let mut config = Config::new();
        config.set("lxc.uts.name", "x").unwrap();
        config.set("lxc.mount.auto", "proc:rw sys:ro").unwrap();
        let request = StartRequest {
            name: "c 1".into(),
            lxcpath: "/store".into(),
            config,
            config_file: "/store/c 1/config".into(),
            useinit: true,
            argv: vec![c"/bin/sh".into(), c"".into()],
            daemonize: true,
            pidfile: Some("/run/p".into()),
            restore: Some(Restore { criu: "/c".into(), directory: "/d".into(), ..Restore::default() }),
            ..StartRequest::default()
        };
        let (back, _) = decode(&encode(&request)).unwrap();
        assert_eq!((back.name.as_str(), back.argv.len(), back.useinit), ("c 1", 2, true));
        assert_eq!((back.pidfile.as_deref(), back.lxcpath.as_path()), (Some(Path::new("/run/p")), Path::new("/store")));
        assert_eq!(back.restore, request.restore);
        assert_eq!(format!("{:?}", back.config.mount), format!("{:?}", request.config.mount));
        assert!(decode(b"").is_none() && decode(&[255; 9]).is_none());
    }
}
