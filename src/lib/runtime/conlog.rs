//! `lxc.console.logfile`: everything that the console shows, in a file that is appended to, with its size bounded when
//! `lxc.console.size` says so. Owns the file and its one older copy.
#![forbid(unsafe_code)]

use crate::base::{Context, Result};
use crate::sys::fd;
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The console's log file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    /// Bytes in it.
    size: u64,
    /// `lxc.console.size`; 0 is no bound.
    bound: u64,
    /// `lxc.console.rotate`: a full file becomes `PATH.1`, else it starts afresh.
    rotate: bool,
    /// A write has failed and been told.
    told: bool,
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

impl LogFile {
    /// Opens, or creates with mode 0640.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn open(path: &Path, bound: u64, rotate: bool) -> Result<Self> {
        let file = open(path).ctx(|| format!("lxc.console.logfile {}", path.display()))?;
        let size = file.metadata().map_or(0, |m| m.len());
        Ok(Self { path: path.into(), file, size, bound, rotate, told: false })
    }

    /// Appends; a bound that is reached in the middle of `data` splits it.
    pub fn write(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.bound > 0 && self.size >= self.bound {
                self.renew();
            }
            let room = if self.bound > 0 { self.bound.saturating_sub(self.size).max(1) } else { u64::MAX };
            let (now, later) = data.split_at(data.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            if let Err(e) = fd::write_all(self.file.as_fd(), now) {
                if !self.told {
                    log::warn!("{e}: cannot write {}", self.path.display());
                    self.told = true;
                }
                return;
            }
            self.size += now.len() as u64;
            data = later;
        }
    }

    /// The full file makes way for an empty one.
    fn renew(&mut self) {
        self.size = 0;
        if !self.rotate {
            let _ = self.file.set_len(0);
            return;
        }
        let mut older = self.path.clone().into_os_string();
        older.push(".1");
        let moved = std::fs::rename(&self.path, &older).and_then(|()| open(&self.path));
        match moved {
            Ok(f) => self.file = f,
            Err(e) => {
                log::warn!("{e}: cannot rotate {}", self.path.display());
                let _ = self.file.set_len(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("lxc-conlog-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn appends_and_keeps_to_itself() {
        let dir = scratch("plain");
        let path = dir.join("log");
        for _ in 0..2 {
            LogFile::open(&path, 0, false).unwrap().write(b"boot\n");
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"boot\nboot\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert!(LogFile::open(&dir, 0, false).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_full_file_is_rotated_or_starts_afresh() {
        for rotate in [true, false] {
            let dir = scratch(if rotate { "rotate" } else { "truncate" });
            let path = dir.join("log");
            let mut log = LogFile::open(&path, 10, rotate).unwrap();
            log.write(b"0123456");
            log.write(b"789abcdefghijKLM");
            // 23 bytes: two full files and a rest.
            assert_eq!(std::fs::read(&path).unwrap(), b"KLM");
            let older = std::fs::read(dir.join("log.1"));
            assert_eq!(older.ok(), rotate.then(|| b"abcdefghij".to_vec()));
            std::fs::remove_dir_all(&dir).unwrap();
        }
    }
}
