//! All rows as one table: which row a written key means. The name index is computed when the library is built and holds
//! no pointer. Knows no value.
#![forbid(unsafe_code)]

use crate::keys::{Key, Row};
use crate::sys::bytes::find as find_byte;

/// A feature that owns rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Section {
    /// `config`: logging and includes.
    Log,
    /// Control groups.
    Cgroup,
    /// Hooks.
    Hook,
    /// Id maps.
    Idmap,
    /// Mounts.
    Mount,
    /// Namespaces.
    Namespace,
    /// `lxc.net` as a whole.
    Network,
    /// One network device.
    Device,
    /// The payload's process.
    Process,
    /// Security.
    Security,
    /// The rootfs.
    Storage,
    /// Terminals.
    Terminal,
}

/// All sections, in the order of their numbers.
pub const SECTIONS: [Section; 12] = [
    Section::Log,
    Section::Cgroup,
    Section::Hook,
    Section::Idmap,
    Section::Mount,
    Section::Namespace,
    Section::Network,
    Section::Device,
    Section::Process,
    Section::Security,
    Section::Storage,
    Section::Terminal,
];

/// Does `$do!(keys)` with the rows of a section.
macro_rules! with_keys {
    ($section:expr, $do:ident) => {
        match $section {
            Section::Log => $do!(super::log::KEYS),
            Section::Cgroup => $do!(crate::cgroup::keys::KEYS),
            Section::Hook => $do!(crate::hook::keys::KEYS),
            Section::Idmap => $do!(crate::idmap::keys::KEYS),
            Section::Mount => $do!(crate::mount::keys::KEYS),
            Section::Namespace => $do!(crate::namespace::keys::KEYS),
            Section::Network => $do!(crate::network::keys::KEYS),
            Section::Device => $do!(crate::network::keys::DEVICE_KEYS),
            Section::Process => $do!(crate::process::keys::KEYS),
            Section::Security => $do!(crate::security::keys::KEYS),
            Section::Storage => $do!(crate::storage::keys::KEYS),
            Section::Terminal => $do!(crate::terminal::keys::KEYS),
        }
    };
}

impl Section {
    /// How many rows it has.
    pub const fn len(self) -> usize {
        macro_rules! len {
            ($keys:expr) => {
                $keys.len()
            };
        }
        with_keys!(self, len)
    }

    /// Whether it has no row (none has not).
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A row.
    pub const fn row(self, row: u8) -> &'static Row {
        macro_rules! row {
            ($keys:expr) => {
                &$keys[row as usize].row
            };
        }
        with_keys!(self, row)
    }
}

/// All rows, section by section.
pub fn rows() -> impl Iterator<Item = (Section, &'static Row)> {
    SECTIONS.into_iter().flat_map(|s| (0..s.len()).map(move |i| (s, s.row(i as u8))))
}

/// A name and its row.
#[derive(Clone, Copy)]
struct Entry {
    offset: u16,
    len: u8,
    section: u8,
    row: u8,
    legacy: bool,
}

const SPACE: u8 = b' ';

/// The number of names (present and older) and the length of all.
const fn measure() -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    let mut s = 0;
    while s < SECTIONS.len() {
        let mut r = 0;
        while r < SECTIONS[s].len() {
            let names = SECTIONS[s].row(r as u8).names.as_bytes();
            let mut i = 0;
            count += 1;
            while i < names.len() {
                if names[i] == SPACE {
                    count += 1
                } else {
                    bytes += 1
                }
                i += 1;
            }
            r += 1;
        }
        s += 1;
    }
    (count, bytes)
}

const COUNT: usize = measure().0;
const BYTES: usize = measure().1;

/// Slots of the hash table: a power of two, at least twice the number of names.
const SLOTS: usize = 512;
/// No name.
const FREE: u8 = u8::MAX;
const _: () = assert!(COUNT < FREE as usize && COUNT * 2 < SLOTS);

/// Eight bytes as a number, fewer at the end of the name.
const fn word(name: &[u8], at: usize) -> u64 {
    let mut n = 0;
    let mut i = 0;
    while i < 8 && at + i < name.len() {
        n |= (name[at + i] as u64) << (8 * i);
        i += 1;
    }
    n
}

/// A slot, from a name's length and from the eight bytes after `lxc.` and the last eight.
const fn slot(first: u64, last: u64, len: usize) -> usize {
    let mixed = (first ^ last.rotate_left(29) ^ len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - SLOTS.trailing_zeros())) as usize
}

