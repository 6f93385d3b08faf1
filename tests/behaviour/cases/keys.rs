//! Every key: obeyed, which a case shows whose row names it, or refused by name before anything is made.

use crate::case::{Cases, Need};
use crate::ctx::T;
use lxc::config::table::rows;
use lxc::keys::Row;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc;

/// The settings that a start refuses.
const REFUSED: &str = include_str!("../../../docs/keys-refused.txt");

/// Keys whose effect no container of this version can show.
const ELSEWHERE: &[(&str, &str)] = &[
    ("lxc.start.delay", "read by lxc-autostart only, which comes with a later issue"),
    ("lxc.start.order", "read by lxc-autostart only, which comes with a later issue"),
];

/// The refused settings: the key, and what of it (`= VALUE`, or a condition in brackets).
fn refused() -> impl Iterator<Item = (&'static str, &'static str)> {
    REFUSED.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| l.split_once(' ').unwrap_or((l, "")))
}

/// Why no container shows what the key does; `None`: one must.
fn exempt(row: &Row) -> Option<String> {
    let name = row.name();
    if let Some((_, why)) = ELSEWHERE.iter().find(|(key, _)| *key == name) {
        return Some(why.to_string());
    }
    let family = |key: &str| {
        // `lxc.net.[i].macvlan.mode` can be set on a macvlan device only, and that is refused.
        refused().any(|(k, rest)| k == "lxc.net.[i].type" && key.starts_with(&format!("lxc.net.[i].{}.", &rest[2..])))
    };
    // A cookie goes with messages to the proxy only.
    let proxy = name == "lxc.seccomp.notify.cookie" && refused().any(|(k, _)| k == "lxc.seccomp.notify.proxy");
    let whole = refused().any(|(key, rest)| key == name && (rest.is_empty() || rest == "= 1"));
    (whole || proxy || family(name)).then(|| "refused".to_string())
}

/// Keys, how many are shown, how many are excused, and the others.
pub fn coverage() -> (usize, usize, usize, Vec<&'static str>) {
    let shown: BTreeSet<&str> = super::all().0.iter().flat_map(|c| c.keys.split_whitespace()).collect();
    let (mut all, mut good, mut excused, mut missing) = (0, 0, 0, Vec::new());
    for (_, row) in rows() {
        all += 1;
        match (shown.contains(row.name()), exempt(row)) {
            (true, _) => good += 1,
            (false, Some(_)) => excused += 1,
            (false, None) => missing.push(row.name()),
        }
    }
    (all, good, excused, missing)
}

pub fn add(c: &mut Cases) {
    tables(c);
    groups(c);
    at_once(c);
    process(c);
    security(c);
    console(c);
    network(c);
}

fn tables(c: &mut Cases) {
    c.add("keys.all_covered", |_| {
        let (all, good, excused, missing) = coverage();
        assert!(
            missing.is_empty(),
            "keys {all}, covered {good}, refused or read elsewhere {excused}, uncovered {}: {missing:#?}",
            missing.len()
        );
        let names: BTreeSet<&str> = rows().map(|(_, row)| row.name()).collect();
        let all = super::all();
        for (case, key) in all.0.iter().flat_map(|c| c.keys.split_whitespace().map(move |k| (&c.name, k))) {
            assert!(names.contains(key), "{case} claims {key}, which is no key");
        }
        for (key, rest) in refused() {
            assert!(names.contains(key), "docs/keys-refused.txt: {key} {rest}: no such key");
        }
    });

    c.add("keys.refused_by_name_before_anything_is_made", |t| {
        let mut tried = 0;
        for (key, rest) in refused() {
            if rest.contains("SELinux") && !Path::new("/sys/fs/selinux/enforce").exists()
                || rest.contains("AppArmor") && !Path::new("/sys/kernel/security/apparmor").exists()
            {
                continue;
            }
            tried += 1;
            let Some((_, row)) = rows().find(|(_, row)| row.name() == key) else { panic!("no key {key}") };
            let written = key.replace("[i]", "1");
            let value = match rest.strip_prefix("= ") {
                Some(backend) if backend.ends_with(':') => format!("{backend}/var/lib/lxc/c1/rootfs"),
                Some(value) => value.to_string(),
                None => row.info().good[0].to_string(),
            };
            let device = if key.ends_with(".type") { "" } else { "lxc.net.1.type = veth\n" };
            let device = if key.starts_with("lxc.net.") { device } else { "" };
            let also = rest.strip_prefix("(with ").and_then(|r| r.split(',').next()).unwrap_or_default();
            t.mk(
                "c1",
                &format!(
                    "lxc.hook.pre-start = touch /tmp/began\n{also}\n{device}{written} = {value}\nlxc.net.1.link = lo\n"
                ),
            );
            let before = crate::snapshot::take();
            for tool in ["lxc-start -n c1", "lxc-start -F -n c1", "lxc-execute -n c1 -- true"] {
                let o = t.sh(tool);
                o.code(1).err_has(&format!("{}: not built yet", format!("{key} {rest}").trim_end()));
                t.gone("/tmp/began");
                let left = crate::snapshot::difference(&before, &crate::snapshot::take(), false);
                o.check(left.is_empty(), &format!("nothing was made, not\n{left}"));
            }
            // The check says so before, at the line.
            let check = t.sh("lxc-config --check -n c1");
            check.code(1).out_has(": not built yet");
            t.sh("rm -r /var/lib/lxc/c1").ok();
        }
        assert!(tried >= 10, "only {tried} settings were tried");
    })
    .differs("not-built-is-refused")
    .limit(180);
}

