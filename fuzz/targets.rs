// What each fuzz target does with its input. Included by the fuzzers and by tests/corpus.rs, which replays the corpora.
#![allow(dead_code)] // each fuzzer uses one of them

use lxc::config::{Config, check, format::Format, table, update};
use std::sync::LazyLock;

/// A key of every row.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| table::rows().map(|(_, row)| row.sample_name()).collect());

/// lxc.container.conf(5): loading never panics, saving gives the bytes back, an update keeps every line.
pub fn config(data: &[u8]) {
    let has = |word: &[u8]| data.windows(word.len()).any(|w| w == word);
    // An include reads this machine's files, a template of a hardware address is filled in.
    if has(b"include") {
        return;
    }
    let mut config = Config::new();
    let loaded = config.load_bytes(data.to_vec(), "fuzz").is_ok();
    if !has(b"hwaddr") {
        assert_eq!(config.text_bytes(), data, "saving changes untouched text");
    }
    let _ = check::conflicts(&config);
    // A few rows for each input, others for others; the input's own keys below.
    let sum = data.iter().fold(0_usize, |sum, c| sum.wrapping_mul(31).wrapping_add(usize::from(*c)));
    for name in NAMES.iter().skip(sum % 8).step_by(8) {
        let _ = config.get(name);
    }
    let updated = update::update(data);
    let old: Vec<u8> = updated.lines.iter().flat_map(|l| l.old.clone()).collect();
    assert_eq!(old, data, "an update loses bytes");
    let _ = update::diff("fuzz", &updated);
    if loaded && !has(b"hwaddr") {
        let lines = config.effective();
        let mut again = Config::new();
        again.load_str(&lines, "effective").expect("the effective lines load");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        for (key, value) in pairs.take(4) {
            let key = key.trim();
            let _ = config.set(key, value);
            let _ = config.get(key);
            let _ = config.clear(key);
        }
    }
}

/// lxc.conf(5).
pub fn lxc_conf(data: &[u8]) {
    faults(data, Format::LxcConf);
    for key in lxc::base::paths::GLOBAL_KEYS {
        let _ = lxc::base::paths::global_in(key, data, true);
    }
}

/// Seccomp policies: what parses is compiled as well.
pub fn seccomp(data: &[u8]) {
    faults(data, Format::Seccomp);
    // Policies that are tried in a process of their own first cost seconds: the unit tests have them.
    let words: [&[u8]; 6] = [b"!=", b"<", b">", b"CMP_N", b"CMP_L", b"CMP_G"];
    let turned = words.iter().map(|word| data.windows(word.len()).filter(|w| w == word).count()).sum::<usize>();
    if data.len() < 2000 && turned < 2 {
        let _ = lxc::security::seccomp::of_text("fuzz", data);
    }
}

/// lxc-usernet(5), and the boot scripts' settings, which have the same shape of input.
pub fn usernet(data: &[u8]) {
    faults(data, Format::Usernet);
    faults(data, Format::Defaults);
}

/// subuid(5).
pub fn subuid(data: &[u8]) {
    faults(data, Format::Subid);
    let (ranges, _) = lxc::idmap::subid::parse(data);
    let owner = ranges.first().map(|r| r.owner.clone()).unwrap_or_default();
    let _ = lxc::idmap::subid::granted(&ranges, &[&owner], 100_000, 65_536);
    for range in &ranges {
        let all = lxc::idmap::subid::granted(&ranges, &[&range.owner], range.start, range.count);
        assert!(all, "a range does not grant itself");
    }
}

/// fstab(5).
pub fn fstab(data: &[u8]) {
    faults(data, Format::Fstab);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = lxc::mount::fstab::parse_entry(text);
    }
}

/// Every fault has a place, and the place lies in the text.
fn faults(data: &[u8], format: Format) {
    let lines = data.iter().filter(|c| **c == b'\n').count() + 2;
    for fault in format.check("fuzz", data) {
        assert!(fault.line >= 1 && fault.column >= 1, "{fault:?}");
        assert!(fault.line <= lines && fault.column <= data.len() + 4097, "{fault:?}");
    }
}
