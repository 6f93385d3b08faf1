//! The log as LXC's users know it: nine levels over the crate `log`, the classic line in a file and on stderr, the rules for
//! where it goes. Owns no message and no policy of its own about what is worth logging.
//!
//! A record is formatted into a buffer on the stack and leaves by one write(2) on an O_APPEND descriptor: nothing is
//! allocated and no lock is waited for, so that a forked process may log whatever its parent's threads were doing.
//! Lines: lxc.container.conf(5), section LOGGING; `PROG NAME TIME LEVEL CATEGORY - FILE:FUNC:LINE - MESSAGE`.
#![forbid(unsafe_code)]

mod handover;
mod line;
#[cfg(test)]
mod tests;

pub use handover::{Taken, pack, unpack};

use super::paths::dirs;
use line::Line;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, RwLock, TryLockError};

/// A level, least urgent first. The numbers are those of liblxc's `lxc_log_get_level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// Each step.
    Trace = 0,
    /// For developers.
    Debug = 1,
    /// What happens.
    Info = 2,
    /// Worth knowing.
    Notice = 3,
    /// Goes on, though not as asked.
    Warn = 4,
    /// Failed.
    Error = 5,
    /// Critical.
    Crit = 6,
    /// Act at once.
    Alert = 7,
    /// The end.
    Fatal = 8,
    /// No level of that name.
    NotSet = 9,
}

impl Level {
    /// All nine, in order.
    pub const ALL: [Level; 9] = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Notice,
        Level::Warn,
        Level::Error,
        Level::Crit,
        Level::Alert,
        Level::Fatal,
    ];

    /// The name, as lines and `lxc.log.level` have it.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Notice => "NOTICE",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
            Level::Crit => "CRIT",
            Level::Alert => "ALERT",
            Level::Fatal => "FATAL",
            Level::NotSet => "NOTSET",
        }
    }

    /// The level of that number (as in `lxc.log.level = 3`).
    pub fn from_number(n: i32) -> Option<Level> {
        usize::try_from(n).ok().and_then(|n| Level::ALL.get(n)).copied()
    }

    /// The crate `log`'s nearest level.
    pub const fn coarse(self) -> log::Level {
        match self {
            Level::Trace => log::Level::Trace,
            Level::Debug => log::Level::Debug,
            Level::Info | Level::Notice => log::Level::Info,
            Level::Warn => log::Level::Warn,
            _ => log::Level::Error,
        }
    }

    /// The level of a record of the crate `log`; the four that it lacks travel behind a `!` in the target.
    fn of(record: &log::Record<'_>) -> Level {
        if let Some((_, fine)) = record.target().rsplit_once('!')
            && let Some(level) = Level::ALL.iter().find(|l| l.name() == fine)
        {
            return *level;
        }
        match record.level() {
            log::Level::Error => Level::Error,
            log::Level::Warn => Level::Warn,
            log::Level::Info => Level::Info,
            log::Level::Debug => Level::Debug,
            log::Level::Trace => Level::Trace,
        }
    }
}

/// The level that a text names, whatever the case; `NotSet` for anything else.
pub fn parse_level(text: &str) -> Level {
    Level::ALL.into_iter().find(|l| l.name().eq_ignore_ascii_case(text)).unwrap_or(Level::NotSet)
}

/// How to log: what the command line or a C caller asked for.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// First word of each line: the tool's name; `lxc` when empty.
    pub prog: String,
    /// The container; empty for none.
    pub name: String,
    /// The store, for the default file.
    pub lxcpath: PathBuf,
    /// `-o`: a path, or `none`.
    pub file: Option<PathBuf>,
    /// `-l`, as typed.
    pub level: Option<String>,
    /// `-q`: nothing on stderr.
    pub quiet: bool,
    /// The threshold without `-l`; ERROR when `None`.
    pub default_level: Option<Level>,
    /// Without `-o` open the default file (a C caller's habit, and that of `-l`).
    pub default_file: bool,
}

/// Where lines go.
#[derive(Debug, Clone)]
struct Sink {
    prog: String,
    name: String,
    level: Level,
    quiet: bool,
    file: Option<Arc<File>>,
    path: Option<PathBuf>,
    /// A connection to syslogd and the facility.
    syslog: Option<(Arc<UnixDatagram>, u32)>,
    /// The command line gave it: a config does not change it.
    fixed_level: bool,
    fixed_file: bool,
}

impl Default for Sink {
    fn default() -> Self {
        Sink {
            prog: String::new(),
            name: String::new(),
            level: Level::Error,
            quiet: true,
            file: None,
            path: None,
            syslog: None,
            fixed_level: false,
            fixed_file: false,
        }
    }
}

