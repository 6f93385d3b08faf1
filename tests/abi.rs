//! liblxc.so.1 as C programs see it: the export list, the layout, the variadic members, every member on a container in
//! each of its conditions (compared with the installed LXC), many rounds and threads, and what a library must leave alone.
//! The programs lie in tests/abi; `LXC_TEST_ROUNDS` (20) and `LXC_TEST_THREADS` (4 × 5) raise the load.

// The runner of tests/behaviour uses the rest of both.
#[allow(dead_code)]
#[path = "behaviour/fixture.rs"]
mod fixture;
#[allow(dead_code)]
#[path = "behaviour/sandbox.rs"]
mod sandbox;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard};

/// Lines that differ from the reference's by more than errno: how they begin, and the row of docs/differences.md.
const EXPLAINED: [(&str, &str); 12] = [
    ("defined umount =", "api-umount-fails-below-zero"),
    ("running umount =", "api-umount-fails-below-zero"),
    ("refused init_pid =", "api-refused-is-no-success"),
    ("refused shutdown 1 =", "api-refused-is-no-success"),
    ("refused reboot2 1 =", "api-refused-is-no-success"),
    ("refused wait STOPPED 1 =", "api-refused-is-no-success"),
    ("refused console_log =", "api-refused-is-no-success"),
    ("refused attach_run_wait", "api-refused-is-no-success"),
    ("refused attach function =", "api-refused-is-no-success"),
    ("refused destroy =", "api-refused-is-no-success"),
    ("global lxc_get_global_config_item lxc.lxcpath =", "api-values-of-the-prefix"),
    ("missing seccomp_notify_fd", "api-errno-names-the-cause"),
];

/// One at a time: each takes both cores, and some measure.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn prefix() -> PathBuf {
    std::env::var_os("LXC_TEST_PREFIX").map_or_else(|| root().join("target/inst-check"), PathBuf::from)
}

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// Runs a command; its output, its errors behind the output, and whether it ended with 0.
fn run(command: &mut Command) -> (bool, String) {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// A scratch directory that goes with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new(what: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("lxc-abi-{what}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        // A user without rights of their own looks in.
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Compiles a program against our headers and the library in `libdir`.
fn compile(source: &Path, libdir: &Path, to: &Path) {
    let lib = libdir.join("liblxc.so.1");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-Wall", "-Wvla", "-Werror", "-O1", "-pthread", "-I"]).arg(root().join("include"));
    let (ok, text) = run(cc.arg(source).arg("-o").arg(to).arg(lib));
    assert!(ok, "{}: {text}", source.display());
}

/// Why containers cannot be started here; `None` when they can.
fn lacks() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root");
    }
    if busybox().is_none() {
        return Some("no static busybox");
    }
    None
}

/// Where the distribution's library lies.
fn reference() -> Option<&'static Path> {
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"]
        .map(Path::new)
        .into_iter()
        .find(|d| d.join("liblxc.so.1").exists())
}

fn busybox() -> Option<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox"].iter().map(PathBuf::from).find(|p| p.exists())
}

fn skipped(why: &str) -> bool {
    println!("skipped: {why}");
    assert!(std::env::var_os("LXC_TEST_MUST").is_none(), "the machine must have what this test needs: {why}");
    true
}

/// Runs a program in namespaces and groups of its own, below a library directory: store and rootfs are made for it.
fn in_sandbox(
    scratch: &Scratch,
    libdir: &Path,
    program: &Path,
    args: &[String],
    env: &[(&str, &str)],
) -> (bool, String) {
    let name = format!("lxc-abi-{}", std::process::id());
    let groups = sandbox::Groups::make(&name).unwrap();
    let (store, rootfs) = (scratch.path("store"), scratch.path("rootfs"));
    for dir in [&store, &rootfs] {
        let _ = fs::remove_dir_all(dir);
    }
    fs::create_dir_all(&store).unwrap();
    fixture::build(&rootfs, &busybox().unwrap()).unwrap();
    let enter: Vec<String> = sandbox::hierarchies().iter().map(|h| h.dir.join(&name).display().to_string()).collect();
    // Everything that lies on the machine's own directories for run-time files stays in here. The shell is process 1, to
    // whom monitors fall.
    let inside = "mount -t tmpfs tmpfs /run && mkdir -m 1777 /run/abi && export XDG_RUNTIME_DIR=/run/abi HOME=/run/abi \
                  && \"$@\"; exit $?";
    let script = format!(
        "for g in {}; do echo $$ > $g/cgroup.procs; done; exec unshare -m -n -p -i -u --fork --kill-child --mount-proc \
         sh -c '{inside}' sh \"$@\"",
        enter.join(" ")
    );
    let mut sh = Command::new("timeout");
    sh.args(["-k", "5", "1500", "sh", "-c", &script, "sh"]).arg(program).arg(&store).arg(&rootfs).args(args);
    sh.env("LD_LIBRARY_PATH", libdir).envs(env.iter().copied());
    let done = run(&mut sh);
    groups.remove().unwrap();
    done
}

