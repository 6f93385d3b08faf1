//! Policies to BPF, by libseccomp: one filter for the native architecture and one for each that its kernel runs besides,
//! merged. Loads nothing.
#![forbid(unsafe_code)]

use super::parse::{Action, Call, Op, Policy, Rule, Test};
use crate::base::{Error, Result};
use crate::sys::process;
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use std::fs::File;
use std::io::{Read, Seek, Write};

/// The native architecture, first, and those whose programs its kernel runs besides, with their sections' names.
pub(super) const ARCHES: &[(ScmpArch, &str)] = native();

const fn native() -> &'static [(ScmpArch, &'static str)] {
    use ScmpArch::{
        Aarch64, Arm, Loongarch64, Mips, Mips64, Mips64N32, Mipsel, Mipsel64, Mipsel64N32, Native, Ppc, Ppc64, Ppc64Le,
        S390, S390X, X32, X86, X8664,
    };
    let little = cfg!(target_endian = "little");
    if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
        &[(X8664, "x86_64"), (X86, "x86"), (X32, "x32")]
    } else if cfg!(target_arch = "x86") {
        &[(X86, "x86")]
    } else if cfg!(target_arch = "aarch64") {
        &[(Aarch64, "arm64"), (Arm, "arm")]
    } else if cfg!(target_arch = "arm") {
        &[(Arm, "arm")]
    } else if cfg!(target_arch = "powerpc64") {
        if little { &[(Ppc64Le, "ppc64le")] } else { &[(Ppc64, "ppc64"), (Ppc, "ppc")] }
    } else if cfg!(target_arch = "mips64") {
        if little {
            &[(Mipsel64, "mipsel64"), (Mipsel, "mipsel"), (Mipsel64N32, "mipsel64n32")]
        } else {
            &[(Mips64, "mips64"), (Mips, "mips"), (Mips64N32, "mips64n32")]
        }
    } else if cfg!(target_arch = "s390x") {
        &[(S390X, "s390x"), (S390, "s390")]
    } else if cfg!(target_arch = "loongarch64") {
        &[(Loongarch64, "loongarch64")]
    } else {
        &[(Native, "native")]
    }
}

/// The names of [`ARCHES`], for the cache's key.
pub(super) fn arch_names() -> String {
    ARCHES.iter().map(|(_, n)| *n).collect::<Vec<_>>().join(",")
}

/// libseccomp's version, which decides what the program looks like. Reads a constant; starts nothing.
pub(super) fn library_version() -> String {
    libseccomp::ScmpVersion::current().map_or_else(|_| "?".into(), |v| v.to_string())
}

/// The program for seccomp(2): an array of struct sock_filter, as bytes.
///
/// # Errors
/// A rule that libseccomp refuses, with the file's name and the rule's line.
pub(super) fn compile(file: &str, policy: &Policy) -> Result<Vec<u8>> {
    endless(file, policy)?;
    if turns(policy) {
        tried(file, policy)?;
    }
    build(file, policy, true)
}

fn build(file: &str, policy: &Policy, told: bool) -> Result<Vec<u8>> {
    let mut merged: Option<ScmpFilterContext> = None;
    for (arch, _) in ARCHES {
        // Version 1 speaks of native numbers only.
        if policy.version == 1 && merged.is_some() {
            break;
        }
        let one = one_arch(file, policy, *arch, told)?;
        match &mut merged {
            Some(m) => drop(m.merge(one).map_err(|e| refused(file, &e.to_string()))?),
            None => merged = Some(one),
        }
    }
    let filter = merged.ok_or_else(|| refused(file, "no architecture"))?;
    export(file, &filter)
}

fn one_arch(file: &str, policy: &Policy, arch: ScmpArch, told: bool) -> Result<ScmpFilterContext> {
    let fail = |e: libseccomp::error::SeccompError| refused(file, &e.to_string());
    let mut ctx = ScmpFilterContext::new(action(policy.default)).map_err(fail)?;
    // no_new_privs is the container's own setting, not the filter's; a rule for system call -1 is a tracer's skip.
    ctx.set_ctl_nnp(false).map_err(fail)?;
    ctx.set_api_tskip(true).map_err(fail)?;
    if !ctx.is_arch_present(arch).map_err(fail)? {
        ctx.add_arch(arch).map_err(fail)?;
        ctx.remove_arch(ScmpArch::Native).map_err(fail)?;
    }
    for rule in &policy.rules {
        if counts(rule) {
            add(file, &mut ctx, rule, arch, told)?;
        }
    }
    Ok(ctx)
}

