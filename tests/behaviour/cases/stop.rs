//! lxc-stop, lxc-wait, lxc-freeze, lxc-unfreeze.

use crate::case::Cases;
use std::time::{Duration, Instant};

pub fn add(c: &mut Cases) {
    stop(c);
    wait(c);
    freeze(c);
}

fn stop(c: &mut Cases) {
    c.add("stop.plain", |t| {
        t.run("c1", "");
        t.sh("lxc-stop -n c1").ok().silent();
        assert_eq!(t.state("c1"), "STOPPED");
        assert!(t.monitor_pid("c1").is_none() || !t.reference);
    })
    .covers("stop -n");

    for opt in ["-k", "--kill"] {
        c.add(format!("stop.kill{opt}"), move |t| {
            t.run("c1", "lxc.init.cmd = /sbin/deafinit");
            t.sh(&format!("lxc-stop {opt} -n c1")).ok().silent();
            assert_eq!(t.state("c1"), "STOPPED");
        })
        .covers("stop -k --kill");
    }

    c.add("stop.not_running", |t| {
        t.mk("c1", "");
        t.sh("lxc-stop -n c1").code(2).out("").err_has("c1 is not running");
        t.sh("lxc-stop -k -n c1").code(2).err_has("c1 is not running");
        t.sh("lxc-stop -q -n c1").code(2).silent();
    })
    .covers("stop -q --quiet");

    for opt in ["-t ", "--timeout="] {
        c.add(format!("stop.timeout_then_kill{}", opt.trim()), move |t| {
            t.run("c1", "lxc.init.cmd = /sbin/deafinit");
            let from = Instant::now();
            t.sh(&format!("lxc-stop {opt}1 -n c1")).ok();
            assert!(from.elapsed() >= Duration::from_millis(900), "it waited the second");
            assert_eq!(t.state("c1"), "STOPPED");
        })
        .covers("stop -t --timeout");
    }

    c.add("stop.nokill", |t| {
        t.run("c1", "lxc.init.cmd = /sbin/deafinit");
        t.sh("lxc-stop --nokill -t 1 -n c1").code(1);
        assert_eq!(t.state("c1"), "RUNNING");
        t.sh("lxc-stop -k --nolock -n c1").ok();
        assert_eq!(t.state("c1"), "STOPPED");
    })
    .covers("stop --nokill --nolock");

    for opt in ["-W", "--nowait"] {
        c.add(format!("stop.nowait{opt}"), move |t| {
            let r = t.mk("c1", "");
            t.script(r.join("on-boot"), "trap 'touch /told; while [ ! -e /go ]; do usleep 20000; done; exit 0' PWR\n");
            t.start("c1");
            t.sh(&format!("lxc-stop {opt} -n c1")).ok().silent();
            let told = r.join("told");
            t.until("init got the signal", |_| told.exists());
            assert_eq!(t.state("c1"), "RUNNING");
            t.write(r.join("go"), "");
            t.sh("lxc-wait -n c1 -s STOPPED -t 10").ok();
        })
        .covers("stop -W --nowait");
    }

    for opt in ["-r", "--reboot"] {
        c.add(format!("stop.reboot{opt}"), move |t| {
            let r = t.run("c1", "");
            let (pid, m) = (t.init_pid("c1"), t.monitor_pid("c1"));
            t.sh(&format!("lxc-stop {opt} -n c1")).ok().silent();
            t.until("the second boot", |t| t.read(r.join("boots")) == "boot\nboot\n");
            assert_eq!(t.state("c1"), "RUNNING");
            assert_ne!(t.init_pid("c1"), pid);
            assert_eq!(t.monitor_pid("c1"), m, "the monitor stays");
        })
        .covers("stop -r --reboot");
    }

    c.add("stop.conflicting_options", |t| {
        t.mk("c1", "");
        for (opts, text) in [
            ("-k --nokill", "-k can't be used with --nokill"),
            ("-k -r", "-k can't be used with -r"),
            ("-k -t 3", "-k doesn't allow timeouts"),
            ("--nolock", "--nolock may only be used with -k"),
            ("-t -5", "Invalid timeout"),
        ] {
            t.sh(&format!("lxc-stop {opts} -n c1")).code(1).out("").err_has(text);
        }
        t.sh("lxc-stop -t abc -n c1").code(1).err_has("lxc-stop: could not parse command line\n");
    });

    c.add("stop.halt_signal", |t| {
        let r = t.mk("c1", "lxc.signal.halt = SIGUSR1");
        t.script(r.join("on-boot"), "trap 'echo by usr1 > /how; exit 0' USR1\n");
        t.start("c1");
        t.sh("lxc-stop -n c1").ok();
        assert_eq!(t.read(r.join("how")), "by usr1\n");
    })
    .keys("lxc.signal.halt");

    c.add("stop.halt_signal_comes_from_the_file", |t| {
        let r = t.mk("c1", "lxc.signal.halt = SIGUSR1");
        t.script(r.join("on-boot"), "trap 'echo by usr1 > /how; exit 0' USR1\n");
        t.start_with("c1", "-s lxc.signal.halt=SIGWINCH");
        t.sh("lxc-stop -n c1").ok();
        assert_eq!(t.read(r.join("how")), "by usr1\n");
    });

    c.add("stop.reboot_and_stop_signals", |t| {
        let r = t.mk("c1", "lxc.signal.reboot = SIGUSR2\nlxc.signal.stop = SIGUSR1");
        t.script(r.join("on-boot"), "trap 'echo usr2 > /how; reboot -f' USR2\ntrap 'echo usr1 >> /how; exit 0' USR1\n");
        t.start("c1");
        t.sh("lxc-stop -r -n c1").ok();
        t.until("second boot", |t| t.read(r.join("boots")) == "boot\nboot\n");
        assert_eq!(t.read(r.join("how")), "usr2\n");
        t.ready("c1");
        std::fs::remove_file(r.join("ready")).unwrap_or_default();
    })
    .keys("lxc.signal.reboot lxc.signal.stop");

    c.add("stop.busybox_init", |t| {
        let r = t.mk("c1", "lxc.init.cmd = /sbin/init\nlxc.signal.halt = SIGUSR1\nlxc.signal.reboot = SIGTERM");
        t.start("c1");
        t.sh("lxc-stop -n c1 -t 20").ok().silent();
        assert_eq!(t.state("c1"), "STOPPED");
        assert!(r.exists());
    });

    c.add("stop.systemd_like_init_gets_rtmin3", |t| {
        // An init that blocks SIGRTMIN+3 is taken for systemd.
        let r = t.mk("c1", "lxc.init.cmd = /sbin/rt3");
        t.sh(&format!(
            "printf '%s\\n' '#define _GNU_SOURCE' '#include <signal.h>' '#include <fcntl.h>' '#include <unistd.h>' '#include <time.h>' 'int main(void){{sigset_t s;sigemptyset(&s);sigaddset(&s,SIGRTMIN+3);sigprocmask(SIG_BLOCK,&s,0);close(open(\"/ready\",O_CREAT|O_WRONLY,0644));struct timespec z={{0,0}};int n;while((n=sigtimedwait(&s,0,&z))<0)usleep(5000);int f=open(\"/how\",O_CREAT|O_WRONLY,0644);if(n==SIGRTMIN+3)write(f,\"rt3\",3);return 0;}}' > /tmp/rt3.c && gcc -static -o {}/sbin/rt3 /tmp/rt3.c",
            r.display()
        ))
        .ok();
        t.start("c1");
        t.sh("lxc-stop -t 5 --nokill -n c1").ok();
        assert_eq!(t.read(r.join("how")), "rt3");
    })
    .needs(&[crate::case::Need::Compiler]);

    c.add("stop.frozen_kill", |t| {
        t.run("c1", "");
        t.sh("lxc-freeze -n c1").ok();
        t.sh("lxc-stop -k -n c1").ok();
        assert_eq!(t.state("c1"), "STOPPED");
    });

    c.add("stop.frozen_plain_times_out_and_kills", |t| {
        t.run("c1", "");
        t.sh("lxc-freeze -n c1").ok();
        t.sh("lxc-stop -t 1 -n c1").ok();
        assert_eq!(t.state("c1"), "STOPPED");
    });

    c.add("stop.with_many_processes", |t| {
        t.run("c1", "");
        t.sh("lxc-attach -n c1 -- sh -c 'for i in $(seq 40); do sleep 1000 & done; true'").ok();
        t.sh("lxc-stop -k -n c1").ok();
        t.until("all dead", |t| t.sh("pgrep -x sleep").code != 0);
    });

    c.add("stop.broken_config_of_a_running_container", |t| {
        t.run("c1", "");
        t.sh("echo 'lxc.bogus = 1' >> /var/lib/lxc/c1/config");
        t.sh("lxc-stop -n c1").ok();
        t.sh("sed -i '$d' /var/lib/lxc/c1/config");
        t.start("c1");
        t.sh("echo 'lxc.bogus = 1' >> /var/lib/lxc/c1/config");
        t.sh("lxc-stop -k -n c1").ok();
        t.sh("sed -i '/bogus/d' /var/lib/lxc/c1/config");
        assert_eq!(t.state("c1"), "STOPPED");
    })
    .differs("broken-config-does-not-lock-the-owner-out");

    c.add("stop.kill_then_start_at_once", |t| {
        t.run("c1", "");
        for _ in 0..5 {
            t.sh("lxc-stop -k -n c1 && lxc-start -n c1").ok().silent();
        }
        t.ready("c1");
    });
}

