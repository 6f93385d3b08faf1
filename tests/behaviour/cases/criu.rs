//! checkpoint, restore and migrate of the C library: what criu is called with, by a stand-in that writes it down and makes a
//! process in place of restoring one; and one round with a real criu where there is one that works.

use super::faults::sleepers;
use crate::case::{Cases, Need};
use crate::ctx::{Bg, STORE, T};
use crate::driver::LOG;
use crate::out::Out;
use nix::sys::signal::Signal;

/// Writes its arguments down. A dump leaves a marker and kills what is not to be left running; a restore wants the marker.
/// `/tmp/fail` makes dump and restore fail, `late` in it after the process is made; `hang` makes a restore hang.
const FAKE: &str = r#"
case "$1" in
--version) cat /tmp/version; exit ;;
esac
{ printf '%s\n' "$@"; echo; } >> /tmp/calls
if [ "$1" = check ]; then ! grep -qs "$3" /tmp/lacks; exit; fi
verb=$1 leave=no dir= log= pid= root= group=
while [ $# -gt 0 ]; do
    case "$1" in
    -D) dir=$2 ;;
    -o) log=$2 ;;
    -t) pid=$2 ;;
    --root) root=$2 ;;
    --cgroup-root) group=${2#*:} ;;
    --leave-running) leave=yes ;;
    --freeze-cgroup) [ -d "$2" ] || exit 9 ;;
    esac
    shift
done
if [ "$(cat /tmp/fail 2> /dev/null)" = early ]; then
    printf '(00.1) all is well\n(00.2) Error (fake.c:7): it must fail\n' > "$log"
    exit 3
fi
case "$verb" in
dump)
    : > "$dir/marker"
    [ $leave = yes ] || kill -9 "$pid"
    ;;
restore)
    [ -e "$dir/marker" ] || exit 4
    grep " $root " /proc/self/mountinfo | grep -q rootfs || exit 5
    [ "$(cat /tmp/fail 2> /dev/null)" != hang ] || sleep 4321
    exec DRIVER --restored "$root" "$group"
    ;;
esac
"#;

/// What every call has.
const HEAD: [&str; 12] = [
    "--tcp-established",
    "--file-locks",
    "--link-remap",
    "--manage-cgroups=full",
    "--ext-mount-map",
    "auto",
    "--enable-external-sharing",
    "--enable-external-masters",
    "--enable-fs",
    "hugetlbfs",
    "--enable-fs",
    "tracefs",
];

const NO_CONSOLE: &str = "lxc.console.path = none\n";
const RESTORE: &str = "restore HEAD -D /tmp/img -o /tmp/img/restore.log --cgroup-root GROUP";

pub fn add(c: &mut Cases) {
    dump(c);
    refusals(c);
    restore(c);
    failures(c);
    together(c);
}

fn driver() -> String {
    std::env::current_exe().map(|p| p.display().to_string()).unwrap_or_default()
}

/// The stand-in, and nothing written down yet.
fn fake(t: &mut T) {
    t.script("/tmp/fake/criu", &FAKE.replace("DRIVER", &driver()));
    t.write("/tmp/version", "Version: 3.17.1\n");
}

/// Calls the library with the stand-in first in PATH.
#[track_caller]
fn api(t: &mut T, act: &str) -> Out {
    call(t, "/tmp/fake:$PATH", act)
}

/// The same, which must say this.
#[track_caller]
fn gives(t: &mut T, act: &str, want: &str) {
    let out = api(t, act);
    out.ok().check(out.out == want, &format!("{want:?} wanted; its log:\n{}", t.read(LOG)));
}

#[track_caller]
fn call(t: &mut T, path: &str, act: &str) -> Out {
    let lib = if t.reference { "liblxc.so.1".into() } else { format!("{}/lib/liblxc.so.1", t.prefix.display()) };
    t.sh_within(&format!("PATH={path} {} --migrate {lib} {STORE} c1 {act}", driver()), 60)
}

/// A restore in the background whose criu hangs.
fn hanging(t: &mut T) -> Bg {
    dumped(t, NO_CONSOLE);
    t.write("/tmp/fail", "hang\n");
    let lib = format!("{}/lib/liblxc.so.1", t.prefix.display());
    let bg = t.spawn(&format!("exec env PATH=/tmp/fake:$PATH {} --migrate {lib} {STORE} c1 2 dir=/tmp/img", driver()));
    t.until("criu hangs", |t| !sleepers(t).is_empty());
    bg
}

