//! The keys of `process`: rows only. What obeys them lies beside.
#![forbid(unsafe_code)]

use super::Conf;
use crate::base::units;
use crate::keys::slot::lines;
use crate::keys::{Answer, Bad, Call, Key, Kind, Op, value};
use crate::{own, slot};

/// All keys of this feature.
pub static KEYS: &[Key<Conf>] = &[
    Key::own(
        "lxc.arch",
        arch,
        "since: 1.0
         good: x86_64 | i686 | arm64
         bad: X86_64 | foo
         default: the host's personality

         The architecture that uname(2) shows inside, for a 32-bit container on a 64-bit host. Only the width counts: the
         value is kept as i686 or x86_64. `lxc.arch = i686`",
    ),
    Key::own(
        "lxc.environment",
        own!(environment, variables),
        "since: 1.1
         good: TERM=linux | A=b c
         bad: NO_SUCH_VARIABLE_ANYWHERE

         A variable for init and for hooks. A name alone copies the caller's value, which must exist. One line each.
         `lxc.environment = TERM=linux`",
    ),
    Key::own(
        "lxc.environment.hooks",
        own!(environment_hooks, variables),
        "since: 7.0
         good: STAGE=test
         bad: NO_SUCH_VARIABLE_ANYWHERE

         A variable for the hooks that run inside only, as lxc.environment otherwise. `lxc.environment.hooks = STAGE=test`",
    ),
    Key::own(
        "lxc.environment.runtime",
        own!(environment_runtime, variables),
        "since: 7.0
         good: LANG=C.UTF-8
         bad: NO_SUCH_VARIABLE_ANYWHERE

         A variable for init only, as lxc.environment otherwise. `lxc.environment.runtime = LANG=C.UTF-8`",
    ),
    Key::field(
        "lxc.ephemeral",
        Kind::Bool,
        slot!(Bool, ephemeral),
        "since: 1.1
         good: 1 | 0
         bad: 2 | yes
         default: 0

         1 destroys the container when it stops; a reboot is no stop. `lxc.ephemeral = 1`",
    ),
    Key::field(
        "lxc.execute.cmd",
        Kind::Text(u16::MAX),
        slot!(Text, execute_cmd),
        "since: 3.0
         good: /bin/sh -c 'sleep 1'

         The command that lxc-execute runs when its command line has none; quotes group words.
         `lxc.execute.cmd = /bin/sh`",
    ),
    Key::field(
        "lxc.group",
        Kind::Words,
        slot!(List, groups),
        "since: 1.0
         good: web db | onboot

         Groups that lxc-autostart and lxc-ls select by, blank-separated; every line adds some. `lxc.group = onboot web`",
    ),
    Key::field(
        "lxc.init.cmd lxc.init_cmd",
        Kind::Text(u16::MAX),
        slot!(Text, init_cmd),
        "since: 1.1
         good: /sbin/init splash
         default: /sbin/init

         The command that lxc-start runs as init; quotes group words. `lxc.init.cmd = /lib/systemd/systemd`",
    ),
    Key::field(
        "lxc.init.cwd",
        Kind::Path,
        slot!(Text, init_cwd),
        "since: 3.0
         good: /srv | //srv//www/
         default: /

         The working directory of init, inside; it is made when missing. `lxc.init.cwd = /srv`",
    ),
    Key::field(
        "lxc.init.gid lxc.init_gid",
        Kind::UInt(u32::MAX),
        slot!(Id, init_gid),
        "since: 1.1
         good: 1000 | 0x10
         bad: x | -1
         default: 0

         The group id of init, inside. `lxc.init.gid = 1000`",
    ),
    Key::own(
        "lxc.init.groups",
        own!(init_groups, groups),
        "since: 4.0
         good: 27,44 | 5
         bad: 5,x | ,

         Supplementary group ids of init, inside, comma-separated; every line adds some. `lxc.init.groups = 27,44`",
    ),
    Key::field(
        "lxc.init.uid lxc.init_uid",
        Kind::UInt(u32::MAX),
        slot!(Id, init_uid),
        "since: 1.1
         good: 1000 | 010
         bad: x | -1
         default: 0

         The user id of init, inside. `lxc.init.uid = 1000`",
    ),
    Key::field(
        "lxc.monitor.signal.pdeath",
        Kind::Signal,
        slot!(I32, pdeath),
        "since: 4.0
         good: SIGTERM | 9
         bad: TERM | -1
         default: SIGKILL

         The signal that init gets when its monitor dies; 0 for none. `lxc.monitor.signal.pdeath = SIGTERM`",
    ),
    Key::field(
        "lxc.monitor.unshare",
        Kind::UInt(u32::MAX),
        slot!(Id, monitor_unshare),
        "since: 1.1
         good: 1 | 0
         bad: yes
         default: 0

         1 gives the monitor a mount namespace of its own before anything is mounted, so that what start hooks mount is not
         seen on the host. `lxc.monitor.unshare = 1`",
    ),
    Key::own(
        "lxc.prlimit.* lxc.limit.*",
        own!(prlimits, prlimit),
        "since: 2.1
         sub: nofile
         good: 1024 | 1024:2048 | unlimited | 10 : unlimited
         bad: 10:20:30 | 5x | 0x10

         A resource limit of init (setrlimit(2)), as soft:hard or one number for both, each a number or unlimited. The name
         is that of the limit in lower case. `lxc.prlimit.nofile = 1024:4096`",
    ),
    Key::own(
        "lxc.proc.*",
        own!(procs, proc),
        "since: 3.0
         sub: oom_score_adj
         good: 10 | -5

         A text for /proc/PID/FILE of init; dots in the name become slashes. `lxc.proc.oom_score_adj = 100`",
    ),
    Key::field(
        "lxc.signal.halt lxc.haltsignal",
        Kind::Signal,
        slot!(I32, signal_halt),
        "since: 1.0
         good: SIGPWR | SIGRTMIN+3 | 15
         bad: PWR | SIGRTMIN | -1
         default: SIGPWR, or SIGRTMIN+3 when init blocks that

         The signal by which lxc-stop asks init to shut down. `lxc.signal.halt = SIGRTMIN+3`",
    ),
    Key::field(
        "lxc.signal.reboot lxc.rebootsignal",
        Kind::Signal,
        slot!(I32, signal_reboot),
        "since: 1.1
         good: SIGINT | SIGRTMAX-2
         bad: INT | SIGRTMAX-99
         default: SIGINT

         The signal by which lxc-stop -r asks init to reboot. `lxc.signal.reboot = SIGTERM`",
    ),
    Key::field(
        "lxc.signal.stop lxc.stopsignal",
        Kind::Signal,
        slot!(I32, signal_stop),
        "since: 1.0
         good: SIGKILL | sigterm
         bad: KILL
         default: SIGKILL

         The signal by which lxc-stop -k ends init. `lxc.signal.stop = SIGKILL`",
    ),
    Key::field(
        "lxc.start.auto",
        Kind::Bool,
        slot!(Bool, start_auto),
        "since: 1.0
         good: 1 | 0
         bad: 2
         default: 0

         1 lets lxc-autostart start the container. `lxc.start.auto = 1`",
    ),
    Key::field(
        "lxc.start.delay",
        Kind::UInt(u32::MAX),
        slot!(Id, start_delay),
        "since: 1.0
         good: 5 | 0
         bad: -1 | 5s
         default: 0

         Seconds that lxc-autostart waits after it started the container. `lxc.start.delay = 5`",
    ),
    Key::field(
        "lxc.start.order",
        Kind::Int,
        slot!(I32, start_order),
        "since: 1.0
         good: 10 | -5 | +3
         bad: first
         default: 0

         Containers with a larger number are started first by lxc-autostart. `lxc.start.order = 10`",
    ),
    Key::own(
        "lxc.sysctl.*",
        own!(sysctls, sysctl),
        "since: 3.0
         sub: net.ipv4.ip_forward
         good: 1 | 4 4 1 7

         A kernel setting below /proc/sys, dots for slashes, written inside before init runs; the last line of a name counts.
         `lxc.sysctl.net.ipv4.ip_forward = 1`",
    ),
    Key::field(
        "lxc.uts.name lxc.utsname",
        Kind::Text(64),
        slot!(Text, uts_name),
        "since: 1.0
         good: web1 | a.example.net
         bad: 01234567890123456789012345678901234567890123456789012345678901234
         default: unchanged

         The host name inside, up to 64 bytes. `lxc.uts.name = web1`",
    ),
];

