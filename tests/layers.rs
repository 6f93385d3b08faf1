//! The layers as a test: a module uses only those below it, features never each other, and `unsafe` stays in its rooms.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each module's layer; two of one layer do not use each other, `config` alone knows all features.
const LAYERS: [(&str, u8); 20] = [
    ("sys", 0),
    ("base", 1),
    ("keys", 2),
    ("idmap", 3),
    ("namespace", 3),
    ("cgroup", 3),
    ("network", 3),
    ("storage", 3),
    ("mount", 3),
    ("security", 3),
    ("terminal", 3),
    ("process", 3),
    ("hook", 3),
    ("ipc", 3),
    ("config", 4),
    ("runtime", 5),
    ("container", 6),
    ("cli", 7),
    ("capi", 7),
    ("entry", 8),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            found.push(entry);
        }
    }
}

fn library() -> (PathBuf, Vec<PathBuf>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib");
    let mut found = Vec::new();
    sources(&root, &mut found);
    assert!(found.len() > 50, "the library's sources are not where this test looks");
    (root, found)
}

/// The module of a file, `lib` for the root.
fn module(root: &Path, file: &Path) -> String {
    let first = file.strip_prefix(root).unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_string()
}

#[test]
fn no_module_uses_one_above_it() {
    let layers: BTreeMap<&str, u8> = LAYERS.into();
    let (root, files) = library();
    let mut wrong = Vec::new();
    for file in files {
        let own = module(&root, &file);
        if own == "lib" {
            continue;
        }
        let layer = layers.get(own.as_str()).unwrap_or_else(|| panic!("{own} has no layer here"));
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for used in code.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                // Macros and re-exports of the root are base's.
                let Some(other) = layers.get(used.as_str()) else { continue };
                if used != own && other >= layer {
                    wrong.push(format!("{}:{}: {own} uses {used}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let (root, files) = library();
    for file in files {
        let own = module(&root, &file);
        // What the tests of a module may do, its own file says.
        let tests = file.file_name().is_some_and(|n| n == "tests.rs");
        if tests || ["sys", "capi", "entry", "lib"].contains(&own.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{} does not forbid unsafe code", file.display());
    }
}

#[test]
fn every_file_says_what_it_owns() {
    let (_, files) = library();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} has no header", file.display());
    }
}
