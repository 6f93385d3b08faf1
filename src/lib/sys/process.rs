//! Processes: cloning, executing, waiting, what prctl(2) sets. What runs in a clone's child neither allocates nor locks:
//! the child of a threaded process has one thread and whatever locks the others held.

use super::rc::{check, check_long};
use std::ffi::{CStr, CString};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicPtr, Ordering};

/// What a closure that must not return returns.
pub use std::convert::Infallible as Never;

/// How to clone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clone3<'a> {
    /// CLONE_NEW*, CLONE_PARENT …
    pub flags: u64,
    /// A cgroup2 directory that the child starts in (CLONE_INTO_CGROUP, Linux 5.7).
    pub cgroup: Option<BorrowedFd<'a>>,
    /// A pidfd is wanted.
    pub pidfd: bool,
}

/// A child.
#[derive(Debug)]
pub struct Child {
    /// Its process id.
    pub pid: i32,
    /// Its pidfd, when it was asked for.
    pub pidfd: Option<OwnedFd>,
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// clone3(2) with fork's meaning (memory copied, SIGCHLD at the end). `child` runs in the new process on a copy of this
/// stack; it ends by exec or [`exit_now`]. libc's own idea of the thread (its cached ids, its locks) is the parent's:
/// only raw calls and what does not lock may be used there.
///
/// # Errors
/// clone3(2).
pub fn clone3(how: &Clone3<'_>, child: impl FnOnce() -> Never) -> io::Result<Child> {
    const CLONE_PIDFD: u64 = 0x1000;
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs { flags: how.flags, exit_signal: libc::SIGCHLD as u64, ..CloneArgs::default() };
    if how.pidfd {
        args.flags |= CLONE_PIDFD;
        args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    }
    if let Some(cgroup) = how.cgroup {
        args.flags |= super::ns::CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    if args.flags & libc::CLONE_PARENT as u64 != 0 {
        args.exit_signal = 0;
    }
    // SAFETY: without CLONE_VM and with no stack the child continues here on its own copy of everything.
    let pid = match check_long(unsafe { libc::syscall(libc::SYS_clone3, &args, size_of::<CloneArgs>()) }) {
        // A filter of system calls that does not know it (older container managers, valgrind).
        Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => clone2(&args, &mut pidfd, how.cgroup)?,
        other => other?,
    };
    if pid == 0 {
        child();
    }
    // SAFETY: the kernel has filled in a new descriptor.
    let pidfd = how.pidfd.then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok(Child { pid: pid as i32, pidfd })
}

/// The same by clone(2), whose flags have no room for cgroups and time namespaces: the child enters its group itself.
fn clone2(args: &CloneArgs, pidfd: &mut RawFd, cgroup: Option<BorrowedFd<'_>>) -> io::Result<libc::c_long> {
    let flags = (args.flags & !super::ns::CLONE_INTO_CGROUP) | args.exit_signal;
    let flags = libc::c_ulong::try_from(flags).map_err(|_| io::Error::from_raw_os_error(libc::ENOSYS))?;
    let (none, at) = (std::ptr::null_mut::<libc::c_void>(), std::ptr::from_mut(pidfd));
    // SAFETY: as clone3; the third argument takes the pidfd with CLONE_PIDFD and is ignored without.
    let pid = check_long(unsafe { libc::syscall(libc::SYS_clone, flags, none, at, none, none) })?;
    if pid == 0
        && let Some(group) = cgroup
    {
        let procs = super::path::openat(group, c"cgroup.procs", libc::O_WRONLY, 0);
        if procs.and_then(|fd| super::fd::write_all(std::os::fd::AsFd::as_fd(&fd), b"0")).is_err() {
            exit_now(1)
        }
    }
    Ok(pid)
}

/// fork(2) by libc, so that its own state is right in the child. `child` ends by exec or [`exit_now`].
///
/// # Errors
/// fork(2).
pub fn fork(child: impl FnOnce() -> Never) -> io::Result<i32> {
    // SAFETY: the child runs the closure only, which the caller keeps free of locks where the process has threads.
    let pid = check(unsafe { libc::fork() })?;
    if pid == 0 {
        child();
    }
    Ok(pid)
}

/// Ends the process at once: no destructors, no buffers.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(code) }
}

/// Arguments and environment in the form that execve(2) takes, rendered ahead.
#[derive(Debug)]
pub struct ExecArgs {
    /// What the pointers point to.
    strings: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
}

// SAFETY: the pointers point to strings that the structure itself owns and never changes.
unsafe impl Send for ExecArgs {}
// SAFETY: as above; nothing is changed through a shared reference.
unsafe impl Sync for ExecArgs {}

impl ExecArgs {
    /// Renders them.
    pub fn new(argv: &[CString], envp: &[CString]) -> Self {
        let strings: Vec<CString> = argv.iter().chain(envp).cloned().collect();
        let pointers = |part: &[CString]| part.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        let (first, second) = strings.split_at(argv.len());
        let (argv, envp) = (pointers(first), pointers(second));
        Self { strings, argv, envp }
    }

