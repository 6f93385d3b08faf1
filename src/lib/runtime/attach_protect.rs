//! Keeps a container's hands off the program that enters it. A process inside is seen by the container as soon as it
//! enters, and `/proc/PID/exe` is a way to the file that it runs: a privileged container could write to the host's
//! lxc-attach (CVE-2019-5736). So the program runs itself anew from a detached, read-only bind of its own file, which
//! nothing can make writable again; that costs no copy.
#![forbid(unsafe_code)]

use crate::sys::mount::{self, ATTR_RDONLY, OPEN_TREE_CLONE, SetAttr};
use crate::sys::process::{self, ExecArgs};
use crate::sys::{cred, path};
use nix::libc;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

/// When this variable is set the program stays what it is, as LXC's does.
const SKIP: &str = "LXC_MEMFD_REXEC";
/// `f_flag` of a read-only mount (statvfs(3)).
const ST_RDONLY: u64 = 1;

/// Runs the program anew from a read-only mount, with the same arguments; `name` is what /proc/PID/comm shows of it then.
/// To be called first of all, before anything is open or printed. Returns when it runs from one already, when `LXC_MEMFD_REXEC` is set, or when the caller may not do this – an ordinary user,
/// whose containers cannot write root's files either.
pub fn run_read_only(name: &CStr) {
    if cred::euid() == 0 && std::env::var_os(SKIP).is_none() {
        // What cannot be protected runs as ever.
        let _ = again(name);
    }
}

/// Executes the program again; comes back only when there is no need or no way.
fn again(name: &CStr) -> io::Result<()> {
    let exe = path::open(c"/proc/self/exe", libc::O_PATH, 0)?;
    if path::fs_flags(exe.as_fd())? & ST_RDONLY != 0 {
        // Executed by descriptor, it is called by the descriptor's number before Linux 6.14.
        return process::set_name(name);
    }
    let bind = mount::open_tree(exe.as_fd(), c"", OPEN_TREE_CLONE)?;
    mount::mount_setattr(bind.as_fd(), c"", false, SetAttr { set: ATTR_RDONLY, ..SetAttr::default() }, None)?;
    let argv: Vec<CString> = std::env::args_os().filter_map(|a| CString::new(a.into_vec()).ok()).collect();
    let envp: Vec<CString> = std::env::vars_os()
        .filter_map(|(name, value)| {
            let mut line = name.into_vec();
            line.push(b'=');
            line.extend_from_slice(&value.into_vec());
            CString::new(line).ok()
        })
        .collect();
    Err(process::fexecve(bind.as_fd(), &ExecArgs::new(&argv, &envp)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_read_only_bind_cannot_be_written_even_by_root() {
        let file = std::env::temp_dir().join(format!("lxc-protect-{}", std::process::id()));
        std::fs::write(&file, "x").expect("written");
        let name = CString::new(file.clone().into_os_string().into_vec()).expect("no NUL");
        let plain = path::open(&name, libc::O_PATH, 0).expect("open");
        let Ok(bind) = mount::open_tree(plain.as_fd(), c"", OPEN_TREE_CLONE) else { return };
        mount::mount_setattr(bind.as_fd(), c"", false, SetAttr { set: ATTR_RDONLY, ..SetAttr::default() }, None)
            .expect("read-only");
        assert!(path::fs_flags(bind.as_fd()).expect("flags") & ST_RDONLY != 0);
        let again = |fd: &std::os::fd::OwnedFd| {
            let mut buf = [0; 32];
            path::open(path::proc_fd_path(fd.as_fd(), &mut buf), libc::O_WRONLY, 0)
        };
        assert!(again(&plain).is_ok());
        assert_eq!(again(&bind).expect_err("read-only").raw_os_error(), Some(libc::EROFS));
        std::fs::remove_file(file).expect("removed");
    }
}
