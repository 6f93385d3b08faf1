//! Changing over with containers running: Debian's tools drive a container that the subject started,
//! and the subject's tools one that Debian's started, on the same store. On the reference both sides
//! are the reference, which proves the cases.

use crate::case::{Cases, Need};
use crate::ctx::T;

const CONFIG: &str = "lxc.tty.max = 3\nlxc.pty.max = 16\nlxc.cap.drop = sys_time\n";

/// One direction: prefixes of the starter's and of the driver's tools.
#[derive(Clone, Copy)]
struct Way {
    id: &'static str,
    starter: &'static str,
    driver: &'static str,
}

const WAYS: [Way; 2] = [
    Way { id: "theirs_drives_ours", starter: "lxc-", driver: "/usr/bin/lxc-" },
    Way { id: "ours_drives_theirs", starter: "/usr/bin/lxc-", driver: "lxc-" },
];

fn up(t: &mut T, way: Way) -> std::path::PathBuf {
    let r = t.mk("c1", CONFIG);
    t.sh(&format!("{}start -n c1", way.starter)).ok().silent();
    t.ready("c1");
    r
}

pub fn add(c: &mut Cases) {
    for way in WAYS {
        let mut on = |what: &str, run: fn(&mut T, Way)| {
            c.add(format!("mixed.{}.{what}", way.id), move |t| run(t, way)).needs(&[Need::Both]);
        };
        on("info", |t, w| {
            up(t, w);
            let d = w.driver;
            let o = t.sh(&format!("{d}info -n c1"));
            o.ok().out_has("State:          RUNNING\n").out_has("PID:            ").err("");
            if !crate::sandbox::pure_v2() {
                o.out_has("Memory use:").out_has("CPU use:").out_has("BlkIO use:");
            }
            t.sh(&format!("{d}info -n c1 -c lxc.uts.name")).ok().out("lxc.uts.name = c1\n");
            let a = t.sh(&format!("{d}info -n c1 -pH")).out;
            let b = t.sh(&format!("{}info -n c1 -pH", w.starter)).out;
            assert_eq!(a, b);
        });
        on("attach", |t, w| {
            up(t, w);
            let d = w.driver;
            t.sh(&format!("{d}attach -n c1 -- hostname")).ok().out("c1\n").err("");
            t.sh(&format!("{d}attach -n c1 -- sh -c 'exit 7'")).code(7);
            let caps = t.sh(&format!("{d}attach -n c1 -- grep CapBnd /proc/self/status")).out;
            assert_eq!(caps, t.sh(&format!("{d}attach -n c1 -- grep CapBnd /proc/1/status")).out);
            t.sh(&format!("{d}attach -n c1 -- cat /proc/self/cgroup")).ok().out_lacks("/..");
            let mut p = t.pty(&format!("{d}attach -n c1 -- sh -c 'tty; echo done'"));
            assert_eq!(p.end(), 0);
            assert!(p.text.contains("done"), "{}", p.text);
        });
        on("stop", |t, w| {
            up(t, w);
            t.sh(&format!("{}stop -n c1", w.driver)).ok().silent();
            t.sh(&format!("{}info -n c1 -sH", w.driver)).ok().out("STOPPED\n");
        });
        on("stop_kill", |t, w| {
            up(t, w);
            t.sh(&format!("{}stop -k -n c1", w.driver)).ok().silent();
            t.sh(&format!("{}start -n c1", w.driver)).ok().silent();
            t.sh(&format!("{}stop -k -n c1", w.starter)).ok().silent();
        });
        on("stop_reboot", |t, w| {
            let r = up(t, w);
            t.sh(&format!("{}stop -r -n c1", w.driver)).ok().silent();
            t.until("second boot", |t| t.read(r.join("boots")) == "boot\nboot\n");
            t.sh(&format!("{}info -n c1 -sH", w.driver)).ok().out("RUNNING\n");
        });
        on("stop_timeout", |t, w| {
            t.mk("c1", "lxc.init.cmd = /sbin/deafinit");
            t.sh(&format!("{}start -n c1", w.starter)).ok();
            t.ready("c1");
            t.sh(&format!("{}stop -t 1 --nokill -n c1", w.driver)).code(1);
            t.sh(&format!("{}stop -t 1 -n c1", w.driver)).ok();
        });
        on("freeze", |t, w| {
            up(t, w);
            let (s, d) = (w.starter, w.driver);
            t.sh(&format!("{d}freeze -n c1")).ok().silent();
            t.sh(&format!("{d}info -n c1 -sH")).ok().out("FROZEN\n");
            t.sh(&format!("{s}info -n c1 -sH")).ok().out("FROZEN\n");
            t.sh(&format!("{d}unfreeze -n c1")).ok().silent();
            t.sh(&format!("{s}info -n c1 -sH")).ok().out("RUNNING\n");
            t.sh(&format!("{d}freeze -n c1")).ok();
            t.sh(&format!("{s}unfreeze -n c1")).ok();
            t.sh(&format!("{d}info -n c1 -sH")).ok().out("RUNNING\n");
            t.sh(&format!("{d}freeze -n c1")).ok();
            t.sh(&format!("{d}stop -k -n c1")).ok();
        });
        on("wait", |t, w| {
            up(t, w);
            t.sh(&format!("{}wait -n c1 -s RUNNING", w.driver)).ok();
            let mut frozen = t.spawn(&format!("exec {}wait -n c1 -s FROZEN", w.driver));
            let mut stopped = t.spawn(&format!("exec {}wait -n c1 -s STOPPED", w.driver));
            std::thread::sleep(std::time::Duration::from_millis(150));
            t.sh(&format!("{}freeze -n c1", w.driver)).ok();
            frozen.wait(10).ok();
            t.sh(&format!("{}unfreeze -n c1", w.driver)).ok();
            t.sh(&format!("{}stop -n c1", w.driver)).ok();
            stopped.wait(10).ok().silent();
        });
        on("wait_timeout", |t, w| {
            up(t, w);
            t.sh(&format!("{}wait -n c1 -s STOPPED -t 1", w.driver))
                .code(1)
                .err_has("Failed to receive state from monitor");
        });
        on("ls", |t, w| {
            up(t, w);
            t.sh(&format!("{}ls -f -F NAME,STATE,GROUPS,UNPRIVILEGED", w.driver))
                .ok()
                .out("NAME STATE   GROUPS UNPRIVILEGED \nc1   RUNNING -      false        \n");
            t.sh(&format!("{}ls --active -1", w.driver)).ok().out("c1\n");
        });
        on("console", |t, w| {
            let r = t.mk("c1", CONFIG);
            t.script(
                r.join("on-boot"),
                "(while :; do if read l; then echo \"heard $l\"; fi; done <>/dev/tty1 >&0 2>&0 &)\n",
            );
            t.sh(&format!("{}start -n c1", w.starter)).ok();
            t.ready("c1");
            let mut p = t.pty(&format!("{}console -n c1", w.driver));
            p.expect("Connected to tty 1");
            p.send("hi\r");
            p.expect("heard hi");
            p.send("\x01q");
            assert_eq!(p.end(), 0);
        });
        on("cgroup", |t, w| {
            up(t, w);
            if crate::sandbox::pure_v2() {
                t.sh("/usr/bin/lxc-cgroup -n c1 pids.max 77").ok();
                t.sh("/usr/bin/lxc-cgroup -n c1 pids.max").ok().out_has("77");
                return;
            }
            // lxc-cgroup is the reference's on both sides until ours exists
            t.sh("/usr/bin/lxc-cgroup -n c1 memory.limit_in_bytes").ok();
            t.sh("/usr/bin/lxc-cgroup -n c1 pids.max 77").ok().silent();
            assert_eq!(t.read(t.payload("pids", "c1").join("pids.max")), "77\n");
            t.sh("/usr/bin/lxc-cgroup -n c1 devices.deny 'c 1:9 rwm'").ok();
        });
        on("already_running", |t, w| {
            up(t, w);
            t.sh(&format!("{}start -n c1", w.driver)).ok().err_has("Container is already running");
            t.sh(&format!("{}destroy -n c1", w.driver)).code(1).err_has("c1 is running");
            t.sh(&format!("{}execute -n c1 -- true", w.driver)).code(1).err_has("already running");
        });
        on("destroy_force", |t, w| {
            up(t, w);
            t.sh(&format!("{}destroy -f -n c1", w.driver)).ok().silent();
            t.gone("/var/lib/lxc/c1");
        });
        on("share_net", |t, w| {
            up(t, w);
            t.mk("b", "");
            t.sh(&format!("{}start -n b --share-net c1", w.driver)).ok();
            t.ready("b");
            let (a, b) = (t.init_pid("c1"), t.init_pid("b"));
            assert_eq!(
                std::fs::read_link(format!("/proc/{a}/ns/net")).ok(),
                std::fs::read_link(format!("/proc/{b}/ns/net")).ok()
            );
        });
        on("create_and_destroy", |t, w| {
            t.script("/tmp/tpl", "mkdir -p \"${3#--rootfs=}/x\"\n");
            t.sh(&format!("{}create -n c9 -t /tmp/tpl", w.starter)).ok();
            t.sh(&format!("{}info -n c9 -sH", w.driver)).ok().out("STOPPED\n");
            t.sh(&format!("{}destroy -n c9", w.driver)).ok().silent();
            t.gone("/var/lib/lxc/c9");
        });
        on("monitor", |t, w| {
            t.mk("c1", CONFIG);
            let mut mon = t.spawn("exec /usr/bin/lxc-monitor -n c1");
            t.until("monitord listens", |t| t.read("/proc/net/unix").contains("@lxc/"));
            std::thread::sleep(std::time::Duration::from_millis(200));
            t.sh(&format!("{}start -n c1", w.starter)).ok();
            t.ready("c1");
            t.until("RUNNING seen", |_| mon.so_far().contains("[RUNNING]"));
            t.sh(&format!("{}freeze -n c1", w.driver)).ok();
            t.sh(&format!("{}unfreeze -n c1", w.driver)).ok();
            t.sh(&format!("{}stop -n c1", w.driver)).ok();
            t.until("STOPPED seen", |_| mon.so_far().contains("[STOPPED]"));
            let text = mon.so_far();
            let mut at = 0;
            for word in [
                "[STARTING]",
                "[RUNNING]",
                "[FREEZING]",
                "[FROZEN]",
                "[THAWED]",
                "[RUNNING]",
                "exited with status [0]",
                "[STOPPING]",
                "[STOPPED]",
            ] {
                match text[at..].find(word) {
                    Some(i) => at += i,
                    None => panic!("{word} missing after byte {at} in\n{text}"),
                }
            }
            t.sh("/usr/bin/lxc-monitor -Q -n c1");
            mon.wait(10);
            t.until("monitord is gone", |t| t.sh("pgrep lxc-monitord").code != 0);
            t.sh("rm -rf /run/lxc//var");
        });
    }

    // The same lines, whoever starts and whoever freezes and stops. A proof of the words; each step waits for its line.
    c.add("mixed.monitor_lines", |t| {
        let mut seen: Vec<(String, String)> = Vec::new();
        for starter in ["lxc-", "/usr/bin/lxc-"] {
            for driver in ["lxc-", "/usr/bin/lxc-"] {
                t.mk("c1", CONFIG);
                let mut mon = t.spawn("exec /usr/bin/lxc-monitor -n c1");
                t.until("monitord listens", |t| t.read("/proc/net/unix").contains("@lxc/"));
                std::thread::sleep(std::time::Duration::from_millis(200));
                t.sh(&format!("{starter}start -n c1")).ok();
                t.ready("c1");
                for (tool, word) in [("freeze", "[FROZEN]"), ("unfreeze", "[THAWED]"), ("stop", "[STOPPED]")] {
                    t.sh(&format!("{driver}{tool} -n c1")).ok();
                    t.until(word, |_| mon.so_far().contains(word));
                }
                let lines = mon.so_far();
                t.sh("/usr/bin/lxc-monitor -Q -n c1");
                mon.wait(10);
                t.until("monitord is gone", |t| t.sh("pgrep lxc-monitord").code != 0);
                t.sh("rm -rf /run/lxc//var /var/lib/lxc/c1");
                seen.push((format!("{starter}start, {driver}freeze"), lines));
            }
        }
        for (who, lines) in &seen {
            assert_eq!(lines, &seen[3].1, "{who}, and Debian's alone");
        }
    })
    .needs(&[Need::Both]);

    c.add("mixed.hashed_name", |t| {
        let store = format!("/tmp/{}", "s".repeat(100));
        t.mk_in(&store, "c1", "");
        t.sh(&format!("lxc-start -P {store} -n c1")).ok();
        t.sh(&format!("/usr/bin/lxc-info -P {store} -n c1 -sH")).ok().out("RUNNING\n");
        t.sh(&format!("/usr/bin/lxc-ls -P {store} -1 --active")).ok().out("c1\n");
        t.sh(&format!("/usr/bin/lxc-stop -P {store} -k -n c1")).ok();
        t.sh(&format!("/usr/bin/lxc-start -P {store} -n c1")).ok();
        t.sh(&format!("lxc-info -P {store} -n c1 -sH")).ok().out("RUNNING\n");
        t.sh(&format!("lxc-ls -P {store} -1 --active")).ok().out("c1\n");
        t.sh(&format!("lxc-stop -P {store} -k -n c1")).ok();
    })
    .needs(&[Need::Both]);

    compare(c);
}