fn arch(op: Op<'_, Conf>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(c) => {
            let narrow = units::arch_is_32(call.value).ok_or_else(|| Bad::new("no known architecture"))?;
            c.arch32 = Some(narrow);
            Ok(String::new())
        }
        Op::Get(c) => Ok(c.arch32.map_or("", |narrow| if narrow { "i686" } else { "x86_64" }).to_string()),
        Op::Clear(c) => {
            c.arch32 = None;
            Ok(String::new())
        }
    }
}

fn variables(op: Op<'_, Vec<String>>, call: &Call<'_>) -> Answer {
    match op {
        Op::Get(list) => return Ok(lines(list)),
        Op::Set(list) if call.value.contains('=') => list.push(call.value.to_string()),
        Op::Set(list) if !call.value.is_empty() => {
            let value = std::env::var(call.value)
                .map_err(|_| Bad::os(libc::ENOENT, "no such variable in the caller's environment"))?;
            list.push(format!("{}={value}", call.value));
        }
        Op::Set(list) | Op::Clear(list) => list.clear(),
    }
    Ok(String::new())
}

fn groups(op: Op<'_, Vec<u32>>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(list) if !call.value.is_empty() => {
            let parts = call.value.split(',').filter(|p| !p.is_empty());
            let ids = parts.map(value::unsigned).collect::<Result<Vec<_>, _>>()?;
            if ids.is_empty() {
                return Err(Bad::new("no group id"));
            }
            list.extend(ids);
        }
        Op::Get(list) => {
            let ids: Vec<_> = list.iter().map(|id| (*id as i32).to_string()).collect();
            return Ok(ids.join(","));
        }
        Op::Set(list) | Op::Clear(list) => list.clear(),
    }
    Ok(String::new())
}

