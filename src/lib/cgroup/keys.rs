//! The keys of `cgroup`: rows only. What obeys them lies beside.
#![forbid(unsafe_code)]

use super::Conf;
use crate::keys::{Answer, Bad, Call, Key, Kind, Op};
use crate::{own, slot};

/// All keys of this feature.
pub static KEYS: &[Key<Conf>] = &[
    Key::own(
        "lxc.cgroup.*",
        own!(v1, v1),
        "since: 1.0
         until: 6.0
         sub: cpu.shares
         good: 512 | 100

         A text for a file of the payload's cgroup, version 1; on a host with cgroup2 only, common limits are translated. Every
         line adds one write. `lxc.cgroup.memory.limit_in_bytes = 512M`",
    ),
    Key::field(
        "lxc.cgroup.dir",
        Kind::RelPath,
        slot!(Text, dir),
        "since: 2.1
         good: lxc/c1 | a//b/
         bad: /lxc | a/../b
         default: lxc.payload.NAME and lxc.monitor.NAME

         The directory below which the container's cgroups are made. Not together with lxc.cgroup.dir.monitor and lxc.cgroup.dir.container.
         `lxc.cgroup.dir = lxc/web1`",
    ),
    Key::field(
        "lxc.cgroup.dir.container",
        Kind::RelPath,
        slot!(Text, dir_container),
        "since: 5.0
         good: lxc/payload
         bad: /lxc

         The payload's cgroup; lxc.cgroup.dir.monitor must be set with it. `lxc.cgroup.dir.container = lxc/payload`",
    ),
    Key::field(
        "lxc.cgroup.dir.container.inner",
        Kind::FileName,
        slot!(Text, dir_inner),
        "since: 5.0
         good: inner
         bad: a/b | ..

         A directory below the payload's cgroup that the container lives in, so that it cannot change its own limits.
         `lxc.cgroup.dir.container.inner = ns`",
    ),
    Key::field(
        "lxc.cgroup.dir.monitor",
        Kind::RelPath,
        slot!(Text, dir_monitor),
        "since: 5.0
         good: lxc/monitor
         bad: ../lxc

         The monitor's cgroup; lxc.cgroup.dir.container must be set with it. `lxc.cgroup.dir.monitor = lxc/monitor`",
    ),
    Key::field(
        "lxc.cgroup.dir.monitor.pivot",
        Kind::RelPath,
        slot!(Text, dir_pivot),
        "since: 5.0
         good: lxc
         bad: /

         Where the monitor moves when the container's cgroups are removed and no group above takes it back.
         `lxc.cgroup.dir.monitor.pivot = lxc`",
    ),
    Key::field(
        "lxc.cgroup.relative",
        Kind::Bool,
        slot!(Bool, relative),
        "since: 4.0
         good: 1 | 0
         bad: 2
         default: 0

         1 makes the cgroups below the caller's own, in place of below that of the host's init. `lxc.cgroup.relative = 1`",
    ),
    Key::own(
        "lxc.cgroup2.*",
        own!(v2, v2),
        "since: 3.0
         sub: memory.max
         good: 512M | max

         A text for a file of the payload's cgroup, version 2. Every line adds one write. `lxc.cgroup2.memory.max = 512M`",
    ),
];

type Files = Vec<(String, String)>;

fn v1(op: Op<'_, Files>, call: &Call<'_>) -> Answer {
    files(op, call, "lxc.cgroup.")
}

fn v2(op: Op<'_, Files>, call: &Call<'_>) -> Answer {
    files(op, call, "lxc.cgroup2.")
}

fn files(op: Op<'_, Files>, call: &Call<'_>, prefix: &str) -> Answer {
    match op {
        Op::Set(_) if !call.value.is_empty() && call.sub.is_empty() => Err(Bad::new("the name of a file is missing")),
        Op::Set(list) if !call.value.is_empty() => {
            list.push((call.sub.to_string(), call.value.to_string()));
            Ok(String::new())
        }
        Op::Set(list) | Op::Clear(list) => {
            list.retain(|(file, _)| !call.sub.is_empty() && file != call.sub);
            Ok(String::new())
        }
        Op::Get(list) if call.sub.is_empty() => {
            Ok(list.iter().map(|(file, text)| format!("{prefix}{file} = {text}\n")).collect())
        }
        Op::Get(list) => {
            let mine = list.iter().filter(|(file, _)| file == call.sub);
            Ok(mine.map(|(_, text)| format!("{text}\n")).collect())
        }
    }
}
