//! bpf(2): programs of type BPF_PROG_TYPE_CGROUP_DEVICE, loaded and attached to cgroup2 groups (Linux:
//! include/uapi/linux/bpf.h). What a program means is not known here.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// One instruction, struct bpf_insn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Insn {
    /// The operation.
    pub code: u8,
    /// Destination register in the low four bits, source register in the high four (little endian; a big endian kernel
    /// has them the other way round, see [`load_cgroup_device`]).
    pub regs: u8,
    /// Signed offset of loads and jumps.
    pub off: i16,
    /// Signed immediate.
    pub imm: i32,
}

/// Attach flag BPF_F_ALLOW_MULTI: other programs of the group and below stay in force as well.
pub const ALLOW_MULTI: u32 = 2;

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
#[cfg(test)]
const PROG_QUERY: libc::c_int = 16;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;

/// The part of union bpf_attr that BPF_PROG_LOAD reads, up to its log fields.
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
}

/// The part for BPF_PROG_ATTACH and BPF_PROG_DETACH.
#[repr(C)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// The part for BPF_PROG_QUERY.
#[cfg(test)]
#[repr(C)]
struct Query {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    pad: u32,
}

/// bpf(2) with an attribute structure of the command's own layout.
///
/// # Safety
/// `T` must be `repr(C)`, be what `cmd` expects, and every pointer in it must be good for the call.
unsafe fn bpf<T>(cmd: libc::c_int, attr: &mut T) -> io::Result<libc::c_int> {
    let size = size_of::<T>();
    // SAFETY: attr is a valid, writable object of `size` bytes for the time of the call; the caller vouches for the rest.
    let n = unsafe { libc::syscall(libc::SYS_bpf, cmd, std::ptr::from_mut(attr), size) };
    match libc::c_int::try_from(n) {
        Ok(n) if n >= 0 => Ok(n),
        _ => Err(io::Error::last_os_error()),
    }
}

fn number(fd: &impl AsFd) -> u32 {
    u32::from_ne_bytes(fd.as_fd().as_raw_fd().to_ne_bytes())
}

/// Loads a device program.
///
/// # Errors
/// bpf(2): EPERM without CAP_SYS_ADMIN, EINVAL or EACCES for a program that the verifier refuses.
pub fn load_cgroup_device(code: &[Insn]) -> io::Result<OwnedFd> {
    // The two register numbers share a byte as bit fields: their order follows the machine's byte order.
    let code: Vec<Insn> = code
        .iter()
        .map(|i| Insn { regs: if cfg!(target_endian = "big") { i.regs.rotate_left(4) } else { i.regs }, ..*i })
        .collect();
    let license = c"GPL";
    let mut attr = Load {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(code.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        insns: code.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
    };
    // The verifier gives up with EAGAIN when a signal is pending (as libbpf, a few tries are made).
    let mut tries = 0;
    let fd = loop {
        // SAFETY: Load is the layout of BPF_PROG_LOAD; code and license outlive the call.
        match unsafe { bpf(PROG_LOAD, &mut attr) } {
            Err(e) if e.raw_os_error() == Some(libc::EAGAIN) && tries < 10 => tries += 1,
            made => break made?,
        }
    };
    // SAFETY: the kernel has just made this descriptor for us (close-on-exec, as all of bpf(2)'s are).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a device program to a cgroup2 directory.
///
/// # Errors
/// bpf(2).
pub fn attach(prog: &impl AsFd, cgroup: &impl AsFd, flags: u32) -> io::Result<()> {
    let mut attr = Attach {
        target_fd: number(cgroup),
        attach_bpf_fd: number(prog),
        attach_type: CGROUP_DEVICE,
        attach_flags: flags,
    };
    // SAFETY: Attach is the layout of BPF_PROG_ATTACH and holds no pointer.
    unsafe { bpf(PROG_ATTACH, &mut attr) }.map(drop)
}

/// Detaches a device program from a cgroup2 directory.
///
/// # Errors
/// bpf(2): ENOENT when it is not attached there.
pub fn detach(prog: &impl AsFd, cgroup: &impl AsFd) -> io::Result<()> {
    let mut attr =
        Attach { target_fd: number(cgroup), attach_bpf_fd: number(prog), attach_type: CGROUP_DEVICE, attach_flags: 0 };
    // SAFETY: Attach is the layout of BPF_PROG_DETACH and holds no pointer.
    unsafe { bpf(PROG_DETACH, &mut attr) }.map(drop)
}

/// How many device programs are attached to a cgroup2 directory itself.
///
/// # Errors
/// bpf(2).
#[cfg(test)]
pub fn query(cgroup: &impl AsFd) -> io::Result<u32> {
    let mut attr = Query {
        target_fd: number(cgroup),
        attach_type: CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: 0,
        prog_cnt: 0,
        pad: 0,
    };
    // SAFETY: Query is the layout of BPF_PROG_QUERY; without room for ids (count 0) the kernel writes the count only.
    unsafe { bpf(PROG_QUERY, &mut attr) }?;
    Ok(attr.prog_cnt)
}