static GLOBAL: RwLock<Option<Sink>> = RwLock::new(None);
static STDERR_ON: AtomicBool = AtomicBool::new(false);
static DEVELOPER: OnceLock<Option<env_logger::Logger>> = OnceLock::new();
static LOGGER: Logger = Logger;

/// Starts logging for this process. A second call replaces the first.
///
/// # Errors
/// The log file cannot be opened; stderr serves all the same.
pub fn init(setup: &Setup) -> super::Result<()> {
    let level = match setup.level.as_deref().map(parse_level) {
        None | Some(Level::NotSet) => setup.default_level.unwrap_or(Level::Error),
        Some(level) => level,
    };
    let mut sink = Sink {
        prog: if setup.prog.is_empty() { "lxc".into() } else { setup.prog.clone() },
        name: setup.name.clone(),
        level,
        quiet: setup.quiet,
        fixed_level: setup.level.is_some(),
        fixed_file: setup.file.is_some() || setup.level.is_some(),
        ..Sink::default()
    };
    let opened = match &setup.file {
        Some(f) if f.as_os_str() == "none" => Ok(None),
        Some(f) => open(f).map(|file| Some((f.clone(), file))),
        None if setup.default_file && !setup.name.is_empty() => open_default(&setup.lxcpath, &setup.name).map(Some),
        None => Ok(None),
    };
    let result = match opened {
        Ok(Some((path, file))) => {
            sink.path = Some(path);
            sink.file = Some(Arc::new(file));
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(e) => Err(e),
    };
    install(sink);
    result
}

/// Stops logging and closes the file.
pub fn close() {
    if let Some(mut g) = write_global() {
        *g = None;
    }
    STDERR_ON.store(false, Ordering::Relaxed);
    log::set_max_level(log::LevelFilter::Off);
}

/// What a container's config says (`lxc.log.level`, `lxc.log.file`) takes effect where the command line said nothing.
///
/// # Errors
/// The file cannot be opened.
pub fn apply_config(level: Option<Level>, file: Option<&Path>) -> super::Result<()> {
    let Some(mut sink) = snapshot() else { return Ok(()) };
    if let Some(level) = level.filter(|l| *l != Level::NotSet && !sink.fixed_level) {
        sink.level = level;
    }
    let mut result = Ok(());
    if let Some(path) = file.filter(|f| !sink.fixed_file && f.as_os_str() != "none" && !f.as_os_str().is_empty()) {
        match open(path) {
            Ok(f) => {
                sink.file = Some(Arc::new(f));
                sink.path = Some(path.to_path_buf());
            }
            Err(e) => result = Err(e),
        }
    }
    install(sink);
    result
}

/// The facilities of syslog(3), by number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "",
    "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// `lxc.log.syslog`: messages go to the system's log as well, under this facility.
///
/// # Errors
/// The facility is unknown, or nobody listens at /dev/log.
pub fn apply_syslog(facility: &str) -> super::Result<()> {
    let number = FACILITIES.iter().position(|f| !f.is_empty() && *f == facility);
    let number = number.and_then(|n| u32::try_from(n).ok());
    let number = number.ok_or_else(|| super::Error::new(format!("lxc.log.syslog = {facility}: unknown facility")))?;
    let socket = UnixDatagram::unbound()
        .and_then(|s| s.connect("/dev/log").map(|()| s))
        .and_then(|s| s.set_nonblocking(true).map(|()| s))
        .map_err(|e| super::Error::io(&e, "lxc.log.syslog: /dev/log"))?;
    if let Some(mut sink) = snapshot() {
        sink.syslog = Some((Arc::new(socket), number));
        install(sink);
    }
    Ok(())
}

/// Writes nothing more to stderr (a monitor whose stderr is gone), or does so again.
pub fn set_quiet(quiet: bool) {
    if let Some(mut g) = write_global()
        && let Some(sink) = g.as_mut()
    {
        sink.quiet = quiet;
    }
}

/// The log file in use.
pub fn file() -> Option<PathBuf> {
    snapshot().and_then(|s| s.path)
}

/// The threshold in use; `NotSet` before [`init`].
pub fn level() -> Level {
    snapshot().map_or(Level::NotSet, |s| s.level)
}

/// How this process logs, for a process that is spawned rather than forked.
pub fn setup() -> Option<Setup> {
    snapshot().map(|s| Setup {
        prog: s.prog,
        name: s.name,
        lxcpath: PathBuf::new(),
        file: Some(s.path.unwrap_or_else(|| "none".into())),
        level: Some(s.level.name().into()),
        quiet: s.quiet,
        default_level: None,
        default_file: false,
    })
}

fn write_global() -> Option<std::sync::RwLockWriteGuard<'static, Option<Sink>>> {
    for _ in 0..1000 {
        match GLOBAL.try_write() {
            Ok(g) => return Some(g),
            Err(TryLockError::Poisoned(p)) => return Some(p.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    None
}

fn snapshot() -> Option<Sink> {
    let mut sink = None;
    with_sink(|s| sink = Some(s.clone()));
    sink
}

/// The sink of the process. Never waits: a record that meets a change of the set-up is lost.
fn with_sink(f: impl FnOnce(&Sink)) {
    match GLOBAL.try_read() {
        Ok(g) => {
            if let Some(sink) = g.as_ref() {
                f(sink);
            }
        }
        Err(TryLockError::Poisoned(p)) => {
            if let Some(sink) = p.into_inner().as_ref() {
                f(sink);
            }
        }
        Err(TryLockError::WouldBlock) => {}
    }
}

fn install(sink: Sink) {
    STDERR_ON.store(!sink.quiet, Ordering::Relaxed);
    let mut filter = sink.level.coarse().to_level_filter();
    if let Some(dev) = developer() {
        filter = filter.max(dev.filter());
    }
    if let Some(mut g) = write_global() {
        *g = Some(sink);
    }
    let _ = log::set_logger(&LOGGER); // a second time: ours stands already, or a Rust host's own takes the records
    log::set_max_level(filter);
}

/// `LXC_RUST_LOG=debug,cgroup=trace`: records on stderr in env_logger's form, for who works on LXC itself.
fn developer() -> Option<&'static env_logger::Logger> {
    DEVELOPER
        .get_or_init(|| {
            let filter = std::env::var("LXC_RUST_LOG").ok().filter(|f| !f.is_empty())?;
            Some(env_logger::Builder::new().parse_filters(&filter).build())
        })
        .as_ref()
}

/// Opens a log file that somebody named for appending, 0640, with the directories above it.
fn open(path: &Path) -> super::Result<File> {
    open_with(path, 0)
}

fn open_with(path: &Path, flags: i32) -> super::Result<File> {
    let wrong = |e: &std::io::Error| super::Error::io(e, format!("Failed to open log file \"{}\"", path.display()));
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty() && !d.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(|e| wrong(&e))?;
    }
    let mut how = std::fs::OpenOptions::new();
    how.append(true).create(true).mode(0o640).custom_flags(flags).open(path).map_err(|e| wrong(&e))
}

/// The log file that nobody named: root's in the default store below /var/log/lxc, others beside the container. That
/// directory may be the container's root's: what lies in the file's place is not followed, nor waited for if it is a fifo.
fn open_default(lxcpath: &Path, name: &str) -> super::Result<(PathBuf, File)> {
    let system = Path::new(dirs::LOGDIR).join(format!("{name}.log"));
    let own = lxcpath.join(name).join(format!("{name}.log"));
    if nix::unistd::geteuid().is_root()
        && lxcpath == Path::new(dirs::LXCPATH)
        && let Ok(file) = open(&system)
    {
        return Ok((system, file));
    }
    match open_with(&own, libc::O_NOFOLLOW | libc::O_NONBLOCK) {
        Ok(file) => Ok((own, file)),
        Err(e) => open(&system).map(|file| (system, file)).map_err(|_| e),
    }
}

/// One line of level ERROR into a container's own log file (`lxc.log.file`), whatever this process logs to; a file that
/// cannot be opened costs the line. `function` is what failed.
pub fn append(path: &Path, name: &str, function: &str, text: &str) {
    let Ok(to) = open(path) else { return };
    let sink = Sink { prog: "lxc".into(), name: name.into(), ..Sink::default() };
    let mut buf = Line::new();
    let text = format_args!("{text}");
    let record = log::Record::builder()
        .level(log::Level::Error)
        .target("lxccontainer")
        .module_path(Some(function))
        .file_static(Some(file!()))
        .line(Some(line!()))
        .args(text)
        .build();
    line::file_line(&mut buf, &sink, Level::Error, &record, line::now());
    let _ = nix::unistd::write(&to, buf.finish());
}

/// Whether a record of that level goes anywhere. Two loads, no lock.
pub fn enabled(level: Level) -> bool {
    level.coarse() <= log::max_level()
}

/// What the macros call once a level is enabled: `target` is the module, with `!LEVEL` for the levels that `log` lacks.
#[cold]
#[inline(never)]
pub fn emit(level: Level, target: &str, function: &str, file: &'static str, line: u32, text: fmt::Arguments<'_>) {
    log::logger().log(
        &log::Record::builder()
            .level(level.coarse())
            .target(target)
            .module_path(Some(function))
            .file_static(Some(file))
            .line(Some(line))
            .args(text)
            .build(),
    );
}

/// Something with an error number.
pub trait ToErrno {
    /// The number; 0 when there is none.
    fn to_errno(&self) -> i32;
}

impl ToErrno for i32 {
    fn to_errno(&self) -> i32 {
        *self
    }
}
impl ToErrno for nix::errno::Errno {
    fn to_errno(&self) -> i32 {
        *self as i32
    }
}
impl ToErrno for std::io::Error {
    fn to_errno(&self) -> i32 {
        self.raw_os_error().unwrap_or(0)
    }
}
impl ToErrno for super::Error {
    fn to_errno(&self) -> i32 {
        self.errno
    }
}
impl<T: ToErrno + ?Sized> ToErrno for &T {
    fn to_errno(&self) -> i32 {
        (**self).to_errno()
    }
}

/// The words for an error number, without allocating.
pub fn errno_words(e: &dyn ToErrno) -> &'static str {
    crate::sys::errno::words(e.to_errno())
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, meta: &log::Metadata<'_>) -> bool {
        meta.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if let Some(Some(dev)) = DEVELOPER.get() {
            dev.log(record);
        }
        let level = Level::of(record);
        with_sink(|sink| {
            if level < sink.level {
                return;
            }
            if !sink.quiet && level >= Level::Error && STDERR_ON.load(Ordering::Relaxed) {
                let mut buf = Line::new();
                line::stderr_line(&mut buf, sink, record);
                let _ = nix::unistd::write(std::io::stderr(), buf.finish());
            }
            if let Some((socket, facility)) = &sink.syslog {
                let mut buf = Line::new();
                line::syslog_line(&mut buf, sink, level, *facility, std::process::id(), record);
                // A daemon that is gone or slow costs the line, never time.
                let _ = socket.send(buf.text());
            }
            if let Some(file) = &sink.file {
                let mut buf = Line::new();
                line::file_line(&mut buf, sink, level, record, line::now());
                let _ = nix::unistd::write(&**file, buf.finish());
            }
        });
    }

    fn flush(&self) {}
}

