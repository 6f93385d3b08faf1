//! A container's life: reboot and halt from inside, rounds, logging.

use crate::case::Cases;

pub fn add(c: &mut Cases) {
    c.add("life.reboot_from_inside", |t| {
        let r = t.run("c1", "");
        let m = t.monitor_pid("c1");
        t.sh("lxc-attach -n c1 -- reboot -f");
        t.until("second boot", |t| t.read(r.join("boots")) == "boot\nboot\n");
        t.until("RUNNING", |t| t.state("c1") == "RUNNING");
        assert_eq!(t.monitor_pid("c1"), m);
        assert_eq!(t.inside("c1", "hostname"), "c1");
    });

    c.add("life.halt_from_inside", |t| {
        t.run("c1", "");
        t.sh("lxc-attach -n c1 -- poweroff -f");
        t.until("STOPPED", |t| t.state("c1") == "STOPPED");
        t.start("c1");
        t.sh("lxc-attach -n c1 -- halt -f");
        t.until("STOPPED", |t| t.state("c1") == "STOPPED");
    });

    c.add("life.init_exits", |t| {
        t.mk("c1", "");
        t.sh("lxc-start -n c1 -- sh -c 'exit 0'").no_crash();
        t.until("STOPPED", |t| t.state("c1") == "STOPPED");
        assert!(t.monitor_pid("c1").is_none() || t.state("c1") == "STOPPED");
    });

    c.add("life.three_reboots", |t| {
        let r = t.run("c1", "");
        for n in 2..5 {
            t.sh("lxc-stop -r -n c1").ok();
            t.until("booted", |t| t.read(r.join("boots")).lines().count() == n);
            std::fs::remove_file(r.join("ready")).unwrap_or_default();
            t.until("ready or past it", |t| t.state("c1") == "RUNNING");
            t.until("traps set", |t| {
                let i = t.init_pid("c1");
                t.read(format!("/proc/{i}/status"))
                    .lines()
                    .any(|l| l.starts_with("SigCgt") && !l.ends_with("\t0000000000000000"))
            });
        }
    });

    c.add("life.reboot_reads_no_new_config", |t| {
        let r = t.run("c1", "");
        t.sh("sed -i 's,lxc.uts.name = c1,lxc.uts.name = changed,' /var/lib/lxc/c1/config").ok();
        t.sh("lxc-stop -r -n c1").ok();
        t.until("second boot", |t| t.read(r.join("boots")) == "boot\nboot\n");
        assert_eq!(t.inside("c1", "hostname"), "c1");
    });

    c.add("rounds.kill_and_start", |t| {
        t.run("c1", "");
        for i in 0..t.rounds(20) {
            t.sh("lxc-stop -n c1 -k && lxc-start -n c1").ok().silent();
            assert_eq!(t.state("c1"), "RUNNING", "round {i}");
        }
    })
    .limit(300);

    c.add("rounds.kill_and_destroy", |t| {
        for i in 0..t.rounds(20) {
            t.mk("c1", "");
            t.sh("lxc-start -n c1").ok().silent();
            t.sh("lxc-stop -n c1 -k && lxc-destroy -n c1").ok().silent();
            assert!(!std::path::Path::new("/var/lib/lxc/c1").exists(), "round {i}");
        }
    })
    .limit(300);

    c.add("rounds.whole_life", |t| {
        t.script("/tmp/tpl", "for a in \"$@\"; do case $a in --rootfs=*) cp -a /tmp/fixture/. \"${a#--rootfs=}/\";; --path=*) echo 'lxc.init.cmd = /sbin/shinit' >> \"${a#--path=}/config\";; esac; done\n");
        let from = t.root.join("fixture");
        t.sh(&format!("cp -a {} /tmp/fixture", from.display())).ok();
        for i in 0..t.rounds(20) {
            t.sh("lxc-create -n c1 -t /tmp/tpl").ok();
            t.sh("lxc-start -n c1").ok().silent();
            t.ready("c1");
            t.sh("lxc-attach -n c1 -- hostname").ok();
            t.sh("lxc-stop -n c1").ok().silent();
            t.sh("lxc-destroy -n c1").ok().silent();
            assert!(!std::path::Path::new("/var/lib/lxc/c1").exists(), "round {i}");
        }
    })
    .limit(300);

    c.add("rounds.many_at_once", |t| {
        for i in 0..10 {
            t.mk(&format!("n{i}"), "");
        }
        t.sh("for i in 0 1 2 3 4 5 6 7 8 9; do lxc-start -n n$i & done; wait").ok().silent();
        let o = t.sh("lxc-ls -1 --running");
        assert_eq!(o.ok().out.lines().count(), 10);
        t.sh("for i in 0 1 2 3 4 5 6 7 8 9; do lxc-stop -k -n n$i & done; wait").ok().silent();
        t.sh("lxc-ls -1 --running").ok().out("");
    });

    c.add("rounds.attach", |t| {
        t.run("c1", "");
        for _ in 0..t.rounds(20) {
            t.sh("lxc-attach -n c1 -- true").ok().silent();
        }
    })
    .limit(300);

    c.add("rounds.freeze", |t| {
        t.run("c1", "");
        for _ in 0..t.rounds(10) {
            t.sh("lxc-freeze -n c1 && lxc-unfreeze -n c1").ok().silent();
        }
        assert_eq!(t.state("c1"), "RUNNING");
    })
    .limit(300);

    logging(c);
}

