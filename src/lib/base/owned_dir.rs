//! Making directories for a container in a place that the container's root may write: below a descriptor, through no
//! link. Decides nothing about which directories those are.
#![forbid(unsafe_code)]

use crate::sys::path::{self, Resolve};
use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// Makes the directories `below` the directory `top`, as far as they are missing; the last one, when it is new, gets this
/// owner. Links are followed on the way to `top` only.
///
/// # Errors
/// EINVAL when `below` is no plain relative path; ELOOP for a link below `top`; mkdir(2), chown(2).
pub fn make(top: &Path, below: &Path, (uid, gid): (u32, u32)) -> io::Result<()> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let mut dir = path::open(&CString::new(top.as_os_str().as_bytes())?, flags, 0)?;
    let mut made = false;
    for part in below.components() {
        let Component::Normal(name) = part else { return Err(invalid()) };
        let name = CString::new(name.as_bytes())?;
        made = match path::mkdirat(dir.as_fd(), &name, 0o777) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => false,
            Err(e) => return Err(e),
        };
        dir = path::openat2(dir.as_fd(), &name, flags | libc::O_NOFOLLOW, 0, Resolve::BeneathNoLinks)?;
    }
    if made { path::chownat(dir.as_fd(), c"", uid, gid) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn only_new_directories_change_hands_and_links_lead_nowhere() {
        let top = std::env::temp_dir().join(format!("lxc-owned-{}", std::process::id()));
        std::fs::create_dir_all(top.join("own")).unwrap();
        std::fs::create_dir_all(top.join("canary")).unwrap();
        let me = (crate::sys::cred::euid(), crate::sys::cred::egid());
        let other = if me.0 == 0 { (12345, 12345) } else { me };
        make(&top.join("own"), Path::new("a/b"), other).unwrap();
        let owner = |p: &str| std::fs::metadata(top.join(p)).map(|m| (m.uid(), m.gid())).unwrap();
        assert_eq!((owner("own/a"), owner("own/a/b")), (me, other));
        make(&top.join("own"), Path::new("a"), other).unwrap();
        assert_eq!(owner("own/a"), me, "it was there before");
        symlink(top.join("canary"), top.join("own/link")).unwrap();
        for bad in ["link/x", "link", "../canary/x", "/x"] {
            assert!(make(&top.join("own"), Path::new(bad), other).is_err(), "{bad}");
        }
        assert_eq!(std::fs::read_dir(top.join("canary")).unwrap().count(), 0);
        assert_eq!(owner("canary"), me);
        std::fs::remove_dir_all(&top).unwrap();
    }
}
