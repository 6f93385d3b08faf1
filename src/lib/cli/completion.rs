//! The bash completion, made from the tools' own tables: config/completions/_lxc is kept equal to it by a test, which writes it
//! with `BLESS=1 cargo test --lib cli::completion`. No part of the library.
#![forbid(unsafe_code)]

use super::getopt::Takes;
use super::table::Table;
use super::{TOOLS, common::Tool};
use crate::base::log::Level;
use crate::base::units;
use crate::ipc::state::State;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/completions/_lxc");

/// What completes an argument: a function of the script.
fn kind(tool: &str, long: &str) -> &'static str {
    match (tool, long) {
        (_, "name") => "_lxc_names",
        (_, "lxcpath" | "dir") => "_lxc_dirs",
        ("lxc-info", "config") => "_lxc_keys",
        (_, "define") => "_lxc_definitions",
        (_, "logfile" | "rcfile" | "config" | "pidfile" | "console" | "console-log" | "pty-log") => "_lxc_files",
        (_, "logpriority") => "_lxc_levels",
        (_, "state") => "_lxc_states",
        (_, "namespaces") => "_lxc_namespaces",
        (_, "elevated-privileges") => "_lxc_privileges",
        (_, "arch") => "_lxc_arches",
        (_, "template") => "_lxc_templates",
        (_, "bdev") => "_lxc_storage",
        (_, "fancy-format") => "_lxc_columns",
        (_, "groups") => "_lxc_groups",
        (_, "format") => "_lxc_formats",
        (_, l) if l.starts_with("share-") => "_lxc_running",
        _ => ":",
    }
}

/// Which containers a tool works on, as options of lxc-ls.
fn which(tool: &str) -> &'static str {
    match tool {
        "lxc-attach" | "lxc-console" | "lxc-freeze" | "lxc-stop" => "--running",
        "lxc-destroy" | "lxc-execute" | "lxc-start" => "--stopped",
        "lxc-info" | "lxc-wait" => "--defined",
        "lxc-unfreeze" => "--frozen",
        _ => "",
    }
}

fn tool_case(tool: &Tool) -> String {
    let options = Table::new(tool.name, tool.text).options();
    let mut words: Vec<String> = Vec::new();
    let mut values: Vec<(String, &str)> = Vec::new();
    for o in &options {
        let mut names = vec![format!("--{}", o.long)];
        names.extend(o.short.filter(|_| o.shown).map(|s| format!("-{}", char::from(s))));
        names.retain(|n| !words.contains(n));
        if o.takes != Takes::Nothing && !names.is_empty() {
            let glued = if o.takes == Takes::Maybe { "=" } else { "" };
            values.push((names.join(&format!("{glued}|")) + glued, kind(tool.name, o.long)));
        }
        words.extend(names);
    }
    let mut arms = String::new();
    for (name, how) in &values {
        arms.push_str(&format!("            {name}) how={how};;\n"));
    }
    format!(
        "    {})\n        options=\"{}\" which=\"{}\"\n        case $option in\n{arms}        esac;;\n",
        tool.name,
        words.join(" "),
        which(tool.name)
    )
}

fn render() -> String {
    let states: Vec<&str> = State::ALL.iter().map(|s| s.as_str()).collect();
    let levels: Vec<&str> = Level::ALL.iter().rev().map(|l| l.name()).collect();
    let arches: Vec<&str> = units::arch_words().collect();
    let keys = crate::config::table::LISTED;
    let tools: Vec<&str> = TOOLS.iter().map(|t| t.name).collect();
    let cases: String = TOOLS.iter().map(|t| tool_case(t)).collect();
    include_str!("completion/frame.bash")
        .replace("@STATES@", &states.join(" "))
        .replace("@LEVELS@", &levels.join(" "))
        .replace("@ARCHES@", &arches.join(" "))
        .replace("@KEYS@", keys.trim())
        .replace("@STORAGE@", &super::create::KINDS.join(" "))
        .replace("@GLOBAL@", &super::config::KEYS.join(" "))
        .replace("@CASES@", cases.trim_end())
        .replace("@TOOLS@", &tools.join(" "))
}

#[test]
fn the_committed_completion_is_current() {
    let want = render();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(FILE).parent().unwrap()).unwrap();
        std::fs::write(FILE, &want).unwrap();
    }
    let have = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(have == want, "{FILE} is stale: BLESS=1 cargo test --lib cli::completion writes it");
}

/// What bash makes of it: the last word of each line is what is being completed.
#[test]
fn bash_completes() {
    let ask = |words: &[&str]| {
        let quoted: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
        let script = format!(
            "{}\nCOMP_WORDS=({}); COMP_CWORD={}; _lxc; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            render(),
            quoted.join(" "),
            words.len() - 1
        );
        let out = std::process::Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
        assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().split_whitespace().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(ask(&["lxc-wait", "-s", "RUN"]), ["RUNNING"]);
    assert_eq!(ask(&["lxc-wait", "-s", "STOPPED|FRO"]), ["STOPPED|FROZEN"]);
    assert_eq!(ask(&["lxc-wait", "--state", "=", "TH"]), ["THAWED"]);
    assert_eq!(ask(&["lxc-start", "--share-n"]), ["--share-net"]);
    assert_eq!(ask(&["lxc-ls", "-F", "NAME,UNP"]), ["NAME,UNPRIVILEGED"]);
    assert_eq!(ask(&["lxc-config", "lxc.lx"]), ["lxc.lxcpath"]);
    assert_eq!(ask(&["lxc-info", "-c", "lxc.uts"]), ["lxc.uts.name"]);
    assert_eq!(ask(&["lxc-start", "-l", "D"]), ["DEBUG"]);
}
