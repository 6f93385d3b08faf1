//! lxc-start: options, daemon and foreground, failure texts, pidfile, signals, ephemeral.

use crate::case::Cases;
use nix::sys::signal::Signal;

/// The lines that scripts grep after a failed daemonised start.
const FAILED: [&str; 3] = [
    "The container failed to start",
    "To get more details, run the container in foreground mode",
    "Additional information can be obtained by setting the --logfile and --logpriority options",
];

pub fn add(c: &mut Cases) {
    options(c);
    monitor(c);
    failures(c);
}

fn options(c: &mut Cases) {
    for opt in ["", "-d", "--daemon"] {
        c.add(format!("start.daemon{opt}"), move |t| {
            t.mk("c1", "");
            t.sh(&format!("lxc-start -n c1 {opt}")).ok().silent();
            t.ready("c1");
            assert_eq!(t.state("c1"), "RUNNING");
            assert_eq!(t.inside("c1", "hostname"), "c1");
        })
        .covers("start -d --daemon -n");
    }

    for opt in ["-F", "--foreground"] {
        c.add(format!("start.foreground{opt}"), move |t| {
            t.mk("c1", "");
            let mut bg = t.spawn(&format!("exec lxc-start {opt} -n c1"));
            t.ready("c1");
            assert_eq!(t.state("c1"), "RUNNING");
            t.sh("lxc-stop -n c1").ok();
            bg.wait(10).ok();
            assert_eq!(t.state("c1"), "STOPPED");
        })
        .covers("start -F --foreground");
    }

    c.add("start.already_running_is_no_error", |t| {
        t.run("c1", "");
        let pid = t.init_pid("c1");
        t.sh("lxc-start -n c1").ok().err_has("Container is already running");
        t.sh("lxc-freeze -n c1").ok();
        t.sh("lxc-start -n c1").ok().err_has("Container is already running");
        t.sh("lxc-unfreeze -n c1").ok();
        assert_eq!(t.init_pid("c1"), pid);
    });

    c.add("start.command_replaces_init", |t| {
        let r = t.mk("c1", "");
        t.sh("lxc-start -n c1 -- sh -c 'echo \"$0 $1\" > /said; sleep 1000' a b").ok();
        let said = r.join("said");
        t.until("the command ran", |_| said.exists());
        t.until("it wrote", |t| t.read(&said) == "a b\n");
        assert_ne!(t.inside("c1", "cat /proc/1/comm"), "shinit");
    });

    c.add("start.default_init", |t| {
        let r = t.mk_bare(crate::ctx::STORE, "c1", "lxc.net.0.type = empty\nlxc.mount.auto = proc sys");
        t.sh("lxc-start -n c1").ok().silent();
        t.ready("c1");
        assert_eq!(t.inside("c1", "cat /proc/1/comm"), "init");
        assert!(r.join("ready").exists());
    });

    c.add("start.foreground_status_is_not_inits", |t| {
        t.mk("c1", "");
        t.sh("lxc-start -F -n c1 -- sh -c 'exit 3'").ok();
        t.sh("lxc-start -F -n c1 -- sh -c 'kill -9 $$; exit 1'").ok();
    });

    for opt in ["-p", "--pidfile="] {
        c.add(format!("start.pidfile{opt}"), move |t| {
            t.mk("c1", "");
            t.start_with("c1", &format!("{}/tmp/pid", if opt == "-p" { "-p " } else { opt }));
            let pid: i32 = t.read("/tmp/pid").parse().unwrap_or(0);
            assert_eq!(Some(pid), t.monitor_pid("c1"), "the monitor's pid, without a newline");
            t.sh("stat -c %a /tmp/pid").out("600\n");
            t.sh("lxc-stop -n c1").ok();
            t.until("the pidfile is removed", |_| !std::path::Path::new("/tmp/pid").exists());
        })
        .covers("start -p --pidfile");
    }

    for opt in ["-f ", "--rcfile="] {
        c.add(format!("start.rcfile{}", opt.trim()), move |t| {
            let r = t.mk("c1", "");
            let cfg = t.read("/var/lib/lxc/c1/config");
            t.write("/tmp/rc", &format!("{cfg}lxc.uts.name = other\n"));
            t.sh(&format!("lxc-start -n c1 {opt}/tmp/rc")).ok();
            t.ready("c1");
            assert_eq!(t.inside("c1", "hostname"), "other");
            assert!(r.exists());
        })
        .covers("start -f --rcfile");
    }

    c.add("start.volatile_container", |t| {
        t.mk("c1", "");
        let cfg = t.read("/var/lib/lxc/c1/config");
        t.write("/tmp/rc", &cfg);
        t.sh("lxc-start -n vol -f /tmp/rc").ok().silent();
        t.ready("c1");
        t.sh("lxc-info -n vol -sH").ok().out("RUNNING\n");
        t.sh("lxc-ls --active -1").ok().out("vol\n");
        t.sh("lxc-stop -n vol -k").ok();
        t.gone("/var/lib/lxc/vol/config");
    });

    for opt in ["-s ", "--define="] {
        c.add(format!("start.define{}", opt.trim()), move |t| {
            t.mk("c1", "");
            t.start_with("c1", &format!("{opt}lxc.uts.name=zed {opt}lxc.environment=A=b"));
            assert_eq!(t.inside("c1", "hostname"), "zed");
            assert!(t.inside("c1", "tr '\\0' '\\n' < /proc/1/environ").contains("A=b"));
            // the stored value is what info shows
            t.sh("lxc-info -n c1 -c lxc.uts.name").ok().out("lxc.uts.name = c1\n");
        })
        .covers("start -s --define");
    }

    c.add("start.define_bad", |t| {
        t.mk("c1", "");
        t.sh("lxc-start -n c1 -s bogus").code(1).err_has("lxc-start: could not parse command line");
        t.sh("lxc-start -n c1 -s x.y=1").code(1).err_has("lxc-start: could not parse command line");
        t.sh("lxc-start -n c1 -s lxc.bogus=1").code(1).err_has("Unsupported config key \"lxc.bogus\"");
        assert_eq!(t.state("c1"), "STOPPED");
    });

    for opt in ["-L ", "--console-log="] {
        c.add(format!("start.console_log{}", opt.trim()), move |t| {
            t.mk("c1", "");
            t.start_with(
                "c1",
                &format!("{opt}/tmp/console -- sh -c 'echo to the console > /dev/console; touch /ready; sleep 1000'"),
            );
            t.until("the log has it", |t| t.read("/tmp/console").contains("to the console"));
            t.sh("stat -c %a /tmp/console").out(if t.reference { "600\n" } else { "640\n" });
        })
        .covers("start -L --console-log");
    }

    for opt in ["-c ", "--console="] {
        c.add(format!("start.console_none{}", opt.trim()), move |t| {
            t.mk("c1", "");
            t.start_with("c1", &format!("{opt}none"));
            assert_eq!(t.inside("c1", "ls /dev/console 2>/dev/null; readlink /proc/1/fd/0"), "/dev/null");
        })
        .covers("start -c --console");
    }

    c.add("start.console_plain_file_is_refused", |t| {
        t.mk("c1", "");
        t.sh("lxc-start -n c1 -c /tmp/plain").code(1).err_has(FAILED[0]);
        assert_eq!(t.state("c1"), "STOPPED");
    });

    for opt in ["-C", "--close-all-fds"] {
        c.add(format!("start.close_all_fds{opt}"), move |t| {
            let r = t.mk("c1", "");
            t.write("/tmp/x", "secret");
            t.sh(&format!("exec 7</tmp/x; lxc-start -F {opt} -n c1 -- sh -c 'ls -l /proc/self/fd > /fds'")).ok();
            let fds = t.read(r.join("fds"));
            assert!(!fds.contains("/tmp/x"), "{fds}");
        })
        .covers("start -C --close-all-fds");
    }

    c.add("start.daemon_closes_inherited_fds", |t| {
        t.mk("c1", "");
        t.write("/tmp/x", "secret");
        t.sh("exec 7</tmp/x; lxc-start -n c1").ok();
        t.ready("c1");
        for pid in [t.monitor_pid("c1").unwrap_or(0), t.init_pid("c1")] {
            t.sh(&format!("ls -l /proc/{pid}/fd")).ok().out_lacks("/tmp/x");
        }
    });

    for ns in ["net", "ipc", "uts"] {
        c.add(format!("start.share_{ns}"), move |t| {
            t.run("a", "");
            t.mk("b", "");
            t.start_with("b", &format!("--share-{ns} a"));
            let (a, b) = (t.init_pid("a"), t.init_pid("b"));
            let link = |p: i32| std::fs::read_link(format!("/proc/{p}/ns/{ns}")).ok();
            assert_eq!(link(a), link(b), "{ns} is shared");
            for other in ["net", "ipc", "uts", "pid", "mnt"].iter().filter(|o| **o != ns) {
                let l = |p: i32| std::fs::read_link(format!("/proc/{p}/ns/{other}")).ok();
                assert_ne!(l(a), l(b), "{other} is not shared");
            }
        })
        .covers("start --share-net --share-ipc --share-uts");
    }

    c.add("start.share_pid", |t| {
        t.run("a", "");
        t.mk("b", "");
        t.sh("lxc-start -n b --share-pid=a -- sh -c 'touch /ready; sleep 1000'").ok();
        t.ready("b");
        let (a, b) = (t.init_pid("a"), t.init_pid("b"));
        assert_eq!(
            std::fs::read_link(format!("/proc/{a}/ns/pid")).ok(),
            std::fs::read_link(format!("/proc/{b}/ns/pid")).ok()
        );
        t.sh("lxc-stop -k -n b").ok();
        assert_eq!(t.state("a"), "RUNNING");
    })
    .covers("start --share-pid");

    c.add("start.share_by_pid", |t| {
        t.run("a", "");
        t.mk("b", "");
        let a = t.init_pid("a");
        t.start_with("b", &format!("--share-net {a}"));
        let b = t.init_pid("b");
        assert_eq!(
            std::fs::read_link(format!("/proc/{a}/ns/net")).ok(),
            std::fs::read_link(format!("/proc/{b}/ns/net")).ok()
        );
    });

    c.add("start.share_with_nothing", |t| {
        t.mk("c1", "");
        t.sh("lxc-start -n c1 --share-net nosuch").code(1).err_has(FAILED[0]);
        assert_eq!(t.state("c1"), "STOPPED");
    });

    c.add("start.ephemeral", |t| {
        t.mk("c1", "");
        t.start_with("c1", "-s lxc.ephemeral=1");
        t.sh("lxc-stop -n c1").ok();
        t.until("the directory is deleted", |_| !std::path::Path::new("/var/lib/lxc/c1").exists());
    });

    c.add("start.ephemeral_survives_a_reboot", |t| {
        let r = t.mk("c1", "lxc.ephemeral = 1");
        t.start("c1");
        std::fs::remove_file(r.join("ready")).unwrap_or_default();
        t.sh("lxc-stop -r -n c1").ok();
        t.ready("c1");
        assert_eq!(t.read(r.join("boots")), "boot\nboot\n");
        t.sh("lxc-stop -n c1").ok();
        t.until("the directory is deleted", |_| !std::path::Path::new("/var/lib/lxc/c1").exists());
    })
    .keys("lxc.ephemeral");

    c.add("start.no_config", |t| {
        t.sh("lxc-start -n c1").code(1).out("").err_has("No container config specified");
        t.gone("/var/lib/lxc/c1");
    });
}