    /// The first argument.
    pub fn program(&self) -> Option<&CStr> {
        if self.argv.len() > 1 { self.strings.first().map(CString::as_c_str) } else { None }
    }
}

/// Makes the environment of `args` the calling process's for all that is left of its life, which `then` is. For a child of
/// a process with threads: the C library's own functions would wait for a lock there.
pub fn with_environment(args: &ExecArgs, then: impl FnOnce() -> Never) -> Never {
    unsafe extern "C" {
        static mut environ: *const *const libc::c_char;
    }
    // SAFETY: a null-ended list of strings that outlive the process, since `then` does not return; there is one thread.
    unsafe { environ = args.envp.as_ptr() }
    then()
}

/// execve(2). Returns only when it fails.
pub fn execve(path: &CStr, args: &ExecArgs) -> io::Error {
    // SAFETY: both lists end by null and point to strings that live in `args`.
    unsafe { libc::execve(path.as_ptr(), args.argv.as_ptr(), args.envp.as_ptr()) };
    io::Error::last_os_error()
}

/// execvpe(3): the program is looked up on the PATH of the present environment. Returns only when it fails. Does not
/// allocate (glibc uses the stack).
pub fn execvpe(file: &CStr, args: &ExecArgs) -> io::Error {
    // SAFETY: as execve.
    unsafe { libc::execvpe(file.as_ptr(), args.argv.as_ptr(), args.envp.as_ptr()) };
    io::Error::last_os_error()
}

/// execveat(2) of the file that `fd` is open on. Returns only when it fails.
pub fn fexecve(fd: BorrowedFd<'_>, args: &ExecArgs) -> io::Error {
    // SAFETY: both lists end by null and point to strings that live in `args`.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            args.argv.as_ptr(),
            args.envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// pidfd_open(2).
///
/// # Errors
/// pidfd_open(2).
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: numbers only; the descriptor is new.
    unsafe {
        let fd = check_long(libc::syscall(libc::SYS_pidfd_open, pid, 0u32))?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// pidfd_send_signal(2); signal 0 only asks.
///
/// # Errors
/// pidfd_send_signal(2): ESRCH when the process is gone.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: a null siginfo is allowed.
    let ret = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0u32) };
    check_long(ret).map(drop)
}