/// Nothing of it is left, and the next restore goes well.
fn over(t: &mut T) {
    t.until("STOPPED", |t| t.state("c1") == "STOPPED");
    t.until("no monitor", |t| t.monitor_pid("c1").is_none());
    t.until("criu and what it has started are gone", |t| sleepers(t).is_empty());
    t.sh("rm /tmp/fail").ok();
    gives(t, "2 dir=/tmp/img", "0 0 RUNNING\n");
}

/// The same with the machine's own criu, which must succeed.
#[track_caller]
fn real(t: &mut T, act: &str, log: &str) {
    let out = call(t, "$PATH", act);
    let text = t.read(log);
    let end: Vec<&str> = text.lines().rev().take(40).collect();
    out.ok().check(out.out.starts_with("0 "), &format!("{}\n{}", t.read(LOG), end.join("\n")));
}

/// What criu was called with since the last look, in one line each, without what is of the machine or the moment.
fn calls(t: &mut T) -> Vec<String> {
    let text = t.read("/tmp/calls");
    t.write("/tmp/calls", "");
    text.split("\n\n").filter(|c| !c.is_empty()).map(plain).collect()
}

fn plain(call: &str) -> String {
    let words: Vec<&str> = call.lines().collect();
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    let mut before = "";
    while let Some(word) = words.get(at) {
        at += 1;
        if words.get(at..at + HEAD.len()) == Some(&HEAD) {
            out.extend([(*word).to_string(), "HEAD".into()]);
            at += HEAD.len();
            continue;
        }
        let takes = ["-t", "-D", "-o", "--root", "--address", "--port", "--ghost-limit", "--prev-images-dir"];
        let takes = takes.contains(word)
            || ["--cgroup-root", "--freeze-cgroup", "--action-script", "--ext-mount-map", "--external"].contains(word)
            || ["--inherit-fd", "--lsm-profile", "--feature"].contains(word);
        if !takes {
            out.push((*word).to_string());
            continue;
        }
        let value = words.get(at).copied().unwrap_or_default();
        at += 1;
        let shown = match *word {
            // For a hierarchy without controllers the original passes what its buffer held before.
            "--cgroup-root" if !value.contains(':') => continue,
            "--cgroup-root" => {
                assert!(
                    value.split(':').nth(1).is_some_and(|p| p.trim_start_matches('/') == "lxc.payload.c1"),
                    "{call}"
                );
                "GROUP".to_string()
            }
            "--freeze-cgroup" => {
                assert!(value.starts_with("/sys/fs/cgroup/") && value.ends_with("/lxc.payload.c1"), "{value}");
                "FREEZER".into()
            }
            "-t" => "PID".into(),
            "--root" => "ROOT".into(),
            "--external" if value == before => continue,
            "--lsm-profile" | "--ext-mount-map" if value == "console:" || value == "apparmor:unconfined" => {
                before = value;
                continue;
            }
            _ => masked(value),
        };
        before = value;
        if shown != "GROUP" || !out.ends_with(&[(*word).to_string(), shown.clone()]) {
            out.extend([(*word).to_string(), shown]);
        }
    }
    out.join(" ")
}

/// Without numbers of descriptors and terminals, and random names.
fn masked(value: &str) -> String {
    let mut text = value.to_string();
    for (from, to) in [("tty[", ']'), ("fd[", ']')] {
        if let Some(start) = text.find(from).map(|i| i + from.len())
            && let Some(len) = text.get(start..).and_then(|r| r.find(to))
        {
            text.replace_range(start..start + len, "*");
        }
    }
    if let Some(start) = text.find("/dev/pts/") {
        text.replace_range(start + 9.., "*");
    }
    if let Some(start) = text.find("]:veth") {
        text.replace_range(start + 6..start + 12, "XXXXXX");
    }
    text
}

/// A container without a console that runs, and one dumped of it and stopped.
fn dumped(t: &mut T, lines: &str) {
    fake(t);
    t.run("c1", lines);
    // How far its monitor is by then is open.
    let out = api(t, "1 dir=/tmp/img stop");
    out.ok().check(out.out.starts_with("0 0 "), "a dump");
    t.sh("lxc-wait -n c1 -s STOPPED -t 10").ok();
    calls(t);
    let _ = std::fs::remove_file(t.rootfs("c1").join("ready"));
}

