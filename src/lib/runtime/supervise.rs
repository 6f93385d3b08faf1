//! A start from a process that must not be forked: one with threads, or a large one (callers of the C library). A small
//! program, libexec/lxc/lxc-supervise, gets the request by a file in memory, starts the container as lxc-start would, says
//! how that went and ends. Owns that request's form; what a start is lies in `start`.
#![forbid(unsafe_code)]

use super::restore::Restore;
use super::start::{self, StartRequest, Started};
use crate::base::log;
use crate::base::paths::dirs;
use crate::base::{Context, Error, Result};
use crate::config::Config;
use crate::sys::{self, process, scm};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the program finds its request; above what LISTEN_FDS may pass on.
const REQUEST: RawFd = 240;
/// Where it answers. Left open over exec, so that the monitor closes it as one that the caller left behind.
const ANSWER: RawFd = 241;

/// Starts `request`, which is a background one, by the program.
///
/// # Errors
/// As [`start::run`]; `None` when the program is not installed, or the config cannot be carried as text: the caller has to
/// fork then.
pub fn spawn(request: &StartRequest) -> Option<Result<Started>> {
    let program = PathBuf::from(dirs::LIBEXECDIR).join("lxc/lxc-supervise");
    if !carries(&request.config) || std::fs::metadata(&program).is_err() {
        return None;
    }
    Some(by_program(&program, request))
}

/// Whether the config's own text gives the same config again: not after an item of an included file has been cleared, nor
/// with an address that an included file leaves to chance.
fn carries(config: &Config) -> bool {
    let mut again = Config::new();
    again.load_str(&config.text(), "request").is_ok() && format!("{again:?}") == format!("{config:?}")
}

fn by_program(program: &Path, request: &StartRequest) -> Result<Started> {
    let what = || format!("running {}", program.display());
    let memory = sys::fd::memfd(c"lxc-request", &encode(request)).ctx(what)?;
    let (ours, theirs) = sys::socket::pair_seqpacket().ctx(what)?;
    let path = CString::new(program.as_os_str().as_bytes()).unwrap_or_default();
    let env: Vec<CString> = std::env::vars_os()
        .filter_map(|(k, v)| CString::new([k.as_bytes(), b"=", v.as_bytes()].concat()).ok())
        .collect();
    let args = process::ExecArgs::new(std::slice::from_ref(&path), &env);
    // Above both numbers, so that putting one in its place overwrites none of the others.
    let high = |fd: OwnedFd| sys::fd::dup_above(fd.as_fd(), ANSWER + 1).ctx(what);
    let (memory, theirs) = (high(memory)?, high(theirs)?);
    let fds = [(memory.as_raw_fd(), REQUEST), (theirs.as_raw_fd(), ANSWER)];
    let pid = process::spawn(&path, &args, &fds, false).ctx(what)?;
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

/// The program's whole life; the exit code. `destroy` is for `lxc.ephemeral = 1`.
pub fn main(destroy: fn(&Path, &str) -> Result<()>) -> i32 {
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

fn answered(destroy: fn(&Path, &str) -> Result<()>) -> Result<i32> {
    let usage = || Error::new("lxc-supervise is run by liblxc only");
    let memory = sys::fd::adopt(REQUEST).map_err(|_| usage())?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::from(memory), &mut bytes).ctx(|| "the request".into())?;
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

/// One field: its length in four bytes, then its bytes.
fn put(out: &mut Vec<u8>, field: &[u8]) {
    out.extend((field.len() as u32).to_le_bytes());
    out.extend(field);
}

fn encode(request: &StartRequest) -> Vec<u8> {
    let mut out = Vec::new();
    let flags = [u8::from(request.useinit), u8::from(request.close_fds), u8::from(request.pidfile.is_some())];
    let path = |p: &Path| p.as_os_str().as_bytes().to_vec();
    put(&mut out, &flags);
    put(&mut out, request.name.as_bytes());
    put(&mut out, &path(&request.lxcpath));
    put(&mut out, &path(&request.config_file));
    put(&mut out, &path(request.pidfile.as_deref().unwrap_or(Path::new(""))));
    put(&mut out, request.config.text().as_bytes());
    let setup = log::setup();
    put(&mut out, &[u8::from(setup.is_some())]);
    let setup = setup.unwrap_or_default();
    put(&mut out, setup.prog.as_bytes());
    put(&mut out, &path(setup.file.as_deref().unwrap_or(Path::new("none"))));
    put(&mut out, log::level().name().as_bytes());
    put(&mut out, &request.restore.as_ref().map(Restore::pack).unwrap_or_default());
    for arg in &request.argv {
        put(&mut out, arg.as_bytes());
    }
    out
}

fn decode(bytes: &[u8]) -> Option<(StartRequest, Option<log::Setup>)> {
    let mut rest = bytes;
    let mut next = || {
        let (len, tail) = rest.split_at_checked(4)?;
        let (field, tail) = tail.split_at_checked(u32::from_le_bytes(len.try_into().ok()?) as usize)?;
        rest = tail;
        Some(field.to_vec())
    };
    let text = |b: Vec<u8>| String::from_utf8(b).ok();
    let path = |b: Vec<u8>| PathBuf::from(OsStr::from_bytes(&b));
    let flags = next()?;
    let on = |i: usize| flags.get(i) == Some(&1);
    let (name, lxcpath, config_file, pidfile) = (text(next()?)?, path(next()?), path(next()?), path(next()?));
    let mut config = Config::new();
    config.load_str(&text(next()?)?, &config_file.to_string_lossy()).ok()?;
    let logs = next()?.first() == Some(&1);
    let setup = log::Setup {
        prog: text(next()?)?,
        file: Some(path(next()?)),
        level: text(next()?),
        name: name.clone(),
        lxcpath: lxcpath.clone(),
        quiet: true,
        ..log::Setup::default()
    };
    let restore = Restore::unpack(&next()?);
    let mut argv = Vec::new();
    while let Some(arg) = next() {
        argv.push(CString::new(arg).ok()?);
    }
    let request = StartRequest {
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
    };
    Some((request, logs.then_some(setup)))
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
        assert!(carries(&request.config));
        let (back, _) = decode(&encode(&request)).unwrap();
        assert_eq!((back.name.as_str(), back.argv.len(), back.useinit), ("c 1", 2, true));
        assert_eq!((back.pidfile.as_deref(), back.lxcpath.as_path()), (Some(Path::new("/run/p")), Path::new("/store")));
        assert_eq!(back.restore, request.restore);
        assert_eq!(format!("{:?}", back.config.mount), format!("{:?}", request.config.mount));
        assert!(decode(b"").is_none() && decode(&[255; 9]).is_none());
    }
}
