//! seccomp(2): putting a compiled filter into force, and the listener's side of user notifications (seccomp_unotify(2)).
//! Knows no policy and no syscall numbers. Allocates nothing: the child loads its own filter.

use super::rc::check;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// The load gives a descriptor on which notifications arrive.
pub const NEW_LISTENER: u32 = 8;
const SET_MODE_FILTER: u32 = 1;
const GET_NOTIF_SIZES: u32 = 3;

/// The size of one instruction (struct sock_filter).
pub const INSN_SIZE: usize = 8;

fn seccomp(op: u32, flags: u32, args: *mut libc::c_void) -> io::Result<i32> {
    // SAFETY: args is what op wants (each caller says so) and lives until the call returns.
    let rc = unsafe { libc::syscall(libc::SYS_seccomp, op, flags, args) };
    // All results are errors, 0 or descriptors.
    check(i32::try_from(rc).unwrap_or(-1))
}

/// Puts a filter into force for the calling thread: `filter` is the array of struct sock_filter in memory order, as
/// libseccomp exports it. With [`NEW_LISTENER`] the descriptor for notifications comes back, close-on-exec.
///
/// # Errors
/// EINVAL for an invalid filter or length or a flag that this kernel does not know; EACCES without no_new_privs and
/// CAP_SYS_ADMIN; EBUSY when another filter has a listener already.
pub fn load_filter(filter: &[u8], flags: u32) -> io::Result<Option<OwnedFd>> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    if filter.is_empty() || !filter.chunks_exact(INSN_SIZE).remainder().is_empty() {
        return Err(invalid());
    }
    let len = u16::try_from(filter.len() / INSN_SIZE).map_err(|_| invalid())?;
    // The kernel copies the instructions bytewise: they need no alignment. It only reads them.
    let mut prog = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut().cast() };
    let rc = seccomp(SET_MODE_FILTER, flags, (&raw mut prog).cast())?;
    if flags & NEW_LISTENER != 0 {
        // SAFETY: with this flag a non-negative result is a new descriptor that nobody else owns.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(rc) }));
    }
    Ok(None)
}

/// The sizes of this kernel's structures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct NotifSizes {
    /// struct seccomp_notif.
    pub notif: u16,
    /// struct seccomp_notif_resp.
    pub response: u16,
    /// struct seccomp_data.
    pub data: u16,
}

/// How large notifications and responses are with this kernel.
///
/// # Errors
/// EINVAL before Linux 5.0.
pub fn notif_sizes() -> io::Result<NotifSizes> {
    let mut sizes = NotifSizes::default();
    // Three u16 in this order are struct seccomp_notif_sizes.
    seccomp(GET_NOTIF_SIZES, 0, (&raw mut sizes).cast())?;
    Ok(sizes)
}

// _IOWR('!', nr, size), _IOW for the last; the sizes are those of the structures as they were first defined, and the
// kernel uses its own.
const NOTIF_RECV: libc::Ioctl = 0xC050_2100u32 as libc::Ioctl;
const NOTIF_SEND: libc::Ioctl = 0xC018_2101u32 as libc::Ioctl;
const NOTIF_ID_VALID: libc::Ioctl = 0x4008_2102;

/// Takes the next notification into `buf`, which must be as large as [`notif_sizes`] says; waits for one.
///
/// # Errors
/// EINVAL for a short buffer; ENOENT when the target died meanwhile; EINTR.
pub fn notif_recv(listener: impl AsFd, buf: &mut [u8]) -> io::Result<()> {
    if buf.len() < usize::from(notif_sizes()?.notif) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // The kernel refuses a buffer that is not all zeros.
    buf.fill(0);
    // SAFETY: buf is writable for the whole structure of this kernel, checked above.
    check(unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), NOTIF_RECV, buf.as_mut_ptr()) }).map(drop)
}

/// Answers a notification; `response` is as large as [`notif_sizes`] says.
///
/// # Errors
/// EINVAL for a short response; ENOENT when the target is gone or answered already.
pub fn notif_send(listener: impl AsFd, response: &mut [u8]) -> io::Result<()> {
    if response.len() < usize::from(notif_sizes()?.response) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: response is readable and writable for the whole structure of this kernel, checked above.
    check(unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), NOTIF_SEND, response.as_mut_ptr()) }).map(drop)
}