/// The group of a container's init in the freezer's hierarchy.
fn group(t: &mut T, name: &str) -> String {
    let init = t.init_pid(name);
    let text = t.read(format!("/proc/{init}/cgroup"));
    let line = text.lines().find(|l| l.contains(":freezer:")).or(text.lines().find(|l| l.starts_with("0::")));
    line.and_then(|l| l.rsplit(':').next()).unwrap_or_default().to_string()
}

fn groups(c: &mut Cases) {
    for (value, want) in [("0", "/lxc.payload.c1"), ("1", "/mine/lxc.payload.c1")] {
        c.add(format!("cgroup.relative_{value}"), move |t| {
            t.mk("c1", &format!("lxc.cgroup.relative = {value}"));
            t.sh("mkdir /sys/fs/cgroup/freezer/mine").ok();
            t.sh("echo $$ > /sys/fs/cgroup/freezer/mine/cgroup.procs && exec lxc-start -n c1").ok();
            t.ready("c1");
            assert_eq!(group(t, "c1"), want);
            t.sh("lxc-stop -k -n c1").ok();
            t.until("my group is empty", |t| {
                // The monitor may remove its own group meanwhile.
                t.sh("cd /sys/fs/cgroup/freezer; find mine -depth -type d -exec rmdir {} + ; [ ! -e mine ]").code == 0
            });
        })
        .needs(&[Need::CgroupV1])
        .keys("lxc.cgroup.relative");
    }

    c.add("cgroup.dir_combinations", |t| {
        let keys = ["", ".monitor", ".container", ".monitor.pivot", ".container.inner"];
        let mut taken = Vec::new();
        for set in 1..32_u32 {
            let chosen: Vec<&str> = (0..5).filter(|i| set & 1 << i != 0).map(|i| keys[i]).collect();
            let lines: String = chosen.iter().enumerate().map(|(i, k)| format!("lxc.cgroup.dir{k} = g{i}\n")).collect();
            t.mk("c1", &lines);
            let o = t.sh("lxc-start -n c1");
            o.no_crash();
            if o.code == 0 {
                t.ready("c1");
                t.sh("lxc-stop -k -n c1").ok();
                taken.push(chosen.join("+"));
            }
            if !t.reference {
                let check = t.sh("lxc-config --check -n c1");
                check.check((check.code == 1) == (o.code != 0), "the check agrees with the start");
            }
            t.sh("rm -r /var/lib/lxc/c1").ok();
            t.until("no group stays", |t| {
                t.sh("find /sys/fs/cgroup -depth -type d \\( -path '*/g[0-4]*' -o -name 'lxc.*' \\) -exec rmdir {} \\; 2> /dev/null");
                t.sh("find /sys/fs/cgroup -type d -name 'g[0-4]'").out.is_empty()
            });
        }
        let inner = ".monitor+.container+.container.inner";
        let all = ".monitor+.container+.monitor.pivot+.container.inner";
        let pair = [".monitor+.container", ".monitor.pivot", "+.monitor.pivot", ".monitor+.container+.monitor.pivot"];
        assert_eq!(taken, ["", pair[0], pair[1], pair[2], pair[3], inner, all]);
    })
    .limit(120);

    // A monitor enters the pivot when no other group takes it back, which on this layout one always does.
    c.add("cgroup.dir_monitor_pivot", |t| {
        t.run("c1", "lxc.cgroup.dir.monitor.pivot = aside\nlxc.cgroup.dir.monitor = m1\nlxc.cgroup.dir.container = p1");
        assert_eq!(group(t, "c1"), "/p1");
        t.sh("lxc-stop -k -n c1").ok();
        t.until("no group", |t| t.sh("find /sys/fs/cgroup -name aside -o -name m1 -o -name p1").out.is_empty());
    })
    .differs("no-cgroups-left")
    .keys("lxc.cgroup.dir.monitor.pivot");
}

