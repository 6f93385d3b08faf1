//! Feeds generated configs and API calls to the installed LXC (the reference) and to ours, and compares every get, every
//! keys list and every saved text. What differs must be explained in `differential/explained.rs`.
//!
//! `LXC_DIFF_SEED` (1), `LXC_DIFF_CONFIGS` (2000) and `LXC_DIFF_VERBOSE` steer it. Without liblxc and cc it says why it is
//! skipped; with `reference` in `LXC_TEST_MUST` that is a failure.

#[path = "differential/explained.rs"]
mod explained;
#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/reference.rs"]
mod reference;

use explained::{Explained, Taints};
use generate::{Act, Case, Generator, What};
use lxc::config::Config;
use lxc::config::table::{LISTED, LISTED_BELOW, rows};
use reference::Reference;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What both sides answered to one question, when it is not the same.
pub struct Mismatch {
    /// `load`, `set`, `clear`, `get`, `keys` or `saved`.
    pub of: &'static str,
    /// The key or prefix.
    pub key: String,
    /// The value of a set.
    pub value: String,
    /// The reference's answer.
    pub theirs: String,
    /// Ours.
    pub ours: String,
}

struct Run {
    reference: Reference,
    dir: PathBuf,
    /// How often each key was used in each way.
    used: BTreeMap<(String, What), usize>,
    explained: BTreeMap<&'static str, usize>,
    unexplained: Vec<String>,
    compared: usize,
}

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
fn the_same_as_the_reference() {
    let dir = std::env::temp_dir().join(format!("lxc-differential-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("store")).unwrap();
    let reference = match Reference::start(&dir) {
        Ok(reference) => reference,
        Err(why) => {
            let must = std::env::var("LXC_TEST_MUST").unwrap_or_default();
            assert!(!must.split(',').any(|m| m == "reference"), "the reference is needed: {why}");
            println!("skipped: {why}");
            drop(std::fs::remove_dir_all(&dir));
            return;
        }
    };
    let (seed, configs) = (env("LXC_DIFF_SEED", 1), env("LXC_DIFF_CONFIGS", 2000));
    println!("LXC_DIFF_SEED={seed} LXC_DIFF_CONFIGS={configs}");
    let mut run = Run {
        reference,
        dir: dir.clone(),
        used: BTreeMap::new(),
        explained: BTreeMap::new(),
        unexplained: Vec::new(),
        compared: 0,
    };
    let start = Instant::now();
    let mut generator = Generator::new(seed, &dir);
    for number in 0..configs {
        let case = generator.case(number);
        run.case(number, &case);
    }
    println!("{configs} configs, {} answers compared in {:?}; explained:", run.compared, start.elapsed());
    for (id, count) in &run.explained {
        println!("  {count:>7}  {id}");
    }
    let rows = include_str!("../docs/differences.md");
    for id in run.explained.keys() {
        let told = id.starts_with("7.0: ") || rows.contains(&format!("\n| `{id}` |"));
        assert!(told, "{id} is no row of docs/differences.md");
    }
    drop(run.reference);
    drop(std::fs::remove_dir_all(&dir));
    if configs >= 2000 {
        coverage(&run.used);
    }
    let shown: Vec<_> = run
        .unexplained
        .iter()
        .take(if std::env::var_os("LXC_DIFF_VERBOSE").is_some() { usize::MAX } else { 40 })
        .cloned()
        .collect();
    assert!(run.unexplained.is_empty(), "{} unexplained differences:\n{}", run.unexplained.len(), shown.join("\n"));
}

/// Every key at least five times each as valid, empty, invalid (if it can be) and cleared.
fn coverage(used: &BTreeMap<(String, What), usize>) {
    for (_, row) in rows() {
        let info = row.info();
        for what in [What::Valid, What::Empty, What::Invalid, What::Cleared] {
            let possible = match what {
                What::Valid => info.good != ["-"],
                What::Invalid => !info.bad.is_empty(),
                _ => true,
            };
            let count = used.get(&(row.name().to_string(), what)).copied().unwrap_or(0);
            assert!(!possible || count >= 5, "{} was {what:?} only {count} times", row.name());
        }
    }
}

impl Run {
    fn case(&mut self, number: u64, case: &Case) {
        let (ours_file, theirs_file) = (self.dir.join("ours"), self.dir.join("theirs"));
        std::fs::write(&ours_file, &case.ours).unwrap();
        std::fs::write(&theirs_file, &case.theirs).unwrap();
        for (key, what) in &case.used {
            *self.used.entry((key.clone(), *what)).or_default() += 1;
        }
        let mut config = Config::new();
        let mut taints = Taints::default();
        let mut story = format!("--- config {number}:\n{}", String::from_utf8_lossy(&case.theirs));
        assert_eq!(self.reference.ask(&["new"]), "ok");
        let theirs = self.reference.ask(&["load", theirs_file.to_str().unwrap()]) == "ok";
        let loaded = config.load_file(&ours_file);
        taints.load(case, loaded.is_ok());
        let mut mismatches = Vec::new();
        let word = |ok: bool| if ok { "ok" } else { "fail" }.to_string();
        self.compared += 1;
        if theirs != loaded.is_ok() {
            // The key that only one side refused; what comes after it was not read by that side.
            let key = taints.failed.clone().unwrap_or_default();
            let apart = Mismatch {
                of: "load",
                key,
                value: loaded.as_ref().err().map(ToString::to_string).unwrap_or_default(),
                theirs: word(theirs),
                ours: word(loaded.is_ok()),
            };
            self.judge(&taints, &story, &apart);
            return;
        }
        if !theirs && taints.read_on() {
            *self.explained.entry("numbers-are-checked").or_default() += 1;
            return;
        }
        for act in &case.acts {
            let (of, key, value) = match act {
                Act::Set(key, value) => ("set", key, value.as_str()),
                Act::Clear(key) => ("clear", key, ""),
            };
            story.push_str(&format!("  {of} {key} {value:?}\n"));
            let mut question = vec![of, key];
            if of == "set" {
                question.push(value);
            }
            taints.before(of, key, value, &config);
            let theirs = self.reference.ask(&question) == "ok";
            let ours = if of == "set" { config.set(key, value).is_ok() } else { config.clear(key).is_ok() };
            taints.after(of, key, value, ours, &config);
            self.compared += 1;
            if theirs != ours {
                let (theirs, ours) = (word(theirs), word(ours));
                let apart = Mismatch { of, key: key.clone(), value: value.to_string(), theirs, ours };
                self.judge(&taints, &story, &apart);
                taints.apart(key);
            }
        }
        self.compare_gets(&config, &mut mismatches);
        self.compare_keys(&config, &mut mismatches);
        if !case.legacy && theirs && loaded.is_ok() {
            self.compare_saved(&config, &taints, &mut mismatches);
        }
        for mismatch in &mismatches {
            self.judge(&taints, &story, mismatch);
        }
    }

    /// Counts a mismatch that is explained and keeps the story of one that is not.
    fn judge(&mut self, taints: &Taints, story: &str, m: &Mismatch) {
        match taints.explain(m) {
            Some(Explained { id }) => *self.explained.entry(id).or_default() += 1,
            None => self
                .unexplained
                .push(format!("{story}{} {} {:?}: theirs {:?}, ours {:?}", m.of, m.key, m.value, m.theirs, m.ours)),
        }
    }

    fn compare(&mut self, of: &'static str, questions: Vec<(String, String)>, mismatches: &mut Vec<Mismatch>) {
        let asked: Vec<Vec<&str>> =
            questions.iter().map(|(key, _)| if key.is_empty() { vec![of] } else { vec![of, key.as_str()] }).collect();
        let answers = self.reference.ask_all(&asked);
        for ((key, ours), theirs) in questions.into_iter().zip(answers) {
            self.compared += 1;
            if ours != theirs {
                mismatches.push(Mismatch { of, key, value: String::new(), theirs, ours });
            }
        }
    }

    fn compare_gets(&mut self, config: &Config, mismatches: &mut Vec<Mismatch>) {
        let mut names: Vec<String> = LISTED.split(' ').map(str::to_string).collect();
        for index in [0, 1, 10] {
            names.push(format!("lxc.net.{index}"));
            for (_, row) in rows() {
                if let Some(sub) = row.name().strip_prefix("lxc.net.[i].") {
                    names.push(format!("lxc.net.{index}.{sub}"));
                }
            }
        }
        for (_, row) in rows().filter(|(_, r)| r.prefix().is_some()) {
            names.push(row.sample_name());
        }
        names.extend(["lxc.namespace.share.uts", "lxc.nonsense", "lxc.proc.none"].map(str::to_string));
        let questions = names.into_iter().map(|name| {
            let ours = reference::shown(config.get(&name));
            (name, ours)
        });
        self.compare("get", questions.collect(), mismatches);
    }

    fn compare_keys(&mut self, config: &Config, mismatches: &mut Vec<Mismatch>) {
        let mut prefixes: Vec<String> = LISTED_BELOW.iter().map(|(p, _)| p.to_string()).collect();
        prefixes.extend(
            ["", "lxc.net", "lxc.net.0", "lxc.net.1", "lxc.net.10", "lxc.log", "lxc.hook."].map(str::to_string),
        );
        let questions = prefixes.into_iter().map(|prefix| {
            let ours = config.keys(if prefix.is_empty() { None } else { Some(&prefix) });
            (prefix, reference::shown(ours))
        });
        self.compare("keys", questions.collect(), mismatches);
    }

    fn compare_saved(&mut self, config: &Config, taints: &Taints, mismatches: &mut Vec<Mismatch>) {
        let (ours, theirs) = (self.dir.join("saved-ours"), self.dir.join("saved-theirs"));
        let read = |path: &Path| std::fs::read(path).unwrap_or_default();
        // A save waits for the disk: one in fifty proves that it writes the text.
        if self.compared.is_multiple_of(50) {
            config.save(&ours).unwrap();
            assert_eq!(read(&ours), config.text_bytes());
        }
        let theirs_saved = self.reference.ask(&["save", theirs.to_str().unwrap()]) == "ok";
        let (ours, theirs) = (taints.lines(config.text_bytes()), taints.lines(&read(&theirs)));
        self.compared += 1;
        if !theirs_saved && (!config.idmap.maps.is_empty() || taints.has_idmap()) {
            let (theirs, ours) = ("fail".to_string(), "ok".to_string());
            mismatches.push(Mismatch { of: "saved", key: "lxc.idmap".to_string(), value: String::new(), theirs, ours });
        } else if ours != theirs || !theirs_saved {
            let key = ours.iter().zip(&theirs).find(|(a, b)| a != b).map_or(String::new(), |(a, _)| a.clone());
            let show = |lines: &[String]| lines.join("\n");
            mismatches.push(Mismatch {
                of: "saved",
                key,
                value: String::new(),
                theirs: show(&theirs),
                ours: show(&ours),
            });
        }
    }
}