fn add(file: &str, ctx: &mut ScmpFilterContext, rule: &Rule, arch: ScmpArch, told: bool) -> Result<()> {
    let line = rule.line;
    let at = |e: libseccomp::error::SeccompError| refused(&format!("{file}:{line}:1"), &e.to_string());
    let force = [ScmpArgCompare::new(1, ScmpCompareOp::MaskedEqual(FORCE), FORCE)];
    let call = match &rule.call {
        Call::Number(n) => ScmpSyscall::from_raw_syscall(*n),
        Call::Name(name) if name == "reject_force_umount" => {
            let Some(call) = resolve("umount2", arch) else { return Ok(()) };
            let act = ScmpAction::Errno(libc::EACCES);
            return ctx.add_rule_conditional(act, call, &force).map(drop).map_err(at);
        }
        Call::Name(name) => match resolve(name, arch) {
            Some(call) => call,
            None => {
                if told {
                    crate::log_info!("{file}:{line}: system call {name} is unknown on {arch:?}: rule passed over");
                }
                return Ok(());
            }
        },
    };
    let tests: Vec<ScmpArgCompare> = rule.tests.iter().map(compare).collect();
    ctx.add_rule_conditional(action(rule.action), call, &tests).map(drop).map_err(at)
}

/// As in LXC, the section says whether a rule counts on this machine, not for which of its architectures.
fn counts(rule: &Rule) -> bool {
    rule.section == "all" || ARCHES.iter().any(|(_, name)| *name == rule.section)
}

/// The tests of a rule, as libseccomp takes them: by argument.
fn chain(rule: &Rule) -> Vec<Test> {
    let mut tests = rule.tests.clone();
    tests.sort_by_key(|t| t.index);
    tests
}

/// A test that libseccomp may write as its opposite.
fn turned(test: &Test) -> bool {
    !matches!(test.op, Op::Eq | Op::Masked(_))
}

/// Whether several rules of one system call go on after such a test: [`endless`] knows the pairs of them with which
/// libseccomp 2.5.4 never ends, but there are larger circles.
fn turns(policy: &Policy) -> bool {
    let goes_on = |r: &&Rule| counts(r) && chain(r).split_last().is_some_and(|(_, before)| before.iter().any(turned));
    let rules: Vec<&Rule> = policy.rules.iter().filter(goes_on).collect();
    rules.iter().enumerate().any(|(n, rule)| rules.iter().take(n).any(|r| r.call == rule.call))
}

/// What a trial may take, in seconds of the processor: a thousand times what the largest policies take.
const TRIAL: u64 = 2;

/// Compiles the policy in a process of its own first, which ends whatever libseccomp does.
fn tried(file: &str, policy: &Policy) -> Result<()> {
    let io = |e: std::io::Error| Error::io(&e, format!("cannot try the seccomp policy {file}")).stage("seccomp");
    let (mut read, write) = std::io::pipe().map_err(io)?;
    let pid = process::fork(|| {
        // No word to the log, whose lock another thread may have held.
        if process::prlimit(0, libc::RLIMIT_CPU, TRIAL, TRIAL).is_ok() {
            drop(build(file, policy, false));
        }
        drop((&write).write_all(b"."));
        process::exit_now(0)
    })
    .map_err(io)?;
    drop(write);
    let mut ended = Vec::new();
    let done = read.read_to_end(&mut ended);
    drop(process::wait_pid(pid, 0));
    done.map_err(io)?;
    if ended.is_empty() {
        let hint = "write tests as ==, or use fewer tests of one system call";
        return Err(refused(file, "it never ends with the tests of one of its system calls").hint(hint));
    }
    Ok(())
}

/// Refuses what sends libseccomp 2.5.4 round in circles (found by the fuzzer): two rules of one system call that begin with
/// the same test, which is no test for equality, and go on with different arguments.
fn endless(file: &str, policy: &Policy) -> Result<()> {
    let rules: Vec<&Rule> = policy.rules.iter().filter(|r| r.tests.len() > 1 && counts(r)).collect();
    for (n, second) in rules.iter().enumerate() {
        let b = chain(second);
        for first in rules.iter().take(n).filter(|r| r.call == second.call) {
            let a = chain(first);
            let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            let turned = a.iter().take(same).any(turned);
            if turned && a.get(same).zip(b.get(same)).is_some_and(|(a, b)| a.index != b.index) {
                let what = format!("libseccomp never ends with this rule and that of line {}", first.line);
                return Err(refused(&format!("{file}:{}:1", second.line), &what)
                    .hint("write the shared test as ==, or test the same arguments in both rules"));
            }
        }
    }
    Ok(())
}