fn dump(c: &mut Cases) {
    c.add("criu.words_of_a_dump", |t| {
        fake(t);
        t.run("c1", NO_CONSOLE);
        gives(t, "1 dir=/tmp/img", "0 0 RUNNING\n");
        let rest = "--cgroup-root GROUP -t PID --skip-in-flight --freeze-cgroup FREEZER --force-irmap";
        let dump = format!("dump HEAD -D /tmp/img -o /tmp/img/dump.log {rest} --leave-running");
        assert_eq!(calls(t), [dump.as_str()]);
        t.gone("/tmp/img/tty.info");
        gives(t, "checkpoint dir=/tmp/img", "1 0 RUNNING\n");
        assert_eq!(calls(t), [dump]);
        gives(t, "0 dir=/tmp/a/b/c", "0 0 RUNNING\n");
        assert_eq!(calls(t), [format!("pre-dump HEAD -D /tmp/a/b/c -o /tmp/a/b/c/pre-dump.log {rest}")]);
        t.exists("/tmp/a/b/c");
        assert_eq!(t.state("c1"), "RUNNING");
    });

    c.add("criu.words_of_a_dump_with_all_options", |t| {
        fake(t);
        t.run("c1", NO_CONSOLE);
        let options =
            "dir=/tmp/img verbose predump=../pre address=1.2.3.4 port=99 script=/bin/true ghost=300 inodes noskip";
        let rest = "--cgroup-root GROUP -v4 --action-script /bin/true -t PID --freeze-cgroup FREEZER --prev-images-dir \
                    ../pre --track-mem --page-server --address 1.2.3.4 --port 99 --ghost-limit 300";
        gives(t, &format!("1 {options}"), "0 0 RUNNING\n");
        assert_eq!(calls(t), [format!("dump HEAD -D /tmp/img -o /tmp/img/dump.log {rest} --leave-running")]);
        gives(t, &format!("0 {options} stop"), "0 0 RUNNING\n");
        assert_eq!(calls(t), [format!("pre-dump HEAD -D /tmp/img -o /tmp/img/pre-dump.log {rest}")]);
        // A page server needs both parts.
        api(t, "0 dir=/tmp/img address=1.2.3.4").ok();
        api(t, "0 dir=/tmp/img port=99 ghost=18446744073709551615").ok();
        let said = calls(t);
        assert!(said.iter().all(|c| !c.contains("page-server")), "{said:?}");
        assert!(said[1].ends_with("--force-irmap --ghost-limit 18446744073709551615"), "{said:?}");
    });

    c.add("criu.dump_with_console_and_binds", |t| {
        fake(t);
        let lines = "lxc.mount.entry = /opt opt none bind,create=dir 0 0\nlxc.mount.entry = tmpfs mnt tmpfs defaults 0 0\n\
                     lxc.mount.entry = /opt a\\040b none defaults,rbind,create=dir 0 0\n";
        t.run("c1", lines);
        gives(t, "1 dir=/tmp/img verbose", "0 0 RUNNING\n");
        let want = "dump HEAD -D /tmp/img -o /tmp/img/dump.log --cgroup-root GROUP -v4 --ext-mount-map /opt:opt \
                    --ext-mount-map /a b:a b -t PID --skip-in-flight --freeze-cgroup FREEZER --ext-mount-map \
                    /dev/console:console --external tty[*] --force-irmap --leave-running";
        assert_eq!(calls(t), [want]);
        let pid = t.init_pid("c1");
        let tty = t.sh(&format!("stat -L -c '%r %d' /proc/{pid}/root/dev/console")).out;
        let numbers: Vec<u64> = tty.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        assert_eq!(t.read("/tmp/img/tty.info"), format!("tty[{:x}:{:x}]", numbers[0], numbers[1]));
    });

    c.add("criu.dump_that_stops", |t| {
        dumped(t, NO_CONSOLE);
        assert_eq!(t.state("c1"), "STOPPED");
        t.exists("/tmp/img/marker");
    });

    c.add("criu.dump_of_a_frozen_container", |t| {
        fake(t);
        t.run("c1", NO_CONSOLE);
        t.sh("lxc-freeze -n c1").ok();
        gives(t, "1 dir=/tmp/img", "0 0 FROZEN\n");
        t.sh("lxc-unfreeze -n c1").ok();
    });

    c.add("criu.relative_directory", |t| {
        fake(t);
        t.run("c1", NO_CONSOLE);
        gives(t, "1 dir=tmp/new/img", "0 0 RUNNING\n");
        let said = calls(t);
        assert!(said[0].contains(" -D /tmp/new/img -o /tmp/new/img/dump.log "), "{said:?}");
    })
    .differs("criu-directories");

    c.add("criu.images_are_roots_alone", |t| {
        fake(t);
        t.run("c1", NO_CONSOLE);
        api(t, "1 dir=/tmp/img").ok();
        t.sh("stat -c %a /tmp/img").out("700\n");
    })
    .differs("criu-directories");
}

