//! How a process logs, for the program that takes its place: with the open files.
#![forbid(unsafe_code)]

use super::{Level, Sink, install, snapshot};
use crate::base::pack::{Pack, Unpack};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;

/// Writes it down.
pub fn pack(out: &mut Pack) {
    let sink = snapshot();
    out.number(i64::from(sink.is_some()));
    let sink = sink.unwrap_or_default();
    out.put(sink.prog.as_bytes());
    out.put(sink.name.as_bytes());
    out.number(sink.level as i64);
    out.number(i64::from(sink.quiet));
    out.path(sink.path.as_deref().unwrap_or(Path::new("")));
    // The process keeps them open for as long as the numbers are needed.
    out.fd_option(sink.file.as_ref().map(|f| f.as_fd()));
    out.fd_option(sink.syslog.as_ref().map(|s| s.0.as_fd()));
    out.number(sink.syslog.as_ref().map_or(0, |s| i64::from(s.1)));
}

/// Reads it; this process logs so once [`Taken::start`] is called.
pub fn unpack(from: &mut Unpack<'_>) -> Option<Taken> {
    let on = from.number()? != 0;
    let (prog, name) = (from.text()?, from.text()?);
    let level = Level::from_number(i32::try_from(from.number()?).ok()?)?;
    let quiet = from.number()? != 0;
    let path = from.path().filter(|p| !p.as_os_str().is_empty());
    let file = from.fd_option()?.map(|fd| Arc::new(File::from(fd)));
    let (socket, facility) = (from.fd_option()?, u32::try_from(from.number()?).ok()?);
    let syslog = socket.map(|fd| (Arc::new(UnixDatagram::from(fd)), facility));
    let sink = Sink { prog, name, level, quiet, file, path, syslog, ..Sink::default() };
    Some(Taken(on.then_some(sink)))
}

/// How another process logged.
pub struct Taken(Option<Sink>);

impl Taken {
    /// From now on this process logs so.
    pub fn start(self) {
        if let Some(sink) = self.0 {
            install(sink);
        }
    }
}