/// Does the line have LXC's shape: PROG NAME STAMP LEVEL category - file:func:line - text?
fn shaped(line: &str, name: &str) -> bool {
    let Some(rest) =
        line.strip_prefix("lxc-start ").and_then(|l| l.strip_prefix(name)).and_then(|l| l.strip_prefix(' '))
    else {
        return false;
    };
    let (stamp, rest) = rest.split_at(18.min(rest.len()));
    let stamp_ok = stamp.len() == 18
        && stamp.bytes().enumerate().all(|(i, b)| if i == 14 { b == b'.' } else { b.is_ascii_digit() });
    let level = rest.get(1..9).unwrap_or("");
    let known =
        ["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "CRIT", "ALERT", "FATAL"].contains(&level.trim_end());
    let rest = rest.get(10..).unwrap_or("");
    stamp_ok && known && rest.splitn(3, " - ").count() == 3
}

fn logging(c: &mut Cases) {
    c.add("log.file_and_shape", |t| {
        t.mk("c1", "");
        t.start_with("c1", "-o /tmp/log -l TRACE");
        let log = t.read("/tmp/log");
        assert!(log.lines().count() > 20, "{log}");
        // output of a hook or helper could be multi-line; here there is none
        // (5.0.2 on cgroup v2 lets the verifier's words through)
        for line in log.lines().filter(|l| !t.reference || l.starts_with("lxc-start")) {
            assert!(shaped(line, "c1"), "{line:?}");
        }
        t.sh("stat -c %a /tmp/log").out("640\n");
    })
    .covers("start -o --logfile -l --logpriority");

    c.add("log.appends_and_makes_directories", |t| {
        t.write("/tmp/deep/log", "before\n");
        t.sh("lxc-freeze -n nope -o /tmp/deep/log").code(1);
        let log = t.read("/tmp/deep/log");
        assert!(log.starts_with("before\n") && log.contains("ERROR"), "{log}");
        t.sh("lxc-freeze -n nope -o /tmp/made/by/us.log").code(1);
        assert!(t.read("/tmp/made/by/us.log").contains("lxc-freeze nope "));
    })
    .covers("freeze -o --logfile");

    c.add("log.levels", |t| {
        let mut last = usize::MAX;
        for level in ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"] {
            t.mk("c1", "");
            t.start_with("c1", &format!("--logfile=/tmp/{level} --logpriority={level}"));
            t.sh("lxc-stop -k -n c1").ok();
            let n = t.read(format!("/tmp/{level}")).lines().count();
            assert!(n <= last, "{level}: {n} lines after {last}");
            last = n;
            t.sh("rm -r /var/lib/lxc/c1").ok();
        }
        assert_eq!(last, 0, "nothing at ERROR in a good start");
        assert!(t.read("/tmp/INFO").lines().all(|l| !l.contains(" DEBUG ") && !l.contains(" TRACE ")));
    });

    c.add("log.level_is_case_insensitive_and_unknown_is_ignored", |t| {
        t.sh("lxc-freeze -n nope -l error -o /tmp/a").code(1).err_has("Failed to freeze");
        t.sh("lxc-freeze -n nope -l bogus -o /tmp/b").code(1).err_has("Failed to freeze");
        assert!(t.read("/tmp/a").contains("Failed to freeze"));
    });

    c.add("log.fatal_silences_errors", |t| {
        t.sh("lxc-freeze -n nope -l FATAL").code(1).out("").err("");
        t.sh("rm -rf /var/lib/lxc/nope");
    })
    .covers("freeze -l --logpriority");

    c.add("log.default_file_of_the_default_store", |t| {
        t.mk("c1", "");
        t.start_with("c1", "-l INFO");
        t.until("written", |t| !t.read("/var/log/lxc/c1.log").is_empty());
    });

    c.add("log.default_file_of_another_store", |t| {
        t.mk_in("/tmp/store", "c1", "");
        t.sh("lxc-start -P /tmp/store -n c1 -l INFO").ok();
        t.until("written", |t| !t.read("/tmp/store/c1/c1.log").is_empty());
    });

    c.add("log.none", |t| {
        t.mk("c1", "");
        t.start("c1");
        t.gone("/var/log/lxc/c1.log");
        t.gone("/var/lib/lxc/c1/c1.log");
    });

    c.add("log.config_keys", |t| {
        t.mk("c1", "lxc.log.level = DEBUG\nlxc.log.file = /tmp/by-config.log");
        t.start("c1");
        let log = t.read("/tmp/by-config.log");
        assert!(log.contains(" DEBUG ") && log.contains("lxc-start c1 "), "{log}");
    })
    .keys("lxc.log.level lxc.log.file");

    c.add("log.command_line_beats_config", |t| {
        t.mk("c1", "lxc.log.level = DEBUG\nlxc.log.file = /tmp/by-config.log");
        t.start_with("c1", "-o /tmp/by-option.log -l INFO");
        assert!(t.read("/tmp/by-option.log").contains(" INFO "));
        assert!(!t.read("/tmp/by-option.log").contains(" DEBUG "));
        assert!(!t.read("/tmp/by-config.log").contains("INFO"));
    });

    c.add("log.old_key_names", |t| {
        t.mk("c1", "lxc.loglevel = DEBUG\nlxc.logfile = /tmp/old.log");
        t.start("c1");
        assert!(t.read("/tmp/old.log").contains(" DEBUG "));
    })
    .differs("old-log-keys");

    c.add("log.stderr_line", |t| {
        let o = t.sh("lxc-freeze -n nope");
        // PROG: NAME: FILE: FUNC: LINE TEXT
        let last = o.err.lines().last().unwrap_or("");
        let f: Vec<&str> = last.splitn(5, ": ").collect();
        o.check(f.len() == 5 && f[0] == "lxc-freeze" && f[1] == "nope", "prog, name, file, function, line");
        let (line, text) = f[4].split_once(' ').unwrap_or(("", ""));
        o.check(line.parse::<u32>().is_ok() && text == "Failed to freeze /var/lib/lxc:nope", "line number and text");
    });

    c.add("log.stderr_stays_at_error_whatever_l_says", |t| {
        t.mk("c1", "");
        t.sh("lxc-start -n c1 -l TRACE -o /tmp/log").ok().silent();
    });

    c.add("log.trace_shows_each_step", |t| {
        t.mk("c1", "");
        t.start_with("c1", "-l TRACE -o /tmp/log");
        let log = t.read("/tmp/log");
        for word in ["cgroup", "mount", "network", "hook"] {
            assert!(log.contains(word), "{word} in {log}");
        }
    })
    .differs("trace-shows-steps");
}
