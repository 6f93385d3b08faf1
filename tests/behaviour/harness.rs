//! The runner: choose cases, run them in parallel in sandboxes, repeat failures alone, report.

use crate::case::{Case, Cases, Need};
use crate::fixture;
use crate::sandbox::{Groups, hierarchies, pure_v2};
use crate::skips::Skips;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What came of a case.
enum Verdict {
    Passed,
    Failed(String),
    Skipped { need: String, why: String },
}

/// Settings of one run.
struct Setup {
    reference: bool,
    prefix: PathBuf,
    bin: PathBuf,
    scratch: PathBuf,
    repo: PathBuf,
    shared: PathBuf,
    missing: Vec<Need>,
}

#[derive(Default)]
struct Options {
    filters: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    list: bool,
    keep: bool,
    threads: usize,
}

fn options(args: Vec<String>) -> Result<Options, String> {
    let mut o = Options { threads: 4, ..Options::default() };
    let mut it = args.into_iter();
    while let Some(a) = it.next() {
        let (key, glued) = match a.split_once('=') {
            Some((k, v)) if a.starts_with("--") => (k.to_string(), Some(v.to_string())),
            _ => (a.clone(), None),
        };
        let mut value = || glued.clone().or_else(|| it.next()).ok_or(format!("{key}: value wanted"));
        match key.as_str() {
            "--exact" => o.exact = true,
            "--list" => o.list = true,
            "--keep" => o.keep = true,
            "--nocapture" | "--quiet" | "-q" | "--show-output" | "--include-ignored" => {}
            "--test-threads" => o.threads = value()?.parse().map_err(|_| "--test-threads: number wanted")?,
            "--skip" => o.skip.push(value()?),
            "--color" | "--format" => drop(value()?),
            k if k.starts_with('-') => return Err(format!("unknown option {k}")),
            _ => o.filters.push(a),
        }
    }
    Ok(o)
}

/// Run; the process's exit code.
pub fn run(args: Vec<String>) -> i32 {
    let o = match options(args) {
        Ok(o) => o,
        Err(e) => return complain(&e),
    };
    let all = crate::cases::all();
    if let Err(e) = sound(&all) {
        return complain(&e);
    }
    let hit = |name: &str, f: &String| if o.exact { name == f } else { name.contains(f.as_str()) };
    let total = all.0.len();
    let cases: Vec<&Case> = all
        .0
        .iter()
        .filter(|c| o.filters.is_empty() || o.filters.iter().any(|f| hit(&c.name, f)))
        .filter(|c| !o.skip.iter().any(|f| hit(&c.name, f)))
        .collect();
    if o.list {
        for c in &cases {
            println!("{}: test", c.name);
        }
        println!("\n{} tests, 0 benchmarks", cases.len());
        return 0;
    }
    let setup = match Setup::new() {
        Ok(s) => s,
        Err(e) => return complain(&e),
    };
    let skips = match Skips::load(include_str!("../skips.txt")) {
        Ok(s) => s,
        Err(e) => return complain(&e),
    };
    let code = run_cases(&setup, &skips, &cases, total - cases.len(), o.threads.max(1));
    if !o.keep {
        let _ = fs::remove_dir_all(&setup.scratch);
    }
    code
}

fn complain(e: &str) -> i32 {
    eprintln!("behaviour: {e}");
    2
}

/// Names are unique, and docs/differences.md and the cases name the same ids.
fn sound(all: &Cases) -> Result<(), String> {
    let mut names: Vec<&str> = all.0.iter().map(|c| c.name.as_str()).collect();
    names.sort_unstable();
    if let Some(w) = names.windows(2).find(|w| w[0] == w[1]) {
        return Err(format!("two cases are named {}", w[0]));
    }
    Ok(())
}

impl Setup {
    fn new() -> Result<Setup, String> {
        let built_in = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let repo = std::env::var_os("LXC_TEST_REPO").map_or(built_in, PathBuf::from);
        let subject = std::env::var("LXC_UNDER_TEST").unwrap_or_default();
        let reference = match subject.as_str() {
            "reference" => true,
            "" | "ours" => false,
            other => return Err(format!("LXC_UNDER_TEST={other}: wanted ours or reference")),
        };
        let var = |name: &str, default: PathBuf| {
            std::env::var_os(name).filter(|v| !v.is_empty()).map_or(default, PathBuf::from)
        };
        let ours = var("LXC_TEST_PREFIX", repo.join("target/inst-check"));
        let prefix = if reference { PathBuf::from("/usr") } else { ours.clone() };
        let bin = prefix.join("bin");
        if !bin.join("lxc-start").exists() {
            return Err(format!(
                "no {}/lxc-start: `make install PREFIX={}` first, or set LXC_TEST_PREFIX",
                bin.display(),
                prefix.display()
            ));
        }
        crate::sandbox::sweep();
        let scratch = var("LXC_TEST_SCRATCH", PathBuf::from(format!("/var/tmp/lxc-behaviour.{}", std::process::id())));
        let io = |e: std::io::Error| format!("{}: {e}", scratch.display());
        fs::create_dir_all(&scratch).map_err(io)?;
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().map(Path::new).find(|p| p.exists());
        let busybox = busybox.ok_or("no /bin/busybox (apt-get install busybox-static)")?;
        if !scratch.join("fixture").exists() {
            fixture::build(&scratch.join("fixture"), busybox).map_err(io)?;
        }
        let shared = var("LXC_SHARED", repo.join("../shared"));
        let shared = shared.canonicalize().unwrap_or_else(|_| PathBuf::from("/work/shared"));
        let missing = missing(&shared, &ours, &prefix);
        Ok(Setup { reference, prefix, bin, scratch, repo, shared, missing })
    }
}

