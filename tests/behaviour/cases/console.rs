//! lxc-console.

use crate::case::Cases;

const TTYS: &str = "lxc.tty.max = 3\nlxc.pty.max = 16\n";

/// An init that echoes what is typed on each tty.
const ECHOER: &str = "for n in console tty1 tty2 tty3; do [ -e /dev/$n ] && (while :; do if read l; then echo \"$PPID $l on here\"; fi; done <>/dev/$n >&0 2>&0 &); done\n";

fn up(t: &mut crate::ctx::T) {
    let r = t.mk("c1", TTYS);
    t.script(r.join("on-boot"), &ECHOER.replace("$PPID $l on here", "heard $l"));
    t.start("c1");
}

pub fn add(c: &mut Cases) {
    c.add("console.first_free_tty", |t| {
        up(t);
        let mut a = t.pty("lxc-console -n c1");
        a.expect(
            "\r\nConnected to tty 1\r\nType <Ctrl+a q> to exit the console, <Ctrl+a Ctrl+a> to enter Ctrl+a itself\r\n",
        );
        let mut b = t.pty("lxc-console -n c1");
        b.expect("Connected to tty 2");
        a.send("one\r");
        a.expect("heard one");
        b.send("two\r");
        b.expect("heard two");
        a.send("\x01q");
        assert_eq!(a.end(), 0);
        // the tty is free again
        let mut d = t.pty("lxc-console -n c1");
        d.expect("Connected to tty 1");
        d.send("\x01q");
        assert_eq!(d.end(), 0);
        b.send("\x01q");
        assert_eq!(b.end(), 0);
    })
    .covers("console -n");

    for opt in ["-t ", "--tty="] {
        c.add(format!("console.tty{}", opt.trim()), move |t| {
            up(t);
            let mut p = t.pty(&format!("lxc-console {opt}2 -n c1"));
            p.expect("Connected to tty 2");
            p.send("hello\r");
            p.expect("heard hello");
            // busy
            t.sh(&format!("lxc-console {opt}2 -n c1")).code(1).err_has("Denied access to tty");
            p.send("\x01q");
            assert_eq!(p.end(), 0);
        })
        .covers("console -t --tty");
    }

    c.add("console.zero_is_dev_console", |t| {
        up(t);
        let mut p = t.pty("lxc-console -t 0 -n c1");
        p.expect("Connected to tty 0");
        p.send("hello\r");
        p.expect("heard hello");
        p.send("\x01q");
        assert_eq!(p.end(), 0);
    });

    c.add("console.no_such_tty", |t| {
        up(t);
        t.sh("lxc-console -t 9 -n c1").code(1).err_has("Denied access to tty");
        t.run("c2", "");
        t.sh("lxc-console -n c2").code(1).err_has("Denied access to tty");
    });

    for opt in ["-e b", "-e ^b", "--escape=b", "--escape=^b"] {
        c.add(format!("console.escape{}", opt.replace(' ', "_")), move |t| {
            up(t);
            let mut p = t.pty(&format!("lxc-console {opt} -n c1"));
            p.expect("Type <Ctrl+b q> to exit the console, <Ctrl+b Ctrl+b> to enter Ctrl+b itself");
            p.send("\x02q");
            assert_eq!(p.end(), 0);
        })
        .covers("console -e --escape");
    }

    c.add("console.escape_upper_case", |t| {
        up(t);
        let mut p = t.pty("lxc-console -e ^B -n c1");
        p.expect("Type <Ctrl+b q> to exit the console");
        p.send("\x02q");
        assert_eq!(p.end(), 0);
    })
    .differs("console-escape-upper-case");

    c.add("console.escape_twice_is_itself", |t| {
        up(t);
        let mut p = t.pty("lxc-console -n c1");
        p.expect("Connected to tty 1");
        p.send("x\x01\x01y\r");
        p.expect("heard x\x01y");
        p.send("\x01q");
        assert_eq!(p.end(), 0);
    });

    c.add("console.not_running", |t| {
        t.mk("c1", TTYS);
        t.sh("lxc-console -n c1").code(1).out("").err_has("c1 is not running");
        t.sh("lxc-console -q -n c1").code(1).silent();
    })
    .covers("console -q --quiet");

    c.add("console.missing_container", |t| {
        t.sh("lxc-console -n nope").code(1).out("").err_has("nope is not running");
    });

    c.add("console.stdin_is_no_terminal", |t| {
        up(t);
        let o = t.sh("lxc-console -n c1");
        o.code(1);
    });

    c.add("console.bad_tty_number", |t| {
        up(t);
        let o = t.sh("lxc-console -t abc -n c1");
        o.code(1);
        o.no_crash();
    });

    c.add("console.ends_with_the_container", |t| {
        up(t);
        let mut p = t.pty("lxc-console -n c1");
        p.expect("Connected to tty 1");
        t.sh("lxc-stop -k -n c1").ok();
        p.end();
    });

    c.add("console.logfile", |t| {
        t.run("c1", "lxc.console.logfile = /tmp/con.log\nlxc.pty.max = 8");
        t.inside("c1", "echo from inside > /dev/console");
        t.until("logged", |t| t.read("/tmp/con.log").contains("from inside"));
    })
    .keys("lxc.console.logfile lxc.pty.max");

    c.add("console.ttys_inside", |t| {
        t.run("c1", TTYS);
        assert_eq!(
            t.inside("c1", "cd /dev && ls tty1 tty2 tty3 tty4 console 2>/dev/null | sort | tr '\\n' ' '"),
            "console tty1 tty2 tty3"
        );
    })
    .keys("lxc.tty.max");

    c.add("console.container_ttys", |t| {
        t.run("c1", TTYS);
        let env = t.inside("c1", "tr '\\0' '\\n' < /proc/1/environ");
        assert!(env.contains("container_ttys=pts/"), "{env}");
    })
    .since("7.0");

    c.add("console.tty_dir", |t| {
        t.run("c1", &format!("{TTYS}lxc.tty.dir = lxc"));
        assert_eq!(
            t.inside("c1", "readlink /dev/tty1; ls /dev/lxc | tr '\\n' ' '"),
            "lxc/tty1\nconsole tty1 tty2 tty3"
        );
    })
    .keys("lxc.tty.dir");
}
