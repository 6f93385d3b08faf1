//! Limits in the other layout's words: version 1 keys on cgroup2 and cgroup2 keys on version 1. Pure text.
//!
//! | resource | version 1 | cgroup2 |
//! |---|---|---|
//! | memory | `memory.limit_in_bytes` | `memory.max` |
//! | swap | `memory.memsw.limit_in_bytes`: memory and swap | `memory.swap.max`: swap alone |
//! | CPU weight | `cpu.shares`, default 1024 | `cpu.weight`, default 100 |
//! | CPU bandwidth | `cpu.cfs_quota_us`, `cpu.cfs_period_us`, `cpu.cfs_burst_us` | `cpu.max`, `cpu.max.burst` |
//! | CPUs, nodes | `cpuset.cpus`, `cpuset.mems` | the same |
//! | processes | `pids.max` | the same |
//! | I/O weight | `blkio.weight` (default 500), `blkio.bfq.weight` (100) | `io.weight`, `io.bfq.weight` (100) |
//!
//! Weights keep their ratio to the default, since that is what a neighbour without a setting has; the kernel itself counts
//! `cpu.weight` 100 as 1024 shares. Devices are in `devices`.
#![forbid(unsafe_code)]

/// A limited resource: whoever sets it in the running layout's words has the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Memory.
    Memory,
    /// Swap.
    Swap,
    /// The CPU's share.
    CpuWeight,
    /// CPU time in a period.
    CpuMax,
    /// The burst above it.
    CpuBurst,
    /// CPUs to run on.
    Cpus,
    /// Memory nodes.
    Mems,
    /// Number of processes.
    Pids,
    /// The share of block I/O.
    IoWeight,
    /// Devices.
    Devices,
}

/// The resource that a file limits, in either version's words; `None` for one that is not translated.
pub fn resource(file: &str) -> Option<Resource> {
    Some(match file {
        "memory.limit_in_bytes" | "memory.max" => Resource::Memory,
        "memory.memsw.limit_in_bytes" | "memory.swap.max" => Resource::Swap,
        "cpu.shares" | "cpu.weight" => Resource::CpuWeight,
        "cpu.cfs_quota_us" | "cpu.cfs_period_us" | "cpu.max" => Resource::CpuMax,
        "cpu.cfs_burst_us" | "cpu.max.burst" => Resource::CpuBurst,
        "cpuset.cpus" => Resource::Cpus,
        "cpuset.mems" => Resource::Mems,
        "pids.max" => Resource::Pids,
        "blkio.weight" | "blkio.bfq.weight" | "io.weight" | "io.bfq.weight" => Resource::IoWeight,
        "devices.allow" | "devices.deny" => Resource::Devices,
        _ => return None,
    })
}

/// A translated setting: what to write, as alternatives of which the first file that exists is taken.
pub type Written = Vec<(String, String)>;

/// One list's keys for one resource, translated together: `keys` are (file, value) in the config's order, of the last
/// value for each file only. `memory` is the memory limit in bytes, for swap. `None`: it cannot be said in those words.
pub fn to_v2(resource: Resource, keys: &[(&str, &str)], memory: Option<u64>) -> Option<Vec<Written>> {
    let value = keys.last()?.1.trim();
    let one = |file: &str, value: String| Some(vec![vec![(file.to_string(), value)]]);
    match resource {
        Resource::Memory => one("memory.max", unlimited(value)),
        Resource::Swap => match size(value)? {
            Size::Max => one("memory.swap.max", "max".into()),
            Size::Bytes(both) => one("memory.swap.max", both.checked_sub(memory?)?.to_string()),
        },
        Resource::CpuWeight => one("cpu.weight", ratio(value, 1024, 100, 1, 10_000)?),
        Resource::CpuMax => {
            let of = |name: &str| keys.iter().rev().find(|(f, _)| *f == name).map(|(_, v)| v.trim());
            let quota = match of("cpu.cfs_quota_us") {
                Some(q) if q.starts_with('-') => "max",
                Some(q) => q,
                None => "max",
            };
            one("cpu.max", format!("{quota} {}", of("cpu.cfs_period_us").unwrap_or("100000")))
        }
        Resource::CpuBurst => one("cpu.max.burst", value.into()),
        Resource::Cpus | Resource::Mems | Resource::Pids => one(keys.last()?.0, value.into()),
        Resource::IoWeight => {
            let (file, _) = keys.last()?;
            let default = if *file == "blkio.weight" { 500 } else { 100 };
            Some(vec![vec![
                ("io.weight".into(), format!("default {}", ratio(value, default, 100, 1, 10_000)?)),
                ("io.bfq.weight".into(), ratio(value, default, 100, 1, 1000)?),
            ]])
        }
        Resource::Devices => None,
    }
}

