//! Units in texts: signals, console sizes, durations, architectures. Parses and prints; sends, sizes and sets nothing.
#![forbid(unsafe_code)]

/// Signal names without `SIG` and their numbers (signal(7), the asm-generic numbers of x86, arm, riscv, s390, powerpc).
const SIGNALS: [(&str, i32); 35] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("ABRT", libc::SIGABRT),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("SEGV", libc::SIGSEGV),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("TRAP", libc::SIGTRAP),
    ("IOT", libc::SIGIOT),
    ("BUS", libc::SIGBUS),
    ("STKFLT", libc::SIGSTKFLT),
    ("CLD", libc::SIGCHLD),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGPOLL),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
    ("INFO", 0),
];

/// A signal: a number of C, or `SIGxxx` in any case, `SIGRTMIN+n`, `SIGRTMAX-n` (config-keys sheet 3). Numbers are not
/// range-checked, as LXC's are not. `SIGRTMIN` and `SIGRTMAX` alone are refused, as by LXC.
pub fn parse_signal(text: &str) -> Option<i32> {
    if text.as_bytes().first()?.is_ascii_digit() {
        return c_number(text).and_then(|n| i32::try_from(n).ok());
    }
    let name = text.get(..3).filter(|p| p.eq_ignore_ascii_case("SIG")).and_then(|_| text.get(3..))?;
    let (min, max) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    let offset = |tail: &str| {
        let digits = tail.bytes().all(|b| b.is_ascii_alphanumeric());
        c_number(tail).filter(|n| digits && *n <= (max - min) as u64).map(|n| n as i32)
    };
    match name.get(..6) {
        Some(rt) if rt.eq_ignore_ascii_case("RTMIN+") => return Some(min + offset(&name[6..])?),
        Some(rt) if rt.eq_ignore_ascii_case("RTMAX-") => return Some(max - offset(&name[6..])?),
        _ => {}
    }
    SIGNALS.iter().find(|(n, s)| *s != 0 && n.eq_ignore_ascii_case(name)).map(|(_, s)| *s)
}

/// A size of the console buffers: `auto` (128 KiB) or a number of C, a blank or none, and `KB`, `MB`, `GB`, any one
/// letter or nothing. Raised to the page size and to a power of two.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_console_size(text: &str) -> Result<u64, &'static str> {
    if text == "auto" {
        return Ok(131_072);
    }
    let bytes = console_bytes(text)?;
    if bytes > u64::MAX / 2 {
        return Err("the size is too large");
    }
    bytes.max(4096).checked_next_power_of_two().ok_or("the size is too large")
}

fn console_bytes(text: &str) -> Result<u64, &'static str> {
    if text.ends_with(|c: char| c.is_ascii_whitespace()) {
        return Err("a blank at the end of the size");
    }
    let shift = match text.get(text.len().saturating_sub(2)..) {
        Some(unit) if unit.eq_ignore_ascii_case("KB") => 10,
        Some(unit) if unit.eq_ignore_ascii_case("MB") => 20,
        Some(unit) if unit.eq_ignore_ascii_case("GB") => 30,
        _ => 0,
    };
    let number = if shift > 0 {
        &text[..text.len() - 2]
    } else if text.ends_with(|c: char| c.is_ascii_alphabetic()) && !text.starts_with("0x") {
        &text[..text.len() - 1]
    } else {
        text
    };
    let number = number.trim_matches(|c: char| c == ' ' || c == '\t');
    let number = c_number(number.strip_prefix('+').unwrap_or(number)).ok_or("neither auto nor a size")?;
    number.checked_mul(1 << shift).ok_or("the size is too large")
}

/// A clock offset: the whole seconds and the nanoseconds, of which one is 0.
///
/// # Errors
/// What is wrong with the text: a unit (`h m s ms us ns`) is mandatory, a sign is not taken.
pub fn parse_offset(text: &str) -> Result<(i64, i64), &'static str> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[number.len()..];
    let (factor, seconds) = match unit {
        "h" => (3600, true),
        "m" => (60, true),
        "s" => (1, true),
        "ms" => (1_000_000, false),
        "us" => (1000, false),
        "ns" => (1, false),
        "" => return Err("a unit is needed: h, m, s, ms, us or ns"),
        _ => return Err("the unit is none of h, m, s, ms, us, ns"),
    };
    let number = number.trim_matches(|c: char| c.is_ascii_whitespace());
    let digits = number.strip_prefix('+').unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("not a decimal number without sign, followed by a unit");
    }
    let n: i64 = digits.parse().map_err(|_| "the offset is too large")?;
    let n = n.checked_mul(factor).ok_or("the offset is too large")?;
    Ok(if seconds { (n, 0) } else { (0, n) })
}

