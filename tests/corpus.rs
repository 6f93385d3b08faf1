//! The fuzzers' corpora through the parsers: what a fuzzer found once stays found. `BLESS=1 cargo test --test corpus` makes
//! the dictionaries and the seeds of the config anew from the key table; without BLESS they must be current.

#[path = "../fuzz/targets.rs"]
mod targets;

use lxc::config::table::{SECTIONS, rows};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// What a corpus is replayed through.
type Parser = fn(&[u8]);

#[test]
fn corpora_pass() {
    let targets: [(&str, Parser); 6] = [
        ("config", targets::config),
        ("lxc_conf", targets::lxc_conf),
        ("seccomp", targets::seccomp),
        ("usernet", targets::usernet),
        ("subuid", targets::subuid),
        ("fstab", targets::fstab),
    ];
    for (name, run) in targets {
        let files: Vec<PathBuf> =
            std::fs::read_dir(fuzz().join("corpus").join(name)).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            // The harness names the test that panics; this names the input.
            println!("{}", file.display());
            run(&std::fs::read(&file).unwrap());
        }
    }
}

/// A dictionary line: a quoted string of libFuzzer.
fn entry(text: &str) -> String {
    format!("\"{}\"\n", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn dictionary() -> String {
    let mut words = BTreeSet::new();
    for (_, row) in rows() {
        words.insert(row.sample_name());
        words.extend(row.legacy().map(|l| l.replace('*', row.info().sub).replace("[i]", "0")));
        let samples = row.info().good.iter().chain(&row.info().bad).map(|s| s.to_string()).collect::<Vec<_>>();
        words.extend(samples.into_iter().filter(|s| s.is_ascii() && !s.is_empty() && s.len() < 60));
    }
    words.extend(["lxc.network.type", "lxc.network.link", " = ", "\"", "'", "#"].map(String::from));
    "# Made from the key table by tests/corpus.rs.\n".to_string() + &words.iter().map(|w| entry(w)).collect::<String>()
}

#[test]
fn dictionary_and_seeds_are_those_of_the_key_table() {
    let mut wanted = vec![(fuzz().join("dict/config.dict"), dictionary())];
    for section in SECTIONS {
        let mut text = String::new();
        for (_, row) in rows().filter(|(s, row)| *s == section && row.name() != "lxc.include") {
            for good in row.info().good {
                text.push_str(&format!("{} = {}\n", row.sample_name(), good.trim_matches('-')));
            }
            for old in row.legacy() {
                let good = row.info().good[0].trim_matches('-');
                text.push_str(&format!("{} = {good}\n", old.replace('*', row.info().sub).replace("[i]", "0")));
            }
        }
        wanted.push((fuzz().join(format!("corpus/config/samples-{section:?}").to_lowercase()), text));
    }
    for (path, text) in wanted {
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let now = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(now == text, "{} is not current: BLESS=1 cargo test --test corpus", path.display());
    }
}