/// Whether a descriptor is a listener at all.
pub fn is_listener(fd: impl AsFd) -> bool {
    let id = 0_u64;
    // SAFETY: id is a readable u64.
    let known = check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NOTIF_ID_VALID, &raw const id) });
    // A listener looks for the id and says that there is none.
    known.err().is_none_or(|e| e.raw_os_error() == Some(libc::ENOENT))
}

/// Whether the syscall behind a notification still waits: before that is known, what was read of the target by its pid may
/// be another process'.
pub fn notif_id_valid(listener: impl AsFd, id: u64) -> bool {
    // SAFETY: id is a readable u64.
    check(unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), NOTIF_ID_VALID, &raw const id) }).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::{exit_now, fork, set_no_new_privs, wait_pid};

    fn insn(code: u16, jt: u8, jf: u8, k: u32) -> [u8; 8] {
        let [a, b] = code.to_ne_bytes();
        let [c, d, e, f] = k.to_ne_bytes();
        [a, b, jt, jf, c, d, e, f]
    }

    const ALLOW: u32 = 0x7fff_0000;

    // Load the number; is it getppid: the action, else allow.
    fn on_getppid(action: u32) -> Vec<u8> {
        let nr = libc::SYS_getppid as u32;
        [insn(0x20, 0, 0, 0), insn(0x15, 0, 1, nr), insn(0x06, 0, 0, action), insn(0x06, 0, 0, ALLOW)].concat()
    }

    fn in_child(f: impl FnOnce() -> bool) -> i32 {
        let pid = fork(|| exit_now(if f() { 0 } else { 1 })).unwrap();
        wait_pid(pid, 0).unwrap().1
    }

    fn getppid() -> io::Result<i32> {
        // SAFETY: takes nothing.
        check(unsafe { libc::syscall(libc::SYS_getppid) } as i32)
    }

    #[test]
    fn a_filter_is_in_force_at_once() {
        let filter = on_getppid(0x0005_0000 | libc::EXDEV as u32);
        let status = in_child(|| {
            set_no_new_privs().is_ok()
                && matches!(load_filter(&filter, 0), Ok(None))
                && getppid().is_err_and(|e| e.raw_os_error() == Some(libc::EXDEV))
        });
        assert_eq!(status, 0);
    }

    #[test]
    fn broken_filters_are_refused() {
        for bad in [&[][..], &[0; 7], &[0; 8], &[0; 8 * 65_536]] {
            assert_eq!(load_filter(bad, 0).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        }
    }

    #[test]
    fn a_notification_is_answered() {
        let filter = on_getppid(0x7fc0_0000);
        let sizes = notif_sizes().unwrap();
        assert!(sizes.notif >= 80 && sizes.response >= 24 && sizes.data >= 64);
        let (a, b) = crate::sys::socket::pair_seqpacket().unwrap();
        let pid = fork(|| {
            let sent = set_no_new_privs().and_then(|()| load_filter(&filter, NEW_LISTENER)).is_ok_and(|fd| {
                fd.is_some_and(|fd| crate::sys::socket::send_with_fds(b.as_fd(), b"x", &[fd.as_fd()]).is_ok())
            });
            exit_now(if sent && getppid().is_ok_and(|v| v == 4242) { 0 } else { 1 })
        })
        .unwrap();
        let mut fds = [None];
        crate::sys::socket::recv_with_fds(a.as_fd(), &mut [0], &mut fds).unwrap();
        let [listener] = fds;
        let listener = listener.unwrap();
        let mut buf = vec![1; usize::from(sizes.notif)];
        notif_recv(&listener, &mut buf).unwrap();
        let id = u64::from_ne_bytes(buf[..8].try_into().unwrap());
        assert_eq!(u32::from_ne_bytes(buf[8..12].try_into().unwrap()), pid as u32);
        assert!(notif_id_valid(&listener, id) && !notif_id_valid(&listener, !id));
        assert!(is_listener(&listener) && !is_listener(&a));
        assert!(notif_send(&listener, &mut [0; 8]).is_err());
        let mut response = vec![0; usize::from(sizes.response)];
        response[..8].copy_from_slice(&id.to_ne_bytes());
        response[8..16].copy_from_slice(&4242_i64.to_ne_bytes());
        notif_send(&listener, &mut response).unwrap();
        assert_eq!(wait_pid(pid, 0).unwrap(), (pid, 0));
    }
}