/// Keys that stand for all below them.
fn at_once(c: &mut Cases) {
    c.add("hook.all_cleared_at_once", |t| {
        t.script("/tmp/hook", "echo ran > /tmp/ran\n");
        t.run("c1", "lxc.hook.pre-start = /tmp/hook\nlxc.hook.mount = /tmp/hook\nlxc.hook =\n");
        t.gone("/tmp/ran");
    })
    .keys("lxc.hook");

    c.add("net.all_cleared_at_once", |t| {
        t.run("c1", "lxc.net.1.type = veth\nlxc.net.2.type = veth\nlxc.net =\nlxc.net.3.type = veth\n");
        assert_eq!(t.inside("c1", "ls /sys/class/net | tr '\\n' ' '"), "eth0 lo");
    })
    .keys("lxc.net");
}

/// The helper, below /tmp.
fn helper(t: &mut T) {
    t.write("/tmp/helper.c", include_str!("../helper.c"));
    t.sh("gcc -static -o /tmp/helper /tmp/helper.c").ok();
}

/// The client of the subject's C API, below /tmp.
pub fn client(t: &mut T) {
    t.write("/tmp/client.c", include_str!("../client.c"));
    let include = t.prefix.join("include").display().to_string();
    let lib = if t.reference { "-llxc".into() } else { format!("{}/lib/liblxc.so.1", t.prefix.display()) };
    t.sh(&format!("gcc -o /tmp/client /tmp/client.c -I {include} {lib} -Wl,-rpath,{}/lib", t.prefix.display())).ok();
}

fn process(c: &mut Cases) {
    c.add("process.init_uid", |t| {
        let r = t.mk("c1", "lxc.init.uid = 1000\nlxc.init.gid = 1000");
        t.sh(&format!("chmod 777 {}", r.display())).ok();
        t.start("c1");
        let init = t.init_pid("c1");
        t.sh(&format!("grep -E '^(Uid|Gid)' /proc/{init}/status"))
            .out("Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\n");
        t.sh(&format!("stat -c %u {}/ready", r.display())).out("1000\n");
    })
    .keys("lxc.init.uid lxc.init.gid");

    c.add("monitor.parent_death_signal_of_choice", |t| {
        let r = t.run("c1", "lxc.monitor.signal.pdeath = SIGUSR2");
        let (m, init) = (t.monitor_pid("c1").unwrap_or(0), t.init_pid("c1"));
        t.kill(m, Signal::SIGKILL);
        t.until("init was told", |t| t.read(r.join("signals")) == "usr2\n");
        t.kill(init, Signal::SIGKILL);
        t.until("init is dead", |t| t.read(format!("/proc/{init}/comm")).is_empty());
        if t.reference {
            t.sh("find /sys/fs/cgroup -depth -name 'lxc.payload.c1*' -exec rmdir {} \\;");
        } else {
            t.start("c1");
        }
    })
    .keys("lxc.monitor.signal.pdeath");

    c.add("hook.clone", |t| {
        client(t);
        t.script("/tmp/hook", "echo \"$LXC_SRC_NAME $LXC_NAME $1 $2 $3\" > /tmp/cloned\n");
        t.mk("c1", "lxc.hook.clone = /tmp/hook");
        t.sh("/tmp/client /var/lib/lxc c1 clone c2").ok();
        assert_eq!(t.read("/tmp/cloned"), "c1 c2 c2 lxc clone\n");
    })
    .needs(&[Need::Compiler, Need::Headers])
    .keys("lxc.hook.clone");

    c.add("log.syslog", |t| {
        // A /dev of the sandbox's own, in which somebody listens.
        t.sh("mkdir /tmp/dev && mount -t tmpfs -o mode=755 dev /tmp/dev && cd /dev && \
              cp -a null zero full random urandom tty console /tmp/dev && mkdir /tmp/dev/pts /tmp/dev/shm && \
              mount --bind /dev/pts /tmp/dev/pts && ln -s pts/ptmx /tmp/dev/ptmx && mount --rbind /tmp/dev /dev")
            .ok();
        t.before = crate::snapshot::take();
        // One that never waits: whoever logs would wait for it.
        let (tell, heard) = mpsc::channel();
        let daemon = UnixDatagram::bind("/dev/log").unwrap_or_else(|e| panic!("/dev/log: {e}"));
        std::thread::spawn(move || {
            let mut line = [0; 4096];
            while let Ok(n) = daemon.recv(&mut line) {
                let _ = tell.send(String::from_utf8_lossy(&line[..n]).into_owned());
            }
        });
        t.run("c1", "lxc.log.syslog = local3\nlxc.log.level = DEBUG");
        let mut all = String::new();
        t.until("a line of the facility, which is 19, at DEBUG, which is 7 (syslog(3))", |_| {
            all.extend(heard.try_iter());
            all.contains("<159>")
        });
        assert!(all.contains("c1"), "{all}");
    })
    .keys("lxc.log.syslog");
}

