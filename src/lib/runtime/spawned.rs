//! A start from a process that must not be forked: one with threads, whose locks a copy would have; a large one, whose
//! memory a monitor would hold for the container's life; one that keeps descriptors from its children by close-on-exec,
//! which only an exec closes. `lxc-supervise` is spawned with the whole request in a memfd, starts the container as
//! lxc-start would, tells how that went, and is gone: the monitor is nobody's child. Owns the request's bytes; the start
//! itself is `start`'s.
#![forbid(unsafe_code)]

use super::start::{self, StartRequest, Started};
use crate::base::log::{self, Setup};
use crate::base::paths::dirs;
use crate::base::{Context, Error, Result};
use crate::config::Config;
use crate::sys::process::{self, ExecArgs, Never};
use crate::sys::{fd, scm, socket};
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What destroys an ephemeral container.
pub type Destroy = fn(&Path, &str) -> Result<()>;

/// The program.
fn program() -> PathBuf {
    Path::new(dirs::LIBEXECDIR).join("lxc/lxc-supervise")
}

/// Starts a container in the background by a process of its own.
///
/// # Errors
/// As [`start::run`].
pub fn start(request: &StartRequest) -> Result<Started> {
    let program = program();
    if program.metadata().is_ok() {
        return spawn(&program, request);
    }
    if process::thread_count() > 1 {
        return Err(Error::os(libc::ENOENT, format!("{} is missing", program.display()))
            .hint("a process with threads starts containers through it: install LXC completely"));
    }
    crate::log_info!("{} is missing: this process is forked in its place", program.display());
    fork(request)
}

/// Spawns the program and waits for its word.
fn spawn(program: &Path, request: &StartRequest) -> Result<Started> {
    let what = || format!("Failed to run {}", program.display());
    let order = fd::memfd(c"lxc-start-request", &encode(request)).ctx(what)?;
    let (ours, theirs) = socket::pair_seqpacket().ctx(what)?;
    let number = |fd: &OwnedFd| CString::new(fd.as_raw_fd().to_string()).unwrap_or_default();
    let path = CString::new(program.as_os_str().as_bytes()).map_err(|_| Error::new(what()))?;
    let argv = [c"lxc-supervise".to_owned(), number(&order), number(&theirs)];
    let envp: Vec<CString> = std::env::vars_os()
        .filter_map(|(k, v)| CString::new([k.as_bytes(), b"=", v.as_bytes()].concat()).ok())
        .collect();
    // The same numbers on the other side: clear of those that LISTEN_FDS passes, which were open before.
    let pass = [&order, &theirs].map(|fd| (fd.as_raw_fd(), fd.as_raw_fd()));
    let pid = process::spawn(&path, &ExecArgs::new(&argv, &envp), &pass).ctx(what)?;
    drop((order, theirs));
    finish(&ours, pid)
}

/// The process in between is a copy of this one.
fn fork(request: &StartRequest) -> Result<Started> {
    let (ours, theirs) = socket::pair_seqpacket().ctx(|| "a socket pair".into())?;
    let mut ours = Some(ours);
    let pid = process::fork(|| -> Never {
        ours = None;
        process::exit_now(start_and_tell(request, &theirs))
    })
    .ctx(|| "Failed to make a process for the start".into())?;
    drop(theirs);
    let ours = ours.ok_or_else(|| Error::new("no socket pair"))?;
    finish(&ours, pid)
}

/// Waits for the word and for the end of the process in between.
fn finish(ours: &OwnedFd, pid: i32) -> Result<Started> {
    let told = start::word(ours);
    // A caller that ignores SIGCHLD has nothing left to reap.
    let _ = process::wait_pid(pid, 0);
    told.map(|()| Started::Monitor(0))
}

fn start_and_tell(request: &StartRequest, to: &OwnedFd) -> i32 {
    match start::run(request) {
        Ok(_) => {
            let _ = scm::send(to.as_fd(), b"R", None, &[]);
            0
        }
        Err(e) => {
            start::tell_failure(Some(to), &e);
            1
        }
    }
}

/// `lxc-supervise REQUEST-FD ANSWER-FD`.
pub fn main(args: &[OsString], destroy: Destroy) -> i32 {
    let number = |i: usize| args.get(i).and_then(|a| a.to_str()).and_then(|a| a.parse::<i32>().ok());
    let (Some(order), Some(answer)) = (number(1), number(2)) else {
        eprintln!("lxc-supervise is run by liblxc, not by hand");
        return 1;
    };
    let Ok(to) = fd::adopt(answer) else { return 1 };
    let request = fd::adopt(order).ctx(|| "the request".into()).and_then(|fd| read(&fd));
    match request.and_then(|bytes| decode(&bytes, destroy)) {
        Ok(request) => {
            // It stays without close-on-exec: the monitor closes such descriptors first of all.
            let _ = fd::set_cloexec(to.as_fd(), false);
            start_and_tell(&request, &to)
        }
        Err(e) => {
            start::tell_failure(Some(&to), &e);
            1
        }
    }
}