/// MNT_FORCE of umount2(2).
const FORCE: u64 = 1;

/// Whether libseccomp has a system call of this name.
pub fn is_known(name: &str) -> bool {
    ScmpSyscall::from_name(name).is_ok()
}

fn resolve(name: &str, arch: ScmpArch) -> Option<ScmpSyscall> {
    // On every architecture by the native number: libseccomp translates. A name that the native one lacks has a
    // negative stand-in, a name that `arch` lacks is no rule there.
    ScmpSyscall::from_name_by_arch(name, arch).ok()?;
    ScmpSyscall::from_name(name).ok()
}

fn compare(t: &Test) -> ScmpArgCompare {
    let (op, value) = match t.op {
        Op::Ne => (ScmpCompareOp::NotEqual, t.value),
        Op::Lt => (ScmpCompareOp::Less, t.value),
        Op::Le => (ScmpCompareOp::LessOrEqual, t.value),
        Op::Eq => (ScmpCompareOp::Equal, t.value),
        Op::Ge => (ScmpCompareOp::GreaterEqual, t.value),
        Op::Gt => (ScmpCompareOp::Greater, t.value),
        Op::Masked(mask) => (ScmpCompareOp::MaskedEqual(mask), t.value),
    };
    ScmpArgCompare::new(t.index, op, value)
}

fn action(a: Action) -> ScmpAction {
    match a {
        Action::Kill => ScmpAction::KillThread,
        Action::Errno(n) => ScmpAction::Errno(i32::from(n)),
        Action::Allow => ScmpAction::Allow,
        Action::Trap => ScmpAction::Trap,
        Action::Notify => ScmpAction::Notify,
    }
}

fn export(file: &str, filter: &ScmpFilterContext) -> Result<Vec<u8>> {
    let io = |e: std::io::Error| Error::io(&e, format!("cannot compile the seccomp policy {file}")).stage("seccomp");
    let fd =
        nix::sys::memfd::memfd_create(c"seccomp", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).map_err(|e| io(e.into()))?;
    let mut memory = File::from(fd);
    filter.export_bpf(&memory).map_err(|e| refused(file, &e.to_string()))?;
    let mut code = Vec::new();
    memory.rewind().map_err(io)?;
    memory.read_to_end(&mut code).map_err(io)?;
    Ok(code)
}

fn refused(at: &str, why: &str) -> Error {
    Error::os(libc::EINVAL, format!("{at}: libseccomp refuses the policy ({why})")).stage("seccomp")
}

#[cfg(test)]
mod tests {
    use super::super::of_text;

    #[test]
    fn rules_that_libseccomp_never_ends_with_are_refused() {
        for (first, second, fine) in [
            ("[0,16,!=][1,8,==]", "[0,16,!=][3,8,==]", false),
            ("[1,8,==][0,16,!=]", "[3,8,==][0,16,!=]", false),
            ("[0,16,>][1,8,==]", "[0,16,>][3,8,==]", false),
            ("[0,16,==][1,8,!=]", "[0,16,==][3,8,!=]", true),
            ("[0,16,!=][1,8,==]", "[0,16,!=][1,9,==]", true),
            ("[0,16,!=][1,8,==]", "[0,17,!=][1,9,==]", true),
            ("[0,16,!=]", "[1,16,!=]", true),
        ] {
            let text = format!("2\ndenylist\nmkdir errno 1 {first}\nmkdir errno 1 {second}\n");
            let made = of_text("/p", text.as_bytes());
            assert_eq!(made.is_ok(), fine, "{first} {second}");
            assert!(fine || made.unwrap_err().what.starts_with("/p:4:1: "), "{first} {second}");
        }
    }

    /// Larger circles (found by the fuzzer): a process of its own tries them.
    #[test]
    fn larger_circles_are_refused() {
        for (tests, fine) in [
            (["[0,17,!=][1,8,==]", "[0,16,!=][1,0,==]", "[0,16,!=][1,9,==]"], false),
            (["[0,17,>][1,8,==]", "[0,16,>][1,0,==]", "[0,16,>][1,9,==]"], false),
            (["[0,17,!=][1,8,==]", "[0,16,!=][1,9,==]", "[0,16,!=][1,0,==]"], true),
            (["[0,17,!=]", "[0,16,!=][1,0,==]", "[0,16,!=][1,9,==]"], true),
        ] {
            let rules = tests.map(|t| format!("mkdir errno 1 {t}\n")).concat();
            let made = of_text("/p", format!("2\ndenylist\n{rules}").as_bytes());
            assert_eq!(made.is_ok(), fine, "{tests:?}");
            assert!(fine || made.unwrap_err().what.contains("never ends"), "{tests:?}");
        }
    }