fn wait(c: &mut Cases) {
    c.add("wait.already_there", |t| {
        t.mk("c1", "");
        t.sh("lxc-wait -n c1 -s STOPPED").ok().silent();
        t.sh("lxc-wait -n c1 --state='RUNNING|STOPPED'").ok().silent();
        t.start("c1");
        t.sh("lxc-wait -n c1 -s RUNNING").ok().silent();
    })
    .covers("wait -n -s --state");

    c.add("wait.never_existing_is_stopped", |t| {
        t.sh("lxc-wait -n nope -s STOPPED").ok().silent();
    });

    c.add("wait.for_stop", |t| {
        t.run("c1", "");
        let mut bg = t.spawn("exec lxc-wait -n c1 -s STOPPED");
        std::thread::sleep(Duration::from_millis(100));
        assert!(bg.running());
        t.sh("lxc-stop -n c1").ok();
        bg.wait(10).ok().silent();
    });

    c.add("wait.for_frozen_and_thawed", |t| {
        t.run("c1", "");
        let mut bg = t.spawn("exec lxc-wait -n c1 -s FROZEN");
        std::thread::sleep(Duration::from_millis(100));
        assert!(bg.running());
        t.sh("lxc-freeze -n c1").ok();
        bg.wait(10).ok();
        let mut bg = t.spawn("exec lxc-wait -n c1 -s 'THAWED|RUNNING'");
        t.sh("lxc-unfreeze -n c1").ok();
        bg.wait(10).ok();
    });

    c.add("wait.for_start", |t| {
        t.mk("c1", "");
        let mut bg = t.spawn("exec lxc-wait -n c1 -s RUNNING -t 15");
        t.start("c1");
        bg.wait(15).ok();
    });

    for opt in ["-t ", "--timeout="] {
        c.add(format!("wait.timeout{}", opt.trim()), move |t| {
            t.mk("c1", "");
            t.sh_within(&format!("lxc-wait -n c1 -s RUNNING {opt}1"), 10).code(1).silent();
            t.start("c1");
            let o = t.sh(&format!("lxc-wait -n c1 -s STOPPED {opt}1"));
            o.code(1).err_has("Failed to receive state from monitor");
        })
        .covers("wait -t --timeout");
    }

    c.add("wait.bad_states", |t| {
        t.mk("c1", "");
        t.sh("lxc-wait -n c1 -s running").code(1).err_has("invalid state 'running'");
        t.sh("lxc-wait -n c1 -s 'STOPPED |RUNNING'").code(1).err_has("invalid state 'STOPPED '");
        t.sh("lxc-wait -n c1 -s BOGUS").code(1).err_has("invalid state 'BOGUS'");
        t.sh("lxc-wait -n c1").code(1).err_has("lxc-wait: could not parse command line\n");
        t.sh("lxc-wait -q -n c1 -s running").code(1).silent();
    })
    .covers("wait -q --quiet");

    c.add("wait.sees_a_reboot", |t| {
        let r = t.run("c1", "");
        t.sh("lxc-stop -r -n c1").ok();
        t.until("rebooted", |t| t.read(r.join("boots")) == "boot\nboot\n");
        t.sh("lxc-wait -n c1 -s RUNNING -t 5").ok();
    });

    c.add("wait.monitor_killed", |t| {
        t.run("c1", "");
        let mut bg = t.spawn("exec lxc-wait -n c1 -s STOPPED");
        std::thread::sleep(Duration::from_millis(100));
        let m = t.monitor_pid("c1").unwrap_or(0);
        t.kill(m, nix::sys::signal::Signal::SIGKILL);
        bg.wait(10).ok();
        if t.reference {
            t.until("empty", |t| {
                t.sh("find /sys/fs/cgroup -depth -name 'lxc.payload.c1*' -exec rmdir {} \\;").ok().err.is_empty()
            });
        } else {
            t.start("c1");
        }
    });
}