/// All bytes of the memfd.
fn read(order: &OwnedFd) -> Result<Vec<u8>> {
    std::fs::read(format!("/proc/self/fd/{}", order.as_raw_fd())).ctx(|| "the request".into())
}

/// The first bytes: what they are, and the version of the library that wrote them.
const HEAD: &[u8] = concat!("lxc-start-request ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();

/// A request in bytes: fields with their lengths.
fn encode(r: &StartRequest) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    let mut field = |bytes: &[u8]| {
        out.extend_from_slice(&(bytes.len() as u64).to_ne_bytes());
        out.extend_from_slice(bytes);
    };
    let flag = |on: bool| [u8::from(on)];
    field(r.name.as_bytes());
    field(r.lxcpath.as_os_str().as_bytes());
    field(r.config_file.as_os_str().as_bytes());
    field(r.config.text_bytes());
    field(&flag(r.useinit));
    field(&flag(r.close_fds));
    field(&flag(r.pidfile.is_some()));
    field(r.pidfile.as_deref().unwrap_or(Path::new("")).as_os_str().as_bytes());
    let setup = log::setup();
    field(&flag(setup.is_some()));
    let setup = setup.unwrap_or_default();
    field(setup.prog.as_bytes());
    field(setup.file.as_deref().unwrap_or(Path::new("none")).as_os_str().as_bytes());
    field(setup.level.unwrap_or_default().as_bytes());
    field(&flag(setup.quiet));
    for word in &r.argv {
        field(word.as_bytes());
    }
    out
}

/// Takes one field.
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk::<8>()?;
    let len = usize::try_from(u64::from_ne_bytes(*len)).ok()?;
    let (bytes, after) = after.split_at_checked(len)?;
    *rest = after;
    Some(bytes)
}

/// The request, and the log of the caller opened anew.
fn decode(bytes: &[u8], destroy: Destroy) -> Result<StartRequest> {
    let broken = || Error::new("the start request is not of this version of liblxc").hint("install from one build");
    let mut rest = bytes.strip_prefix(HEAD).ok_or_else(broken)?;
    let mut next = || field(&mut rest).ok_or_else(broken);
    let path = |b: &[u8]| PathBuf::from(OsString::from_vec(b.to_vec()));
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let name = text(next()?);
    let (lxcpath, config_file, config_text) = (path(next()?), path(next()?), next()?);
    let (useinit, close_fds) = (next()? == [1], next()? == [1]);
    let (has_pidfile, pidfile) = (next()? == [1], path(next()?));
    let (logs, prog, file, level) = (next()? == [1], text(next()?), path(next()?), text(next()?));
    let quiet = next()? == [1];
    let mut argv = Vec::new();
    while !rest.is_empty() {
        let word = field(&mut rest).ok_or_else(broken)?;
        argv.push(CString::new(word).map_err(|_| broken())?);
    }
    let mut config = Config::new();
    config.load_bytes(config_text.to_vec(), &config_file.display().to_string())?;
    let setup = if logs {
        Setup { prog, name: name.clone(), file: Some(file), level: Some(level), quiet, ..Setup::default() }
    } else {
        Setup { prog: "lxc".into(), name: name.clone(), quiet: true, ..Setup::default() }
    };
    open_log(&setup, &config);
    let pidfile = has_pidfile.then_some(pidfile);
    let destroy = Some(destroy);
    Ok(StartRequest { name, lxcpath, config, config_file, useinit, argv, daemonize: true, close_fds, pidfile, destroy })
}

/// The caller's log; its level and file are the config's where the caller has none.
fn open_log(setup: &Setup, config: &Config) {
    let opened = log::init(setup).and_then(|()| {
        let level = config.log.level.and_then(|l| log::Level::from_number(i32::from(l)));
        log::apply_config(level, config.log.file.as_deref().map(Path::new))
    });
    if let Err(e) = opened {
        crate::log_warn!("{e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_way() {
        let mut config = Config::new();
        config.set("lxc.uts.name", "here").unwrap();
        config.set("lxc.cap.drop", "sys_time").unwrap();
        config.set("lxc.net.0.type", "empty").unwrap();
        let r = StartRequest {
            name: "c 1".into(),
            lxcpath: "/s".into(),
            config,
            config_file: "/s/c 1/config".into(),
            useinit: true,
            argv: vec![c"/bin/sh".into(), c"".into()],
            pidfile: Some("/p".into()),
            ..StartRequest::default()
        };
        let bytes = encode(&r);
        let back = decode(&bytes, |_, _| Ok(())).unwrap();
        assert_eq!((back.name, back.lxcpath, back.config_file), (r.name, r.lxcpath, r.config_file));
        assert_eq!((back.useinit, back.close_fds, back.daemonize), (true, false, true));
        assert_eq!((back.argv, back.pidfile), (r.argv, r.pidfile));
        assert_eq!(back.config.text(), r.config.text());
        assert_eq!(back.config.get("lxc.net.0.type").unwrap(), "empty");
        for cut in [0, 5, HEAD.len() + 3, bytes.len() - 1] {
            assert!(decode(&bytes[..cut], |_, _| Ok(())).is_err(), "{cut}");
        }
    }
}