const fn slot_of(name: &[u8]) -> usize {
    slot(word(name, 4), word(name, name.len().saturating_sub(8)), name.len())
}

/// [`slot_of`] with whole loads.
fn quick_slot(name: &[u8]) -> usize {
    let load = |part: Option<&[u8]>| part.and_then(|p| p.first_chunk::<8>()).map(|p| u64::from_le_bytes(*p));
    match (load(name.get(4..)), load(name.get(name.len().wrapping_sub(8)..))) {
        (Some(first), Some(last)) => slot(first, last, name.len()),
        _ => slot_of(name),
    }
}

const fn build() -> ([u8; BYTES], [Entry; COUNT], [u8; SLOTS]) {
    let mut text = [0; BYTES];
    let mut index = [Entry { offset: 0, len: 0, section: 0, row: 0, legacy: false }; COUNT];
    let mut slots = [FREE; SLOTS];
    let (mut at, mut n, mut s) = (0, 0, 0);
    while s < SECTIONS.len() {
        let mut r = 0;
        while r < SECTIONS[s].len() {
            let names = SECTIONS[s].row(r as u8).names.as_bytes();
            let mut i = 0;
            let mut legacy = false;
            while i < names.len() {
                let offset = at;
                while i < names.len() && names[i] != SPACE {
                    text[at] = names[i];
                    at += 1;
                    i += 1;
                }
                i += 1;
                index[n] =
                    Entry { offset: offset as u16, len: (at - offset) as u8, section: s as u8, row: r as u8, legacy };
                let (_, from) = text.split_at(offset);
                let (name, _) = from.split_at(at - offset);
                let mut place = slot_of(name);
                while slots[place] != FREE {
                    place = (place + 1) % SLOTS;
                }
                slots[place] = n as u8;
                n += 1;
                legacy = true;
            }
            r += 1;
        }
        s += 1;
    }
    (text, index, slots)
}

static TEXT: [u8; BYTES] = build().0;
static INDEX: [Entry; COUNT] = build().1;
static HASH: [u8; SLOTS] = build().2;

/// Which row a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// The owner.
    pub section: Section,
    /// The row's number in it.
    pub row: u8,
    /// What stands for the `*` of a prefix row; empty for the whole of it and for other rows.
    pub sub: &'a str,
    /// The device of a network key.
    pub index: Option<u32>,
    /// It was written by an older name.
    pub legacy: bool,
}

impl Found<'_> {
    /// The row.
    pub fn row(&self) -> &'static Row {
        self.section.row(self.row)
    }

    /// The present spelling of the key.
    pub fn name(&self) -> String {
        let name = self.row().name();
        match (name.strip_suffix('*'), self.index) {
            (Some(prefix), _) if self.sub.is_empty() => prefix.trim_end_matches('.').to_string(),
            (Some(prefix), _) => format!("{prefix}{}", self.sub),
            (None, Some(index)) => name.replace("[i]", &index.to_string()),
            (None, None) => name.to_string(),
        }
    }
}

fn name_of(entry: &Entry) -> &'static [u8] {
    &TEXT[usize::from(entry.offset)..usize::from(entry.offset) + usize::from(entry.len)]
}

fn lookup(name: &[u8]) -> Option<&'static Entry> {
    let mut place = quick_slot(name);
    loop {
        let entry = INDEX.get(usize::from(HASH[place % SLOTS]))?;
        if usize::from(entry.len) == name.len() && name_of(entry) == name {
            return Some(entry);
        }
        place += 1;
    }
}

/// The row of a key that is no network device's.
pub fn find(key: &str) -> Option<Found<'_>> {
    let found = |e: &Entry, sub| Found {
        section: SECTIONS[usize::from(e.section)],
        row: e.row,
        sub,
        index: None,
        legacy: e.legacy,
    };
    if let Some(entry) = lookup(key.as_bytes()) {
        let written_out = entry.section != Section::Device as u8 && !key.ends_with('*');
        return written_out.then(|| found(entry, ""));
    }
    // The whole of a prefix row, or something below it: `lxc.cgroup`, `lxc.cgroup.x.y`.
    let bytes = key.as_bytes();
    let mut name = [0_u8; 24];
    let mut at = "lxc.".len();
    while at < bytes.len() {
        at += find_byte(&bytes[at..], b'.').unwrap_or(bytes.len() - at);
        let len = at + 2;
        name.get_mut(..at)?.copy_from_slice(&bytes[..at]);
        name.get_mut(at..len)?.copy_from_slice(b".*");
        at += 1;
        let Some(entry) = lookup(&name[..len]) else { continue };
        let sub = key.get(at..).unwrap_or_default();
        // A namespace has no "all of them".
        let refused = sub.is_empty() && entry.section == Section::Namespace as u8;
        return (!refused).then(|| found(entry, sub));
    }
    None
}

