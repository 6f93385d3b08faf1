//! Compiled policies under RUNDIR/lxc/seccomp, so that only the first start since boot pays for the compilation.
//!
//! A file holds the whole policy beside the program, and both must match: its name, a hash, is only where to look. It is
//! believed when directory and file are root's and nobody else can write them. Root only: an ordinary user compiles.
#![forbid(unsafe_code)]

use super::Program;
use crate::base::paths;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a compiled program depends on.
pub(super) struct Key {
    dir: PathBuf,
    owner: u32,
    head: Vec<u8>,
    name: String,
}

/// More files than this are not kept; a policy that is edited leaves its old programs behind.
const KEEP: usize = 64;
/// A longer file is not ours.
const LONGEST: u64 = 4 << 20;

impl Key {
    /// The key of a policy text; `None` for an ordinary user.
    pub(super) fn new(policy: &[u8], library: &str, arches: &str) -> Option<Key> {
        nix::unistd::geteuid()
            .is_root()
            .then(|| Key::in_dir(paths::rundir().join("lxc/seccomp"), 0, policy, library, arches))
    }

    fn in_dir(dir: PathBuf, owner: u32, policy: &[u8], library: &str, arches: &str) -> Key {
        let mut head =
            format!("lxc seccomp 1\nlibseccomp {library}\narches {arches}\npolicy {}\n", policy.len()).into_bytes();
        head.extend_from_slice(policy);
        let name = format!("{:016x}", paths::fnv1a64(&head, paths::FNV1A64_INIT));
        Key { dir, owner, head, name }
    }

    /// The program, if it is there and can be believed.
    pub(super) fn load(&self) -> Option<Program> {
        let dir = fs::symlink_metadata(&self.dir).ok()?;
        if !dir.is_dir() || dir.uid() != self.owner || dir.mode() & 0o077 != 0 {
            return None;
        }
        let mut file =
            OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(self.dir.join(&self.name)).ok()?;
        let meta = file.metadata().ok()?;
        if !meta.is_file() || meta.uid() != self.owner || meta.mode() & 0o077 != 0 || meta.len() > LONGEST {
            return None;
        }
        let mut all = Vec::with_capacity(usize::try_from(meta.len()).ok()?);
        file.read_to_end(&mut all).ok()?;
        // Head, flags, length, program, and a sum of all that: a torn or spoilt file is none.
        let (body, sum) = all.split_at_checked(all.len().checked_sub(8)?)?;
        let rest = body.strip_prefix(self.head.as_slice())?;
        let (flags, rest) = rest.split_first_chunk::<4>()?;
        let (length, bpf) = rest.split_first_chunk::<8>()?;
        let whole =
            usize::try_from(u64::from_le_bytes(*length)).ok()? == bpf.len() && bpf.len() % 8 == 0 && !bpf.is_empty();
        let sound = paths::fnv1a64(body, paths::FNV1A64_INIT).to_le_bytes() == sum;
        (whole && sound).then(|| Program { bpf: bpf.to_vec(), flags: u32::from_le_bytes(*flags) })
    }

    /// Keeps a program. Failing costs the next start a compilation, nothing more.
    pub(super) fn store(&self, program: &Program) {
        if let Err(e) = self.try_store(program) {
            crate::log_debug!(errno = e, "Cannot keep the compiled seccomp policy in {}", self.dir.display());
        }
    }

    fn try_store(&self, program: &Program) -> io::Result<()> {
        if let Some(parent) = self.dir.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
        }
        match DirBuilder::new().mode(0o700).create(&self.dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let meta = fs::symlink_metadata(&self.dir)?;
        if !meta.is_dir() || meta.uid() != self.owner || meta.mode() & 0o077 != 0 {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        let mut all = self.head.clone();
        all.extend_from_slice(&program.flags.to_le_bytes());
        all.extend_from_slice(&(program.bpf.len() as u64).to_le_bytes());
        all.extend_from_slice(&program.bpf);
        let sum = paths::fnv1a64(&all, paths::FNV1A64_INIT);
        all.extend_from_slice(&sum.to_le_bytes());
        let temporary = self.dir.join(format!(".{}.{}", self.name, std::process::id()));
        let written = write_new(&temporary, &all).and_then(|()| fs::rename(&temporary, self.dir.join(&self.name)));
        if written.is_err() {
            _ = fs::remove_file(&temporary);
        }
        self.prune();
        written
    }

    /// Removes the oldest files above the number that is kept.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let age = |e: fs::DirEntry| Some((e.metadata().ok()?.mtime(), e.path()));
        let mut all: Vec<(i64, PathBuf)> = entries.flatten().filter_map(age).collect();
        all.sort();
        for (_, path) in all.iter().take(all.len().saturating_sub(KEEP)) {
            _ = fs::remove_file(path);
        }
    }
}

fn write_new(path: &Path, data: &[u8]) -> io::Result<()> {
    _ = fs::remove_file(path);
    let mut f: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    f.write_all(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn kept_and_believed() {
        let top = std::env::temp_dir().join(format!("lxctest-sec-{}", std::process::id()));
        let me = nix::unistd::geteuid().as_raw();
        let key = |policy: &[u8], lib: &str| Key::in_dir(top.join("lxc/seccomp"), me, policy, lib, "x86_64");
        let p = Program { bpf: vec![7; 16], flags: 8 };
        let k = key(b"2\ndenylist\n", "2.5.4");
        assert_eq!(k.load(), None);
        k.store(&p);
        assert_eq!(k.load(), Some(p.clone()));
        assert_eq!(key(b"2\ndenylist\n", "2.5.5").load(), None);
        assert_eq!(key(b"2\nallowlist\n", "2.5.4").load(), None);
        let file = top.join("lxc/seccomp").join(&k.name);
        let mode = |path: &Path, m| fs::set_permissions(path, fs::Permissions::from_mode(m)).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        // Writable by others, spoilt, a link, an open directory: none is believed.
        mode(&file, 0o622);
        assert_eq!(k.load(), None);
        mode(&file, 0o600);
        let mut bytes = fs::read(&file).unwrap();
        let at = bytes.len() - 12;
        bytes[at] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert_eq!(k.load(), None);
        k.store(&p);
        fs::rename(&file, top.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(top.join("elsewhere"), &file).unwrap();
        assert_eq!(k.load(), None);
        k.store(&p);
        assert_eq!(k.load(), Some(p.clone()), "the link is replaced, not followed");
        mode(&top.join("lxc/seccomp"), 0o755);
        assert_eq!(k.load(), None);
        k.store(&p);
        assert_eq!(k.load(), None, "and nothing is put there");
        mode(&top.join("lxc/seccomp"), 0o700);
        for i in 0..KEEP + 5 {
            key(format!("{i}").as_bytes(), "1").store(&p);
        }
        assert!(fs::read_dir(top.join("lxc/seccomp")).unwrap().count() <= KEEP);
        fs::remove_dir_all(&top).unwrap();
    }
}
