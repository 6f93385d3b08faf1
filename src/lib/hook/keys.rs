//! The keys of `hook`: rows only. What obeys them lies beside.
#![forbid(unsafe_code)]

use super::Conf;
use super::conf::When;
use crate::keys::{Answer, Bad, Call, Key, Kind, Op};
use crate::slot;

/// All keys of this feature.
pub static KEYS: &[Key<Conf>] = &[
    Key::own(
        "lxc.hook",
        all,
        "since: 2.1
         good: -
         bad: /bin/true

         Takes no value: the empty one forgets all hooks. `lxc.hook =`",
    ),
    Key::field(
        "lxc.hook.autodev",
        Kind::List,
        slot!(List, hooks, When::Autodev as usize),
        "since: 1.0
         good: /usr/share/lxc/hooks/dev

         Run in the container's namespaces after /dev was filled. One line each. `lxc.hook.autodev = /srv/make-nodes`",
    ),
    Key::field(
        "lxc.hook.clone",
        Kind::List,
        slot!(List, hooks, When::Clone as usize),
        "since: 1.0
         good: /usr/share/lxc/hooks/clonehostname

         Run on the host for a new copy of the container. `lxc.hook.clone = /usr/share/lxc/hooks/clonehostname`",
    ),
    Key::field(
        "lxc.hook.destroy",
        Kind::List,
        slot!(List, hooks, When::Destroy as usize),
        "since: 1.1
         good: /srv/forget

         Run on the host before the container is destroyed. `lxc.hook.destroy = /srv/forget`",
    ),
    Key::field(
        "lxc.hook.mount",
        Kind::List,
        slot!(List, hooks, When::Mount as usize),
        "since: 1.0
         good: /srv/mount

         Run in the container's namespaces after the mounts, before the change of root. `lxc.hook.mount = /srv/mount`",
    ),
    Key::field(
        "lxc.hook.post-stop",
        Kind::List,
        slot!(List, hooks, When::PostStop as usize),
        "since: 1.0
         good: /srv/stopped

         Run on the host after the container has stopped. `lxc.hook.post-stop = /srv/stopped`",
    ),
    Key::field(
        "lxc.hook.pre-mount",
        Kind::List,
        slot!(List, hooks, When::PreMount as usize),
        "since: 1.0
         good: /srv/decrypt

         Run in the container's namespaces before its rootfs is mounted. `lxc.hook.pre-mount = /srv/decrypt`",
    ),
    Key::field(
        "lxc.hook.pre-start",
        Kind::List,
        slot!(List, hooks, When::PreStart as usize),
        "since: 1.0
         good: /srv/prepare --fast | /bin/true

         Run on the host before anything else of a start. `lxc.hook.pre-start = /srv/prepare`",
    ),
    Key::field(
        "lxc.hook.start",
        Kind::List,
        slot!(List, hooks, When::Start as usize),
        "since: 1.0
         good: /bin/announce

         Run inside, just before init. `lxc.hook.start = /bin/announce`",
    ),
    Key::field(
        "lxc.hook.start-host",
        Kind::List,
        slot!(List, hooks, When::StartHost as usize),
        "since: 3.0
         good: /srv/started

         Run on the host once the container is set up, before init runs. `lxc.hook.start-host = /srv/started`",
    ),
    Key::field(
        "lxc.hook.stop",
        Kind::List,
        slot!(List, hooks, When::Stop as usize),
        "since: 1.1
         good: /srv/stopping

         Run on the host after init has ended, with the container's namespaces still there. `lxc.hook.stop = /srv/stopping`",
    ),
    Key::field(
        "lxc.hook.version",
        Kind::UInt(1),
        slot!(U32, version),
        "since: 3.0
         good: 1 | 0
         bad: 2
         default: 0

         How hooks learn of their container: 0 by arguments and environment, 1 by environment only. `lxc.hook.version = 1`",
    ),
];

fn all(op: Op<'_, Conf>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(_) if !call.value.is_empty() => Err(Bad::new("takes no value; name a hook, as lxc.hook.pre-start")),
        Op::Get(_) => Err(Bad::new("has no value")),
        Op::Set(c) | Op::Clear(c) => {
            c.hooks.iter_mut().for_each(Vec::clear);
            Ok(String::new())
        }
    }
}