fn security(c: &mut Cases) {
    for (value, own) in [("0", true), ("1", false)] {
        c.add(format!("keyring.session_{value}"), move |t| {
            helper(t);
            let r = t.mk("c1", &format!("lxc.keyring.session = {value}"));
            t.sh(&format!("cp /tmp/helper {}/helper", r.display())).ok();
            t.script(r.join("on-boot"), "/helper session-keyring > /keyring\n");
            t.sh("/tmp/helper session-keyring > /tmp/keyring; exec lxc-start -n c1").ok();
            t.ready("c1");
            let (host, inside) = (t.read("/tmp/keyring"), t.read(r.join("keyring")));
            assert!(!inside.is_empty() && (host != inside) == own, "host {host}, inside {inside}");
        })
        .needs(&[Need::Compiler])
        .keys("lxc.keyring.session");
    }

    c.add("sched.core", |t| {
        helper(t);
        let own = t.sh("/tmp/helper core-cookie 0").out;
        t.mk("c1", "lxc.sched.core = 1");
        let o = t.sh("lxc-start -n c1");
        if own.trim().parse::<u64>().is_ok() {
            o.ok();
            let init = t.init_pid("c1");
            let cookie = t.sh(&format!("/tmp/helper core-cookie {init}")).out;
            assert!(cookie != own && cookie != "0\n", "{cookie}");
        } else {
            // A kernel without it: never a start that ignores the key.
            o.code(1);
            assert_eq!(t.state("c1"), "STOPPED");
        }
    })
    .needs(&[Need::Compiler])
    .keys("lxc.sched.core");

    for (value, code) in [("0", 0), ("1", 1)] {
        c.add(format!("seccomp.allow_nesting_{value}"), move |t| {
            helper(t);
            t.write("/tmp/pol", "2\ndenylist\n[all]\nmkdir errno 13\nmkdirat errno 13\n");
            let r = t.mk("c1", &format!("lxc.seccomp.profile = /tmp/pol\nlxc.seccomp.allow_nesting = {value}"));
            t.script(r.join("on-boot"), "mkdir /tmp/made; echo $? > /result\n");
            t.sh("/tmp/helper confined lxc-start -n c1").ok();
            t.ready("c1");
            assert_eq!(t.read(r.join("result")), format!("{code}\n"));
        })
        .needs(&[Need::Compiler, Need::Seccomp])
        .keys("lxc.seccomp.allow_nesting");
    }

    c.add("selinux.accepted_without_it", |t| {
        if Path::new("/sys/fs/selinux/enforce").exists() {
            return;
        }
        let label = "system_u:system_r:lxc_t:s0:c22";
        t.run("c1", &format!("lxc.selinux.context = {label}\nlxc.selinux.context.keyring = {label}"));
        assert_eq!(t.inside("c1", "cat /proc/1/attr/exec 2> /dev/null; true"), "");
    })
    .keys("lxc.selinux.context lxc.selinux.context.keyring");

    c.add("apparmor.raw_is_accepted_without_it", |t| {
        t.run("c1", "lxc.apparmor.profile = generated\nlxc.apparmor.raw = deny /srv/** w,");
        assert_eq!(t.state("c1"), "RUNNING");
    })
    .needs(&[Need::NoApparmor])
    .keys("lxc.apparmor.raw");
}

