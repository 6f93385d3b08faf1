//! The keys of `security`: rows only. What obeys them lies beside.
#![forbid(unsafe_code)]

use super::Conf;
use super::conf::Caps;
use crate::keys::slot::lines;
use crate::keys::{Answer, Bad, Call, Key, Kind, Op, value};
use crate::slot;

/// All keys of this feature.
pub static KEYS: &[Key<Conf>] = &[
    Key::field(
        "lxc.apparmor.allow_incomplete lxc.aa_allow_incomplete",
        Kind::Bool,
        slot!(Bool, apparmor_allow_incomplete),
        "since: 1.1
         good: 1 | 0
         bad: 2
         default: 0

         1 starts the container although the kernel's AppArmor cannot confine all of it. `lxc.apparmor.allow_incomplete = 1`",
    ),
    Key::field(
        "lxc.apparmor.allow_nesting",
        Kind::Bool,
        slot!(Bool, apparmor_allow_nesting),
        "since: 4.0
         good: 1 | 0
         bad: 2
         default: 0

         1 makes the generated profile allow containers inside. `lxc.apparmor.allow_nesting = 1`",
    ),
    Key::field(
        "lxc.apparmor.profile lxc.aa_profile",
        Kind::Text(u16::MAX),
        slot!(Text, apparmor_profile),
        "since: 1.0
         good: generated | unconfined | lxc-container-default-cgns
         default: lxc-container-default-cgns

         The AppArmor profile of the payload: its name, generated, unconfined, or unchanged.
         `lxc.apparmor.profile = generated`",
    ),
    Key::field(
        "lxc.apparmor.raw",
        Kind::List,
        slot!(List, apparmor_raw),
        "since: 4.0
         good: deny /srv/** w,

         A line for the generated AppArmor profile. One line each. `lxc.apparmor.raw = deny /srv/** w,`",
    ),
    Key::own(
        "lxc.cap.drop",
        |op, call| caps(op, call, false),
        "since: 1.0
         good: sys_admin chown | 5
         bad: CHOWN | none | cap_chown

         Capabilities that the payload loses, in lower case without cap_, or numbers; every line adds some. Not together with
         lxc.cap.keep. `lxc.cap.drop = sys_module mac_admin`",
    ),
    Key::own(
        "lxc.cap.keep",
        |op, call| caps(op, call, true),
        "since: 1.0
         good: chown kill | none
         bad: CAP_CHOWN

         The only capabilities that the payload keeps; none keeps nothing. Not together with lxc.cap.drop.
         `lxc.cap.keep = chown setuid setgid kill`",
    ),
    Key::field(
        "lxc.keyring.session",
        Kind::Bool,
        slot!(Bool, no_session_keyring),
        "since: 4.0
         good: 1 | 0
         bad: 2
         default: 0

         1 makes no session keyring for the container (the name misleads). `lxc.keyring.session = 1`",
    ),
    Key::field(
        "lxc.no_new_privs",
        Kind::Bool,
        slot!(Bool, no_new_privs),
        "since: 2.1
         good: 1 | 0
         bad: 2
         default: 0

         1 keeps set-user-id programs inside from gaining privileges. `lxc.no_new_privs = 1`",
    ),
    Key::field(
        "lxc.sched.core",
        Kind::Bool,
        slot!(Bool, sched_core),
        "since: 4.0
         good: 1 | 0
         bad: 2
         default: 0

         1 gives the container a core scheduling domain: no other process runs beside it on one core. `lxc.sched.core = 1`",
    ),
    Key::field(
        "lxc.seccomp.allow_nesting",
        Kind::Bool,
        slot!(Bool, seccomp_allow_nesting),
        "since: 4.0
         good: 1 | 0
         bad: 2
         default: 0

         1 loads the profile even when the starter is confined by one. `lxc.seccomp.allow_nesting = 1`",
    ),
    Key::field(
        "lxc.seccomp.notify.cookie",
        Kind::Text(u16::MAX),
        slot!(Text, seccomp_cookie),
        "since: 4.0
         good: c1-secret

         A text that goes with every question to the proxy of lxc.seccomp.notify.proxy. `lxc.seccomp.notify.cookie = web1`",
    ),
    Key::own(
        "lxc.seccomp.notify.proxy",
        proxy,
        "since: 4.0
         good: unix:/run/proxy | unix:@proxy
         bad: http:x | unix: | unix:a/b

         The socket of the program that answers the calls for which the profile says notify; it listens before the container
         starts. A call that it leaves unanswered for 30 seconds, or answers wrongly, fails with ENOSYS. A name that begins with @
         is an abstract one. `lxc.seccomp.notify.proxy = unix:/run/proxy.sock`",
    ),
    Key::field(
        "lxc.seccomp.profile lxc.seccomp",
        Kind::Path,
        slot!(Text, seccomp_profile),
        "since: 1.0
         good: /usr/share/lxc/config/common.seccomp

         The file with the system calls that are allowed or denied. `lxc.seccomp.profile = /etc/lxc/web.seccomp`",
    ),
    Key::field(
        "lxc.selinux.context lxc.se_context",
        Kind::Text(u16::MAX),
        slot!(Text, selinux_context),
        "since: 1.0
         good: system_u:system_r:lxc_t:s0:c22

         The SELinux context of the payload. `lxc.selinux.context = system_u:system_r:lxc_t:s0:c22`",
    ),
    Key::field(
        "lxc.selinux.context.keyring",
        Kind::Text(u16::MAX),
        slot!(Text, selinux_keyring),
        "since: 4.0
         good: system_u:system_r:lxc_t:s0:c22
         default: lxc.selinux.context

         The SELinux context of the session keyring. `lxc.selinux.context.keyring = system_u:system_r:lxc_t:s0`",
    ),
];

/// The capabilities' names by number (capabilities(7)).
const CAPS: &str = "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable \
     net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace \
     sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control \
     setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore";

/// The highest capability number that this library has a name for.
pub const LAST_NAMED_CAP: u8 = 40;

/// The number of a capability: its name in lower case without `cap_`, or a number up to the last named one.
pub fn cap_number(word: &str) -> Option<u8> {
    if let Ok(n) = value::unsigned(word) {
        return u8::try_from(n).ok().filter(|n| *n <= LAST_NAMED_CAP);
    }
    CAPS.split(' ').position(|name| name == word).and_then(|n| u8::try_from(n).ok())
}

fn caps(op: Op<'_, Conf>, call: &Call<'_>, keep: bool) -> Answer {
    match op {
        Op::Set(c) if !call.value.is_empty() => add_caps(c, call.value, keep)?,
        Op::Get(c) => {
            let mine = if keep { matches!(c.caps, Caps::Keep(_)) } else { matches!(c.caps, Caps::Drop(_)) };
            return Ok(if mine { lines(&c.caps_words) } else { String::new() });
        }
        Op::Set(c) | Op::Clear(c) => {
            c.caps = Caps::Unset;
            c.caps_words.clear();
        }
    }
    Ok(String::new())
}

fn add_caps(conf: &mut Conf, text: &str, keep: bool) -> Result<(), Bad> {
    let (mut list, mut words) = match (&conf.caps, keep) {
        (Caps::Unset, _) => (Vec::new(), Vec::new()),
        (Caps::Drop(list), false) | (Caps::Keep(list), true) => (list.clone(), conf.caps_words.clone()),
        (Caps::Drop(_), true) => return Err(Bad::new("not together with lxc.cap.drop")),
        (Caps::Keep(_), false) => return Err(Bad::new("not together with lxc.cap.keep")),
    };
    for (at, word) in value::words(text) {
        if keep && word == "none" {
            list.clear();
            words.clear();
            continue;
        }
        list.push(cap_number(word).ok_or_else(|| Bad::new(format!("no capability \"{word}\"")).at(at))?);
        words.push(word.to_string());
    }
    conf.caps = if keep { Caps::Keep(list) } else { Caps::Drop(list) };
    conf.caps_words = words;
    Ok(())
}

fn proxy(op: Op<'_, Conf>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(c) if !call.value.is_empty() => {
            let address = call.value.strip_prefix("unix:").ok_or_else(|| Bad::new("must start with unix:"))?;
            if !(address.starts_with('/') || address.starts_with('@') && address.len() > 1) {
                return Err(Bad::new("neither an absolute path nor @ with a name").at(5));
            }
            if address.len() > 107 {
                return Err(Bad::new("longer than a socket's address may be (107 bytes)").at(5));
            }
            c.seccomp_proxy = Some(address.to_string());
        }
        Op::Get(c) => {
            let address = c.seccomp_proxy.as_deref().unwrap_or_default();
            return Ok(address.strip_prefix('@').unwrap_or(address).to_string());
        }
        Op::Set(c) | Op::Clear(c) => c.seccomp_proxy = None,
    }
    Ok(String::new())
}
