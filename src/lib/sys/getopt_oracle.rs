//! The C library's getopt_long(3), for tests of our own: nothing else calls it.

use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Mutex;

#[repr(C)]
struct COption {
    name: *const c_char,
    has_arg: c_int,
    flag: *mut c_int,
    val: c_int,
}

unsafe extern "C" {
    fn getopt_long(
        argc: c_int,
        argv: *const *mut c_char,
        short: *const c_char,
        long: *const COption,
        index: *mut c_int,
    ) -> c_int;
    static mut optarg: *mut c_char;
    static mut optind: c_int;
    static mut stderr: *mut libc::FILE;
}

/// One row: long name, short name, `has_arg` (0 none, 1 required, 2 optional).
pub type OracleRow = (String, Option<u8>, i32);
/// Row and argument of each option that was met, operands, the message of an error, the row that stopped it.
pub type OracleScan = (Vec<(usize, Option<OsString>)>, Vec<OsString>, Option<Vec<u8>>, Option<usize>);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What getopt_long makes of `words` (the program's name is `t`).
pub fn run(rows: &[OracleRow], words: &[OsString], posix: bool, stop: impl Fn(usize) -> bool) -> OracleScan {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|p| p.into_inner());
    let names: Vec<CString> = rows.iter().map(|r| CString::new(r.0.as_str()).unwrap()).collect();
    let val = |i: usize| {
        let twin = rows.iter().position(|r| r.1.is_none() && r.0 == rows[i].0).unwrap_or(i);
        rows[i].1.map_or(256 + c_int::try_from(twin).unwrap(), c_int::from)
    };
    let mut table: Vec<COption> = (0..rows.len())
        .map(|i| COption { name: names[i].as_ptr(), has_arg: rows[i].2, flag: std::ptr::null_mut(), val: val(i) })
        .collect();
    table.push(COption { name: std::ptr::null(), has_arg: 0, flag: std::ptr::null_mut(), val: 0 });
    let mut short = Vec::new();
    if posix {
        short.push(b'+');
    }
    for r in rows {
        if let Some(s) = r.1 {
            short.push(s);
            short.extend(std::iter::repeat_n(b':', usize::try_from(r.2).unwrap()));
        }
    }
    let short = CString::new(short).unwrap();
    let args: Vec<CString> = std::iter::once(CString::new("t").unwrap())
        .chain(words.iter().map(|w| CString::new(w.as_bytes()).unwrap()))
        .collect();
    let mut argv: Vec<*mut c_char> = args.iter().map(|a| a.as_ptr().cast_mut()).collect();
    argv.push(std::ptr::null_mut());
    let argc = c_int::try_from(args.len()).unwrap();
    let mut met = Vec::new();
    let mut stopped = None;
    let mut wrong = None;
    // SAFETY: all tables end with a null row and outlive the calls; the mutex keeps getopt's global state to one thread; the C
    // stream `stderr` is used by nothing else in a Rust test and is put back.
    unsafe {
        let (mut text, mut len) = (std::ptr::null_mut::<c_char>(), 0_usize);
        let old = stderr;
        stderr = libc::open_memstream(&raw mut text, &raw mut len);
        optind = 0;
        loop {
            let mut index: c_int = -1;
            let got = getopt_long(argc, argv.as_ptr(), short.as_ptr(), table.as_ptr(), &raw mut index);
            if got == -1 {
                break;
            }
            libc::fflush(stderr);
            if len > 0 {
                wrong = Some(CStr::from_ptr(text).to_bytes().strip_prefix(b"t: ").unwrap().trim_ascii_end().to_vec());
                break;
            }
            let row = match usize::try_from(index) {
                Ok(i) => i,
                Err(_) => rows.iter().position(|r| r.1.map(c_int::from) == Some(got)).unwrap(),
            };
            if stop(row) {
                stopped = Some(row);
                break;
            }
            let arg = (!optarg.is_null()).then(|| OsString::from_vec(CStr::from_ptr(optarg).to_bytes().to_vec()));
            met.push((row, arg));
        }
        libc::fclose(stderr);
        stderr = old;
        libc::free(text.cast());
        let first = usize::try_from(optind).unwrap();
        let operands =
            (first..args.len()).map(|i| OsString::from_vec(CStr::from_ptr(argv[i]).to_bytes().to_vec())).collect();
        (met, operands, wrong, stopped)
    }
}