fn console(c: &mut Cases) {
    c.add("console.path_is_a_terminal", |t| {
        t.sh("mkfifo /tmp/end").ok();
        let mut p = t.pty("tty > /tmp/tty.new; mv /tmp/tty.new /tmp/tty; read line < /tmp/end");
        t.until("the terminal has a name", |t| t.read("/tmp/tty").starts_with("/dev/pts/"));
        let tty = t.read("/tmp/tty");
        t.run("c1", &format!("lxc.console.path = {tty}"));
        t.inside("c1", "echo from inside > /dev/console");
        p.expect("from inside");
        t.sh("lxc-stop -k -n c1").ok();
        t.sh("echo > /tmp/end").ok();
        p.end();
    })
    .keys("lxc.console.path");

    c.add("console.path_of_no_terminal_is_refused", |t| {
        t.write("/tmp/file", "");
        for path in ["/tmp/file", "/tmp/none"] {
            t.mk("c1", &format!("lxc.console.path = {path}"));
            t.sh("lxc-start -n c1").code(1);
            assert_eq!((t.state("c1").as_str(), t.read("/tmp/file").as_str()), ("STOPPED", ""));
            t.sh("rm -r /var/lib/lxc/c1").ok();
        }
    });

    c.add("console.path_is_none", |t| {
        t.run("c1", "lxc.console.path = none");
        assert_eq!(t.inside("c1", "ls /dev/console 2> /dev/null; true"), "");
    })
    .keys("lxc.console.path");

    for (rotate, older) in [("0", false), ("1", true)] {
        c.add(format!("console.size_with_rotate_{rotate}"), move |t| {
            t.run(
                "c1",
                &format!("lxc.console.logfile = /tmp/con.log\nlxc.console.size = 4096\nlxc.console.rotate = {rotate}"),
            );
            // Ten lines of 1002 bytes: the file is full within the fifth and the ninth.
            for round in 0..10 {
                t.inside("c1", &format!("printf '%01000d\\n' {round} > /dev/console"));
            }
            t.until("the last is logged", |t| t.read("/tmp/con.log").ends_with("09\r\n"));
            let size = t.read("/tmp/con.log").len();
            assert!(size <= 4096, "{size} bytes");
            assert_eq!(Path::new("/tmp/con.log.1").exists(), older);
        })
        .keys("lxc.console.logfile lxc.console.size lxc.console.rotate");
    }

    c.add("console.buffer_keeps_the_last_output", |t| {
        client(t);
        t.run("c1", "lxc.console.buffer.size = 4096");
        t.inside("c1", "printf '%05000d' 0 > /dev/console; echo the end > /dev/console");
        let mut kept = 0;
        t.until("the client reads it", |t| {
            let text = t.sh("/tmp/client /var/lib/lxc c1 console-log").out;
            kept += text.len();
            text.contains("the end")
        });
        assert_eq!(kept, 4096);
    })
    .needs(&[Need::Compiler, Need::Headers])
    .keys("lxc.console.buffer.size");
}

fn network(c: &mut Cases) {
    c.add("net.veth_route_6", |t| {
        t.run(
            "c1",
            "lxc.net.0.type = veth\nlxc.net.0.veth.pair = vr\nlxc.net.0.flags = up\n\
             lxc.net.0.ipv6.address = fd55::2/128\nlxc.net.0.veth.ipv6.route = fd66::/64",
        );
        let r = t.sh("ip -6 route").out;
        assert!(r.contains("fd66::/64 dev vr"), "{r}");
    })
    .keys("lxc.net.[i].veth.ipv6.route");

    c.add("net.veth_mode_bridge", |t| {
        t.bridge("br0", "10.9.0.1/24");
        t.run(
            "c1",
            "lxc.net.0.type = veth\nlxc.net.0.veth.mode = bridge\nlxc.net.0.link = br0\nlxc.net.0.veth.pair = vb",
        );
        t.exists("/sys/class/net/br0/brif/vb");
    })
    .needs(&[Need::Bridge])
    .keys("lxc.net.[i].veth.mode");
}
