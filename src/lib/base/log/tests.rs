//! The lines, byte for byte, and where they go.
use super::line::*;
use super::*;
use std::fmt::Write as _;

fn sink(name: &str) -> Sink {
    Sink { prog: "lxc-start".into(), name: name.into(), ..Sink::default() }
}

fn text(f: impl FnOnce(&mut Line)) -> String {
    let mut line = Line::new();
    f(&mut line);
    String::from_utf8_lossy(line.finish()).into_owned()
}

fn record(target: &str, run: impl FnOnce(&log::Record<'_>)) {
    run(&log::Record::builder()
        .level(log::Level::Info)
        .target(target)
        .module_path(Some("lxc::runtime::start::lxc_init::here"))
        .file(Some("src/lib/runtime/start.rs"))
        .line(Some(881))
        .args(format_args!("Container \"cli3\" is initialized"))
        .build());
}

#[test]
fn classic_lines() {
    record("lxc::runtime::start", |r| {
        assert_eq!(
            text(|l| file_line(l, &sink("cli3"), Level::Info, r, (1_795_448_339, 397))),
            "lxc-start cli3 20261123153859.397 INFO     start - src/lib/runtime/start.rs:lxc_init:881 - Container \"cli3\" is initialized\n"
        );
        assert_eq!(
            text(|l| stderr_line(l, &sink(""), r)),
            "lxc-start: src/lib/runtime/start.rs: lxc_init: 881 Container \"cli3\" is initialized\n"
        );
    });
    record("lxc::cli::freeze!NOTICE", |r| {
        assert_eq!(Level::of(r), Level::Notice);
        assert!(
            text(|l| file_line(l, &sink(""), Level::Notice, r, (0, 0)))
                .starts_with("lxc-start 19700101000000.000 NOTICE   lxc_freeze - ")
        );
    });
}

#[test]
fn dates() {
    for (secs, want) in [
        (951_782_400, "20000229000000.007"),
        (-1, "19691231235959.007"),
        (4_107_542_399, "21000228235959.007"),
        (4_107_542_400, "21000301000000.007"),
    ] {
        assert_eq!(text(|l| timestamp(l, (secs, 7))).trim_end(), want);
    }
}

#[test]
fn levels() {
    assert_eq!(parse_level("notice"), Level::Notice);
    assert_eq!(parse_level("bogus"), Level::NotSet);
    assert_eq!(Level::from_number(8), Some(Level::Fatal));
    assert_eq!(Level::from_number(9), None);
    assert_eq!(Level::from_number(-1), None);
}

#[test]
fn a_line_stays_one_line_and_is_cut() {
    assert_eq!(text(|l| l.write_str("a\nb\x1b[2J\tc").unwrap()), "a?b?[2J\tc\n");
    let long = text(|l| l.write_str(&"x".repeat(10_000)).unwrap());
    assert_eq!(long.len(), LINE_MAX);
    assert!(long.ends_with("x\n"));
}

#[test]
fn names_of_functions() {
    assert_eq!(function_name("lxc::cli::ls::run::here"), "run");
    assert_eq!(function_name("lxc::cli::ls::run::{{closure}}::here"), "run");
    assert_eq!(function_name("<lxc::a::B as lxc::c::D>::go::here"), "go");
}

#[test]
fn a_file_takes_the_lines_and_config_does_not_override_the_command_line() {
    let dir = std::env::temp_dir().join(format!("lxc-log-test-{}", std::process::id()));
    let file = dir.join("sub/x.log");
    init(&Setup {
        prog: "lxc-test".into(),
        name: "c1".into(),
        file: Some(file.clone()),
        quiet: true,
        level: Some("debug".into()),
        ..Setup::default()
    })
    .unwrap();
    apply_config(Some(Level::Trace), Some(&dir.join("other.log"))).unwrap();
    crate::log_trace!("not this");
    crate::log_error!(errno = libc::ENOENT, "Failed to open {}", "x");
    crate::log_fatal!("later");
    crate::log_debug!("and a detail");
    close();
    crate::log_error!("after the end");
    let got = std::fs::read_to_string(&file).unwrap();
    let _ = std::fs::remove_dir_all(&dir);
    // Other tests of this process may log meanwhile.
    let lines: Vec<&str> = got.lines().filter(|l| l.contains(" tests - ")).collect();
    assert_eq!(lines.len(), 3, "{got}");
    assert!(lines[0].contains(" ERROR    tests - src/lib/base/log/tests.rs:a_file_takes_the_lines"), "{got}");
    assert!(lines[0].ends_with(" - No such file or directory - Failed to open x"), "{got}");
    assert!(lines[1].contains(" FATAL    tests - "), "{got}");
    assert!(lines[2].starts_with("lxc-test c1 ") && lines[2].contains(" DEBUG "), "{got}");
}

#[test]
fn the_default_file_beside_a_container_follows_no_link() {
    let dir = std::env::temp_dir().join(format!("lxc-log-link-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("c1")).unwrap();
    std::fs::write(dir.join("canary"), "").unwrap();
    std::os::unix::fs::symlink(dir.join("canary"), dir.join("c1/c1.log")).unwrap();
    let opened = open_with(&dir.join("c1/c1.log"), libc::O_NOFOLLOW).map(drop);
    assert_eq!(opened.unwrap_err().errno, libc::ELOOP);
    // Whatever serves in its stead, it is not what the link leads to.
    let canary = std::fs::metadata(dir.join("canary")).unwrap();
    if let Ok((_, file)) = open_default(&dir, "c1") {
        use std::os::unix::fs::MetadataExt;
        assert_ne!(file.metadata().unwrap().ino(), canary.ino());
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_datagram_for_syslogd() {
    record("lxc::runtime::start", |r| {
        let mut line = Line::new();
        syslog_line(&mut line, &sink("c1"), Level::Warn, 3, 77, r);
        assert_eq!(line.text(), b"<28>lxc-start[77]: c1 start - Container \"cli3\" is initialized");
    });
    assert!(apply_syslog("nonsense").is_err());
}
