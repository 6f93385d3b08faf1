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
        let mut lines = Vec::new();
        for (_, row) in rows().filter(|(s, row)| *s == section && row.name() != "lxc.include") {
            for good in row.info().good {
                lines.push(format!("{} = {}\n", row.sample_name(), good.trim_matches('-')));
            }
            for old in row.legacy() {
                let good = row.info().good[0].trim_matches('-');
                lines.push(format!("{} = {good}\n", old.replace('*', row.info().sub).replace("[i]", "0")));
            }
        }
        // Short seeds: what a fuzzer makes of them is short as well, and quick.
        for (i, lines) in lines.chunks(8).enumerate() {
            let name = format!("corpus/config/samples-{section:?}-{i}").to_lowercase();
            wanted.push((fuzz().join(name), lines.concat()));
        }
    }
    if std::env::var_os("BLESS").is_some() {
        let seeds = std::fs::read_dir(fuzz().join("corpus/config")).unwrap().map(|e| e.unwrap().path());
        let made = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("samples-"));
        seeds.filter(made).for_each(|p| std::fs::remove_file(p).unwrap());
    }
    for (path, text) in wanted {
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let now = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(now == text, "{} is not current: BLESS=1 cargo test --test corpus", path.display());
    }
}