fn program(scratch: &Scratch, name: &str, libdir: &Path) -> PathBuf {
    let to = scratch.path(name);
    compile(&root().join("tests/abi").join(format!("{name}.c")), libdir, &to);
    to
}

#[test]
fn the_exports_are_those_of_the_list() {
    let lib = prefix().join("lib/liblxc.so.1");
    let (ok, text) = run(Command::new("nm").args(["-D", "--defined-only"]).arg(&lib));
    assert!(ok, "{text}");
    let have: BTreeSet<&str> = text.lines().filter_map(|l| l.split_whitespace().nth(2)).collect();
    let list = fs::read_to_string(root().join("tests/abi/symbols.txt")).unwrap();
    let want: BTreeSet<&str> = list.lines().collect();
    assert_eq!(have, want);

    let (_, text) = run(Command::new("readelf").args(["-W", "--dyn-syms"]).arg(&lib));
    let line = text.lines().find(|l| l.ends_with(" current_config")).unwrap_or_default();
    let fields: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(fields.get(2..5), Some(&["8", "TLS", "GLOBAL"][..]), "{line}");
    let (_, text) = run(Command::new("readelf").args(["-W", "-d"]).arg(&lib));
    assert!(text.contains("Library soname: [liblxc.so.1]"), "{text}");
    for needed in text.lines().filter(|l| l.contains("(NEEDED)")) {
        assert!(["libc.so", "libm.so", "ld-linux"].iter().any(|l| needed.contains(l)), "{needed}");
    }
    let (_, text) = run(Command::new("readelf").args(["-W", "-V"]).arg(&lib));
    assert!(!text.contains("Version definition section"), "{text}");
}

#[test]
fn the_layout_is_lxc_7s() {
    let scratch = Scratch::new("layout");
    for standard in ["-std=gnu11", "-std=c11"] {
        let mut cc = Command::new("cc");
        cc.args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]).arg(root().join("include"));
        let (ok, text) = run(cc.arg(root().join("tests/abi/layout.c")).arg("-o").arg(scratch.path("layout")));
        assert!(ok, "{text}");
    }
    let pc = prefix().join("lib/pkgconfig/lxc.pc");
    let text = fs::read_to_string(&pc).unwrap();
    assert!(text.contains("Version: 7.0.0") && text.contains("-llxc"), "{text}");
}

#[test]
fn variadic_members_take_0_to_12_arguments() {
    let _alone = alone();
    if lacks().is_some_and(skipped) {
        return;
    }
    let scratch = Scratch::new("variadic");
    let lib = prefix().join("lib");
    let template = scratch.path("template");
    let text = format!(
        "#!/bin/sh\nfor a; do case $a in --*) ;; *) w=\"$w $a\" ;; esac; done\necho $w > {}/created\n",
        scratch.path("rootfs").display()
    );
    fs::write(&template, text).unwrap();
    fs::set_permissions(&template, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = program(&scratch, "variadic", &lib);
    let (ok, text) = in_sandbox(&scratch, &lib, &program, &[template.display().to_string()], &[]);
    assert!(ok, "{text}");
}

#[test]
fn the_trampolines_of_each_architecture() {
    let scratch = Scratch::new("trampoline");
    let include = format!("-Wa,-I{}", root().join("src/lib/capi/variadic").display());
    let mut tried = Vec::new();
    for (cc, emulator) in [("cc", None), ("aarch64-linux-gnu-gcc", Some("qemu-aarch64-static"))] {
        let there = |tool: &str| Path::new("/usr/bin").join(tool).exists();
        if !there(cc) || emulator.is_some_and(|e| !there(e)) {
            println!("not tried: {cc} or its emulator is not installed (scripts/check-clients.sh installs them)");
            continue;
        }
        for optimise in ["-O0", "-O2"] {
            let program = scratch.path("trampoline");
            let mut build = Command::new(cc);
            build.args([optimise, "-static", "-Wall", "-Wextra", "-Werror", &include, "-o"]).arg(&program);
            let (ok, text) = run(build.arg(root().join("tests/abi/trampoline.c")));
            assert!(ok, "{cc} {optimise}: {text}");
            let mut command = Command::new(emulator.unwrap_or("env"));
            let (ok, text) = run(command.arg(&program));
            assert!(ok, "{cc} {optimise}: {text}");
        }
        tried.push(cc);
    }
    println!("tried: {}", tried.join(", "));
    assert!(tried.contains(&"cc"));
}

/// A line without the errno that ends it.
fn without_errno(line: &str) -> &str {
    let (head, last) = line.rsplit_once(' ').unwrap_or((line, ""));
    let errno = last == "0"
        || last == "(null)"
        || (last.starts_with('E') && last.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()));
    if errno && !head.ends_with('=') { head } else { line }
}