fn refusals(c: &mut Cases) {
    c.add("criu.refusals", |t| {
        fake(t);
        t.mk("c1", NO_CONSOLE);
        gives(t, "1 dir=/tmp/img", "-1 0 STOPPED\n");
        gives(t, "0 dir=/tmp/img", "-1 0 STOPPED\n");
        gives(t, "checkpoint dir=/tmp/img", "0 0 STOPPED\n");
        gives(t, "99 dir=/tmp/img", "-22 0 STOPPED\n");
        t.start("c1");
        gives(t, "2 dir=/tmp/img", "-1 0 RUNNING\n");
        gives(t, "restore dir=/tmp/img", "0 0 RUNNING\n");
        gives(t, "1 dir=", "1 0 RUNNING\n");
        gives(t, "99 dir=/tmp/img", "-22 0 RUNNING\n");
        call(t, "/nowhere", "1 dir=/tmp/img").ok().out("1 0 RUNNING\n");
        t.write("/tmp/version", "Version: 1.9\n");
        gives(t, "1 dir=/tmp/img", "1 0 RUNNING\n");
        t.write("/tmp/version", "nonsense\n");
        gives(t, "1 dir=/tmp/img", "1 0 RUNNING\n");
        t.write("/tmp/version", "Version: 2.0\n");
        gives(t, "1 dir=/tmp/img", "0 0 RUNNING\n");
        assert_eq!(calls(t).len(), 1);
    });

    c.add("criu.no_directory", |t| {
        fake(t);
        t.run("c1", NO_CONSOLE);
        gives(t, "1", "1 0 RUNNING\n");
        gives(t, "checkpoint", "0 0 RUNNING\n");
        assert!(calls(t).is_empty());
    })
    .differs("criu-directories");

    c.add("criu.version_ten", |t| {
        fake(t);
        t.run("c1", NO_CONSOLE);
        t.write("/tmp/version", "Version: 10.0\n");
        gives(t, "1 dir=/tmp/img", "0 0 RUNNING\n");
        for said in ["", "Version: abc\n"] {
            t.write("/tmp/version", said);
            gives(t, "1 dir=/tmp/img", "1 0 RUNNING\n");
        }
        assert_eq!(calls(t).len(), 1);
    })
    .differs("criu-versions");

    c.add("criu.undumpable_network", |t| {
        fake(t);
        for kind in ["vlan\nlxc.net.1.vlan.id = 3", "ipvlan"] {
            t.mk("c1", &format!("{NO_CONSOLE}lxc.net.1.type = {kind}\nlxc.net.1.link = lo"));
            gives(t, "2 dir=/tmp/img", "1 0 STOPPED\n");
            t.sh(&format!("rm -r {STORE}/c1")).ok();
        }
        assert!(calls(t).is_empty());
    });

    c.add("criu.features", |t| {
        fake(t);
        t.mk("c1", "");
        let check = |name: &str| format!("check --feature {name}");
        let (track, lazy) = (check("mem_dirty_track"), check("uffd-noncoop"));
        gives(t, "3 features=0", "0 0 STOPPED\n");
        gives(t, "3 features=1", "0 1 STOPPED\n");
        assert_eq!(calls(t), [track.as_str()]);
        gives(t, "3 features=3", "0 3 STOPPED\n");
        assert_eq!(calls(t), [track.clone(), lazy]);
        t.write("/tmp/lacks", "uffd-noncoop\n");
        gives(t, "3 features=3", "1 1 STOPPED\n");
        gives(t, "3 features=2", "1 0 STOPPED\n");
        calls(t);
        // What is no feature is not asked for, and makes it none.
        gives(t, "3 features=5", "1 0 STOPPED\n");
        assert!(calls(t).is_empty());
        call(t, "/nowhere", "3 features=1").ok().out("1 0 STOPPED\n");
    });
}

