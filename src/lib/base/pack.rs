//! Values as bytes for another process of ours, which inherits the descriptors among them by their numbers. Owns the form
//! of a field, not what is sent.
#![forbid(unsafe_code)]

use crate::sys::fd;
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What is sent.
#[derive(Debug, Default)]
pub struct Pack {
    bytes: Vec<u8>,
    fds: Vec<RawFd>,
}

impl Pack {
    /// One field: its length in four bytes, then its bytes.
    pub fn put(&mut self, field: &[u8]) {
        self.bytes.extend((field.len() as u32).to_le_bytes());
        self.bytes.extend(field);
    }

    /// A path.
    pub fn path(&mut self, path: &Path) {
        self.put(path.as_os_str().as_bytes());
    }

    /// A number.
    pub fn number(&mut self, n: i64) {
        self.put(&n.to_le_bytes());
    }

    /// A value that may be missing.
    pub fn option(&mut self, field: Option<&str>) {
        self.number(i64::from(field.is_some()));
        self.put(field.unwrap_or_default().as_bytes());
    }

    /// A descriptor, which is to be inherited.
    pub fn fd(&mut self, fd: BorrowedFd<'_>) {
        self.number(fd.as_raw_fd().into());
        self.fds.push(fd.as_raw_fd());
    }

    /// A descriptor that may be missing.
    pub fn fd_option(&mut self, fd: Option<BorrowedFd<'_>>) {
        match fd {
            Some(fd) => self.fd(fd),
            None => self.number(-1),
        }
    }

    /// All fields.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The descriptors among them.
    pub fn fds(&self) -> &[RawFd] {
        &self.fds
    }
}

/// What has arrived, field by field; `None` where it is not what was to come.
#[derive(Debug)]
pub struct Unpack<'a>(&'a [u8]);

impl<'a> Unpack<'a> {
    /// Begins.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next field.
    pub fn field(&mut self) -> Option<&'a [u8]> {
        let (len, tail) = self.0.split_at_checked(4)?;
        let (field, tail) = tail.split_at_checked(u32::from_le_bytes(len.try_into().ok()?) as usize)?;
        self.0 = tail;
        Some(field)
    }

    /// Whether all has been read.
    pub fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    /// Text.
    pub fn text(&mut self) -> Option<String> {
        self.field().and_then(|b| std::str::from_utf8(b).ok()).map(str::to_string)
    }

    /// A path.
    pub fn path(&mut self) -> Option<PathBuf> {
        self.field().map(|b| PathBuf::from(OsStr::from_bytes(b)))
    }

    /// A number.
    pub fn number(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.field()?.try_into().ok()?))
    }

    /// A value that may be missing.
    pub fn option(&mut self) -> Option<Option<String>> {
        let there = self.number()? != 0;
        let text = self.text()?;
        Some(there.then_some(text))
    }

    /// A descriptor that may be missing: the caller's from now on, and close-on-exec.
    pub fn fd_option(&mut self) -> Option<Option<OwnedFd>> {
        match self.number()? {
            -1 => Some(None),
            n => Some(Some(fd::adopt(RawFd::try_from(n).ok()?).ok()?)),
        }
    }

    /// A descriptor.
    pub fn fd(&mut self) -> Option<OwnedFd> {
        self.fd_option()?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsFd, IntoRawFd};

    #[test]
    fn what_goes_in_comes_out() {
        let file = std::fs::File::open("/").unwrap();
        let mut p = Pack::default();
        p.put(b"x\0");
        p.path(Path::new("/a b"));
        p.number(-7);
        p.option(Some(""));
        p.option(None);
        p.fd_option(None);
        p.fd(file.as_fd());
        assert_eq!(p.fds(), [file.as_raw_fd()]);
        let raw = file.into_raw_fd();
        let mut u = Unpack::new(p.bytes());
        assert_eq!(u.field(), Some(&b"x\0"[..]));
        assert_eq!(u.path(), Some("/a b".into()));
        assert_eq!(u.number(), Some(-7));
        assert_eq!(u.option(), Some(Some(String::new())));
        assert_eq!(u.option(), Some(None));
        assert!(matches!(u.fd_option(), Some(None)));
        assert_eq!(u.fd().unwrap().as_raw_fd(), raw);
        assert_eq!(u.field(), None);
        assert_eq!(Unpack::new(&[255; 9]).field(), None);
        assert_eq!(Unpack::new(&[1, 0, 0, 0]).field(), None);
    }
}