#[test]
fn every_member_in_every_condition() {
    let _alone = alone();
    if lacks().is_some_and(skipped) {
        return;
    }
    let scratch = Scratch::new("members");
    let lib = prefix().join("lib");
    let program = program(&scratch, "members", &lib);
    let (ok, ours) = in_sandbox(&scratch, &lib, &program, &[], &[]);
    assert!(ok, "{ours}");
    let wanted = ours.lines().count();
    assert!(wanted > 300, "{ours}");
    let Some(reference) = reference() else {
        skipped("no reference library");
        return;
    };
    let (ok, theirs) = in_sandbox(&scratch, reference, &program, &[], &[]);
    assert!(ok, "{theirs}");
    let docs = fs::read_to_string(root().join("docs/differences.md")).unwrap();
    let mut wrong = Vec::new();
    // Since 6.0.
    let ours: Vec<&str> = ours.lines().filter(|l| !l.contains(" set_timeout ")).collect();
    // The reference prints on its caller's stderr.
    let theirs: Vec<&str> = theirs.lines().filter(|l| !l.starts_with("Failed to load config")).collect();
    assert_eq!(ours.len(), theirs.len(), "ours:\n{}\n\ntheirs:\n{}", ours.join("\n"), theirs.join("\n"));
    for (a, b) in ours.iter().zip(&theirs).filter(|(a, b)| a != b) {
        let id = if without_errno(a) == without_errno(b) {
            "api-errno-names-the-cause"
        } else {
            EXPLAINED.iter().find(|e| a.starts_with(e.0)).map_or("", |e| e.1)
        };
        if id.is_empty() || !docs.contains(&format!("| `{id}` |")) {
            wrong.push(format!("ours   {a}\ntheirs {b}"));
        }
    }
    assert!(wrong.is_empty(), "unexplained:\n{}", wrong.join("\n"));
}

/// The calls themselves; what is forked is another matter (a valgrind as old as Debian 12's knows few of the system calls).
#[test]
fn every_member_under_memcheck() {
    let _alone = alone();
    if lacks().is_some_and(skipped) {
        return;
    }
    if !Path::new("/usr/bin/valgrind").exists() {
        skipped("no valgrind");
        return;
    }
    let scratch = Scratch::new("memcheck");
    let lib = prefix().join("lib");
    let program = program(&scratch, "members", &lib);
    let (wrapper, log) = (scratch.path("wrapper"), scratch.path("log"));
    let text = format!(
        "#!/bin/sh\nexec valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
         --child-silent-after-fork=yes --log-file={} {} \"$@\"\n",
        log.display(),
        program.display()
    );
    fs::write(&wrapper, text).unwrap();
    fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (ok, text) = in_sandbox(&scratch, &lib, &wrapper, &[], &[]);
    let log = fs::read_to_string(&log).unwrap_or_default();
    assert!(ok, "{log}\n{text}");
    assert!(text.lines().count() > 300, "{text}");
}