/// kill(2).
///
/// # Errors
/// kill(2).
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// waitpid(2), repeated when interrupted: the pid and the raw wait status; pid 0 with WNOHANG when nothing has ended.
///
/// # Errors
/// waitpid(2).
pub fn wait_pid(pid: i32, flags: i32) -> io::Result<(i32, i32)> {
    let mut status = 0;
    loop {
        // SAFETY: the status is ours.
        match check(unsafe { libc::waitpid(pid, &mut status, flags) }) {
            Ok(pid) => return Ok((pid, status)),
            Err(e) if e.raw_os_error() == Some(libc::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// The exit code that a shell gives a raw wait status: 128 + N for signal N.
pub const fn exit_code(status: i32) -> i32 {
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

/// The calling process.
pub fn pid() -> i32 {
    // SAFETY: it cannot fail; raw, since libc may answer from memory after a raw clone.
    unsafe { libc::syscall(libc::SYS_getpid) as i32 }
}

/// setsid(2).
///
/// # Errors
/// EPERM: it leads a process group.
pub fn setsid() -> io::Result<i32> {
    // SAFETY: no arguments.
    check(unsafe { libc::setsid() })
}

/// umask(2): the mask before.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: it cannot fail.
    unsafe { libc::umask(mask) }
}

/// chdir(2).
///
/// # Errors
/// chdir(2).
pub fn chdir(path: &CStr) -> io::Result<()> {
    // SAFETY: a C string.
    check(unsafe { libc::chdir(path.as_ptr()) }).map(drop)
}

/// fchdir(2).
///
/// # Errors
/// fchdir(2).
pub fn fchdir(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a number.
    check(unsafe { libc::fchdir(fd.as_raw_fd()) }).map(drop)
}

/// chroot(2).
///
/// # Errors
/// chroot(2).
pub fn chroot(path: &CStr) -> io::Result<()> {
    // SAFETY: a C string.
    check(unsafe { libc::chroot(path.as_ptr()) }).map(drop)
}

fn prctl(op: i32, a: libc::c_ulong) -> io::Result<i32> {
    let zero: libc::c_ulong = 0;
    // SAFETY: every caller here passes a number, or a pointer that lives through the call.
    check(unsafe { libc::prctl(op, a, zero, zero, zero) })
}

/// The signal that this process gets when the thread that made it ends; 0 for none.
///
/// # Errors
/// prctl(2), PR_SET_PDEATHSIG.
pub fn set_pdeathsig(signal: i32) -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong).map(drop)
}

/// PR_SET_DUMPABLE.
///
/// # Errors
/// prctl(2).
pub fn set_dumpable(on: bool) -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(on)).map(drop)
}

/// PR_SET_CHILD_SUBREAPER.
///
/// # Errors
/// prctl(2).
pub fn set_child_subreaper(on: bool) -> io::Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, libc::c_ulong::from(on)).map(drop)
}

/// PR_SET_NO_NEW_PRIVS.
///
/// # Errors
/// prctl(2).
pub fn set_no_new_privs() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// The name in /proc/PID/comm, cut to 15 bytes.
///
/// # Errors
/// prctl(2), PR_SET_NAME.
pub fn set_name(name: &CStr) -> io::Result<()> {
    prctl(libc::PR_SET_NAME, name.as_ptr() as libc::c_ulong).map(drop)
}

/// The name in /proc/PID/comm.
///
/// # Errors
/// prctl(2), PR_GET_NAME.
pub fn name() -> io::Result<String> {
    let mut name = [0_u8; 16];
    prctl(libc::PR_GET_NAME, name.as_mut_ptr() as libc::c_ulong)?;
    Ok(CStr::from_bytes_until_nul(&name).map(|n| n.to_string_lossy().into_owned()).unwrap_or_default())
}

/// personality(2): the one before; `0xffff_ffff` only asks.
///
/// # Errors
/// personality(2).
pub fn personality(persona: u64) -> io::Result<u64> {
    // SAFETY: numbers only; raw, since libc's prototype is narrower on some machines.
    check_long(unsafe { libc::syscall(libc::SYS_personality, persona as libc::c_ulong) }).map(|p| p as u64)
}

/// prlimit(2) of another process or (0) the calling one; `u64::MAX` is no limit.
///
/// # Errors
/// prlimit(2).
pub fn prlimit(pid: i32, resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let new = [soft, hard];
    let none = std::ptr::null_mut::<u64>();
    // SAFETY: prlimit64 reads two 64-bit numbers.
    check_long(unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, new.as_ptr(), none) }).map(drop)
}

