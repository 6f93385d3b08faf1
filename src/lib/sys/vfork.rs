//! Another program as a child of this process, in a cgroup from its first moment on, without a copy of this process's
//! memory: what posix_spawn(3) does, with clone3(2)'s cgroup (which glibc learns in 2.39).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// The child's stack, bytes: it makes two kinds of system calls and nothing else.
#[cfg(target_arch = "x86_64")]
const STACK: usize = 16 << 10;

/// What the child reads and writes in the memory that it shares with the waiting parent.
struct Job<'a> {
    path: &'a CStr,
    argv: *const *const libc::c_char,
    keep: &'a [RawFd],
    first: u32,
    /// Why the program could not be executed.
    errno: libc::c_int,
}

/// Executes `path` with `args` and this process's environment, directory, signal mask and dispositions; the child's pid.
/// Of the descriptors that are close-on-exec, and of all from the number `first` on (Linux 5.11; see [`leaves_behind`]), it
/// gets those of `keep`, under their own numbers. All signals should be blocked: a handler must not run in the child. The
/// caller has one thread.
///
/// # Errors
/// clone3(2), execve(2); ENOSYS on machines that this is not written for.
pub fn exec_child(
    path: &CStr,
    args: &[&CStr],
    cgroup: Option<BorrowedFd<'_>>,
    keep: &[RawFd],
    first: u32,
) -> io::Result<i32> {
    let argv: Vec<*const libc::c_char> = args.iter().map(|a| a.as_ptr()).chain([std::ptr::null()]).collect();
    let mut job = Job { path, argv: argv.as_ptr(), keep, first, errno: 0 };
    let pid = start(&mut job, cgroup.map(|fd| fd.as_raw_fd()))?;
    if job.errno != 0 {
        let _ = super::process::wait_pid(pid, 0);
        return Err(io::Error::from_raw_os_error(job.errno));
    }
    Ok(pid)
}

/// Whether the kernel can leave descriptors behind that are not close-on-exec.
pub fn leaves_behind() -> bool {
    super::fd::close_range(u32::MAX, u32::MAX, true).is_ok()
}

/// The child's whole life before the other program.
extern "C" fn child(job: *mut Job<'_>) -> ! {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: the parent waits (CLONE_VFORK) and keeps the job, its strings and lists meanwhile; the numbers are open; of
    // the shared memory only the job's errno and the C library's (the waiting thread's own) are written.
    unsafe {
        libc::syscall(libc::SYS_close_range, (*job).first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        for fd in (*job).keep {
            libc::fcntl(*fd, libc::F_SETFD, 0);
        }
        libc::execve((*job).path.as_ptr(), (*job).argv, environ);
        (*job).errno = *libc::__errno_location();
        libc::_exit(127)
    }
}

#[cfg(target_arch = "x86_64")]
fn start(job: &mut Job<'_>, cgroup: Option<RawFd>) -> io::Result<i32> {
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    let mut flags = (libc::CLONE_VM | libc::CLONE_VFORK) as u64;
    if cgroup.is_some() {
        flags |= super::ns::CLONE_INTO_CGROUP;
    }
    // struct clone_args of linux/sched.h: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
    // set_tid_size, cgroup.
    let args: [u64; 11] = [
        flags,
        0,
        0,
        0,
        libc::SIGCHLD as u64,
        stack.as_mut_ptr() as u64,
        STACK as u64,
        0,
        0,
        0,
        cgroup.unwrap_or(0) as u64,
    ];
    let mut ret = libc::SYS_clone3;
    // SAFETY: the parent goes on behind the label with all but the named registers as they were. The child starts on the
    // upper end of a stack of its own, aligned to 16, calls `child` there, which does not return, and touches nothing of
    // this frame but the job.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") ret,
            in("rdi") args.as_ptr(),
            in("rsi") size_of_val(&args),
            in("r12") std::ptr::from_mut(job),
            in("r13") child as extern "C" fn(*mut Job<'_>) -> !,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    drop(stack);
    match i32::try_from(ret) {
        Ok(pid) if pid > 0 => Ok(pid),
        Ok(errno) => Err(io::Error::from_raw_os_error(-errno)),
        Err(_) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn start(_: &mut Job<'_>, _: Option<RawFd>) -> io::Result<i32> {
    let _ = child as extern "C" fn(*mut Job<'_>) -> !;
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

#[cfg(test)]
mod tests {
    use super::super::process;
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn the_program_gets_what_is_kept() {
        if !cfg!(target_arch = "x86_64") {
            return;
        }
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (other, _kept) = std::io::pipe().unwrap();
        super::super::fd::set_cloexec(other.as_fd(), false).unwrap();
        let line = format!("echo told >&{}; : <&{} && echo bad >&2", writer.as_raw_fd(), other.as_raw_fd());
        let line = std::ffi::CString::new(line).unwrap();
        let keep = [writer.as_raw_fd()];
        let pid = exec_child(c"/bin/sh", &[c"sh", c"-c", &line], None, &keep, 3).unwrap();
        let status = process::wait_pid(pid, 0).unwrap().1;
        assert_ne!(process::exit_code(status), 0, "a descriptor that was not kept is open");
        drop(writer);
        let mut told = String::new();
        reader.read_to_string(&mut told).unwrap();
        assert_eq!(told, "told\n");
    }

    #[test]
    fn a_program_that_is_missing_is_told() {
        if !cfg!(target_arch = "x86_64") {
            return;
        }
        let e = exec_child(c"/nonexistent/program", &[c"x"], None, &[], 3).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::ENOENT));
    }
}
