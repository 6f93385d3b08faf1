//! Memory that crosses the border: everything handed out comes from the C library's malloc, since C frees it. Strings that
//! come in are copied at once.

use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// A malloc'ed copy, NUL at its end; null when memory is out. Bytes behind a NUL are lost.
pub fn string(bytes: impl AsRef<[u8]>) -> *mut c_char {
    let bytes = bytes.as_ref();
    let len = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    // SAFETY: len + 1 bytes are allocated, and as many written.
    unsafe {
        let to = libc::malloc(len + 1).cast::<u8>();
        if !to.is_null() {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, len);
            to.add(len).write(0);
        }
        to.cast()
    }
}

/// A malloc'ed block of data without a NUL of its own but with one behind it; null when memory is out.
pub fn data(bytes: &[u8]) -> *mut c_char {
    // SAFETY: one byte more than the data is allocated and written.
    unsafe {
        let to = libc::malloc(bytes.len() + 1).cast::<u8>();
        if !to.is_null() {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            to.add(bytes.len()).write(0);
        }
        to.cast()
    }
}

/// A malloc'ed array of `items`, and a null behind them when `ended`; null when memory is out.
pub fn array<T>(items: Vec<*mut T>, ended: bool) -> *mut *mut T {
    let count = items.len() + usize::from(ended);
    // SAFETY: count pointers are allocated, never zero bytes, and each is written.
    unsafe {
        let to = libc::malloc(count.max(1) * size_of::<*mut T>()).cast::<*mut T>();
        if !to.is_null() {
            for (i, item) in items.iter().enumerate() {
                to.add(i).write(*item);
            }
            if ended {
                to.add(items.len()).write(std::ptr::null_mut());
            }
        }
        to
    }
}

/// A null-ended array of malloc'ed strings; null when there are none.
pub fn strings<S: AsRef<[u8]>>(all: &[S]) -> *mut *mut c_char {
    if all.is_empty() {
        return std::ptr::null_mut();
    }
    array(all.iter().map(string).collect(), true)
}

/// free(3).
///
/// # Safety
/// The pointer is null or came from malloc, and nobody uses it afterwards.
pub unsafe fn free<T>(p: *mut T) {
    // SAFETY: the caller's promise.
    unsafe { libc::free(p.cast()) }
}

/// A caller's string in bytes; `None` for null.
///
/// # Safety
/// Null, or a C string that lives through `'a`.
pub unsafe fn bytes<'a>(p: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!p.is_null()).then(|| unsafe { CStr::from_ptr(p) }.to_bytes())
}

/// The same, when it is UTF-8.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn text<'a>(p: *const c_char) -> Option<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { bytes(p) }.and_then(|b| std::str::from_utf8(b).ok())
}

/// The same as a path.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn path(p: *const c_char) -> Option<PathBuf> {
    // SAFETY: the caller's promise.
    unsafe { bytes(p) }.map(|b| PathBuf::from(OsStr::from_bytes(b)))
}

/// A null-ended list of strings; empty for null.
///
/// # Safety
/// Null, or an array of C strings that ends by null.
pub unsafe fn words(p: *const *const c_char) -> Vec<CString> {
    let mut all = Vec::new();
    if p.is_null() {
        return all;
    }
    // SAFETY: the caller's promise: every element up to the null may be read.
    unsafe {
        for i in 0.. {
            let word = *p.add(i);
            if word.is_null() {
                break;
            }
            all.push(CStr::from_ptr(word).to_owned());
        }
    }
    all
}

/// A string argument of a member: null, or a C string that lives through the call. That is the header's contract, and C
/// callers are the only ones who make one.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Text(*const c_char);

impl Text {
    /// The argument at this address.
    ///
    /// # Safety
    /// Null, or a C string that lives as long as the result is used.
    pub unsafe fn of(text: *mut c_char) -> Self {
        Self(text)
    }

    /// Null.
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// Its bytes; `None` for null.
    pub fn bytes(&self) -> Option<&[u8]> {
        // SAFETY: the type's contract.
        unsafe { bytes(self.0) }
    }

    /// The text; `None` for null and for what is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        self.bytes().and_then(|b| std::str::from_utf8(b).ok())
    }

    /// As a path; `None` for null.
    pub fn path(&self) -> Option<PathBuf> {
        self.bytes().map(|b| PathBuf::from(OsStr::from_bytes(b)))
    }

    /// As it is; `None` for null.
    pub fn c_str(&self) -> Option<&CStr> {
        // SAFETY: the type's contract.
        (!self.0.is_null()).then(|| unsafe { CStr::from_ptr(self.0) })
    }

    /// A copy; `None` for null.
    pub fn owned(&self) -> Option<CString> {
        self.bytes().and_then(|b| CString::new(b).ok())
    }
}

