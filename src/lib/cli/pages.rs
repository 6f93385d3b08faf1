//! The manual pages: their option and key sections are made from the tables and stand between markers; `BLESS=1 cargo test
//! --lib pages` rewrites them, without BLESS the test keeps them current. The words around them are written by hand.
#![forbid(unsafe_code)]

use super::TOOLS;
use super::getopt::Takes;
use super::table::{Line, Opt, common_rows, own_rows};
use crate::config::table::{SECTIONS, Section, rows};
use crate::config::{Config, format::Format};
use crate::keys::Row;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Text as roff takes it, with `backticks` in bold.
fn roff(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    for (i, part) in words.split('`').enumerate() {
        out.push_str(&if i % 2 == 1 { format!("\\fB{}\\fR", literal(part)) } else { escaped(part) });
    }
    // Each sentence on its own line.
    let out = out.replace(". ", ".\n");
    out.lines().map(|l| if l.starts_with(['.', '\'']) { format!("\\&{l}\n") } else { format!("{l}\n") }).collect()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
}

/// What is typed as it stands.
fn literal(text: &str) -> String {
    escaped(text).replace('-', "\\-").replace('\'', "\\(aq").replace('^', "\\(ha").replace('~', "\\(ti")
}

/// The documentation without its example, and the example.
fn doc_and_example(row: &Row) -> (String, String) {
    let doc = row.info().doc.split_whitespace().collect::<Vec<_>>().join(" ");
    let examples: Vec<&str> = doc.split('`').skip(1).step_by(2).filter(|e| e.contains('=')).collect();
    let example = examples.last().copied().unwrap_or_default().to_string();
    let text = match doc.strip_suffix(&format!("`{example}`")) {
        Some(text) if !example.is_empty() => text.trim_end().trim_end_matches(':').to_string(),
        _ => doc,
    };
    (text, example)
}

fn key(row: &Row) -> String {
    let info = row.info();
    let (text, example) = doc_and_example(row);
    let mut out = format!(".TP\n.B {}\n{}", literal(row.name()), roff(&text));
    if !matches!(row.kind, crate::keys::Kind::Own) {
        out.push_str(&format!("Takes: {}.\n", roff(row.kind.describe()).trim_end()));
    }
    out.push_str(&format!("Example: \\fB{}\\fR.\n", literal(&example)));
    if !info.default.is_empty() {
        out.push_str(&format!("Default: {}.\n", roff(info.default).trim_end()));
    }
    out.push_str(&format!("Since LXC {}", info.since));
    if !info.until.is_empty() {
        out.push_str(&format!(", elsewhere until {}", info.until));
    }
    let old: Vec<&str> = row.legacy().collect();
    if !old.is_empty() {
        out.push_str(&format!("; once named {}", literal(&old.join(", "))));
    }
    out + ".\n"
}

fn option(o: &Opt) -> String {
    let short = o
        .short
        .filter(|_| o.shown)
        .map_or_else(String::new, |s| format!("\\-{}, ", literal(&char::from(s).to_string())));
    let long = format!("{short}\\-\\-{}", literal(o.long));
    match o.takes {
        Takes::Nothing => format!(".TP\n.B \"{long}\"\n"),
        Takes::Value => format!(".TP\n.BI \"{long}=\" {}\n", literal(o.value)),
        Takes::Maybe => format!(".TP\n\\fB{long}\\fR[\\fB=\\fI{}\\fR]\n", literal(o.value)),
    }
}

/// A sentence out of a line of help.
fn sentence(help: &str) -> String {
    let mut text = roff(&help.replace('`', "'"));
    if let Some(first) = text.get(..1) {
        text = first.to_uppercase() + text.get(1..).unwrap_or_default();
    }
    let text = text.trim_end();
    if text.ends_with('.') { format!("{text}\n") } else { format!("{text}.\n") }
}

fn options(rows: Vec<Line>) -> String {
    let mut out = String::new();
    let mut help = String::new();
    let flush = |out: &mut String, help: &mut String| {
        if !help.is_empty() {
            out.push_str(&sentence(help));
            help.clear();
        }
    };
    let mut met = BTreeSet::new();
    for row in rows {
        match row {
            Line::Opt(o, text) => {
                flush(&mut out, &mut help);
                if met.insert(o.long) {
                    out.push_str(&option(&o));
                    help.push_str(text);
                }
            }
            Line::More(text) => {
                help.push(' ');
                help.push_str(text);
            }
            Line::Heading(heading) => {
                flush(&mut out, &mut help);
                out.push_str(&format!(".SS {}\n", literal(heading)));
            }
            Line::Text(_) => flush(&mut out, &mut help),
        }
    }
    flush(&mut out, &mut help);
    if out.is_empty() { "It has none of its own.\n".into() } else { out }
}