#[doc(hidden)]
#[macro_export]
macro_rules! __lxc_log {
    ($level:expr, $target:expr, errno = $e:expr, $($text:tt)+) => {{
        if $crate::base::log::enabled($level) {
            fn here() {}
            $crate::base::log::emit($level, $target, ::std::any::type_name_of_val(&here), file!(), line!(),
                format_args!("{} - {}", $crate::base::log::errno_words(&$e), format_args!($($text)+)));
        }
    }};
    ($level:expr, $target:expr, $($text:tt)+) => {{
        if $crate::base::log::enabled($level) {
            fn here() {}
            $crate::base::log::emit($level, $target, ::std::any::type_name_of_val(&here), file!(), line!(), format_args!($($text)+));
        }
    }};
}

/// Logs at TRACE. All nine macros take `format!`'s arguments; `errno = e,` before them puts the words for an error number first.
#[macro_export]
macro_rules! log_trace { ($($t:tt)+) => { $crate::__lxc_log!($crate::base::log::Level::Trace, module_path!(), $($t)+) } }
/// Logs at DEBUG.
#[macro_export]
macro_rules! log_debug { ($($t:tt)+) => { $crate::__lxc_log!($crate::base::log::Level::Debug, module_path!(), $($t)+) } }
/// Logs at INFO.
#[macro_export]
macro_rules! log_info { ($($t:tt)+) => { $crate::__lxc_log!($crate::base::log::Level::Info, module_path!(), $($t)+) } }
/// Logs at NOTICE.
#[macro_export]
macro_rules! log_notice { ($($t:tt)+) => { $crate::__lxc_log!($crate::base::log::Level::Notice, concat!(module_path!(), "!NOTICE"), $($t)+) } }
/// Logs at WARN.
#[macro_export]
macro_rules! log_warn { ($($t:tt)+) => { $crate::__lxc_log!($crate::base::log::Level::Warn, module_path!(), $($t)+) } }
/// Logs at ERROR: also on stderr.
#[macro_export]
macro_rules! log_error { ($($t:tt)+) => { $crate::__lxc_log!($crate::base::log::Level::Error, module_path!(), $($t)+) } }
/// Logs at CRIT.
#[macro_export]
macro_rules! log_crit { ($($t:tt)+) => { $crate::__lxc_log!($crate::base::log::Level::Crit, concat!(module_path!(), "!CRIT"), $($t)+) } }
/// Logs at ALERT.
#[macro_export]
macro_rules! log_alert { ($($t:tt)+) => { $crate::__lxc_log!($crate::base::log::Level::Alert, concat!(module_path!(), "!ALERT"), $($t)+) } }
/// Logs at FATAL.
#[macro_export]
macro_rules! log_fatal { ($($t:tt)+) => { $crate::__lxc_log!($crate::base::log::Level::Fatal, concat!(module_path!(), "!FATAL"), $($t)+) } }
