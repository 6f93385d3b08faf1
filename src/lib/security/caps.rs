//! Capabilities: which ones leave the bounding set (capabilities(7)). Drops nothing itself: the child does.
#![forbid(unsafe_code)]

use super::conf::Caps;

/// The highest number that a mask can hold.
const HIGHEST: u8 = 63;

/// The capabilities that a container keeps, a bit each, on a kernel whose last one is `last`.
pub fn kept(caps: &Caps, last: u8) -> u64 {
    let all = all(last);
    match caps {
        Caps::Unset => all,
        Caps::Drop(list) => all & !mask(list),
        Caps::Keep(list) => all & mask(list),
    }
}

/// The numbers to drop from the bounding set (prctl(2), PR_CAPBSET_DROP). `bounding` is the caller's own set, `None` for a
/// new user namespace, whose set is full.
pub fn drops(caps: &Caps, last: u8, bounding: Option<u64>) -> Vec<u8> {
    let gone = all(last) & !kept(caps, last) & bounding.unwrap_or(u64::MAX);
    (0..=last.min(HIGHEST)).filter(|n| gone & (1 << n) != 0).collect()
}

/// The bounding set by /proc/PID/status (proc_pid_status(5)).
pub fn bounding(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|l| l.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

fn all(last: u8) -> u64 {
    u64::MAX >> (HIGHEST - last.min(HIGHEST))
}

fn mask(list: &[u8]) -> u64 {
    list.iter().filter(|n| **n <= HIGHEST).fold(0, |m, n| m | 1 << n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        assert_eq!(kept(&Caps::Unset, 40), (1 << 41) - 1);
        assert_eq!(kept(&Caps::Drop(vec![0, 40, 99]), 40), ((1 << 41) - 1) & !1 & !(1 << 40));
        assert_eq!(kept(&Caps::Keep(Vec::new()), 40), 0);
        assert_eq!(drops(&Caps::Keep(vec![3]), 4, None), [0, 1, 2, 4]);
        assert_eq!(drops(&Caps::Drop(vec![1, 2]), 40, Some(0b100)), [2]);
        assert_eq!(drops(&Caps::Unset, 63, None), []);
        assert_eq!(kept(&Caps::Unset, 63), u64::MAX);
        assert_eq!(bounding("CapEff:\t0\nCapBnd:\t000001ffffffffff\n"), Some((1 << 41) - 1));
    }
}