/// The needs that this machine does not meet.
fn missing(shared: &Path, ours: &Path, prefix: &Path) -> Vec<Need> {
    let has = |p: &str| Path::new(p).exists();
    let v1 = ["freezer", "memory", "devices", "pids"]
        .iter()
        .all(|c| hierarchies().iter().any(|h| h.what.split(',').any(|w| w == *c)));
    // overlay is a module on most kernels
    let _ = Command::new("modprobe").args(["-q", "overlay"]).stderr(Stdio::null()).status();
    let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let apparmor = has("/sys/kernel/security/apparmor/profiles");
    let set = |n: &str| std::env::var(n).is_ok_and(|v| !v.is_empty());
    let table = [
        (Need::Root, nix::unistd::geteuid().is_root()),
        (Need::CgroupV1, v1),
        (Need::CgroupV2, pure_v2()),
        (Need::Overlay, filesystems.contains("overlay")),
        (Need::Apparmor, apparmor),
        (Need::NoApparmor, !apparmor),
        (Need::Systemd, set("LXC_TEST_DEBIAN")),
        (Need::Registry, set("LXC_TEST_REGISTRY")),
        (
            Need::Both,
            has("/usr/bin/lxc-start")
                && (ours.join("bin/lxc-start").exists()
                    || std::env::var("LXC_UNDER_TEST").is_ok_and(|v| v == "reference")),
        ),
        (Need::Shared, shared.join("facts/cli-tools.md").exists()),
        (Need::Seccomp, has("/proc/sys/kernel/seccomp")),
        (Need::IdmappedTmpfs, kernel() >= (6, 3)),
        (Need::Bridge, true),
        (Need::Compiler, has("/usr/bin/gcc")),
        (Need::Headers, prefix.join("include/lxc/lxccontainer.h").exists()),
    ];
    table.iter().filter(|(_, ok)| !ok).map(|(n, _)| *n).collect()
}

/// Version of the running kernel.
fn kernel() -> (u32, u32) {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut n = text.split(['.', '-']).map(|w| w.parse().unwrap_or(0));
    (n.next().unwrap_or(0), n.next().unwrap_or(0))
}

/// All limits are multiplied by $LXC_TEST_SLOW, for emulated machines.
pub fn slow() -> u32 {
    std::env::var("LXC_TEST_SLOW").ok().and_then(|v| v.parse().ok()).unwrap_or(1).max(1)
}

fn run_cases(setup: &Setup, skips: &Skips, cases: &[&Case], filtered: usize, threads: usize) -> i32 {
    let start = Instant::now();
    println!(
        "\nrunning {} tests on {} ({})",
        cases.len(),
        if setup.reference { "the reference" } else { "ours" },
        setup.bin.display()
    );
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Verdict)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(i) else { return };
                    let from = Instant::now();
                    let verdict = one(setup, case, i, "");
                    say(&case.name, &verdict, from.elapsed());
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((i, verdict));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(i, _)| *i);
    let mut second = Vec::new();
    // Flakiness is rare: with many failures something is broken, and repeating them all helps nobody.
    let failures = results.iter().filter(|(_, v)| matches!(v, Verdict::Failed(_))).count();
    let repeat = failures <= 20;
    for (i, verdict) in &mut results {
        if let (true, Verdict::Failed(first)) = (repeat, &mut *verdict) {
            let case = cases[*i];
            let again = one(setup, case, *i, "again");
            if matches!(again, Verdict::Passed) {
                second.push((case.name.clone(), std::mem::take(first)));
            } else if let Verdict::Failed(text) = &again {
                *first = format!("{first}\nsecond run, alone:\n{text}");
                continue;
            }
            *verdict = again;
        }
    }
    report(skips, cases, &results, &second, filtered, start.elapsed())
}

fn say(name: &str, verdict: &Verdict, took: Duration) {
    let word = match verdict {
        Verdict::Passed => "ok".to_string(),
        Verdict::Failed(_) => "FAILED".to_string(),
        Verdict::Skipped { need, why } => format!("ignored, {need}: {why}"),
    };
    let slow = if took > Duration::from_secs(5) { format!(" ({:.1} s)", took.as_secs_f32()) } else { String::new() };
    println!("test {name} ... {word}{slow}");
}

