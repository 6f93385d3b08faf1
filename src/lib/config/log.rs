//! The settings of logging (`lxc.log.*`) and the row of `lxc.include`. Data only: whoever runs a container applies them.
#![forbid(unsafe_code)]

use crate::keys::{Answer, Bad, Call, Key, Kind, Op, value};
use crate::slot;

/// Logging.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogConf {
    /// `lxc.log.level`: 0 TRACE … 8 FATAL; `None` is NOTSET.
    pub level: Option<u8>,
    /// `lxc.log.file`.
    pub file: Option<String>,
    /// `lxc.log.syslog`: the facility as it was written.
    pub syslog: Option<String>,
}

const LEVELS: [&str; 9] = ["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "CRIT", "ALERT", "FATAL"];

/// The keys of logging, and `lxc.include`, which [`super::Config`] itself obeys.
pub static KEYS: &[Key<LogConf>] = &[
    Key::own(
        "lxc.include",
        include,
        "since: 1.0
         good: -

         Reads another file here, or all files of a directory that end in .conf, sorted by name. Lines of included files are
         not saved. `lxc.include = /usr/share/lxc/config/common.conf`",
    ),
    Key::field(
        "lxc.log.file lxc.logfile",
        Kind::Path,
        slot!(Text, file),
        "since: 1.0
         good: /var/log/lxc/c1.log

         The file that log lines are appended to. `lxc.log.file = /var/log/lxc/web1.log`",
    ),
    Key::own(
        "lxc.log.level lxc.loglevel",
        level,
        "since: 1.0
         good: INFO | 3 | trace
         bad: 9 | foo | NOTSET
         default: NOTSET, which means ERROR

         The least level that is logged: TRACE DEBUG INFO NOTICE WARN ERROR CRIT ALERT FATAL, or 0 to 8.
         `lxc.log.level = INFO`",
    ),
    Key::own(
        "lxc.log.syslog lxc.syslog",
        syslog,
        "since: 2.1
         good: daemon | local0
         bad: foo

         Sends log lines to syslog(3) too, with this facility: daemon, or local0 to local7. `lxc.log.syslog = daemon`",
    ),
];

fn include(op: Op<'_, LogConf>, _: &Call<'_>) -> Answer {
    match op {
        Op::Get(_) => Err(Bad::os(libc::ENOSYS, "has no value")),
        _ => Ok(String::new()),
    }
}

fn level(op: Op<'_, LogConf>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(c) if !call.value.is_empty() => {
            let number = match call.value.as_bytes().first() {
                Some(b'0'..=b'9') => value::unsigned(call.value).ok().and_then(|n| u8::try_from(n).ok()),
                _ => LEVELS.iter().position(|l| l.eq_ignore_ascii_case(call.value)).and_then(|n| u8::try_from(n).ok()),
            };
            let number = number.filter(|n| *n < 9);
            c.level = Some(number.ok_or_else(|| Bad::new("no log level: TRACE to FATAL, or 0 to 8"))?);
        }
        Op::Get(c) => {
            let name = c.level.and_then(|n| LEVELS.get(usize::from(n))).copied();
            return Ok(name.unwrap_or("NOTSET").to_string());
        }
        Op::Set(c) | Op::Clear(c) => c.level = None,
    }
    Ok(String::new())
}

fn syslog(op: Op<'_, LogConf>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(c) if !call.value.is_empty() => {
            let word = call.value.to_ascii_lowercase();
            let local = word.strip_prefix("local").is_some_and(|n| matches!(n.as_bytes(), [b'0'..=b'7']));
            if word != "daemon" && !local {
                return Err(Bad::new("no facility: daemon, or local0 to local7"));
            }
            c.syslog = Some(call.value.to_string());
        }
        Op::Get(c) => return Ok(c.syslog.clone().unwrap_or_default()),
        Op::Set(c) | Op::Clear(c) => c.syslog = None,
    }
    Ok(String::new())
}