fn restore(c: &mut Cases) {
    c.add("criu.restored_container_lives", |t| {
        dumped(t, NO_CONSOLE);
        gives(t, "2 dir=/tmp/img", "0 0 RUNNING\n");
        assert_eq!(calls(t), [format!("{RESTORE} --root ROOT --restore-detached --restore-sibling")]);
        t.ready("c1");
        let (pid, monitor) = (t.init_pid("c1"), t.monitor_pid("c1").expect("a monitor"));
        assert!(t.read(format!("/proc/{pid}/stat")).contains(&format!(" S {monitor} ")), "init is the monitor's child");
        assert_eq!(t.inside("c1", "hostname"), "restored");
        assert_eq!(t.inside("c1", "cat /ready"), "1");
        t.sh("lxc-info -n c1 -c lxc.uts.name").out("lxc.uts.name = c1\n");
        t.sh("lxc-ls -1 --running").out("c1\n");
        t.sh("lxc-freeze -n c1").ok();
        assert_eq!(t.state("c1"), "FROZEN");
        t.sh("lxc-unfreeze -n c1").ok();
        gives(t, "restore dir=/tmp/img", "0 0 RUNNING\n");
        gives(t, "1 dir=/tmp/again", "0 0 RUNNING\n");
        t.sh("lxc-stop -n c1").ok().silent();
        assert_eq!(t.state("c1"), "STOPPED");
        // The next start is an ordinary one.
        t.start("c1");
        assert_eq!(t.inside("c1", "hostname"), "c1");
    });

    c.add("criu.restore_with_all_options", |t| {
        dumped(t, "lxc.mount.entry = /opt opt none bind,create=dir 0 0\n");
        let tty = t.read("/tmp/img/tty.info");
        assert!(tty.starts_with("tty["), "{tty}");
        let options =
            "dir=/tmp/img verbose stop predump=../pre address=1.2.3.4 port=99 script=/bin/true ghost=300 inodes";
        gives(t, &format!("2 {options}"), "0 0 RUNNING\n");
        let want = format!(
            "{RESTORE} -v4 --action-script /bin/true --ext-mount-map opt:/opt --root ROOT --restore-detached \
             --restore-sibling --inherit-fd fd[*]:tty[*] --ext-mount-map console:/dev/pts/*"
        );
        assert_eq!(calls(t), [want]);
        t.ready("c1");
        t.sh("lxc-stop -k -n c1").ok();
        // Without the console's terminal among the images criu is told about the new one only.
        t.sh("rm /tmp/img/tty.info").ok();
        gives(t, "restore dir=/tmp/img", "1 0 RUNNING\n");
        let want = format!(
            "{RESTORE} --ext-mount-map opt:/opt --root ROOT --restore-detached --restore-sibling --ext-mount-map \
             console:/dev/pts/*"
        );
        assert_eq!(calls(t), [want]);
    });

    c.add("criu.no_words_without_a_meaning", |t| {
        dumped(t, NO_CONSOLE);
        api(t, "1 dir=/tmp/img").ok();
        t.write("/tmp/calls", "");
        api(t, "2 dir=/tmp/img").ok();
        let said = t.read("/tmp/calls");
        let words: Vec<&str> = said.lines().collect();
        let value = |w: &&[&str]| w.first() == Some(&"--cgroup-root");
        assert!(words.windows(2).filter(value).all(|w| w[1].contains(':')), "{said}");
        assert!(!words.contains(&"console:") && !words.contains(&"--external"), "{said}");
    })
    .differs("criu-words");

    c.add("criu.restore_without_the_console_of_the_dump", |t| {
        dumped(t, "");
        t.sh(&format!("echo lxc.console.path = none >> {STORE}/c1/config")).ok();
        gives(t, "2 dir=/tmp/img", "1 0 STOPPED\n");
        assert!(calls(t).is_empty());
    });

    c.add("criu.restored_links", |t| {
        t.bridge("crbr0", "10.9.8.1/24");
        let pair = "lxc.net.0.type = veth\nlxc.net.0.link = crbr0\nlxc.net.0.name = foo0\nlxc.net.1.type = veth\n\
                    lxc.net.1.veth.pair = crpair\nlxc.net.2.type = veth\n";
        dumped(t, &format!("{NO_CONSOLE}{pair}"));
        gives(t, "2 dir=/tmp/img", "0 0 RUNNING\n");
        let want = format!(
            "{RESTORE} --root ROOT --restore-detached --restore-sibling --external veth[foo0]:vethXXXXXX@crbr0 --external \
             veth[eth1]:crpair --external veth[eth2]:vethXXXXXX"
        );
        assert_eq!(calls(t), [want]);
        // What criu would have made.
        t.sh("ip link add crpair type veth peer name crpeer").ok();
        t.sh("lxc-info -n c1").ok().out_has("Link:           crpair");
        t.sh("ip link del crpair").ok();
    })
    .needs(&[Need::Bridge]);

    c.add("criu.hooks_of_a_restore", |t| {
        let hooks = ["pre-start", "pre-mount", "mount", "start-host", "start", "stop", "post-stop"];
        let lines: String = hooks.iter().map(|h| format!("lxc.hook.{h} = /tmp/hook {h}\n")).collect();
        t.script("/tmp/hook", "[ -d /tmp/fake ] || exit 0\necho \"$1 ${LXC_TARGET:-}\" >> /tmp/hooks\n");
        dumped(t, &format!("{NO_CONSOLE}{lines}").replace("lxc.hook.start =", "# "));
        // Its monitor is not done when the name is free.
        t.until("the hooks of the dump's end", |t| t.read("/tmp/hooks").ends_with("post-stop stop\n"));
        t.write("/tmp/hooks", "");
        gives(t, "2 dir=/tmp/img", "0 0 RUNNING\n");
        t.ready("c1");
        assert_eq!(t.read("/tmp/hooks"), "pre-start \n");
        t.sh("lxc-stop -n c1").ok();
        t.until("the hooks of the end", |t| t.read("/tmp/hooks") == "pre-start \nstop stop\npost-stop stop\n");
    });

    c.add("criu.reboot_after_a_restore", |t| {
        dumped(t, NO_CONSOLE);
        let boots = t.rootfs("c1").join("boots");
        gives(t, "2 dir=/tmp/img", "0 0 RUNNING\n");
        t.ready("c1");
        calls(t);
        t.sh("lxc-stop -r -n c1").ok();
        t.until("the third boot", |t| t.read(&boots) == "boot\nboot\nboot\n");
        assert_eq!((t.state("c1"), calls(t).len()), ("RUNNING".into(), 0));
        assert_eq!(t.inside("c1", "hostname"), "c1");
    })
    .differs("criu-restored-life");

    c.add("criu.restored_with_ttys", |t| {
        dumped(t, &format!("{NO_CONSOLE}lxc.tty.max = 2\n"));
        gives(t, "2 dir=/tmp/img", "0 0 RUNNING\n");
        t.ready("c1");
        assert_eq!(t.state("c1"), "RUNNING");
        t.sh("lxc-console -n c1 -t 1 < /dev/null").code(1);
        t.sh("lxc-stop -n c1").ok();
    })
    .differs("criu-restored-life");
}