fn freeze(c: &mut Cases) {
    c.add("freeze.cycle", |t| {
        t.run("c1", "");
        t.sh("lxc-freeze -n c1").ok().silent();
        assert_eq!(t.state("c1"), "FROZEN");
        t.sh("lxc-freeze -n c1").ok().silent();
        t.sh("lxc-unfreeze -n c1").ok().silent();
        assert_eq!(t.state("c1"), "RUNNING");
        t.sh("lxc-unfreeze -n c1").ok().silent();
        assert_eq!(t.state("c1"), "RUNNING");
    })
    .covers("freeze -n; unfreeze -n");

    c.add("freeze.really_stops_the_clock", |t| {
        let r = t.mk("c1", "");
        t.script(r.join("on-boot"), "(while :; do echo x >> /ticks; usleep 5000; done) &\n");
        t.start("c1");
        t.until("ticking", |t| !t.read(r.join("ticks")).is_empty());
        t.sh("lxc-freeze -n c1").ok();
        let n = t.read(r.join("ticks")).len();
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(t.read(r.join("ticks")).len(), n, "nothing runs while frozen");
        t.sh("lxc-unfreeze -n c1").ok();
        t.until("ticking again", |t| t.read(r.join("ticks")).len() > n);
    });

    c.add("freeze.stopped", |t| {
        t.mk("c1", "");
        t.sh("lxc-freeze -n c1").code(1).out("").err_has("Failed to freeze /var/lib/lxc:c1");
        t.sh("lxc-unfreeze -n c1").ok().out("");
        t.sh("lxc-freeze -q -n c1").code(1).silent();
        t.sh("lxc-unfreeze -q -n nope").code(1).silent();
    })
    .covers("freeze -q; unfreeze -q --quiet");

    c.add("freeze.broken_config_of_a_running_container", |t| {
        t.run("c1", "");
        t.sh("echo 'lxc.bogus = 1' >> /var/lib/lxc/c1/config");
        t.sh("lxc-freeze -n c1").ok();
        t.sh("lxc-info -n c1 -sH").ok().out("FROZEN\n");
        t.sh("lxc-unfreeze -n c1").ok();
        t.sh("lxc-wait -n c1 -s RUNNING -t 5").ok();
        t.sh("sed -i '/bogus/d' /var/lib/lxc/c1/config");
    })
    .differs("broken-config-does-not-lock-the-owner-out");
}
