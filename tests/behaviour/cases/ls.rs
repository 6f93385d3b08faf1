//! lxc-ls.

use crate::case::Cases;

fn three(t: &mut crate::ctx::T) {
    t.mk("alpha", "lxc.group = onboot\nlxc.group = web\nlxc.start.auto = 1");
    t.mk("b", "lxc.group = web");
    t.mk("gamma", "");
    t.start("alpha");
    t.start("gamma");
    t.sh("lxc-freeze -n gamma").ok();
}

pub fn add(c: &mut Cases) {
    c.add("ls.plain_pads_to_the_widest", |t| {
        t.mk("alpha", "");
        t.mk("b", "");
        t.sh("lxc-ls").ok().out("alpha\nb    \n").err("");
        t.sh("lxc-destroy -n alpha").ok();
        t.sh("lxc-ls").ok().out("b   \n");
    });

    c.add("ls.empty_and_missing_store", |t| {
        t.sh("lxc-ls").ok().silent();
        t.sh("lxc-ls -f").ok().silent();
        t.sh("lxc-ls -P /no/such").ok().silent();
    })
    .covers("ls -f --fancy -P");

    for opt in ["-1", "--line"] {
        c.add(format!("ls.line{opt}"), move |t| {
            t.mk("alpha", "");
            t.mk("b", "");
            t.sh(&format!("lxc-ls {opt}")).ok().out("alpha\nb\n");
        })
        .covers("ls -1 --line");
    }

    for opt in ["-f", "--fancy"] {
        c.add(format!("ls.fancy{opt}"), move |t| {
            three(t);
            t.sh(&format!("lxc-ls {opt}")).ok().err("").out(
                "NAME  STATE   AUTOSTART GROUPS      IPV4 IPV6 UNPRIVILEGED \n\
                 alpha RUNNING 1         onboot, web -    -    false        \n\
                 b     STOPPED 0         web         -    -    false        \n\
                 gamma FROZEN  0         -           -    -    false        \n",
            );
        })
        .covers("ls -f --fancy")
        .keys("lxc.group lxc.start.auto");
    }

    c.add("ls.filters", |t| {
        three(t);
        for (opts, names) in [
            ("--active", "alpha\ngamma\n"),
            ("--running", "alpha\ngamma\n"),
            ("--frozen", "gamma\n"),
            ("--stopped", "b\n"),
            ("--defined", "alpha\nb\ngamma\n"),
            ("--running --frozen", "gamma\n"),
            ("--running --stopped", ""),
            ("--active --defined", "alpha\ngamma\n"),
            ("--filter=a", "alpha\ngamma\n"),
            ("--filter='^a'", "alpha\n"),
            ("--filter '^(b|g.*)$'", "b\ngamma\n"),
            ("'^g'", "gamma\n"),
            ("-g web", "alpha\nb\n"),
            ("--groups=web,onboot", "alpha\n"),
            ("-g on", ""),
            ("--filter='['", ""),
            ("nosuch", ""),
        ] {
            t.sh(&format!("lxc-ls -1 {opts}")).ok().err("").out(names);
        }
    })
    .keys("lxc.group")
    .covers("ls --active --running --frozen --stopped --defined --filter -g --groups");

    c.add("ls.fancy_format", |t| {
        three(t);
        t.sh("lxc-ls -f -F name,state").ok().out("NAME  STATE   \nalpha RUNNING \nb     STOPPED \ngamma FROZEN  \n");
        t.sh("lxc-ls --fancy --fancy-format=NAME,AUTOSTART,groups b")
            .ok()
            .out("NAME AUTOSTART GROUPS \nb    0         web    \n");
        // only together with -f
        t.sh("lxc-ls -F state -1").ok().out("alpha\nb\ngamma\n");
        t.sh("lxc-ls -f -F name,foo").err_has("Invalid key: foo");
    })
    .covers("ls -F --fancy-format");

    c.add("ls.fancy_numbers", |t| {
        t.run("c1", "");
        let pid = t.init_pid("c1");
        let o = t.sh("lxc-ls -f -F NAME,PID,INTERFACE,UNPRIVILEGED");
        let w = pid.to_string().len().max(3);
        o.ok().out(&format!("NAME {:<w$} INTERFACE UNPRIVILEGED \nc1   {:<w$} lo        false        \n", "PID", pid));
        let o = t.sh("lxc-ls -f -F RAM,SWAP c1");
        o.ok().out_has("MB ");
    });

    c.add("ls.unprivileged_column", |t| {
        t.mk("c1", "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536");
        t.sh("lxc-ls -f -F name,unprivileged").ok().out("NAME UNPRIVILEGED \nc1   true         \n");
    });

    c.add("ls.nesting_of_stopped", |t| {
        let r = t.mk("outer", "");
        t.write(r.join("var/lib/lxc/inner/config"), "lxc.net.0.type = empty\n");
        t.sh("lxc-ls -1 --nesting").ok().out("outer\nouter/inner\n");
        t.sh("lxc-ls -1 --nesting=0").ok().out("outer\n");
        t.sh("lxc-ls -1").ok().out("outer\n");
        t.sh("lxc-ls -f -F name,state --nesting=2").ok().out("NAME   STATE   \nouter  STOPPED \n\\inner STOPPED \n");
    })
    .covers("ls --nesting");

    c.add("ls.nesting_argument_must_be_glued", |t| {
        t.mk("c1", "");
        t.mk("x2", "");
        t.sh("lxc-ls -1 --nesting 1").ok().out("c1\n");
    });

    c.add("ls.sorted_bytewise", |t| {
        for n in ["b", "a", "B", "a-1", "a1", "_x"] {
            t.write(format!("/var/lib/lxc/{n}/config"), "");
        }
        t.sh("lxc-ls -1").ok().out("B\n_x\na\na-1\na1\nb\n");
    });

    c.add("ls.what_is_a_container", |t| {
        t.write("/var/lib/lxc/empty/config", "");
        t.write("/var/lib/lxc/noconfig/other", "");
        t.write("/var/lib/lxc/plainfile", "");
        t.write("/var/lib/lxc/.hidden/config", "");
        t.sh("lxc-ls -1").ok().out("empty\n");
        t.sh("lxc-info -n empty -sH").ok().out("STOPPED\n");
    });

    c.add("ls.broken_config", |t| {
        t.mk("good", "");
        t.mk("bad", "lxc.bogus = 1");
        let o = t.sh("lxc-ls -f");
        o.ok().out_has("good ").err_has("Failed to load config for bad");
        assert!(!o.out.contains("bad "), "{}", o.out);
    });

    c.add("ls.plain_list_hides_no_broken_config", |t| {
        t.mk("good", "");
        t.mk("bad", "lxc.bogus = 1");
        t.sh("lxc-ls -1").ok().out("bad\ngood\n");
    })
    .differs("ls-hides-nothing");

    c.add("ls.running_without_config_file", |t| {
        t.run("c1", "");
        t.sh("mv /var/lib/lxc/c1/config /tmp/");
        t.sh("lxc-ls -1").ok().out("c1\n");
        t.sh("lxc-ls -1 --defined").ok().out("");
        t.sh("lxc-ls -f -F name,state").ok().out_has("c1   RUNNING");
        t.sh("lxc-stop -k -n c1").ok();
        t.sh("lxc-ls -1").ok().out("");
    });

    c.add("ls.broken_config_of_a_running_container", |t| {
        t.run("c1", "");
        t.sh("echo 'lxc.bogus = 1' >> /var/lib/lxc/c1/config");
        t.sh("lxc-ls -1 --running").ok().out("c1\n");
        t.sh("lxc-ls -f -F name,state --active").ok().out("NAME STATE   \nc1   RUNNING \n");
    })
    .differs("broken-config-does-not-lock-the-owner-out");

    c.add("ls.columns_on_a_terminal", |t| {
        t.mk("alpha", "");
        t.mk("b", "");
        let mut p = t.pty("lxc-ls");
        assert_eq!(p.end(), 0);
        assert!(p.text.contains("alpha b"), "{:?}", p.text);
    });

    c.add("ls.name_option_is_ignored", |t| {
        t.mk("c1", "");
        t.mk("c2", "");
        t.sh("lxc-ls -1 -n c1").ok().out("c1\nc2\n");
    })
    .covers("ls -n --name");

    c.add("ls.addresses", |t| {
        t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.77.0.2/24\nlxc.net.0.ipv4.address = 10.77.0.3/24\nlxc.net.0.ipv6.address = fd77::2/64");
        t.until("addresses shown", |t| t.sh("lxc-ls -f -F ipv4,ipv6").out.contains("fd77::2"));
        t.sh("lxc-ls -f -F name,ipv4,ipv6,interface").ok().out_has("c1   10.77.0.2, 10.77.0.3 fd77::2 eth0, lo");
    });

    c.add("ls.hundred", |t| {
        for n in 0..100 {
            t.write(format!("/var/lib/lxc/n{n:03}/config"), "lxc.net.0.type = empty\n");
        }
        let o = t.sh("lxc-ls -1");
        assert_eq!(o.ok().out.lines().count(), 100);
        let o = t.sh("lxc-ls -f");
        assert_eq!(o.ok().out.lines().count(), 101);
    });
}