/// A new core scheduling cookie for a process and its threads (PR_SCHED_CORE, Linux 5.14).
///
/// # Errors
/// prctl(2): EINVAL or ENODEV without core scheduling.
pub fn sched_core_create(pid: i32) -> io::Result<()> {
    const PR_SCHED_CORE: libc::c_int = 62;
    const CREATE: libc::c_ulong = 1;
    const THREAD_GROUP: libc::c_ulong = 1;
    let zero: libc::c_ulong = 0;
    // SAFETY: numbers and a null pointer, which CREATE allows.
    check(unsafe { libc::prctl(PR_SCHED_CORE, CREATE, pid as libc::c_ulong, THREAD_GROUP, zero) }).map(drop)
}

/// A new anonymous session keyring (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING).
///
/// # Errors
/// keyctl(2): ENOSYS without keyrings.
pub fn new_session_keyring() -> io::Result<()> {
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name asks for an anonymous one.
    check_long(unsafe { libc::syscall(libc::SYS_keyctl, 1, none) }).map(drop)
}

/// The text of [`set_title`], NUL at its end.
static TITLE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

/// Puts `head` in place of the title's beginning, as far as it has room. For a forked child, whose copy it is.
pub fn retitle(head: &[u8]) {
    let title = TITLE.load(Ordering::Relaxed);
    for (i, byte) in head.iter().enumerate().take_while(|_| !title.is_null()) {
        // SAFETY: the text was leaked, nobody else has a reference to it, and the NUL at its end is never passed.
        unsafe {
            let at = title.add(i);
            if *at == 0 {
                return;
            }
            *at = *byte;
        }
    }
}

/// The title that ps(1) shows: puts `title` in place of the arguments (PR_SET_MM_MAP, the way that needs no room).
///
/// # Errors
/// The kernel refuses (no CAP_SYS_RESOURCE), or /proc cannot be read.
pub fn set_title(title: &str) -> io::Result<()> {
    #[repr(C)]
    #[derive(Default)]
    struct MmMap {
        start_code: u64,
        end_code: u64,
        start_data: u64,
        end_data: u64,
        start_brk: u64,
        brk: u64,
        start_stack: u64,
        arg_start: u64,
        arg_end: u64,
        env_start: u64,
        env_end: u64,
        auxv: u64,
        auxv_size: u32,
        exe_fd: u32,
    }
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    // Field 3 is the first after the name, which may hold anything but ends at the last parenthesis.
    let rest = stat.rsplit_once(')').ok_or_else(invalid)?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<u64>().ok()).ok_or_else(invalid);
    // The text must outlive the process: it is leaked on purpose, once per monitor.
    let text = Box::leak(CString::new(title).map_err(|_| invalid())?.into_bytes_with_nul().into_boxed_slice());
    TITLE.store(text.as_mut_ptr(), Ordering::Relaxed);
    let start = text.as_ptr() as u64;
    // SAFETY: sbrk(0) only asks.
    let brk = unsafe { libc::sbrk(0) } as u64;
    let map = MmMap {
        start_code: field(26)?,
        end_code: field(27)?,
        start_stack: field(28)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk: field(47)?,
        brk,
        arg_start: start,
        arg_end: start + text.len() as u64,
        env_start: field(50)?,
        env_end: field(51)?,
        exe_fd: u32::MAX,
        ..MmMap::default()
    };
    const PR_SET_MM: libc::c_int = 35;
    const PR_SET_MM_MAP: libc::c_ulong = 14;
    // SAFETY: the structure lives through the call and its size is given; the text is never freed.
    check(unsafe { libc::prctl(PR_SET_MM, PR_SET_MM_MAP, &map, size_of::<MmMap>(), 0) }).map(drop)
}

