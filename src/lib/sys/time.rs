//! Clocks: the wall's, the monotonic one, the one that counts suspension; sleeping. Formats nothing.

use super::rc::check;
use std::io;
use std::time::Duration;

fn clock(id: libc::clockid_t) -> io::Result<Duration> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: now is writable.
    check(unsafe { libc::clock_gettime(id, &raw mut now) })?;
    let secs = u64::try_from(now.tv_sec).unwrap_or(0);
    Ok(Duration::new(secs, u32::try_from(now.tv_nsec).unwrap_or(0)))
}

/// Time since the epoch (CLOCK_REALTIME).
pub fn now() -> Duration {
    // Fails only for unknown clocks.
    clock(libc::CLOCK_REALTIME).unwrap_or_default()
}

/// Time since an unnamed point (CLOCK_MONOTONIC). Allocates nothing: the child may use it.
pub fn monotonic() -> Duration {
    clock(libc::CLOCK_MONOTONIC).unwrap_or_default()
}

/// Time since boot, suspension included (CLOCK_BOOTTIME): what the start times in /proc/PID/stat count from.
pub fn since_boot() -> Duration {
    clock(libc::CLOCK_BOOTTIME).unwrap_or_default()
}

/// A local broken-down time (localtime_r(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Year, as written.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: i32,
    /// Day of the month, from 1.
    pub day: i32,
    /// Hour, 0 to 23.
    pub hour: i32,
    /// Minute.
    pub minute: i32,
    /// Second.
    pub second: i32,
    /// Seconds east of UTC.
    pub offset: i64,
}

/// Seconds since the epoch in the zone of TZ or /etc/localtime; `None` beyond the range of years. Not for the child: the C
/// library reads files and takes a lock.
pub fn local(epoch: i64) -> Option<Local> {
    // SAFETY: a tm of zeros is valid (its zone pointer may be null).
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: epoch is readable and tm writable until the call returns.
    let done = unsafe { libc::localtime_r(&raw const epoch, &raw mut tm) };
    (!done.is_null()).then_some(Local {
        year: tm.tm_year.saturating_add(1900),
        month: tm.tm_mon + 1,
        day: tm.tm_mday,
        hour: tm.tm_hour,
        minute: tm.tm_min,
        second: tm.tm_sec,
        offset: tm.tm_gmtoff,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_run() {
        let (a, b) = (monotonic(), since_boot());
        assert!(monotonic() >= a && since_boot() >= b);
        assert!(now().as_secs() > 1_600_000_000);
    }

    #[test]
    fn local_time_is_utc_and_its_offset() {
        let t = local(86_400 * 365).unwrap();
        let day = i64::from(t.hour) * 3600 + i64::from(t.minute) * 60 + i64::from(t.second);
        assert_eq!((day - t.offset).rem_euclid(86_400), 0);
        assert!(t.year == 1971 || t.offset < 0);
        assert_eq!(local(i64::MAX), None);
    }
}
