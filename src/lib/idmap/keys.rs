//! The keys of `idmap`: rows only. What obeys them lies beside.
#![forbid(unsafe_code)]

use super::Conf;
use crate::base::ids::{IdKind, IdMap};
use crate::keys::{Answer, Bad, Call, Key, Op, value};

/// All keys of this feature.
pub static KEYS: &[Key<Conf>] = &[Key::own(
    "lxc.idmap lxc.id_map",
    idmap,
    "since: 1.0
     good: u 0 100000 65536 | g 0 100000 65536
     bad: x 0 1 1 | u 0 1 | u 0 1 1 x | u 0 4294967296 1
     default: no user namespace

     Maps a range of user (u) or group (g) ids: first id inside, first id on the host, how many. Any line gives the container
     a user namespace of its own; one line each. `lxc.idmap = u 0 100000 65536`",
)];

fn idmap(op: Op<'_, Conf>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(c) if call.value.is_empty() => c.maps.clear(),
        Op::Set(c) => c.maps.push(parse(call.value)?),
        Op::Get(c) => {
            let lines: Vec<_> = c.maps.iter().map(show).collect();
            return Ok(lines.join("\n"));
        }
        Op::Clear(c) => c.maps.clear(),
    }
    Ok(String::new())
}

fn show(map: &IdMap) -> String {
    let kind = if map.kind == IdKind::Uid { 'u' } else { 'g' };
    format!("{kind} {} {} {}", map.nsid, map.hostid, map.range)
}

/// An id map line: `u|g NSID HOSTID RANGE`.
///
/// # Errors
/// What is wrong, and at which byte.
pub fn parse(text: &str) -> Result<IdMap, Bad> {
    let mut words = value::words(text);
    let mut next = |what: &str| words.next().ok_or_else(|| Bad::new(format!("{what} is missing")).at(text.len()));
    let (at, kind) = next("u or g")?;
    let kind = match kind {
        "u" => IdKind::Uid,
        "g" => IdKind::Gid,
        _ => return Err(Bad::new("neither u nor g").at(at)),
    };
    let mut number = |what: &str| {
        let (at, word) = next(what)?;
        value::unsigned(word).map_err(|e| Bad::new(format!("{what}: {}", e.why)).at(at))
    };
    let (nsid, hostid, range) = (number("the first id inside")?, number("the first host id")?, number("the range")?);
    match words.next() {
        Some((at, _)) => Err(Bad::new("nothing may follow the range").at(at)),
        None => Ok(IdMap { kind, nsid, hostid, range }),
    }
}