/// The other way round.
pub fn to_v1(resource: Resource, keys: &[(&str, &str)], memory: Option<u64>) -> Option<Vec<Written>> {
    let value = keys.last()?.1.trim();
    let one = |file: &str, value: String| Some(vec![vec![(file.to_string(), value)]]);
    let minus = |v: &str| if v == "max" { "-1".to_string() } else { v.to_string() };
    match resource {
        Resource::Memory => one("memory.limit_in_bytes", minus(value)),
        Resource::Swap => match size(value)? {
            Size::Max => one("memory.memsw.limit_in_bytes", "-1".into()),
            Size::Bytes(swap) => one("memory.memsw.limit_in_bytes", memory?.checked_add(swap)?.to_string()),
        },
        Resource::CpuWeight => one("cpu.shares", ratio(value, 100, 1024, 2, 262_144)?),
        Resource::CpuMax => {
            let mut words = value.split_whitespace();
            let quota = minus(words.next()?);
            let period = words.next().unwrap_or("100000");
            // The period first: a quota is checked against the period in force.
            Some(vec![vec![("cpu.cfs_period_us".into(), period.to_string())], vec![("cpu.cfs_quota_us".into(), quota)]])
        }
        Resource::CpuBurst => one("cpu.cfs_burst_us", value.into()),
        Resource::Cpus | Resource::Mems | Resource::Pids => one(keys.last()?.0, value.into()),
        Resource::IoWeight => {
            // `default N`, or N; a device's own weight has no counterpart that all kernels know.
            let weight = value.strip_prefix("default").map_or(value, str::trim);
            Some(vec![vec![
                ("blkio.bfq.weight".into(), ratio(weight, 100, 100, 1, 1000)?),
                ("blkio.weight".into(), ratio(weight, 100, 500, 10, 1000)?),
            ]])
        }
        Resource::Devices => None,
    }
}

/// A size as cgroup files take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// No limit: `-1` in version 1, `max` in cgroup2.
    Max,
    /// Bytes.
    Bytes(u64),
}

/// A size: bytes with one of the kernel's suffixes K, M, G, T, P, E (powers of 1024).
pub fn size(text: &str) -> Option<Size> {
    let text = text.trim();
    if text == "max" || text == "-1" {
        return Some(Size::Max);
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        "E" => 60,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).map(Size::Bytes)
}

fn unlimited(value: &str) -> String {
    if value.starts_with('-') { "max".into() } else { value.into() }
}

/// `value` × `to` ÷ `from`, rounded, within bounds.
fn ratio(value: &str, from: u64, to: u64, low: u64, high: u64) -> Option<String> {
    let v: u64 = value.parse().ok()?;
    Some((v.checked_mul(to)?.checked_add(from / 2)? / from).clamp(low, high).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(file: &str, value: &str) -> Option<String> {
        to_v2(resource(file).unwrap(), &[(file, value)], None).map(|w| text(&w))
    }
    fn v1(file: &str, value: &str) -> Option<String> {
        to_v1(resource(file).unwrap(), &[(file, value)], Some(1 << 20)).map(|w| text(&w))
    }
    fn text(w: &[Written]) -> String {
        let each = w
            .iter()
            .map(|alternatives| alternatives.iter().map(|(f, v)| format!("{f}={v}")).collect::<Vec<_>>().join(" or "));
        each.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn from_v1() {
        assert_eq!(v2("memory.limit_in_bytes", "512M").unwrap(), "memory.max=512M");
        assert_eq!(v2("memory.limit_in_bytes", "-1").unwrap(), "memory.max=max");
        assert_eq!(v2("memory.memsw.limit_in_bytes", "1G"), None);
        assert_eq!(v2("memory.memsw.limit_in_bytes", "-1").unwrap(), "memory.swap.max=max");
        let swap = to_v2(Resource::Swap, &[("memory.memsw.limit_in_bytes", "1G")], Some(512 << 20)).unwrap();
        assert_eq!(text(&swap), "memory.swap.max=536870912");
        assert_eq!(to_v2(Resource::Swap, &[("memory.memsw.limit_in_bytes", "1K")], Some(2048)), None);
        for (shares, weight) in [("1024", "100"), ("512", "50"), ("2", "1"), ("262144", "10000"), ("0", "1")] {
            assert_eq!(v2("cpu.shares", shares).unwrap(), format!("cpu.weight={weight}"));
        }
        let both = [("cpu.cfs_period_us", "50000"), ("cpu.cfs_quota_us", "25000")];
        assert_eq!(text(&to_v2(Resource::CpuMax, &both, None).unwrap()), "cpu.max=25000 50000");
        assert_eq!(v2("cpu.cfs_quota_us", "-1").unwrap(), "cpu.max=max 100000");
        assert_eq!(v2("cpuset.cpus", "0-1").unwrap(), "cpuset.cpus=0-1");
        assert_eq!(v2("blkio.weight", "500").unwrap(), "io.weight=default 100 or io.bfq.weight=100");
        assert_eq!(v2("blkio.bfq.weight", "200").unwrap(), "io.weight=default 200 or io.bfq.weight=200");
        assert_eq!(v2("cpu.shares", "frog"), None);
    }

    #[test]
    fn from_v2() {
        assert_eq!(v1("memory.max", "max").unwrap(), "memory.limit_in_bytes=-1");
        assert_eq!(v1("memory.swap.max", "1M").unwrap(), "memory.memsw.limit_in_bytes=2097152");
        assert_eq!(v1("cpu.weight", "50").unwrap(), "cpu.shares=512");
        assert_eq!(v1("cpu.max", "25000 50000").unwrap(), "cpu.cfs_period_us=50000; cpu.cfs_quota_us=25000");
        assert_eq!(v1("cpu.max", "max").unwrap(), "cpu.cfs_period_us=100000; cpu.cfs_quota_us=-1");
        assert_eq!(v1("io.weight", "default 200").unwrap(), "blkio.bfq.weight=200 or blkio.weight=1000");
        assert_eq!(v1("io.weight", "8:0 200"), None);
        assert_eq!(v1("pids.max", "max").unwrap(), "pids.max=max");
    }

    #[test]
    fn sizes() {
        assert_eq!(size("5k"), Some(Size::Bytes(5120)));
        assert_eq!(size("16E"), None);
        assert_eq!(size("5x"), None);
        assert_eq!(resource("memory.high"), None);
    }
}
