//! Mount options as fstab(5), mount(8) and LXC write them: flag words become MS_* bits, LXC's own words their fields, the
//! rest is file system data. Words are matched whole, so a file system's own `device=…` or `rw_size=…` stays data.
//! Mounts nothing and looks at no path.
#![forbid(unsafe_code)]

use super::op::Create;
use super::{Error, Result};
use libc::{
    MS_BIND, MS_DIRSYNC, MS_MANDLOCK, MS_MOVE, MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID, MS_PRIVATE,
    MS_RDONLY, MS_REC, MS_RELATIME, MS_REMOUNT, MS_SHARED, MS_SLAVE, MS_STRICTATIME, MS_SYNCHRONOUS, MS_UNBINDABLE,
};

/// MS_LAZYTIME (mount(2)); libc has it for some targets only.
const MS_LAZYTIME: u64 = 1 << 25;
/// MS_NOSYMFOLLOW (mount(2), Linux 5.10).
const MS_NOSYMFOLLOW: u64 = 1 << 8;

/// What a flag word does.
enum Word {
    /// Sets these flags.
    Set(u64),
    /// Takes these flags away.
    Clear(u64),
    /// Changes the propagation.
    Propagate(u64),
}

/// The meaning of a flag word; `None` when it is none.
fn flag_word(word: &str) -> Option<Word> {
    use Word::{Clear, Propagate, Set};
    Some(match word {
        "defaults" => Set(0),
        "ro" => Set(MS_RDONLY),
        "rw" => Clear(MS_RDONLY),
        "nosuid" => Set(MS_NOSUID),
        "suid" => Clear(MS_NOSUID),
        "nodev" => Set(MS_NODEV),
        "dev" => Clear(MS_NODEV),
        "noexec" => Set(MS_NOEXEC),
        "exec" => Clear(MS_NOEXEC),
        "sync" => Set(MS_SYNCHRONOUS),
        "async" => Clear(MS_SYNCHRONOUS),
        "dirsync" => Set(MS_DIRSYNC),
        "mand" => Set(MS_MANDLOCK),
        "nomand" => Clear(MS_MANDLOCK),
        "noatime" => Set(MS_NOATIME),
        "atime" => Clear(MS_NOATIME),
        "nodiratime" => Set(MS_NODIRATIME),
        "diratime" => Clear(MS_NODIRATIME),
        "relatime" => Set(MS_RELATIME),
        "norelatime" => Clear(MS_RELATIME),
        "strictatime" => Set(MS_STRICTATIME),
        "nostrictatime" => Clear(MS_STRICTATIME),
        "lazytime" => Set(MS_LAZYTIME),
        "nolazytime" => Clear(MS_LAZYTIME),
        "nosymfollow" => Set(MS_NOSYMFOLLOW),
        "symfollow" => Clear(MS_NOSYMFOLLOW),
        "bind" => Set(MS_BIND),
        "rbind" => Set(MS_BIND | MS_REC),
        "move" => Set(MS_MOVE),
        "remount" => Set(MS_REMOUNT),
        "shared" => Propagate(MS_SHARED),
        "rshared" => Propagate(MS_SHARED | MS_REC),
        "slave" => Propagate(MS_SLAVE),
        "rslave" => Propagate(MS_SLAVE | MS_REC),
        "private" => Propagate(MS_PRIVATE),
        "rprivate" => Propagate(MS_PRIVATE | MS_REC),
        "unbindable" => Propagate(MS_UNBINDABLE),
        "runbindable" => Propagate(MS_UNBINDABLE | MS_REC),
        _ => return None,
    })
}

/// Whose id map an `idmap=` mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdmapSource {
    /// `idmap=container`: the container's own user namespace.
    Container,
    /// `idmap=PATH`: the user namespace that this file refers to.
    Path(String),
}

/// A parsed option field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountOptions {
    /// MS_* flags to set, the kind of mount (MS_BIND, MS_REC, MS_MOVE, MS_REMOUNT) among them.
    pub flags: u64,
    /// MS_* flags that were taken away in so many words (`rw`, `dev` …).
    pub clear: u64,
    /// MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE, with MS_REC or without; 0 for none.
    pub propagation: u64,
    /// File system data, comma separated; empty for none.
    pub data: String,
    /// `create=dir`, `create=file`.
    pub create: Create,
    /// `optional`.
    pub optional: bool,
    /// `relative`: the source lies below the rootfs.
    pub relative: bool,
    /// `idmap=`.
    pub idmap: Option<IdmapSource>,
}

/// MS_BIND, MS_REC, MS_MOVE and MS_REMOUNT: the flags that say what kind of mount it is.
const KIND: u64 = MS_BIND | MS_REC | MS_MOVE | MS_REMOUNT;