fn old_keys() -> String {
    let mut names: Vec<(String, &str)> =
        rows().flat_map(|(_, row)| row.legacy().map(|old| (old.replace('*', "NAME"), row.name()))).collect();
    names.push(("lxc.network.KEY".into(), "lxc.net.[i].KEY"));
    names.push(("lxc.network.ipv4".into(), "lxc.net.[i].ipv4.address"));
    names.push(("lxc.network.ipv6".into(), "lxc.net.[i].ipv6.address"));
    names.push(("lxc.rootfs.backend".into(), "the type before the path of lxc.rootfs.path"));
    names.push(("lxc.kmsg".into(), "gone: it has no effect"));
    names.push(("lxc.pivotdir".into(), "gone: it has no effect"));
    names.sort();
    let row =
        |(old, new): &(String, &str)| format!(".TP\n.B {}\n{}\n", literal(old), literal(&new.replace('*', "NAME")));
    names.iter().map(row).collect()
}

fn generated(what: &str) -> String {
    if let Some(name) = what.strip_prefix("keys ") {
        let section: Section = SECTIONS.into_iter().find(|s| format!("{s:?}") == name).expect(what);
        return rows().filter(|(s, _)| *s == section).map(|(_, row)| key(row)).collect();
    }
    match what.strip_prefix("options ") {
        Some(tool) => options(own_rows(TOOLS.iter().find(|t| t.name == tool).expect(what).text)),
        None if what == "common options" => options(common_rows()),
        None => {
            assert_eq!(what, "old keys");
            old_keys()
        }
    }
}

/// A page with its generated sections made anew, and what they are.
fn refreshed(page: &str) -> (String, Vec<String>) {
    let (mut out, mut found) = (String::new(), Vec::new());
    let mut skipping = false;
    for line in page.lines() {
        if let Some(what) = line.strip_prefix(".\\\" begin ") {
            out.push_str(&format!("{line}\n{}", generated(what)));
            found.push(what.to_string());
            skipping = true;
        } else if line == ".\\\" end" {
            assert!(skipping, "an end without a begin");
            skipping = false;
        }
        if !skipping {
            out.push_str(line);
            out.push('\n');
        }
    }
    assert!(!skipping, "a begin without an end");
    (out, found)
}

