//! The keys of `namespace`: rows only. What obeys them lies beside.
#![forbid(unsafe_code)]

use super::Conf;
use super::conf::TimeOffset;
use crate::base::ids::{Ns, NsSet};
use crate::base::units;
use crate::keys::{Answer, Bad, Call, Key, Op, value};

/// All keys of this feature.
pub static KEYS: &[Key<Conf>] = &[
    Key::own(
        "lxc.namespace.clone",
        |op, call| match op {
            Op::Set(c) => add(&mut c.clone, c.keep, "lxc.namespace.keep", call),
            Op::Get(c) => Ok(list(c.clone)),
            Op::Clear(c) => forget(&mut c.clone),
        },
        "since: 3.0
         good: user pid | NET
         bad: mount | foo
         default: all but what is kept or shared

         The namespaces that the container gets new, and no others: user mnt pid uts ipc net cgroup time. Not together with
         lxc.namespace.keep. `lxc.namespace.clone = mnt pid uts ipc`",
    ),
    Key::own(
        "lxc.namespace.keep",
        |op, call| match op {
            Op::Set(c) => add(&mut c.keep, c.clone, "lxc.namespace.clone", call),
            Op::Get(c) => Ok(list(c.keep)),
            Op::Clear(c) => forget(&mut c.keep),
        },
        "since: 3.0
         good: net | ipc time
         bad: network

         The namespaces that the container keeps from its starter. Not together with lxc.namespace.clone.
         `lxc.namespace.keep = net`",
    ),
    Key::own(
        "lxc.namespace.share.*",
        share,
        "since: 3.0
         sub: net
         good: /proc/1/ns/net | 1 | other

         Joins one namespace of another process: its file, a pid, or the name of a running container (with its store before
         it, if it is another one). `lxc.namespace.share.net = c1`",
    ),
    Key::own(
        "lxc.time.offset.boot",
        |op, call| match op {
            Op::Set(c) => set_offset(&mut c.boot, call),
            Op::Get(c) => Ok(show_offset(c.boot)),
            Op::Clear(c) => clear_offset(&mut c.boot),
        },
        "since: 5.0
         good: 5h | 10 s | 7ms
         bad: 5 | -5m | 1h1m
         default: 0ns

         What the boot clock inside is ahead of the host's, with a unit: h m s ms us ns. Needs a time namespace.
         `lxc.time.offset.boot = 1h`",
    ),
    Key::own(
        "lxc.time.offset.monotonic",
        |op, call| match op {
            Op::Set(c) => set_offset(&mut c.monotonic, call),
            Op::Get(c) => Ok(show_offset(c.monotonic)),
            Op::Clear(c) => clear_offset(&mut c.monotonic),
        },
        "since: 5.0
         good: 5m | 10us
         bad: 5 | h
         default: 0ns

         What the monotonic clock inside is ahead of the host's, as lxc.time.offset.boot. `lxc.time.offset.monotonic = 90s`",
    ),
];

fn add(set: &mut NsSet, other: NsSet, rival: &str, call: &Call<'_>) -> Answer {
    if call.value.is_empty() {
        return forget(set);
    }
    if !other.is_empty() {
        return Err(Bad::new(format!("not together with {rival}")));
    }
    let mut new = *set;
    for (at, word) in value::words(call.value) {
        let known = Ns::ALL.into_iter().find(|ns| ns.name().eq_ignore_ascii_case(word));
        new.add(known.ok_or_else(|| {
            Bad::new(format!("no namespace \"{word}\": user mnt pid uts ipc net cgroup time")).at(at)
        })?);
    }
    *set = new;
    Ok(String::new())
}

fn list(set: NsSet) -> String {
    set.iter().map(|ns| format!("{}\n", ns.name())).collect()
}

fn forget(set: &mut NsSet) -> Answer {
    *set = NsSet::default();
    Ok(String::new())
}

fn share(op: Op<'_, Conf>, call: &Call<'_>) -> Answer {
    let ns = Ns::ALL
        .into_iter()
        .find(|ns| ns.name() == call.sub)
        .ok_or_else(|| Bad::new(format!("no namespace \"{}\": user mnt pid uts ipc net cgroup time", call.sub)))?;
    let index = ns as usize;
    match op {
        Op::Set(c) => c.share[index] = (!call.value.is_empty()).then(|| call.value.to_string()),
        Op::Get(c) => return Ok(c.share[index].clone().unwrap_or_default()),
        Op::Clear(c) => c.share[index] = None,
    }
    Ok(String::new())
}

fn set_offset(field: &mut TimeOffset, call: &Call<'_>) -> Answer {
    if call.value.is_empty() {
        return clear_offset(field);
    }
    let (secs, nanos) = units::parse_offset(call.value).map_err(Bad::new)?;
    *field = TimeOffset { secs, nanos };
    Ok(String::new())
}

fn show_offset(offset: TimeOffset) -> String {
    if offset.secs == 0 { format!("{}ns", offset.nanos) } else { format!("{}s", offset.secs) }
}

fn clear_offset(field: &mut TimeOffset) -> Answer {
    *field = TimeOffset::default();
    Ok(String::new())
}