fn limit(text: &str) -> Result<u64, Bad> {
    match text.trim_matches([' ', '\t']) {
        "unlimited" | "-1" => Ok(u64::MAX),
        "" => Ok(0),
        other => {
            let digits = other.strip_prefix('+').unwrap_or(other);
            if digits.bytes().all(|b| b.is_ascii_digit()) {
                digits.parse().map_err(|_| Bad::new("neither a decimal number nor unlimited"))
            } else {
                Err(Bad::new("neither a decimal number nor unlimited"))
            }
        }
    }
}

fn limit_text(soft: u64, hard: u64) -> String {
    let one = |n: u64| if n == u64::MAX { "unlimited".to_string() } else { n.to_string() };
    if soft == hard { one(soft) } else { format!("{}:{}", one(soft), one(hard)) }
}

fn prlimit(op: Op<'_, Vec<(String, u64, u64)>>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(list) | Op::Clear(list) if call.value.is_empty() => {
            list.retain(|(name, ..)| !call.sub.is_empty() && name != call.sub);
        }
        Op::Clear(_) => {}
        Op::Set(list) => {
            if call.sub.is_empty() {
                return Err(Bad::new("the name of a limit is missing: lxc.prlimit.NAME"));
            }
            let (soft, hard) = match call.value.split_once(':') {
                Some((soft, hard)) if hard.trim_matches([' ', '\t']).is_empty() => (limit(soft)?, limit(soft)?),
                Some((soft, hard)) => (limit(soft)?, limit(hard)?),
                None => (limit(call.value)?, limit(call.value)?),
            };
            match list.iter_mut().find(|(name, ..)| name == call.sub) {
                Some(old) => (old.1, old.2) = (soft, hard),
                None => list.push((call.sub.to_string(), soft, hard)),
            }
        }
        Op::Get(list) if call.sub.is_empty() => {
            let line = |(name, soft, hard): &(String, u64, u64)| {
                format!("lxc.prlimit.{name} = {}\n", limit_text(*soft, *hard))
            };
            return Ok(list.iter().map(line).collect());
        }
        Op::Get(list) => {
            let found = list.iter().find(|(name, ..)| name == call.sub);
            return Ok(found.map(|(_, soft, hard)| limit_text(*soft, *hard)).unwrap_or_default());
        }
    }
    Ok(String::new())
}

/// Set, get and clear of a list of names and texts; `replace`: a name is there once.
fn named(op: Op<'_, Vec<(String, String)>>, call: &Call<'_>, prefix: &str, replace: bool) -> Answer {
    match op {
        Op::Set(list) | Op::Clear(list) if call.value.is_empty() => {
            list.retain(|(name, _)| !call.sub.is_empty() && name != call.sub);
        }
        Op::Clear(_) => {}
        Op::Set(list) => {
            if call.sub.is_empty() {
                return Err(Bad::new(format!("a name is missing: {prefix}NAME")));
            }
            match list.iter_mut().find(|(name, _)| replace && name == call.sub) {
                Some(old) => old.1 = call.value.to_string(),
                None => list.push((call.sub.to_string(), call.value.to_string())),
            }
        }
        Op::Get(list) if call.sub.is_empty() => {
            return Ok(list.iter().map(|(name, text)| format!("{prefix}{name} = {text}\n")).collect());
        }
        Op::Get(list) => {
            return Ok(list.iter().filter(|(name, _)| name == call.sub).map(|(_, text)| text.as_str()).collect());
        }
    }
    Ok(String::new())
}

fn sysctl(op: Op<'_, Vec<(String, String)>>, call: &Call<'_>) -> Answer {
    named(op, call, "lxc.sysctl.", true)
}

fn proc(op: Op<'_, Vec<(String, String)>>, call: &Call<'_>) -> Answer {
    named(op, call, "lxc.proc.", false)
}