/// The row of a network device's key, by what follows the index (`veth.pair`).
pub fn find_device(sub: &str) -> Option<u8> {
    let mut name = [0_u8; 48];
    let prefix = b"lxc.net.[i].";
    let len = prefix.len() + sub.len();
    name.get_mut(..prefix.len())?.copy_from_slice(prefix);
    name.get_mut(prefix.len()..len)?.copy_from_slice(sub.as_bytes());
    lookup(&name[..len]).map(|e| e.row)
}

/// Access to a key, by its place.
pub fn key_at<C>(keys: &'static [Key<C>], row: u8) -> Option<&'static Key<C>> {
    keys.get(usize::from(row))
}

/// The names that a get of all keys lists, in LXC's order (7.0's with `lxc.cgroup` left in).
pub const LISTED: &str = "lxc.arch lxc.apparmor.profile lxc.apparmor.allow_incomplete lxc.apparmor.allow_nesting \
     lxc.apparmor.raw lxc.autodev.tmpfs.size lxc.autodev lxc.cap.drop lxc.cap.keep lxc.cgroup2 \
     lxc.cgroup.dir.monitor.pivot lxc.cgroup.dir.monitor lxc.cgroup.dir.container.inner lxc.cgroup.dir.container \
     lxc.cgroup.dir lxc.cgroup.relative lxc.cgroup lxc.console.buffer.size lxc.console.logfile lxc.console.path \
     lxc.console.rotate lxc.console.size lxc.sched.core lxc.environment lxc.environment.runtime lxc.environment.hooks \
     lxc.ephemeral lxc.execute.cmd lxc.group lxc.hook.autodev lxc.hook.clone lxc.hook.destroy lxc.hook.mount \
     lxc.hook.post-stop lxc.hook.pre-mount lxc.hook.pre-start lxc.hook.start lxc.hook.start-host lxc.hook.stop \
     lxc.hook.version lxc.hook lxc.idmap lxc.include lxc.init.cmd lxc.init.gid lxc.init.groups lxc.init.uid \
     lxc.init.cwd lxc.keyring.session lxc.log.file lxc.log.level lxc.log.syslog lxc.monitor.unshare \
     lxc.monitor.signal.pdeath lxc.mount.auto lxc.mount.entry lxc.mount.fstab lxc.namespace.clone lxc.namespace.keep \
     lxc.time.offset.boot lxc.time.offset.monotonic lxc.net lxc.no_new_privs lxc.prlimit lxc.pty.max \
     lxc.rootfs.managed lxc.rootfs.mount lxc.rootfs.options lxc.rootfs.path lxc.seccomp.allow_nesting \
     lxc.seccomp.notify.cookie lxc.seccomp.notify.proxy lxc.seccomp.profile lxc.selinux.context.keyring \
     lxc.selinux.context lxc.signal.halt lxc.signal.reboot lxc.signal.stop lxc.start.auto lxc.start.delay \
     lxc.start.order lxc.tty.dir lxc.tty.max lxc.uts.name lxc.sysctl lxc.proc";

/// What a get of the keys below a prefix lists: LXC's fixed lists, not the table (config-keys sheet 16).
pub const LISTED_BELOW: [(&str, &str); 15] = [
    ("lxc.apparmor", "allow_incomplete allow_nesting profile raw"),
    ("lxc.cap", "drop keep"),
    ("lxc.cgroup", "dir"),
    ("lxc.console", "logfile path"),
    ("lxc.environment", "runtime hooks"),
    ("lxc.hook", "autodev autodevtmpfssize clone destroy mount post-stop pre-mount pre-start start-host start stop"),
    ("lxc.keyring", "session"),
    ("lxc.monitor", "unshare"),
    ("lxc.mount", "auto entry fstab"),
    ("lxc.rootfs", "mount options path"),
    ("lxc.seccomp", "profile"),
    ("lxc.selinux", "context context.keyring"),
    ("lxc.signal", "halt reboot stop"),
    ("lxc.start", "auto delay order"),
    ("lxc.uts", "name"),
];
