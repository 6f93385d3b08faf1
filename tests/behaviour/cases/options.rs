//! Every option of the tools is exercised by a case whose row names it.

use crate::case::{Cases, Need};
use std::collections::{BTreeMap, BTreeSet};

/// The tools whose options are counted.
const TOOLS: [&str; 14] = [
    "attach",
    "checkconfig",
    "config",
    "console",
    "create",
    "destroy",
    "execute",
    "freeze",
    "info",
    "ls",
    "start",
    "stop",
    "unfreeze",
    "wait",
];

/// The checked-in list: `TOOL -x --long` per line, one option each.
const LIST: &str = include_str!("../options.txt");

type Option_ = (String, Vec<String>);

fn listed() -> Vec<Option_> {
    LIST.lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(|l| {
            let mut w = l.split_whitespace().map(str::to_string);
            (w.next().unwrap_or_default(), w.collect())
        })
        .collect()
}

/// Options of `[-n|--name=NAME] [--usage] …`.
fn of_usage(text: &str) -> Vec<Vec<String>> {
    text.split('[')
        .skip(1)
        .filter(|p| p.starts_with('-'))
        .map(|p| {
            let p = p.split([']', '[']).next().unwrap_or("");
            p.split('|').map(|w| w.split('=').next().unwrap_or("").to_string()).collect()
        })
        .collect()
}

/// Covered spellings by tool, from the rows of all cases.
fn covered() -> BTreeMap<String, BTreeSet<String>> {
    let mut map: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for case in super::all().0 {
        for part in case.covers.split(';') {
            let mut w = part.split_whitespace();
            if let Some(tool) = w.next() {
                map.entry(tool.to_string()).or_default().extend(w.map(str::to_string));
            }
        }
    }
    map
}

/// Total, covered, and the uncovered ones.
pub fn coverage() -> (usize, usize, Vec<String>) {
    let map = covered();
    let mut missing = Vec::new();
    let list = listed();
    for (tool, spellings) in &list {
        let hit = map.get(tool).is_some_and(|set| spellings.iter().any(|s| set.contains(s)));
        if !hit {
            missing.push(format!("lxc-{tool} {}", spellings.join("|")));
        }
    }
    (list.len(), list.len() - missing.len(), missing)
}

pub fn add(c: &mut Cases) {
    c.add("options.all_covered", |_| {
        let (total, good, missing) = coverage();
        assert!(missing.is_empty(), "options {total}, covered {good}, uncovered {}: {missing:#?}", missing.len());
    });

    c.add("options.list_is_the_references", |t| {
        let list = listed();
        for tool in TOOLS {
            if matches!(tool, "config" | "checkconfig") {
                continue;
            }
            let o = t.sh(&format!("/usr/bin/lxc-{tool} --usage"));
            for spellings in of_usage(&o.err) {
                let known = list.iter().any(|(t, s)| t == tool && s.iter().any(|w| spellings.contains(w)));
                assert!(known, "options.txt lacks lxc-{tool} {spellings:?}");
            }
        }
    })
    .needs(&[Need::Both]);

    c.add("options.list_has_the_fact_sheets", |t| {
        let shared = std::env::var("LXC_SHARED").unwrap_or_default();
        let sheet = t.read(format!("{shared}/facts/cli-tools.md"));
        assert!(!sheet.is_empty());
        let list = listed();
        // spellings in the sheet's text that are no option of the tool itself
        let not_ours = ["--path", "--rootfs", "--mapped-uid", "--mapped-gid"];
        for tool in TOOLS {
            let Some(at) = sheet.find(&format!("\n### lxc-{tool} ")) else { continue };
            let part = sheet[at + 5..].split("\n### ").next().unwrap_or("");
            for word in part.split(|ch: char| !(ch.is_ascii_alphanumeric() || ch == '-')) {
                if word.len() > 4
                    && word.starts_with("--")
                    && word.as_bytes()[2].is_ascii_alphabetic()
                    && !not_ours.contains(&word)
                {
                    let known = list.iter().any(|(t, s)| t == tool && s.iter().any(|w| w == word));
                    assert!(known || tool == "config", "options.txt lacks lxc-{tool} {word}");
                }
            }
        }
    })
    .needs(&[Need::Shared]);

    c.add("options.subject_accepts_the_list", |t| {
        for (tool, spellings) in listed() {
            if matches!(tool.as_str(), "config" | "checkconfig")
                || spellings.iter().any(|s| s == "--rbduser") && t.reference
            {
                continue;
            }
            let usage = t.sh(&format!("lxc-{tool} --usage"));
            for s in spellings {
                usage.err_has(&s);
            }
        }
    });

    c.add("differences.one_to_one", |t| {
        let repo = std::env::var("LXCB_REPO").unwrap_or_default();
        let text = t.read(format!("{repo}/docs/differences.md"));
        let mut rows: Vec<String> = Vec::new();
        for line in text.lines().filter(|l| l.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 4, "four cells wanted: {line}");
            assert!(cells.iter().all(|c| !c.is_empty()), "an empty cell: {line}");
            rows.push(cells[0].trim_matches('`').to_string());
        }
        let mut sorted = rows.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(rows, sorted, "rows are alphabetical and unique");
        let used: BTreeSet<String> = super::all().0.iter().filter_map(|c| c.differs).map(str::to_string).collect();
        for id in &used {
            assert!(rows.contains(id), "docs/differences.md lacks {id}");
        }
        for line in text.lines().filter(|l| l.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let id = cells[0].trim_matches('`');
            // a row without a case says what shows it instead
            assert!(used.contains(id) || !cells[3].starts_with("behaviour"), "no case differs by {id}");
        }
    });
}