#[test]
fn what_lxd_relies_on() {
    let _alone = alone();
    if lacks().is_some_and(skipped) {
        return;
    }
    let scratch = Scratch::new("habits");
    let lib = prefix().join("lib");
    let program = program(&scratch, "habits", &lib);
    for libdir in [Some(lib.as_path()), reference()].into_iter().flatten() {
        let (ok, text) = in_sandbox(&scratch, libdir, &program, &[], &[]);
        assert!(ok && text.ends_with("0 bad\n"), "{}: {text}", libdir.display());
    }
}

#[test]
fn a_running_container_from_inside() {
    let _alone = alone();
    if lacks().is_some_and(skipped) {
        return;
    }
    let scratch = Scratch::new("inside");
    let lib = prefix().join("lib");
    let program = program(&scratch, "inside", &lib);
    let (ok, ours) = in_sandbox(&scratch, &lib, &program, &[], &[]);
    assert!(ok, "{ours}");
    assert!(ours.lines().count() > 80, "{ours}");
    let Some(reference) = reference() else {
        skipped("no reference library");
        return;
    };
    let (ok, theirs) = in_sandbox(&scratch, reference, &program, &[], &[]);
    assert!(ok, "{theirs}");
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), theirs.lines().collect());
    assert_eq!(ours.len(), theirs.len(), "ours:\n{}\n\ntheirs:\n{}", ours.join("\n"), theirs.join("\n"));
    let docs = fs::read_to_string(root().join("docs/differences.md")).unwrap();
    let explained = |line: &str| {
        let id = match line.split(':').next() {
            Some("read-only") => "api-mount-honours-flags",
            Some("label") => "api-label-needs-a-module",
            _ => return false,
        };
        docs.contains(&format!("| `{id}` |"))
    };
    let unlike = ours.iter().zip(&theirs).filter(|(a, b)| a != b && !explained(a));
    let wrong: Vec<String> = unlike.map(|(a, b)| format!("ours   {a}\ntheirs {b}")).collect();
    assert!(wrong.is_empty(), "unexplained:\n{}", wrong.join("\n"));
}

#[test]
fn rounds_and_threads_leave_nothing() {
    let _alone = alone();
    if lacks().is_some_and(skipped) {
        return;
    }
    let scratch = Scratch::new("rounds");
    let lib = prefix().join("lib");
    let program = program(&scratch, "rounds", &lib);
    let rounds = number("LXC_TEST_ROUNDS", 20);
    let (threads, starts) = if rounds > 100 { (16, 50) } else { (4, 5) };
    let args = [rounds, number("LXC_TEST_THREADS", threads), starts].map(|n| n.to_string());
    let (ok, text) = in_sandbox(&scratch, &lib, &program, &args, &[]);
    print!("{text}");
    assert!(ok, "{text}");
}

#[test]
fn writers_at_once_leave_one_whole_file() {
    let _alone = alone();
    if lacks().is_some_and(skipped) {
        return;
    }
    let scratch = Scratch::new("writers");
    let lib = prefix().join("lib");
    let program = program(&scratch, "writers", &lib);
    let args = [prefix().join("bin/lxc-update-config").display().to_string(), "60".to_string()];
    let (ok, text) = in_sandbox(&scratch, &lib, &program, &args, &[]);
    print!("{text}");
    assert!(ok, "{text}");
}

#[test]
fn the_caller_is_left_as_it_was() {
    let _alone = alone();
    if lacks().is_some_and(skipped) {
        return;
    }
    let scratch = Scratch::new("behave");
    let lib = prefix().join("lib");
    let program = program(&scratch, "behave", &lib);
    // What is planted by the environment is compiled into development builds only.
    let binary = fs::read(lib.join("liblxc.so.1")).unwrap();
    let planted = binary.windows(14).any(|w| w == b"LXC_TEST_PANIC");
    let env: &[(&str, &str)] = if planted { &[("LXC_ABI_DEBUG_BUILD", "1")] } else { &[] };
    let (ok, text) = in_sandbox(&scratch, &lib, &program, &[], env);
    print!("{text}");
    assert!(ok, "{text}");
}