fn monitor(c: &mut Cases) {
    c.add("monitor.looks", |t| {
        t.run("c1", "");
        let Some(m) = t.monitor_pid("c1") else { panic!("no process is titled [lxc monitor] /var/lib/lxc c1") };
        let stat = t.read(format!("/proc/{m}/stat"));
        let f: Vec<&str> = stat.split(' ').collect();
        assert_eq!(f[3], "1", "its parent is the reaper");
        assert_eq!(f[5], m.to_string(), "a session of its own");
        assert_eq!(std::fs::read_link(format!("/proc/{m}/cwd")).ok(), Some("/".into()));
        for fd in 0..3 {
            assert_eq!(std::fs::read_link(format!("/proc/{m}/fd/{fd}")).ok(), Some("/dev/null".into()));
        }
        let init = t.init_pid("c1");
        let stat = t.read(format!("/proc/{init}/stat"));
        assert_eq!(stat.split(' ').nth(3), Some(m.to_string().as_str()), "init is its child");
        t.sh(&format!("cat /proc/{m}/cgroup")).out_has("/lxc.monitor.c1");
        t.sh(&format!("cat /proc/{init}/cgroup")).out_has("/lxc.payload.c1");
    });

    c.add("monitor.socket_name", |t| {
        t.run("c1", "");
        assert!(t.read("/proc/net/unix").contains(" @/var/lib/lxc/c1/command\n"));
        t.sh("lxc-stop -k -n c1").ok();
        assert!(!t.read("/proc/net/unix").contains("@/var/lib/lxc/c1/command"), "the name is free when stop returns");
    });

    c.add("monitor.long_path_is_hashed", |t| {
        let store = format!("/tmp/{}", "s".repeat(100));
        t.mk_in(&store, "c1", "");
        t.sh(&format!("lxc-start -P {store} -n c1")).ok();
        assert!(t.read("/proc/net/unix").contains(" @lxc/"));
        t.sh(&format!("lxc-ls -P {store} --active -1")).ok().out("c1\n");
        t.sh(&format!("lxc-info -P {store} -n c1 -sH")).ok().out("RUNNING\n");
        t.sh(&format!("lxc-stop -P {store} -k -n c1")).ok();
    });

    c.add("monitor.killed", |t| {
        t.run("c1", "");
        let init = t.init_pid("c1");
        let m = t.monitor_pid("c1").unwrap_or(0);
        t.kill(m, Signal::SIGKILL);
        t.until("STOPPED at once", |t| t.state("c1") == "STOPPED");
        t.until("init is dead", |t| t.read(format!("/proc/{init}/comm")).is_empty());
        // the next start clears what was left and works
        t.start("c1");
        assert_eq!(t.state("c1"), "RUNNING");
        assert_eq!(t.inside("c1", "hostname"), "c1");
        t.sh("lxc-stop -n c1").ok();
        if t.reference {
            // the reference's next payload group is lxc.payload.c1-1 and the first one stays
            t.sh("find /sys/fs/cgroup -depth -name 'lxc.payload.c1*' -exec rmdir {} \\;");
        }
    });

    c.add("monitor.forwards_term", |t| {
        let r = t.run("c1", "");
        let m = t.monitor_pid("c1").unwrap_or(0);
        t.kill(m, Signal::SIGTERM);
        let s = r.join("signals");
        t.until("init got it", |t| t.read(&s).contains("term"));
        assert_eq!(t.state("c1"), "RUNNING");
    });

    c.add("monitor.hup_becomes_term", |t| {
        let r = t.run("c1", "");
        let m = t.monitor_pid("c1").unwrap_or(0);
        t.kill(m, Signal::SIGHUP);
        let s = r.join("signals");
        t.until("init got a signal", |t| !t.read(&s).is_empty());
        assert_eq!(t.read(&s), "term\n");
    });

    c.add("monitor.foreground_forwards_signals", |t| {
        let r = t.mk("c1", "");
        let mut bg = t.spawn("exec lxc-start -F -n c1");
        t.ready("c1");
        for (sig, word) in [(Signal::SIGUSR1, "usr1"), (Signal::SIGUSR2, "usr2"), (Signal::SIGTERM, "term")] {
            bg.signal(sig);
            let s = r.join("signals");
            t.until(word, |t| t.read(&s).contains(word));
        }
        t.sh("lxc-stop -n c1").ok();
        bg.wait(10).ok();
    });

    c.add("monitor.ends_with_init", |t| {
        t.run("c1", "");
        let init = t.init_pid("c1");
        t.kill(init, Signal::SIGKILL);
        t.until("STOPPED", |t| t.state("c1") == "STOPPED");
        t.until("no monitor", |t| t.monitor_pid("c1").is_none());
    });

    c.add("monitor.parent_death_signal", |t| {
        t.run("c1", "lxc.monitor.signal.pdeath = SIGKILL");
        let (m, init) = (t.monitor_pid("c1").unwrap_or(0), t.init_pid("c1"));
        t.kill(m, Signal::SIGKILL);
        t.until("init dies with it", |t| t.read(format!("/proc/{init}/comm")).is_empty());
        if t.reference {
            t.sh("find /sys/fs/cgroup -depth -name 'lxc.payload.c1*' -exec rmdir {} \\;");
        } else {
            t.start("c1");
        }
    });

    c.add("monitor.unshare", |t| {
        t.run("c1", "lxc.monitor.unshare = 1");
        let m = t.monitor_pid("c1").unwrap_or(0);
        assert_ne!(std::fs::read_link(format!("/proc/{m}/ns/mnt")).ok(), std::fs::read_link("/proc/self/ns/mnt").ok());
    })
    .keys("lxc.monitor.unshare");
}