fn failures(c: &mut Cases) {
    c.add("criu.failed_dump", |t| {
        fake(t);
        t.run("c1", NO_CONSOLE);
        t.write("/tmp/fail", "early\n");
        gives(t, "1 dir=/tmp/img stop", "1 0 RUNNING\n");
        gives(t, "0 dir=/tmp/img", "1 0 RUNNING\n");
        gives(t, "checkpoint dir=/tmp/img stop", "0 0 RUNNING\n");
        assert_eq!(t.state("c1"), "RUNNING");
    });

    c.add("criu.failed_restore", |t| {
        dumped(t, NO_CONSOLE);
        t.write("/tmp/fail", "early\n");
        gives(t, "2 dir=/tmp/img", "1 0 STOPPED\n");
        gives(t, "restore dir=/tmp/img", "0 0 STOPPED\n");
        t.sh("rm /tmp/fail").ok();
        gives(t, "2 dir=/tmp/nowhere", "1 0 STOPPED\n");
        gives(t, "2 dir=/tmp/img", "0 0 RUNNING\n");
    });

    c.add("criu.what_a_failed_restore_made_is_gone", |t| {
        dumped(t, NO_CONSOLE);
        t.write("/tmp/fail", "late\n");
        gives(t, "2 dir=/tmp/img", "1 0 STOPPED\n");
        t.sh("grep -l restored /proc/[0-9]*/root/proc/sys/kernel/hostname").code(1);
        t.sh("rm /tmp/fail").ok();
        t.start("c1");
    })
    .differs("criu-restored-life");

    c.add("criu.hanging_restore_is_killed", |t| {
        let mut bg = hanging(t);
        t.sh_within("lxc-info -n c1 -sH", 10).ok().out("STARTING\n");
        t.sh_within("lxc-stop -k -n c1", 10).ok().silent();
        assert_eq!(t.state("c1"), "STOPPED");
        bg.wait(10).ok().out("1 0 STOPPED\n");
        over(t);
    })
    .differs("hooks-delay-nobody");

    c.add("criu.hanging_restore_ends_with_its_caller", |t| {
        let mut bg = hanging(t);
        bg.signal(Signal::SIGKILL);
        bg.wait(10);
        over(t);
    })
    .differs("interrupted-start-ends");

    c.add("criu.first_error_is_quoted", |t| {
        fake(t);
        t.run("c1", NO_CONSOLE);
        t.write("/tmp/fail", "early\n");
        gives(t, "1 dir=/tmp/img", "1 0 RUNNING\n");
        let log = t.read(LOG);
        assert!(log.contains("The dump of c1 failed: criu: Error (fake.c:7): it must fail"), "{log}");
    })
    .differs("criu-errors-are-quoted");
}