    /// Programs that LXC 5.0.2 loaded for these policies on x86_64 with libseccomp 2.5.4, read back from its containers
    /// (PTRACE_SECCOMP_GET_FILTER): FNV-1a sums of their bytes.
    const REFERENCE: &[(&str, u64)] = &[
        (
            "2\ndenylist\nreject_force_umount # x\n[all]\nkexec_load errno 1\nopen_by_handle_at errno 1\n\
             init_module errno 1\nfinit_module errno 1\ndelete_module errno 1\n",
            0x638c_6610_8f3d_9887,
        ),
        (
            "2\ndenylist\n[x86]\nmkdir errno 3\n[x86_64]\nrmdir errno 4\n[arm]\nunlink errno 5\n[x32]\nsymlink errno 6\n",
            0x4b78_4542_8a2e_1b41,
        ),
        ("2\ndenylist\nreject_force_umount\n", 0x2a05_ee20_11ed_a6e3),
        ("2\ndenylist\nmkdir errno 5 # x\n\n\nrmdir errno 5\n", 0x02b6_c229_138d_c87c),
        ("2\ndenylist\nmkdir notify\n", 0xf3c4_bc06_983e_fdbf),
        ("2\ndenylist\nmkdir errno 5 [0,1,==] [1,2,==]\n", 0x05d9_a50b_91ba_03d2),
        ("2\ndenylist\n[ALL]\nmkdir kill\n[X86_64]\nrmdir kill\n", 0x5338_f590_7637_fbc5),
        ("2\ndenylist allow\nmkdir\nrmdir errno 7\n", 0x6db1_4adb_b3f8_c827),
        ("2\ndenylist\nsocketcall errno 1\n", 0x3217_4b4c_c79c_20d1),
        ("2\ndenylist\numount errno 2\nwaitpid errno 3\n", 0xa2b8_ca44_4d2a_ebbf),
        ("2\ndenylist\nipc errno 5\n", 0x8549_daed_36e9_0ec2),
    ];

    #[test]
    fn as_the_reference() {
        let sum = |text: &str| {
            let bpf = of_text("p", text.as_bytes()).unwrap().bpf;
            crate::base::paths::fnv1a64(&bpf, crate::base::paths::FNV1A64_INIT)
        };
        if !cfg!(target_arch = "x86_64") || super::library_version() != "2.5.4" {
            eprintln!("the sums are x86_64's and libseccomp 2.5.4's");
            return;
        }
        for (text, want) in REFERENCE {
            assert_eq!(sum(text), *want, "{text}");
        }
        let numbers: String = (0..=340).map(|n| format!("{n}\n")).collect();
        assert_eq!(sum(&format!("1\nallowlist\n{numbers}")), 0x167e_3826_1626_b856);
    }

    /// LXC 5.0.2 makes no rule for `socket` in 32-bit x86 programs, which reach it as socketcall(2) and by a number of
    /// its own: a denied call stays open to them. Ours closes both ways.
    #[test]
    fn multiplexed_calls_of_x86() {
        let code = of_text("p", b"2\ndenylist\nsocket errno 1\n").unwrap().bpf;
        let compares = |n: u32| code.chunks_exact(8).any(|i| i[..2] == [0x15, 0] && i[4..] == n.to_le_bytes());
        if cfg!(target_arch = "x86_64") {
            assert!(compares(102) && compares(359) && compares(41));
        }
    }

    #[test]
    fn compiles() {
        let p = of_text("p", b"2\ndenylist\nreject_force_umount\n[all]\nkexec_load errno 1\nno_such_call\n").unwrap();
        assert!(!p.bpf.is_empty() && p.bpf.len().is_multiple_of(8) && p.flags == 0);
        let p = of_text("p", b"2\ndenylist\nmkdir notify\n").unwrap();
        assert_eq!(p.flags, super::super::NEW_LISTENER);
        let e = of_text("p", b"2\nallowlist allow\n\nmkdir\n").unwrap_err();
        assert!(e.what.starts_with("p:4:1: "), "{}", e.what);
        let one = of_text("p", b"1\nallowlist\n0\n1\n").unwrap();
        assert!(one.bpf.len() < 15 * 8);
    }
}