/// posix_spawn(3) with inherited descriptors put on given numbers: cheap from a large process. `fds` are (ours, theirs);
/// everything else that is close-on-exec stays behind. Default dispositions, empty mask; with `group` a process group of
/// its own.
///
/// # Errors
/// posix_spawn(3).
pub fn spawn(path: &CStr, args: &ExecArgs, fds: &[(RawFd, RawFd)], group: bool) -> io::Result<i32> {
    let worked = |e: i32| if e == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(e)) };
    let mut actions = std::mem::MaybeUninit::<libc::posix_spawn_file_actions_t>::uninit();
    let mut attr = std::mem::MaybeUninit::<libc::posix_spawnattr_t>::uninit();
    let mut pid = 0;
    let (empty, full) = (super::signal::SigSet::empty(), super::signal::SigSet::full());
    // SAFETY: both structures are initialised before use and destroyed afterwards; all pointers live through the calls.
    unsafe {
        worked(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
        worked(libc::posix_spawnattr_init(attr.as_mut_ptr()))?;
        let mut result = Ok(());
        for (ours, theirs) in fds {
            result = result
                .and_then(|()| worked(libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), *ours, *theirs)));
        }
        // The group of number 0, which is what a fresh attribute says, is a new one of the program's own number.
        let group = if group { libc::POSIX_SPAWN_SETPGROUP } else { 0 };
        let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK | group;
        result = result
            .and_then(|()| {
                worked(libc::posix_spawnattr_setsigmask(attr.as_mut_ptr(), std::ptr::from_ref(&empty).cast()))
            })
            .and_then(|()| {
                worked(libc::posix_spawnattr_setsigdefault(attr.as_mut_ptr(), std::ptr::from_ref(&full).cast()))
            })
            .and_then(|()| worked(libc::posix_spawnattr_setflags(attr.as_mut_ptr(), flags as libc::c_short)))
            .and_then(|()| {
                worked(libc::posix_spawn(
                    &mut pid,
                    path.as_ptr(),
                    actions.as_ptr(),
                    attr.as_ptr(),
                    args.argv.as_ptr().cast(),
                    args.envp.as_ptr().cast(),
                ))
            });
        libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr());
        libc::posix_spawnattr_destroy(attr.as_mut_ptr());
        result.map(|()| pid)
    }
}

/// How many threads this process has (/proc/self/stat, field 20); 1 when that cannot be read.
pub fn thread_count() -> usize {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, r)| r);
    rest.split_whitespace().nth(17).and_then(|f| f.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_clone_runs_the_closure_and_tells_its_end() {
        let child = clone3(&Clone3 { pidfd: true, ..Clone3::default() }, || exit_now(7)).unwrap();
        let (pid, status) = wait_pid(child.pid, 0).unwrap();
        assert_eq!((pid, exit_code(status)), (child.pid, 7));
        assert!(pidfd_send_signal(child.pidfd.unwrap().as_fd(), 0).is_err());
    }

    #[test]
    fn a_clone_where_the_newer_call_is_unknown() {
        let args = CloneArgs { flags: 0x1000, exit_signal: libc::SIGCHLD as u64, ..CloneArgs::default() };
        let mut pidfd = -1;
        let pid = clone2(&args, &mut pidfd, None).unwrap();
        if pid == 0 {
            exit_now(5)
        }
        assert!(pidfd >= 0 && crate::sys::fd::adopt(pidfd).is_ok());
        assert_eq!(exit_code(wait_pid(pid as i32, 0).unwrap().1), 5);
    }

    #[test]
    fn exec_arguments_are_rendered_ahead() {
        let args = ExecArgs::new(&[c"sh".into(), c"-c".into(), c"exit $CODE".into()], &[c"CODE=9".into()]);
        assert_eq!(args.program(), Some(c"sh"));
        let child = clone3(&Clone3::default(), || {
            execve(c"/bin/sh", &args);
            exit_now(1)
        });
        assert_eq!(exit_code(wait_pid(child.unwrap().pid, 0).unwrap().1), 9);
        let pid = spawn(c"/bin/sh", &args, &[(2, 2)], false).unwrap();
        assert_eq!(exit_code(wait_pid(pid, 0).unwrap().1), 9);
        assert!(thread_count() >= 1);
    }

    #[test]
    fn a_title_replaces_the_arguments() {
        let child = clone3(&Clone3::default(), || {
            let shown = set_title("[lxc monitor] /store c1")
                .and_then(|()| std::fs::read("/proc/self/cmdline"))
                .is_ok_and(|line| line == b"[lxc monitor] /store c1\0");
            exit_now(i32::from(!shown))
        });
        assert_eq!(exit_code(wait_pid(child.unwrap().pid, 0).unwrap().1), 0);
    }
}