impl MountOptions {
    /// Parses the fourth field of an fstab line, or `lxc.rootfs.options`. Empty words are passed over.
    ///
    /// # Errors
    /// `create=` with something else than `dir` or `file`; `idmap=` with nothing.
    pub fn parse(text: &str) -> Result<Self> {
        let mut o = Self::default();
        for word in split_words(text) {
            match word {
                "" => {}
                "optional" => o.optional = true,
                "relative" => o.relative = true,
                "create=dir" => o.create = Create::Dir,
                "create=file" => o.create = Create::File,
                "idmap=container" => o.idmap = Some(IdmapSource::Container),
                _ => o.other_word(word)?,
            }
        }
        Ok(o)
    }

    /// A flag word, an option of LXC with a free value, or data.
    fn other_word(&mut self, word: &str) -> Result<()> {
        if let Some(what) = word.strip_prefix("create=") {
            return Err(Error::os(
                libc::EINVAL,
                format!("mount option create={what}: must be create=dir or create=file"),
            ));
        }
        if let Some(path) = word.strip_prefix("idmap=") {
            if path.is_empty() {
                return Err(Error::os(
                    libc::EINVAL,
                    "mount option idmap=: must name `container` or a user namespace's path",
                ));
            }
            self.idmap = Some(IdmapSource::Path(path.to_string()));
            return Ok(());
        }
        match flag_word(word) {
            Some(Word::Set(f)) => {
                self.flags |= f;
                self.clear &= !f;
            }
            Some(Word::Clear(f)) => {
                self.flags &= !f;
                self.clear |= f;
            }
            Some(Word::Propagate(p)) => self.propagation = p,
            None => {
                if !self.data.is_empty() {
                    self.data.push(',');
                }
                self.data.push_str(word);
            }
        }
        Ok(())
    }

    /// A bind mount is asked for.
    pub const fn is_bind(&self) -> bool {
        self.flags & MS_BIND != 0
    }

    /// A recursive one.
    pub const fn is_recursive(&self) -> bool {
        self.flags & MS_REC != 0
    }

    /// An existing mount moves.
    pub const fn is_move(&self) -> bool {
        self.flags & MS_MOVE != 0
    }

    /// An existing mount changes its flags.
    pub const fn is_remount(&self) -> bool {
        self.flags & MS_REMOUNT != 0
    }

    /// The flags without those that say what kind of mount it is.
    pub const fn attributes(&self) -> u64 {
        self.flags & !KIND
    }

    /// The value of a `key=value` word of the data.
    pub fn data_value(&self, key: &str) -> Option<&str> {
        split_words(&self.data).find_map(|w| w.strip_prefix(key)?.strip_prefix('='))
    }
}

/// The comma-separated words; a comma inside double quotes does not separate (SELinux contexts, mount(8)).
fn split_words(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        if c == '"' {
            quoted = !quoted;
        }
        c == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_matched_whole() {
        let o = MountOptions::parse("ro,rodata=1,size=10m,dev=x,nodev,noexecute").expect("parses");
        assert_eq!(o.flags, MS_RDONLY | MS_NODEV);
        assert_eq!(o.data, "rodata=1,size=10m,dev=x,noexecute");
    }

    #[test]
    fn a_later_word_wins() {
        let o = MountOptions::parse("ro,rw,nosuid").expect("parses");
        assert_eq!((o.flags, o.clear), (MS_NOSUID, MS_RDONLY));
        let o = MountOptions::parse("dev,nodev").expect("parses");
        assert_eq!((o.flags, o.clear), (MS_NODEV, 0));
    }

    #[test]
    fn lxc_words_do_not_reach_the_file_system() {
        let o = MountOptions::parse("rbind,create=file,optional,relative,idmap=container,rslave").expect("parses");
        assert!(o.is_bind() && o.is_recursive() && o.optional && o.relative);
        assert_eq!((o.create, o.idmap.clone()), (Create::File, Some(IdmapSource::Container)));
        assert_eq!((o.data.as_str(), o.attributes(), o.propagation), ("", 0, MS_SLAVE | MS_REC));
    }

    #[test]
    fn bad_words_are_refused() {
        assert!(MountOptions::parse("create=socket").is_err());
        assert!(MountOptions::parse("idmap=").is_err());
        assert_eq!(
            MountOptions::parse("idmap=/proc/1/ns/user").expect("parses").idmap,
            Some(IdmapSource::Path("/proc/1/ns/user".into()))
        );
    }

    #[test]
    fn data_keeps_its_order_and_quotes() {
        let o = MountOptions::parse(",mode=700,,context=\"a,b\",size=1m").expect("parses");
        assert_eq!(o.data, "mode=700,context=\"a,b\",size=1m");
        assert_eq!(o.data_value("size"), Some("1m"));
        assert_eq!(o.data_value("mod"), None);
    }
}
