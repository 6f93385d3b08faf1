//! Where things are: the directories compiled in, the values of lxc.conf, and the names built from them. Creates nothing.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

/// The directories compiled in. Each can be set when the library is built, by an environment variable of the same name
/// with `LXC_` before it.
pub mod dirs {
    /// Two texts joined, as bytes.
    const fn joined<const N: usize>(a: &str, b: &str) -> [u8; N] {
        let (a, b) = (a.as_bytes(), b.as_bytes());
        let mut out = [0; N];
        let mut i = 0;
        while i < N {
            out[i] = if i < a.len() { a[i] } else { b[i - a.len()] };
            i += 1;
        }
        out
    }

    const fn text(bytes: &'static [u8]) -> &'static str {
        match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => "",
        }
    }

    /// Each line: documentation, name, the environment variable that sets it, and its default below another directory.
    macro_rules! dir {
        ($(#[doc = $doc:literal] $name:ident $env:literal $base:ident $below:literal;)*) => {
            $(#[doc = $doc] pub const $name: &str = match option_env!($env) {
                Some(dir) => dir,
                None => {
                    const JOINED: [u8; $base.len() + $below.len()] = joined($base, $below);
                    text(&JOINED)
                }
            };)*
        };
    }

    /// The directory below which everything of ours lies.
    pub const PREFIX: &str = match option_env!("LXC_PREFIX") {
        Some(dir) => dir,
        None => "/usr/local",
    };
    /// The machine's root.
    const ROOT: &str = "";

    dir! {
        #[doc = "The tools."] BINDIR "LXC_BINDIR" PREFIX "/bin";
        #[doc = "The library."] LIBDIR "LXC_LIBDIR" PREFIX "/lib";
        #[doc = "Programs that only LXC runs; they lie in `lxc/` below it."] LIBEXECDIR "LXC_LIBEXECDIR" PREFIX "/libexec";
        #[doc = "Architecture-independent data; `lxc/` below it."] DATADIR "LXC_DATADIR" PREFIX "/share";
        #[doc = "The templates of lxc-create."] TEMPLATEDIR "LXC_TEMPLATEDIR" DATADIR "/lxc/templates";
        #[doc = "The config snippets that templates include."] CONFIGDIR "LXC_CONFIGDIR" DATADIR "/lxc/config";
        #[doc = "Hooks that ship with LXC."] HOOKDIR "LXC_HOOKDIR" DATADIR "/lxc/hooks";
        #[doc = "The machine's settings."] SYSCONFDIR "LXC_SYSCONFDIR" ROOT "/etc";
        #[doc = "State that outlives a boot."] LOCALSTATEDIR "LXC_LOCALSTATEDIR" ROOT "/var";
        #[doc = "State that does not."] RUNDIR "LXC_RUNDIR" ROOT "/run";
        #[doc = "Where a rootfs is mounted when lxc.rootfs.mount is unset."]
        ROOTFSMOUNT "LXC_ROOTFSMOUNT" LIBDIR "/lxc/rootfs";
        #[doc = "Logs of containers that root starts."] LOGDIR "LXC_LOGDIR" LOCALSTATEDIR "/log/lxc";
        #[doc = "The store of root's containers."] LXCPATH "LXC_LXCPATH" LOCALSTATEDIR "/lib/lxc";
        #[doc = "The machine-wide lxc.conf."] GLOBAL_CONF "LXC_GLOBAL_CONF" SYSCONFDIR "/lxc/lxc.conf";
        #[doc = "The config of new containers."] DEFAULT_CONF "LXC_DEFAULT_CONF" SYSCONFDIR "/lxc/default.conf";
        #[doc = "Who may have which networks."] USERNET_CONF "LXC_USERNET_CONF" SYSCONFDIR "/lxc/lxc-usernet";
    }
}

/// A name that lxc.conf does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownKey;

/// The keys of lxc.conf, in the order of `lxc-config -l` (the last but two are missing there in 5.0.2).
pub const GLOBAL_KEYS: [&str; 9] = [
    "lxc.default_config",
    "lxc.lxcpath",
    "lxc.bdev.lvm.vg",
    "lxc.bdev.lvm.thin_pool",
    "lxc.bdev.zfs.root",
    "lxc.bdev.rbd.rbdpool",
    "lxc.bdev.rbd.rbduser",
    "lxc.cgroup.pattern",
    "lxc.cgroup.use",
];

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn home() -> String {
    std::env::var("HOME").unwrap_or_else(|_| "/".to_string())
}

/// The lxc.conf that counts for this user.
pub fn global_conf() -> PathBuf {
    if is_root() { PathBuf::from(dirs::GLOBAL_CONF) } else { PathBuf::from(home() + "/.config/lxc/lxc.conf") }
}

/// A value of lxc.conf, or its default; `None` when it is unset and has none (config-formats sheet 6).
///
/// # Errors
/// No key of lxc.conf has this name.
pub fn global(key: &str) -> Result<Option<String>, UnknownKey> {
    global_in(key, &std::fs::read(global_conf()).unwrap_or_default(), is_root())
}