/// An unsigned number of C without blanks or sign: decimal, `0x` or leading `0`.
fn c_number(text: &str) -> Option<u64> {
    let (radix, digits) = match text.get(..2) {
        Some("0x" | "0X") => (16, &text[2..]),
        Some(t) if t.starts_with('0') => (8, &text[1..]),
        _ => (10, text),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// Words of `lxc.arch` for 32-bit machines.
const ARCH32: &str = " arm armel armhf armv7l athlon i386 i486 i586 i686 linux32 mips mipsel ppc powerpc x32 x86 ";
/// Words of `lxc.arch` for 64-bit machines.
const ARCH64: &str = " aarch64 amd64 arm64 linux64 loongarch64 loong64 mips64 mips64el ppc64 ppc64el ppc64le \
     powerpc64 riscv64 s390x x86_64 ";

/// Whether an architecture word means the 32-bit personality (personality(2) PER_LINUX32); `None` for unknown words.
pub fn arch_is_32(word: &str) -> Option<bool> {
    let found = |list: &str| !word.is_empty() && list.split(' ').any(|w| w == word);
    if found(ARCH32) {
        Some(true)
    } else if found(ARCH64) {
        Some(false)
    } else {
        None
    }
}

/// All architecture words.
pub fn arch_words() -> impl Iterator<Item = &'static str> {
    ARCH32.split(' ').chain(ARCH64.split(' ')).filter(|w| !w.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_as_seen() {
        for (text, number) in [
            ("SIGPWR", Some(30)),
            ("sigrtmin+3", Some(37)),
            ("SIGRTMAX-2", Some(62)),
            ("SIGRTMIN+0", Some(34)),
            ("SIGRTMIN", None),
            ("SIGRTMAX", None),
            ("SIGRTMIN+31", None),
            ("SIGRTMIN-1", None),
            ("SIGRTMIN+ 1", None),
            ("99", Some(99)),
            ("0", Some(0)),
            ("0x10", Some(16)),
            ("-1", None),
            ("SIGCLD", Some(17)),
            ("SIGPOLL", Some(29)),
            ("PWR", None),
            ("SIGINFO", None),
            ("", None),
            ("SIG", None),
            ("sé", None),
        ] {
            assert_eq!(parse_signal(text), number, "{text}");
        }
    }

    #[test]
    fn console_sizes_as_seen() {
        for (text, bytes) in [
            ("auto", Some(131_072)),
            ("5000", Some(8192)),
            ("10KB", Some(16384)),
            ("10 kB", Some(16384)),
            ("1k", Some(4096)),
            ("0", Some(4096)),
            ("0x10KB", Some(16384)),
            ("4GB", Some(1 << 32)),
            ("1TB", None),
            ("-1", None),
            ("18446744073709551615", None),
            ("99999999999GB", None),
            ("12 ", None),
            ("KB", None),
            ("AUTO", None),
            ("1KBx", None),
            ("", None),
        ] {
            assert_eq!(parse_console_size(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn offsets_need_a_unit() {
        assert_eq!(parse_offset("5h"), Ok((18000, 0)));
        assert_eq!(parse_offset("7 ms"), Ok((0, 7_000_000)));
        assert_eq!(parse_offset("+010us"), Ok((0, 10_000)));
        assert!(parse_offset("-5m").is_err());
        assert!(parse_offset("0x5m").is_err());
        assert!(parse_offset("5").is_err());
        assert!(parse_offset("9223372036854775807h").is_err());
        assert!(parse_offset("").is_err());
        assert!(parse_offset("ns").is_err());
    }

    #[test]
    fn arches() {
        assert_eq!(arch_is_32("i686"), Some(true));
        assert_eq!(arch_is_32("x86_64"), Some(false));
        assert_eq!(arch_is_32("X86_64"), None);
        assert_eq!(arch_is_32(""), None);
        assert_eq!(arch_words().count(), 31);
    }
}