#[test]
fn the_examples_run() {
    let _alone = alone();
    if lacks().is_some_and(skipped) {
        return;
    }
    let scratch = Scratch::new("examples");
    let lib = prefix().join("lib");
    let mut seen = 0;
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("docs/examples")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let program = match file.extension().and_then(|e| e.to_str()) {
            Some("c") => {
                let to = scratch.path(name.trim_end_matches(".c"));
                compile(&file, &lib, &to);
                to
            }
            Some("py") => {
                let python = Path::new("/usr/bin/python3");
                let has = python.exists() && run(Command::new(python).args(["-c", "import lxc"])).0;
                if !has {
                    skipped("no python3-lxc");
                    continue;
                }
                file.clone()
            }
            _ => continue,
        };
        let (ok, text) = in_sandbox(&scratch, &lib, &program, &[], &[]);
        assert!(ok, "{name}: {text}");
        assert!(text.contains("hello from inside"), "{name}: {text}");
        seen += 1;
    }
    assert!(seen >= 2);
}

#[test]
fn the_man_page_renders() {
    let page = root().join("man/lxc-api.7");
    if !Path::new("/usr/bin/mandoc").exists() {
        skipped("no mandoc");
        return;
    }
    let (ok, text) = run(Command::new("mandoc").args(["-Tlint", "-W", "warning"]).arg(&page));
    assert!(ok, "{text}");
    // Every member and every function has its place.
    let page = fs::read_to_string(page).unwrap();
    let layout = fs::read_to_string(root().join("tests/abi/layout.c")).unwrap();
    let members = layout.lines().filter_map(|l| l.strip_prefix("AT(struct lxc_container, ")?.split_once(", "));
    for (member, _) in
        members.filter(|m| m.1.trim_end_matches(");").parse::<u32>().is_ok_and(|at| at >= 80 && at != 568))
    {
        assert!(page.contains(&format!("Fn {member}")), "{member}");
    }
    for function in fs::read_to_string(root().join("tests/abi/symbols.txt")).unwrap().lines() {
        assert!(
            function.starts_with("lxc_rs") || function == "current_config" || page.contains(function),
            "{function}"
        );
    }
}

/// What a file of the installation costs before it runs, by its program headers (elf(5)).
#[derive(Debug, Default)]
struct Cost {
    /// 2 is a program at a fixed address, 3 one or a library that can lie anywhere.
    kind: u16,
    /// It needs the dynamic linker.
    interpreter: bool,
    /// Bytes that are changed once, by the linker, and then read only.
    relro: u64,
    /// Entries of .rela.dyn.
    relocations: u64,
}

fn cost(file: &Path) -> Cost {
    let bytes = fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let number = |at: u64, len: usize| {
        let at = usize::try_from(at).unwrap();
        bytes[at..at + len].iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
    };
    assert_eq!((&bytes[..4], number(4, 1)), (&b"\x7fELF"[..], 2), "{}", file.display());
    let mut cost = Cost { kind: number(16, 2) as u16, ..Cost::default() };
    let headers = (0..number(56, 2)).map(|i| number(32, 8) + i * number(54, 2));
    for at in headers {
        let (offset, file_size, memory_size) = (number(at + 8, 8), number(at + 32, 8), number(at + 40, 8));
        match number(at, 4) {
            // PT_DYNAMIC: DT_RELASZ, of entries of 24 bytes.
            2 => {
                let entries = (0..file_size / 16).map(|i| (number(offset + i * 16, 8), number(offset + i * 16 + 8, 8)));
                cost.relocations += entries.filter(|e| e.0 == 8).map(|e| e.1 / 24).sum::<u64>();
            }
            3 => cost.interpreter = true,
            0x6474_e552 => cost.relro += memory_size,
            _ => {}
        }
    }
    cost
}

#[test]
fn budgets() {
    if !cfg!(target_arch = "x86_64") {
        skipped("the figures are those of x86_64");
        return;
    }
    let supervise = cost(&prefix().join("libexec/lxc/lxc-supervise"));
    assert!(supervise.kind == 2 && !supervise.interpreter && supervise.relocations == 0, "{supervise:?}");
    // What a static C library itself changes while it starts; a development build's own tables are larger, but untouched.
    let lib = prefix().join("lib/liblxc.so.1");
    if fs::metadata(&lib).unwrap().len() > 8 << 20 {
        skipped("liblxc.so.1 is a development build: `make bench` shows a release to this test");
        return;
    }
    let lib = cost(&lib);
    println!("{lib:?}");
    // ARCHITECTURE.md, "What it costs to be there", says what they buy.
    assert!(lib.kind == 3 && lib.relro <= 60 << 10 && lib.relocations <= 3200, "{lib:?}");
    assert!(supervise.relro <= 32 << 10, "{supervise:?}");
}