/// Lines about the inside of container `name`, with what may differ from run to run taken out.
fn portrait(t: &mut T, name: &str, topic: &str) -> String {
    let line = match topic {
        "mounts" => {
            "cut -d' ' -f4- /proc/self/mountinfo | sed 's/ shared:[0-9]*//; s/ master:[0-9]*//; s/size=[0-9]*k/size=N/' | sort"
        }
        "dev" => {
            "find /dev /dev/pts -maxdepth 1 -exec stat -c '%n %F %a %u:%g %t:%T' {} \\; | grep -v '/dev/pts/[0-9]' | sed 's,^\\(/dev/pts directory\\) [0-7]*,\\1 MODE,; s,^\\(/dev/console .* file\\) [0-7]*,\\1 MODE,' | sort -u; for l in /dev/fd /dev/stdin; do readlink $l; done"
        }
        "cgroup" => "sed 's/^[0-9]*://' /proc/1/cgroup | sort",
        "caps" => "grep -E '^(Cap|NoNewPrivs|Seccomp|Uid|Gid|Groups|Sig(Blk|Ign))' /proc/1/status",
        "limits" => "cat /proc/1/limits",
        "namespaces" => "ls /proc/1/ns; cat /proc/1/uid_map /proc/1/oom_score_adj; cut -d' ' -f1,4,5,6 /proc/1/stat",
        "environment" => {
            "tr '\\0' '\\n' < /proc/1/environ | grep -v ^container_ttys | sort; readlink /proc/1/cwd /proc/1/root /proc/1/exe"
        }
        "kernel" => {
            "uname -m; hostname; cat /proc/sys/kernel/domainname; ip -o link | cut -d: -f2; cat /proc/1/attr/current 2>/dev/null"
        }
        "fds" => "ls -l /proc/1/fd | grep -o ' [0-9]* -> .*' | sort",
        _ => "true",
    };
    let o = t.sh(&format!("/usr/bin/lxc-attach -n {name} --clear-env -- sh -c '{}'", line.replace('\'', "'\\''")));
    o.no_crash();
    o.out.clone()
}