fn report(
    skips: &Skips,
    cases: &[&Case],
    results: &[(usize, Verdict)],
    second: &[(String, String)],
    filtered: usize,
    took: Duration,
) -> i32 {
    let (mut passed, mut failed, mut skipped, mut unlisted) = (0, 0, 0, 0);
    for (i, verdict) in results {
        match verdict {
            Verdict::Passed => passed += 1,
            Verdict::Failed(text) => {
                failed += 1;
                println!("\n---- {} ----\n{text}", cases[*i].name);
            }
            Verdict::Skipped { need, why } => {
                skipped += 1;
                if !skips.allows(&cases[*i].name, need) {
                    unlisted += 1;
                    println!(
                        "\n---- {} ----\nskipped ({need}: {why}), but tests/skips.txt does not list it",
                        cases[*i].name
                    );
                }
            }
        }
    }
    for (name, text) in second {
        println!("\nsecond run: {name} passed alone; its first failure:\n{text}");
    }
    if failed > 0 {
        println!("\nfailures:");
        for (i, _) in results.iter().filter(|(_, v)| matches!(v, Verdict::Failed(_))) {
            println!("    {}", cases[*i].name);
        }
    }
    let mut uncovered = 0;
    if filtered == 0 {
        let (total, covered, missing) = crate::cases::options::coverage();
        uncovered = missing.len();
        println!("\noptions {total}, covered {covered}, uncovered {uncovered}");
        for option in missing {
            println!("    uncovered: {option}");
        }
        let (total, covered, excused, missing) = crate::cases::keys::coverage();
        uncovered += missing.len();
        println!("keys {total}, covered {covered}, refused or read elsewhere {excused}, uncovered {}", missing.len());
        for key in missing {
            println!("    uncovered: {key}");
        }
    }
    let bad = failed + unlisted + uncovered > 0;
    let word = if bad { "FAILED" } else { "ok" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {skipped} ignored; 0 measured; {filtered} filtered out; finished in {:.2}s\n",
        took.as_secs_f32()
    );
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    i32::from(bad) * 101
}

/// Skip, or run one case in its sandbox.
fn one(setup: &Setup, case: &Case, index: usize, tag: &str) -> Verdict {
    let skip = |need: &str, why: String| Verdict::Skipped { need: need.to_string(), why };
    if let Some(n) = case.needs.iter().find(|n| setup.missing.contains(n)) {
        return skip(n.name(), "not on this machine".into());
    }
    if setup.reference {
        if let Some(id) = case.differs {
            return skip("differs", format!("ours differs from the reference: {id}"));
        }
        if !case.since.is_empty() {
            return skip("since", format!("since LXC {}", case.since));
        }
    }
    match sandboxed(setup, case, &format!("{index}{tag}")) {
        Ok(()) => Verdict::Passed,
        Err(text) => Verdict::Failed(text),
    }
}

fn sandboxed(setup: &Setup, case: &Case, id: &str) -> Result<(), String> {
    let io = |e: std::io::Error| format!("harness: {e}");
    let dir = setup.scratch.join(format!("s{id}"));
    let log = setup.scratch.join(format!("log{id}"));
    let current = setup.scratch.join(format!("cmd{id}"));
    fs::create_dir_all(&dir).map_err(io)?;
    let group = format!("lxc-behaviour-{}-{id}", std::process::id());
    let groups = Groups::make(&group).map_err(|e| format!("harness: cgroups of the sandbox: {e}"))?;
    let out = File::create(&log).map_err(io)?;
    let err = out.try_clone().map_err(io)?;
    let mut child = Command::new("/proc/self/exe")
        .arg("--sandbox-outer")
        .envs([("LXCB_GROUP", group.as_str()), ("LXCB_CASE", &case.name), ("RUST_BACKTRACE", "0")])
        .env("LXC_UNDER_TEST", if setup.reference { "reference" } else { "ours" })
        .env("LXCB_DIR", &dir)
        .env("LXCB_ROOT", &setup.scratch)
        .env("LXCB_CURRENT", &current)
        .env("LXCB_PREFIX", &setup.prefix)
        .env("LXCB_BIN", &setup.bin)
        .env("LXCB_REPO", &setup.repo)
        .env("LXC_SHARED", &setup.shared)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(io)?;
    let end = Instant::now() + case.limit * slow();
    let mut problem = None;
    let code = loop {
        match child.try_wait().map_err(io)? {
            Some(s) => break s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0)),
            None if Instant::now() > end && problem.is_none() => {
                let cmd = fs::read_to_string(&current).unwrap_or_default();
                problem = Some(format!("killed after {} s; it hung in: {cmd}", case.limit.as_secs()));
                let _ = child.kill();
                // Frozen tasks of a v1 group would keep the sandbox from dying.
                let _ = groups.remove();
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let left = groups.remove();
    let _ = fs::remove_file(&log);
    let _ = fs::remove_file(&current);
    let _ = fs::remove_dir(&dir);
    match (problem, code, left) {
        (Some(p), _, _) => Err(format!("{p}\n{text}")),
        (None, 0, Ok(())) => Ok(()),
        (None, 0, Err(e)) => Err(e),
        (None, code, _) => Err(format!("{text}(the case ended with {code})")),
    }
}
