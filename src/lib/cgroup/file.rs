//! Small files of cgroupfs, sysfs and procfs: one open, one transfer. Knows nothing of what they mean.
#![forbid(unsafe_code)]

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Writes `value` in one write(2). Creates and truncates nothing: a file that is missing stays missing (ENOENT).
pub(crate) fn write(path: impl AsRef<Path>, value: &[u8]) -> io::Result<()> {
    let mut f = OpenOptions::new().write(true).open(path)?;
    put(&mut f, value)
}

/// The same with a file that is open already.
pub(crate) fn put(f: &mut File, value: &[u8]) -> io::Result<()> {
    match f.write(value)? {
        n if n == value.len() => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EIO)),
    }
}

/// Reads a whole small file, up to 64 KiB.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = String::with_capacity(512);
    File::open(path)?.take(64 * 1024).read_to_string(&mut text)?;
    Ok(text)
}

/// Reads a file that holds one value: the kernel gives it in one read(2).
pub(crate) fn value(path: impl AsRef<Path>) -> io::Result<String> {
    let mut buf = [0; 1024];
    let mut f = File::open(path.as_ref())?;
    let n = f.read(&mut buf)?;
    match std::str::from_utf8(buf.get(..n).unwrap_or_default()) {
        Ok(text) if n < buf.len() => Ok(text.trim().to_string()),
        _ => read(path).map(|t| t.trim().to_string()),
    }
}

/// Makes a directory, 0755 less the umask.
pub(crate) fn make_dir(path: impl AsRef<Path>) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(path)
}

/// Opens a directory.
pub(crate) fn open_dir(path: impl AsRef<Path>) -> io::Result<OwnedFd> {
    let f = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)?;
    Ok(f.into())
}

/// The path of a file below an open directory, for the calls of std.
pub(crate) fn below(dir: BorrowedFd<'_>, name: &str) -> String {
    format!("/proc/self/fd/{}/{name}", dir.as_raw_fd())
}

/// Writes a file below an open directory.
pub(crate) fn write_at(dir: &impl AsFd, name: &str, value: &[u8]) -> io::Result<()> {
    write(below(dir.as_fd(), name), value)
}

/// Reads a file below an open directory.
pub(crate) fn read_at(dir: &impl AsFd, name: &str) -> io::Result<String> {
    read(below(dir.as_fd(), name))
}