fn compare(c: &mut Cases) {
    let idmap = "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\n";
    for (id, lines, mapped) in [
        ("bench", "", false),
        ("ttys", "lxc.tty.max = 4\nlxc.pty.max = 1024\nlxc.tty.dir = lxc", false),
        ("common", "lxc.include = /usr/share/lxc/config/common.conf", false),
        ("debian", "lxc.include = /usr/share/lxc/config/debian.common.conf", false),
        ("mapped", idmap, true),
        (
            "limits",
            "lxc.prlimit.nofile = 100\nlxc.proc.oom_score_adj = 7\nlxc.cap.drop = sys_time mknod\nlxc.no_new_privs = 1\nlxc.environment = A=b\nlxc.init.cwd = /mnt",
            false,
        ),
        (
            "mounts",
            "lxc.mount.auto = cgroup:mixed:force proc:rw sys:ro\nlxc.mount.entry = tmpfs tmp tmpfs nosuid,nodev,size=1m,mode=1777 0 0\nlxc.mount.entry = /etc mnt none ro,rbind 0 0",
            false,
        ),
        ("keep", "lxc.cap.keep = kill sys_admin setuid setgid dac_override", false),
    ] {
        for topic in ["mounts", "dev", "cgroup", "caps", "limits", "namespaces", "environment", "kernel", "fds"] {
            c.add(format!("compare.{id}.{topic}"), move |t| {
                t.mk("c1", lines);
                if mapped {
                    t.sh("chown -Rh 100000:100000 /var/lib/lxc/c1/rootfs").ok();
                }
                t.sh("/usr/bin/lxc-start -n c1").ok();
                t.ready("c1");
                let theirs = portrait(t, "c1", topic);
                t.sh("/usr/bin/lxc-stop -k -n c1").ok();
                t.start("c1");
                let ours = portrait(t, "c1", topic);
                assert!(!theirs.is_empty(), "an empty portrait proves nothing");
                if ours != theirs {
                    let (a, b): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), theirs.lines().collect());
                    let more: Vec<_> = a.iter().filter(|l| !b.contains(l)).collect();
                    let less: Vec<_> = b.iter().filter(|l| !a.contains(l)).collect();
                    panic!("inside the container:\n  only ours: {more:#?}\n  only the reference's: {less:#?}");
                }
            })
            .needs(&[Need::Both]);
        }
    }
}