fn together(c: &mut Cases) {
    c.add("criu.debians_tools_on_a_restored_container", |t| {
        dumped(t, NO_CONSOLE);
        gives(t, "2 dir=/tmp/img", "0 0 RUNNING\n");
        t.ready("c1");
        let ours = t.sh("lxc-info -n c1 -pH").out;
        t.sh("/usr/bin/lxc-info -n c1 -pH").ok().out(&ours);
        t.sh("/usr/bin/lxc-info -n c1 -sH").ok().out("RUNNING\n");
        t.sh("/usr/bin/lxc-attach -n c1 --clear-env -- hostname").ok().out("restored\n");
        t.sh("/usr/bin/lxc-stop -n c1").ok();
        assert_eq!(t.state("c1"), "STOPPED");
    })
    .needs(&[Need::Both]);

    // It carries an engine of its own, which asks our monitor.
    c.add("criu.debians_checkpoint_of_our_container", |t| {
        fake(t);
        t.run("c1", NO_CONSOLE);
        t.sh("PATH=/tmp/fake:$PATH /usr/bin/lxc-checkpoint -n c1 -D /tmp/img").ok();
        let theirs = calls(t);
        api(t, "1 dir=/tmp/img").ok();
        assert_eq!(calls(t), theirs);
        t.sh("PATH=/tmp/fake:$PATH /usr/bin/lxc-checkpoint -n c1 -D /tmp/img -s").ok();
        t.sh("lxc-wait -n c1 -s STOPPED -t 10").ok();
        gives(t, "2 dir=/tmp/img", "0 0 RUNNING\n");
    })
    .needs(&[Need::Both]);

    c.add("criu.real_round", |t| {
        let count = "n=0\nwhile :; do n=$((n + 1)); echo $n > /count.new; mv /count.new /count; usleep 50000; done &\n";
        let r = t.mk("c1", NO_CONSOLE);
        t.script(r.join("on-boot"), count);
        t.start("c1");
        let reached = |t: &mut T| t.read(r.join("count")).trim().parse::<u64>().unwrap_or(0);
        t.until("it counts", |t| reached(t) > 2);
        real(t, "1 dir=/tmp/img stop verbose", "/tmp/img/dump.log");
        t.sh("lxc-wait -n c1 -s STOPPED -t 10").ok();
        let then = reached(t);
        // An option that a restore alone takes: criu 3.17 restores no container on 6.1 otherwise.
        t.write("/etc/criu/default.conf", "mntns-compat-mode\n");
        real(t, "2 dir=/tmp/img verbose", "/tmp/img/restore.log");
        assert_eq!(t.state("c1"), "RUNNING");
        t.until("it counts on", |t| reached(t) > then + 2);
        assert_eq!(t.read(r.join("boots")), "boot\n");
        assert_eq!(t.inside("c1", "hostname"), "c1");
        t.sh("lxc-freeze -n c1").ok();
        t.sh("lxc-unfreeze -n c1").ok();
        t.sh("lxc-stop -n c1").ok();
        assert_eq!(t.state("c1"), "STOPPED");
        // criu's own notes on the kernel.
        t.sh("rm -f /run/criu.kdat").ok();
    })
    .needs(&[Need::Criu])
    .limit(180);
}
