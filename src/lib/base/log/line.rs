//! The lines themselves, built on the stack: nothing here allocates, locks or fails.
#![forbid(unsafe_code)]

use super::{Level, Sink};
use std::fmt::{self, Write as _};

/// The longest line that leaves in one piece; what is beyond is cut.
pub(super) const LINE_MAX: usize = 4096;

/// A line being built, on the stack. Control characters in it become `?`: a line stays one line, whatever is logged.
pub(super) struct Line {
    buf: [u8; LINE_MAX],
    len: usize,
}

impl Line {
    pub(super) fn new() -> Self {
        Line { buf: [0; LINE_MAX], len: 0 }
    }

    pub(super) fn text(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or_default()
    }

    pub(super) fn finish(&mut self) -> &[u8] {
        if let Some(b) = self.buf.get_mut(self.len) {
            *b = b'\n';
            self.len += 1;
        }
        self.text()
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for b in s.bytes() {
            if self.len + 1 >= LINE_MAX {
                break;
            }
            if let Some(to) = self.buf.get_mut(self.len) {
                *to = if b < b' ' && b != b'\t' || b == 0x7f { b'?' } else { b };
                self.len += 1;
            }
        }
        Ok(())
    }
}

/// The function's own name in the path that `type_name` gave for an item inside of it.
pub(super) fn function_name(path: &str) -> &str {
    let path = path.strip_suffix("::here").unwrap_or(path);
    path.rsplit("::").find(|p| !p.starts_with('{')).unwrap_or(path)
}

/// The module's last part; a tool's own messages belong to `lxc_TOOL`, as in LXC.
pub(super) fn category(target: &str) -> (&'static str, &str) {
    let path = target.split('!').next().unwrap_or(target);
    let last = path.rsplit("::").next().unwrap_or(path);
    (if path.starts_with("lxc::cli::") { "lxc_" } else { "" }, last)
}

pub(super) fn stderr_line(out: &mut Line, sink: &Sink, record: &log::Record<'_>) {
    let _ = write!(out, "{}: ", sink.prog);
    if !sink.name.is_empty() {
        let _ = write!(out, "{}: ", sink.name);
    }
    let _ = write!(
        out,
        "{}: {}: {} {}",
        record.file().unwrap_or("?"),
        function_name(record.module_path().unwrap_or("?")),
        record.line().unwrap_or(0),
        record.args()
    );
}

pub(super) fn file_line(out: &mut Line, sink: &Sink, level: Level, record: &log::Record<'_>, time: (i64, u32)) {
    let _ = write!(out, "{} ", sink.prog);
    if !sink.name.is_empty() {
        let _ = write!(out, "{} ", sink.name);
    }
    timestamp(out, time);
    let (prefix, category) = category(record.target());
    let _ = write!(
        out,
        " {:<8} {prefix}{category} - {}:{}:{} - {}",
        level.name(),
        record.file().unwrap_or("?"),
        function_name(record.module_path().unwrap_or("?")),
        record.line().unwrap_or(0),
        record.args()
    );
}

pub(super) fn now() -> (i64, u32) {
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(d) => (i64::try_from(d.as_secs()).unwrap_or(0), d.subsec_millis()),
        Err(_) => (0, 0),
    }
}

/// `YYYYMMDDhhmmss.mmm` in UTC, by the civil calendar (no localtime(3): it takes a lock).
pub(super) fn timestamp(out: &mut Line, (secs, millis): (i64, u32)) {
    let (day, rest) = (secs.div_euclid(86400), secs.rem_euclid(86400));
    // Days are counted from 1 March of year 0, so that a leap day ends a year; 400 years have 146,097 days.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let mday = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let _ =
        write!(out, "{year:04}{month:02}{mday:02}{:02}{:02}{:02}.{millis:03}", rest / 3600, rest / 60 % 60, rest % 60);
}

/// A datagram for syslogd (RFC 3164 without the time, which the daemon adds): facility and severity in one number.
pub(super) fn syslog_line(
    out: &mut Line,
    sink: &Sink,
    level: Level,
    facility: u32,
    pid: u32,
    record: &log::Record<'_>,
) {
    let severity = match level {
        Level::Fatal => 0,
        Level::Alert => 1,
        Level::Crit => 2,
        Level::Error => 3,
        Level::Warn => 4,
        Level::Notice => 5,
        Level::Info => 6,
        _ => 7,
    };
    let _ = write!(out, "<{}>{}[{pid}]: ", facility * 8 + severity, sink.prog);
    if !sink.name.is_empty() {
        let _ = write!(out, "{} ", sink.name);
    }
    let (prefix, category) = category(record.target());
    let _ = write!(out, "{prefix}{category} - {}", record.args());
}