/// A null-ended list of strings of a member; null or as [`Text`].
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Words(*const *const c_char);

impl Words {
    /// The words; none for null.
    pub fn list(&self) -> Vec<CString> {
        // SAFETY: the type's contract.
        unsafe { words(self.0) }
    }

    /// The words for std.
    pub fn os(&self) -> Vec<OsString> {
        self.list().into_iter().map(|w| OsString::from_vec(w.into_bytes())).collect()
    }
}

/// A caller's buffer and its length: null, or so many bytes that may be written. The contract is the header's.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Buffer(*mut c_char);

impl Buffer {
    /// What is left of it behind `have` bytes, but for a NUL; `None` when there is no buffer or an empty one.
    pub fn rest(&mut self, len: i32, have: usize) -> Option<&mut [u8]> {
        let room = usize::try_from(len).ok().filter(|n| *n > 0 && !self.0.is_null())? - 1;
        let have = have.min(room);
        // SAFETY: the type's contract: `len` bytes may be written, and the callers of a member share none of them.
        Some(unsafe { std::slice::from_raw_parts_mut(self.0.cast::<u8>().add(have), room - have) })
    }

    /// Ends what is in it by a NUL.
    pub fn end(&self, len: i32, have: usize) {
        let room = usize::try_from(len).unwrap_or(0);
        if !self.0.is_null() && have < room {
            // SAFETY: as above.
            unsafe { self.0.add(have).write(0) }
        }
    }

    /// See [`fill`].
    pub fn fill(&self, len: i32, value: &[u8]) -> i32 {
        // SAFETY: the type's contract.
        unsafe { fill(self.0, len, value) }
    }
}

/// A place for a result: null, or one value that may be written. The contract is the header's.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Out<T>(*mut T);

impl<T: Copy> Out<T> {
    /// Null.
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// What is there; `None` for null.
    pub fn get(&self) -> Option<T> {
        // SAFETY: the type's contract.
        (!self.0.is_null()).then(|| unsafe { self.0.read() })
    }

    /// Writes it, when it is not null.
    pub fn set(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: the type's contract.
            unsafe { self.0.write(value) }
        }
    }
}

/// Gives `value` to a caller's buffer as snprintf(3) would: cut where it ends, always NUL-ended, nothing for a null or
/// empty one. The whole length.
///
/// # Safety
/// Null, or a buffer of `len` bytes.
pub unsafe fn fill(buf: *mut c_char, len: i32, value: &[u8]) -> i32 {
    let room = usize::try_from(len).unwrap_or(0);
    if !buf.is_null() && room > 0 {
        let n = value.len().min(room - 1);
        // SAFETY: n + 1 <= room bytes are written.
        unsafe {
            std::ptr::copy_nonoverlapping(value.as_ptr(), buf.cast::<u8>(), n);
            buf.add(n).write(0);
        }
    }
    i32::try_from(value.len()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_filled_and_never_overrun() {
        let mut buf = [b'#'; 8].map(|b| b as c_char);
        // SAFETY: the buffer is as long as said.
        unsafe {
            assert_eq!(fill(buf.as_mut_ptr(), 4, b"abcdef"), 6);
            assert_eq!(CStr::from_ptr(buf.as_ptr()).to_bytes(), b"abc");
            assert_eq!(buf[4], b'#' as c_char);
            assert_eq!(fill(std::ptr::null_mut(), 0, b"abc"), 3);
            assert_eq!(fill(buf.as_mut_ptr(), -1, b"xyz"), 3);
            assert_eq!(buf[0], b'a' as c_char);
        }
    }

    #[test]
    fn lists_go_out_and_come_in() {
        let all = strings(&["a", "", "b c"]);
        // SAFETY: what was just made, and freed once.
        unsafe {
            assert_eq!(words(all.cast_const().cast()), [c"a".to_owned(), c"".to_owned(), c"b c".to_owned()]);
            for i in 0..3 {
                free(*all.add(i));
            }
            free(all);
            assert!(words(std::ptr::null()).is_empty());
        }
        assert!(strings::<&str>(&[]).is_null());
    }
}