/// [`global`] for the bytes of an lxc.conf and a kind of user.
///
/// # Errors
/// No key of lxc.conf has this name.
pub fn global_in(key: &str, conf: &[u8], root: bool) -> Result<Option<String>, UnknownKey> {
    if !GLOBAL_KEYS.contains(&key) {
        return Err(UnknownKey);
    }
    let trim = |path: String| if path.len() > 1 { path.trim_end_matches('/').to_string() } else { path };
    if let Some(value) = lookup(key, conf) {
        return Ok(Some(if key == "lxc.lxcpath" { trim(value) } else { value }));
    }
    Ok(match key {
        "lxc.lxcpath" if root => Some(dirs::LXCPATH.to_string()),
        "lxc.lxcpath" => Some(home() + "/.local/share/lxc"),
        "lxc.default_config" if root => Some(dirs::DEFAULT_CONF.to_string()),
        "lxc.default_config" => Some(home() + "/.config/lxc/default.conf"),
        "lxc.bdev.lvm.vg" | "lxc.bdev.lvm.thin_pool" | "lxc.bdev.zfs.root" | "lxc.bdev.rbd.rbdpool" => {
            Some("lxc".to_string())
        }
        _ => None,
    })
}

/// The first `key = value` of an lxc.conf: `#` only in column 0 is a comment, blanks at the end of a value count.
fn lookup(key: &str, conf: &[u8]) -> Option<String> {
    conf.split(|c| *c == b'\n').filter(|line| line.first() != Some(&b'#')).find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let blank = |c: char| c == ' ' || c == '\t';
        let rest = line.trim_start_matches(blank).strip_prefix(key)?;
        let value = rest.trim_start_matches(blank).strip_prefix('=')?.trim_start_matches(blank);
        (!value.is_empty()).then(|| value.to_string())
    })
}

/// The store of this user's containers.
pub fn lxcpath() -> PathBuf {
    global("lxc.lxcpath").ok().flatten().map_or_else(|| PathBuf::from(dirs::LXCPATH), PathBuf::from)
}

/// The directory for run-time files: /run for root, else `XDG_RUNTIME_DIR`, else `~/.cache/lxc/run`.
pub fn rundir() -> PathBuf {
    if is_root() {
        return PathBuf::from(dirs::RUNDIR);
    }
    match std::env::var("XDG_RUNTIME_DIR") {
        Ok(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => PathBuf::from(home() + "/.cache/lxc/run"),
    }
}

/// The lock file of a container.
pub fn lock_path(lxcpath: &Path, name: &str) -> PathBuf {
    let store = lxcpath.strip_prefix("/").unwrap_or(lxcpath);
    rundir().join("lxc/lock").join(store).join(format!(".{name}"))
}

/// The Fowler-Noll-Vo hash 1a with 64 bits (RFC 9923), continued from `hash`.
pub const fn fnv1a64(bytes: &[u8], mut hash: u64) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

/// The value that [`fnv1a64`] starts from.
pub const FNV1A64_INIT: u64 = 0xcbf2_9ce4_8422_2325;

/// The first component of a path, from the top, that does not exist.
pub fn first_missing(path: &Path) -> Option<PathBuf> {
    let mut all: Vec<&Path> = path.ancestors().collect();
    all.reverse();
    all.into_iter().find(|p| !p.as_os_str().is_empty() && std::fs::symlink_metadata(p).is_err()).map(Path::to_path_buf)
}

/// What of a path is missing, in words; `None`: it is there.
pub fn missing(path: &Path) -> Option<String> {
    let gone = first_missing(path)?;
    let shown = path.display();
    Some(if gone == path {
        format!("{shown} does not exist")
    } else {
        format!("{shown}: {} does not exist", gone.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_wins_and_keeps_its_blanks() {
        let conf = b"#lxc.lxcpath = /no\n  lxc.lxcpath=/a/ \nlxc.lxcpath = /b\nlxc.bdev.zfs.rootx = q\nlxc.cgroup.use = @all\n";
        assert_eq!(global_in("lxc.lxcpath", conf, true), Ok(Some("/a/ ".into())));
        assert_eq!(global_in("lxc.bdev.zfs.root", conf, true), Ok(Some("lxc".into())));
        assert_eq!(global_in("lxc.cgroup.use", conf, false), Ok(Some("@all".into())));
        assert_eq!(global_in("lxc.cgroup.pattern", conf, true), Ok(None));
        assert_eq!(global_in("lxc.default_config", b"", true), Ok(Some("/etc/lxc/default.conf".into())));
        assert_eq!(global_in("lxc.nothing", b"", true), Err(UnknownKey));
    }

    #[test]
    fn fnv_of_the_standard() {
        assert_eq!(fnv1a64(b"", FNV1A64_INIT), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a64(b"foobar", FNV1A64_INIT), 0x8594_4171_f739_67e8);
    }
}