fn pages() -> Vec<(PathBuf, String)> {
    let mut all: Vec<_> = std::fs::read_dir(root().join("man"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.clone(), std::fs::read_to_string(p).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn pages_are_current() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut sections = BTreeSet::new();
    for (path, page) in pages() {
        let (new, found) = refreshed(&page);
        sections.extend(found);
        if bless {
            std::fs::write(&path, &new).unwrap();
        } else {
            assert!(new == page, "{} is not current: BLESS=1 cargo test --lib pages", path.display());
        }
    }
    for section in SECTIONS {
        assert!(sections.contains(&format!("keys {section:?}")), "no page has the keys of {section:?}");
    }
    for tool in TOOLS {
        assert!(sections.contains(&format!("options {}", tool.name)), "no page has the options of {}", tool.name);
    }
}

#[test]
fn pages_exist_for_every_built_tool() {
    for entry in std::fs::read_dir(root().join("src/bin")).unwrap().map(|e| e.unwrap().path()) {
        if entry.extension().is_some_and(|e| e == "rs") {
            let name = entry.file_stem().unwrap().to_string_lossy().into_owned();
            if name == "lxc-supervise" || name == "lxc-spawn" {
                continue; // nobody calls them but the library
            }
            assert!(root().join(format!("man/{name}.1")).exists(), "man/{name}.1 is missing");
        }
    }
}

#[test]
fn pages_render_without_warnings() {
    let files: Vec<PathBuf> = pages().into_iter().map(|(path, _)| path).collect();
    match std::process::Command::new("mandoc").args(["-Tlint", "-W", "warning"]).args(&files).output() {
        Ok(out) => assert_eq!(String::from_utf8_lossy(&out.stdout), ""),
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::NotFound, "mandoc: {e}"),
    }
}

#[test]
fn pages_name_only_pages_that_are_there_or_foreign() {
    for (path, page) in pages() {
        // lxc-api.7 is written in mdoc.
        let see = page.split_once("SEE ALSO\n").map_or("", |(_, rest)| rest);
        assert!(!see.is_empty(), "{}: no SEE ALSO", path.display());
        for line in see.lines().filter_map(|l| l.strip_prefix(".BR ")) {
            let (name, section) = line.trim_end_matches([',', ' ']).split_once(" (").unwrap();
            let file = format!("{name}.{}", section.trim_end_matches(')'));
            assert!(!name.starts_with("lxc") || root().join("man").join(&file).exists(), "{}: {file}", path.display());
        }
    }
}

/// Values that a fresh config takes: a network key of another type than the default wants its type first.
fn loads(text: &str) -> Result<(), String> {
    let kinds = ["", "veth", "macvlan", "ipvlan", "vlan", "phys"];
    let mut last = String::new();
    for kind in kinds {
        let before = if kind.is_empty() { String::new() } else { format!("lxc.net.0.type = {kind}\n") };
        match Config::new().load_str(&format!("{before}{text}\n"), "example") {
            Ok(()) => return Ok(()),
            Err(e) => last = e.to_string(),
        }
    }
    Err(last)
}

#[test]
fn pages_have_an_example_of_every_key_and_it_loads() {
    for (_, row) in rows() {
        let (text, example) = doc_and_example(row);
        assert!(!text.is_empty() && !example.is_empty(), "{} has no example", row.name());
        if row.name() != "lxc.include" && row.name() != "lxc.log.file" {
            loads(&example).unwrap_or_else(|e| panic!("{}: {example}: {e}", row.name()));
        }
    }
}

/// The lines of a page that stand between `.EX` and `.EE`, block by block, as a reader would type them.
fn blocks(page: &str) -> Vec<String> {
    let config = root().join("config").display().to_string();
    let plain = |text: &str| text.replace("@CONFIGDIR@", &config).replace("\\-", "-").replace("\\e", "\\");
    let starts = page.split(".EX\n").skip(1).filter_map(|b| b.split(".EE\n").next());
    starts.map(plain).collect()
}

#[test]
fn pages_show_examples_that_load() {
    let mut tried = 0;
    for (path, page) in pages() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for block in blocks(&page) {
            if name == "lxc-usernet.5" && block.starts_with('#') {
                assert_eq!(Format::Usernet.check("example", block.as_bytes()), []);
                tried += 1;
            } else if block.lines().all(|l| l.starts_with("lxc.")) {
                Config::new().load_str(&filled(&block), "example").unwrap_or_else(|e| panic!("{name}: {e}\n{block}"));
                tried += 1;
            }
        }
    }
    assert!(tried >= 6, "only {tried} examples were found");
    let lxc_conf = std::fs::read_to_string(root().join("man/lxc.conf.5")).unwrap();
    let examples: Vec<&str> =
        lxc_conf.lines().filter_map(|l| l.strip_prefix(".B lxc.")).filter(|l| l.contains(" = ")).collect();
    assert_eq!(examples.len(), crate::base::paths::GLOBAL_KEYS.len());
    for example in examples {
        let text = format!("lxc.{}\n", example.replace("@SYSCONFDIR@", "/etc"));
        assert_eq!(Format::LxcConf.check("example", text.as_bytes()), []);
    }
}

/// A text whose includes lie in config/, with their placeholders filled in a copy.
fn filled(text: &str) -> String {
    text.lines().filter(|l| !l.starts_with("lxc.include")).map(|l| format!("{l}\n")).collect()
}

/// config/ copied to a directory with its placeholders filled in, as an installation does.
fn installed(dir: &Path) -> Vec<PathBuf> {
    let to = dir.display().to_string();
    std::fs::create_dir_all(dir.join("common.conf.d")).unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root().join("config")).unwrap().map(|e| e.unwrap().path()) {
        let Some(name) =
            entry.file_name().and_then(|n| n.to_str()).filter(|n| n.contains(".conf") || n.ends_with(".seccomp"))
        else {
            continue;
        };
        if !entry.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&entry).unwrap();
        let mut text = text.replace("@CONFIGDIR@", &to);
        for (word, value) in
            [("@LIBEXECDIR@", "/usr/libexec"), ("@HOOKDIR@", "/usr/share/lxc/hooks"), ("@SYSCONFDIR@", "/etc")]
        {
            text = text.replace(word, value);
        }
        assert!(!text.contains('@'), "{name}: a placeholder that install.sh does not fill");
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        if name.ends_with(".conf") {
            files.push(path);
        }
    }
    files
}

#[test]
fn pages_and_shipped_configs_load_without_errors() {
    let dir = std::env::temp_dir().join(format!("lxc-shipped-{}", std::process::id()));
    let files = installed(&dir);
    let mut wrong = Vec::new();
    for file in &files {
        let report = crate::config::check::file(file).unwrap();
        let problems = report.problems.iter().filter(|p| p.severity > crate::config::Severity::Info);
        wrong.extend(problems.map(|p| format!("{}: {p}", p.severity.name())));
        if let Err(e) = Config::new().load_file(file) {
            wrong.push(e.to_string());
        }
    }
    let policy = std::fs::read(dir.join("common.seccomp")).unwrap();
    wrong.extend(Format::Seccomp.check("common.seccomp", &policy).iter().map(ToString::to_string));
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(files.len() > 30, "only {} files", files.len());
    assert_eq!(wrong, [""; 0]);
}