fn failures(c: &mut Cases) {
    c.add("start_fails.the_fixed_lines", |t| {
        t.mk("c1", "");
        let o = t.sh("lxc-start -n c1 -- /no/such");
        o.code(1).out("");
        for line in FAILED {
            o.err_has(line);
        }
        o.err_has("Received container state \"ABORTING\" instead of \"RUNNING\"");
        assert_eq!(t.state("c1"), "STOPPED");
    });

    c.add("start_fails.quiet", |t| {
        t.mk("c1", "");
        t.sh("lxc-start -q -n c1 -- /no/such").code(1).silent();
    })
    .covers("start -q --quiet");

    c.add("start_fails.foreground", |t| {
        t.mk("c1", "");
        let o = t.sh("lxc-start -F -n c1 -- /no/such");
        o.code(1).err_has(FAILED[0]).err_has(FAILED[2]).err_lacks(FAILED[1]);
    });

    c.add("start_fails.first_line_names_the_cause", |t| {
        t.mk("c1", "");
        let o = t.sh("lxc-start -n c1 -- /no/such");
        o.code(1);
        let first = o.err.lines().next().unwrap_or("");
        o.check(
            first.contains("/no/such") && first.contains("No such file or directory"),
            "the first line names the program and why",
        );
    })
    .differs("start-first-line");

    for (id, lines, words) in [
        ("missing_bridge", "lxc.net.0.type = veth\nlxc.net.0.link = nobr0\nlxc.net.0.flags = up", &["nobr0"][..]),
        ("missing_rootfs", "lxc.rootfs.path = dir:/no/such/rootfs", &["/no/such/rootfs"][..]),
        ("missing_mount_source", "lxc.mount.entry = /no/such/source mnt none bind 0 0", &["/no/such/source"][..]),
        ("failing_hook", "lxc.hook.pre-start = sh -c 'exit 7' x", &["pre-start", "7"][..]),
        ("bad_sysctl", "lxc.sysctl.net.no.such = 1", &["no"][..]),
        ("cgroup_limit", "lxc.cgroup.memory.limit_in_bytes = nonsense", &["memory.limit_in_bytes"][..]),
    ] {
        c.add(format!("start_fails.{id}"), move |t| {
            t.mk("c1", lines);
            let o = t.sh("lxc-start -n c1");
            o.code(1);
            for line in FAILED {
                o.err_has(line);
            }
            assert_eq!(t.state("c1"), "STOPPED");
        })
        .needs(if id == "cgroup_limit" { &[crate::case::Need::CgroupV1] } else { &[] });
        c.add(format!("start_fails.{id}_is_named_first"), move |t| {
            t.mk("c1", lines);
            let o = t.sh("lxc-start -n c1");
            o.code(1);
            let first = o.err.lines().next().unwrap_or("").to_string();
            for w in words {
                o.check(first.contains(w), &format!("the first line names {w:?}"));
            }
        })
        .differs("start-first-line")
        .needs(if id == "cgroup_limit" { &[crate::case::Need::CgroupV1] } else { &[] });
    }

    c.add("start_fails.mount_option_that_nobody_knows", |t| {
        t.mk("c1", "lxc.mount.entry = tmpfs mnt tmpfs size=1m,bogus,create=dir 0 0");
        t.sh("lxc-start -F -n c1").code(1).err_has("size=1m,bogus");
    })
    .differs("unknown-mount-options");

    c.add("start.optional_mount_without_a_source_makes_no_target", |t| {
        let r = t.mk("c1", "lxc.mount.entry = /no/such made none bind,optional,create=dir 0 0");
        t.sh("lxc-start -n c1").ok();
        t.gone(r.join("made"));
    })
    .differs("optional-mounts-leave-no-trace");

    c.add("start_fails.path_without_x_permission", |t| {
        t.mk("c1", "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536");
        t.sh("chown -Rh 100000:100000 /var/lib/lxc/c1/rootfs; chmod 700 /var/lib/lxc").ok();
        let o = t.sh("lxc-start -n c1");
        o.code(1).err_has(FAILED[0]);
        assert_eq!(t.state("c1"), "STOPPED");
    });

    c.add("start_fails.path_without_x_permission_is_named_first", |t| {
        t.mk("c1", "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536");
        t.sh("chown -Rh 100000:100000 /var/lib/lxc/c1/rootfs; chmod 700 /var/lib/lxc").ok();
        let o = t.sh("lxc-start -n c1");
        let first = o.err.lines().next().unwrap_or("").to_string();
        o.code(1).check(
            first.contains("/var/lib/lxc") && first.contains("Permission denied"),
            "the first line names the directory",
        );
    })
    .differs("start-first-line");

    c.add("start_fails.missing_subuid_range_is_named_first", |t| {
        t.write("/etc/subuid", "other:1:1\n");
        t.write("/etc/subgid", "other:1:1\n");
        t.mk("c1", "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536");
        let o = t.sh("lxc-start -n c1");
        let first = o.err.lines().next().unwrap_or("").to_string();
        o.code(1).check(
            first.contains("subuid") || first.contains("subgid") || first.contains("newuidmap"),
            "the first line names the file to mend",
        );
    })
    .differs("start-first-line");

    c.add("start_fails.missing_init", |t| {
        let r = t.mk_bare(crate::ctx::STORE, "c1", "lxc.net.0.type = empty\n");
        std::fs::remove_file(r.join("sbin/init")).unwrap_or_default();
        t.sh("lxc-start -n c1").code(1).err_has(FAILED[0]);
    });

    c.add("start_fails.init_of_the_wrong_kind", |t| {
        let r = t.mk("c1", "");
        t.write(r.join("sbin/shinit"), "\x7fELFgarbage");
        t.sh("lxc-start -n c1").code(1).err_has(FAILED[0]);
        assert_eq!(t.state("c1"), "STOPPED");
    })
    .differs("init-that-is-no-program");

    c.add("start_fails.interpreter_missing", |t| {
        let r = t.mk("c1", "");
        t.write(r.join("sbin/shinit"), "#!/no/such/interpreter\n");
        t.sh("lxc-start -n c1").code(1).err_has(FAILED[0]);
        assert_eq!(t.state("c1"), "STOPPED");
    });

    c.add("start_fails.nothing_is_left_and_the_next_works", |t| {
        t.mk("c1", "");
        t.sh("lxc-start -n c1 -s 'lxc.mount.entry=/no/such mnt none bind 0 0'").code(1);
        t.sh("lxc-start -n c1 -s lxc.net.0.type=veth -s lxc.net.0.link=nobr").code(1);
        t.start("c1");
        assert_eq!(t.state("c1"), "RUNNING");
    });

    for sig in [Signal::SIGINT, Signal::SIGTERM] {
        c.add(format!("start.interrupted_by_{sig}"), move |t| {
            // A pre-start hook holds the start open.
            t.script("/tmp/hook", "touch /tmp/in-hook; n=0; while [ ! -e /tmp/go ] && [ $n -lt 250 ]; do sleep 0.02; n=$((n+1)); done; exit 0\n");
            t.mk("c1", "lxc.hook.pre-start = /tmp/hook");
            let mut bg = t.spawn("exec lxc-start -n c1");
            t.until("the hook runs", |_| std::path::Path::new("/tmp/in-hook").exists());
            bg.signal(sig);
            t.write("/tmp/go", "");
            bg.wait(15);
            // Whatever it came to, it is one of two clean ends.
            t.until("settled", |t| matches!(t.state("c1").as_str(), "STOPPED" | "RUNNING"));
            t.sh("lxc-stop -k -n c1");
            t.start("c1");
        });
        c.add(format!("start.foreground_interrupted_by_{sig}"), move |t| {
            t.script("/tmp/hook", "touch /tmp/in-hook; n=0; while [ ! -e /tmp/go ] && [ $n -lt 250 ]; do sleep 0.02; n=$((n+1)); done; exit 0\n");
            t.mk("c1", "lxc.hook.pre-start = /tmp/hook");
            let mut bg = t.spawn("exec lxc-start -F -n c1");
            t.until("the hook runs", |_| std::path::Path::new("/tmp/in-hook").exists());
            bg.signal(sig);
            t.write("/tmp/go", "");
            t.until("ended or up", |t| !bg.running() || t.state("c1") == "RUNNING");
            t.sh("lxc-stop -k -n c1");
            bg.wait(10);
            assert_eq!(t.state("c1"), "STOPPED");
        });
    }

    c.add("start.the_monitor_is_small", |t| {
        t.run("c1", "");
        let m = t.monitor_pid("c1").unwrap();
        // The pages of a program that was installed just now count as dirty until they are written.
        t.sh("sync $P/libexec/lxc/lxc-supervise").ok();
        // 116 to 124 KiB were seen. It counts what only this process has and changed.
        t.until("at most 200 KiB of its own", |t| {
            let rollup = t.read(format!("/proc/{m}/smaps_rollup"));
            let dirty = rollup.lines().find_map(|l| l.strip_prefix("Private_Dirty:"));
            let kib: u32 = dirty.and_then(|l| l.trim().strip_suffix(" kB")).and_then(|n| n.parse().ok()).unwrap();
            kib <= 200
        });
        assert_eq!(t.read(format!("/proc/{m}/comm")), "lxc-start\n");
    })
    .differs("monitor-memory");

    c.add("start.the_monitor_has_what_its_caller_had", |t| {
        t.mk("c1", "");
        let set = "umask 027; ulimit -n 777; echo 77 > /proc/self/oom_score_adj; trap '' USR1";
        t.sh(&format!("{set}; A='b c' exec nice -n 3 lxc-start -n c1 7< /etc/passwd")).ok().silent();
        let m = t.monitor_pid("c1").unwrap();
        let status = t.read(format!("/proc/{m}/status"));
        assert!(status.contains("Umask:\t0027\n"), "{status}");
        assert!(t.read(format!("/proc/{m}/limits")).contains("Max open files            777 "));
        assert_eq!(t.read(format!("/proc/{m}/oom_score_adj")), "77\n");
        assert!(t.read(format!("/proc/{m}/environ")).contains("\0A=b c\0"));
        // From the third on: state, parent, group, session, terminal …; the 19th is the nice value.
        let stat = t.read(format!("/proc/{m}/stat"));
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let own = m.to_string();
        assert_eq!((fields[2], fields[3], fields[4], fields[16]), (own.as_str(), own.as_str(), "0", "3"), "{stat}");
        t.sh(&format!("readlink /proc/{m}/cwd")).out("/\n");
        t.sh(&format!("readlink /proc/{m}/fd/*")).out_lacks("/etc/passwd");
    });

    // What cannot be executed is done without: the monitor is forked then.
    c.add("start.without_lxc_supervise", |t| {
        t.mk("c1", "lxc.hook.post-stop = /bin/touch /tmp/ended");
        t.sh("mount --bind /dev/null $P/libexec/lxc/lxc-supervise").ok();
        let o = t.sh("exec 7</etc/passwd; lxc-start -n c1 -p /tmp/pid");
        t.sh("umount $P/libexec/lxc/lxc-supervise").ok();
        o.ok().silent();
        let m = t.monitor_pid("c1").unwrap();
        assert_eq!(t.read("/tmp/pid"), m.to_string());
        t.ready("c1");
        t.sh(&format!("readlink /proc/{m}/fd/* | grep passwd")).code(1);
        t.sh("lxc-stop -k -n c1").ok();
        assert_eq!(t.state("c1"), "STOPPED");
        // The name is free before that hook runs.
        t.until("post-stop", |_| std::path::Path::new("/tmp/ended").exists());
    })
    .differs("monitor-memory");

    c.add("start.two_at_once", |t| {
        for _ in 0..5 {
            let r = t.mk("c1", "");
            let mut a = t.spawn("exec lxc-start -n c1");
            let mut b = t.spawn("exec lxc-start -n c1");
            let (a, b) = (a.wait(15), b.wait(15));
            assert_eq!(t.state("c1"), "RUNNING");
            t.ready("c1");
            assert_eq!(t.read(r.join("boots")), "boot\n", "one container, one boot");
            // The loser says so, whichever moment it came at.
            let loser = if a.err.is_empty() { &b } else { &a };
            let told = ["already running", "Failed to create", "Address already in use"];
            loser.check(
                a.err.is_empty() != b.err.is_empty() && told.iter().any(|w| loser.err.contains(w)),
                "one wins, the other says so",
            );
            t.sh("lxc-stop -k -n c1").ok();
            t.sh("lxc-destroy -n c1").ok();
        }
    });
}
