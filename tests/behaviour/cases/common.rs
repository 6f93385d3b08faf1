//! What all tools share: options, getopt's habits, names, help and version.

use crate::case::Cases;

/// The C tools of the family that this house has so far.
pub const TOOLS: &[&str] =
    &["attach", "console", "create", "destroy", "execute", "freeze", "info", "ls", "start", "stop", "unfreeze", "wait"];

pub fn add(c: &mut Cases) {
    for tool in TOOLS.iter().copied() {
        c.add(format!("common.help.{tool}"), move |t| {
            let long = t.sh(&format!("lxc-{tool} --help"));
            long.ok().out("").err_has(&format!("Usage: lxc-{tool} ")).err_has("Common options :");
            long.err_has("-o, --logfile=FILE").err_has("-P, --lxcpath=PATH").err_has("--version");
            let short = t.sh(&format!("lxc-{tool} -h"));
            short.ok().out("");
            assert_eq!(short.err, long.err, "-h and --help print the same");
            let question = t.sh(&format!("lxc-{tool} '-?'"));
            question.code(1).out("").err_has(&format!("Usage: lxc-{tool} "));
        });
        c.add(format!("common.usage.{tool}"), move |t| {
            let o = t.sh(&format!("lxc-{tool} --usage"));
            o.ok().out("").err_has(&format!("Usage: lxc-{tool} [-"));
            o.err_has("[-n|--name=NAME] ").err_has("[-h|--help] ").err_has("[-?|--help] ").err_has("[--usage] ");
            o.err_has("[-q|--quiet] ").err_has("[-o|--logfile=LOGFILE] ").err_has("[-l|--logpriority=LOGPRIORITY] ");
            o.err_has("[-P|--lxcpath=LXCPATH] ").err_has("[--rcfile=RCFILE] ");
        });
        c.add(format!("common.usage_equals_reference.{tool}"), move |t| {
            // The one-line synopsis is generated from the option table: same table, same bytes.
            let ours = t.sh(&format!("lxc-{tool} --usage"));
            let theirs = t.sh(&format!("/usr/bin/lxc-{tool} --usage"));
            let want = if tool == "create" && !t.reference {
                // 7.0 has one option more.
                ours.err_has("--rbduser=RBDUSER");
                return;
            } else {
                theirs.err.clone()
            };
            ours.err(&want);
        })
        .needs(&[crate::case::Need::Both]);
        c.add(format!("common.version.{tool}"), move |t| {
            let o = t.sh(&format!("lxc-{tool} --version"));
            o.ok().err("").out(if t.reference { "5.0.2\n" } else { "7.0.0\n" });
        });
        c.add(format!("common.unknown_option.{tool}"), move |t| {
            let o = t.sh(&format!("lxc-{tool} --bogus c1"));
            o.code(1).out("").err_has(&format!("lxc-{tool}: unrecognized option '--bogus'\nUsage: lxc-{tool} "));
            let o = t.sh(&format!("lxc-{tool} -Z c1"));
            o.code(1).out("").err_has(&format!("lxc-{tool}: invalid option -- 'Z'\n"));
            let o = t.sh(&format!("lxc-{tool} --name"));
            o.code(1).out("").err_has(&format!("lxc-{tool}: option '--name' requires an argument\n"));
            let o = t.sh(&format!("lxc-{tool} --quiet=yes"));
            o.code(1).out("").err_has(&format!("lxc-{tool}: option '--quiet' doesn't allow an argument\n"));
        });
        if tool != "ls" {
            c.add(format!("common.no_name.{tool}"), move |t| {
                let o = t.sh(&format!("lxc-{tool}"));
                o.code(1).out("").err(&format!("lxc-{tool}: No container name specified\n"));
                // -q silences the complaint, not the status
                t.sh(&format!("lxc-{tool} -q")).code(1).silent();
            });
        }
        c.add(format!("common.two_lxcpaths.{tool}"), move |t| {
            let o = t.sh(&format!("lxc-{tool} -P /tmp/a -P /tmp/b -n c1"));
            o.code(1).out("").err_has("This command only accepts 1 -P,--lxcpath arguments\n");
        });
        if !matches!(tool, "create" | "ls" | "wait" | "execute" | "console") {
            c.add(format!("common.missing_container.{tool}"), move |t| {
                let o = t.sh(&format!("lxc-{tool} -n nope"));
                let (code, text) = match tool {
                    "attach" => (1, "Failed to get init pid"),
                    "destroy" => (1, "Container is not defined"),
                    "freeze" => (1, "Failed to freeze /var/lib/lxc:nope"),
                    "unfreeze" => (1, "Failed to unfreeze /var/lib/lxc:nope"),
                    "info" => (1, "nope doesn't exist"),
                    "start" => (1, "No container config specified"),
                    _ => (2, "nope is not running"),
                };
                o.code(code).out("").err_has(text);
            });
        }
    }

    c.add("common.absent_container_helps", |t| {
        t.mk("web1", "");
        for (tool, text) in [
            ("info", "wbe1 doesn't exist"),
            ("start", "No container config specified"),
            ("attach", "Failed to get init pid"),
            ("stop", "wbe1 is not running"),
            ("console", "wbe1 is not running"),
            ("destroy", "Container is not defined"),
        ] {
            let o = t.sh(&format!("lxc-{tool} -n wbe1"));
            o.out("").err_has(text).err_has("there is no container wbe1 in /var/lib/lxc: did you mean web1?\n");
            t.sh(&format!("lxc-{tool} -n zzzz")).err_has("see lxc-ls, or lxc-create -n zzzz -t TEMPLATE\n");
            t.sh(&format!("lxc-{tool} -q -n zzzz")).err_lacks("TEMPLATE");
            let o = t.sh(&format!("lxc-{tool} -P /tmp/s -n a"));
            o.err_has("in /tmp/s: see lxc-ls -P /tmp/s, or lxc-create -P /tmp/s -n a -t TEMPLATE\n");
        }
        t.sh("lxc-attach -n web1 -- true").code(1).err_has("web1 is not running: lxc-start -n web1\n");
    })
    .differs("absent-is-told");

    c.add("common.long_prefix_and_glued_values", |t| {
        t.mk("c1", "");
        for line in [
            "lxc-info --na=c1 -s",
            "lxc-info -nc1 -s",
            "lxc-info --name c1 --state",
            "lxc-info -sn c1",
            "lxc-info c1 -s",
            "lxc-info -s c1",
        ] {
            t.sh(line).ok().err("").out("State:          STOPPED\n");
        }
    })
    .covers("info -n --name -s --state");

    c.add("common.ambiguous_prefix", |t| {
        let o = t.sh("lxc-info --stat c1");
        o.code(1).err_has("lxc-info: option '--stat' is ambiguous; possibilities: '--state' '--stats'\n");
    });

    c.add("common.permutation_and_double_dash", |t| {
        t.run("c1", "");
        // options after the operand belong to the tool…
        t.sh("lxc-attach c1 hostname -q").ok().out("c1\n");
        // …but not after --
        t.sh("lxc-attach c1 -- echo -n x").ok().out("x");
        // …nor with POSIXLY_CORRECT
        t.sh("POSIXLY_CORRECT=1 lxc-attach -n c1 echo -n x").ok().out("x");
    });

    c.add("common.name_option_beats_operand", |t| {
        t.mk("c1", "");
        t.sh("lxc-info other -n c1 -s").ok().out("State:          STOPPED\n");
    });

    c.add("common.lxcpath_trailing_slash_and_store", |t| {
        t.mk_in("/tmp/store", "c1", "");
        t.sh("lxc-ls -P /tmp/store/// -1").ok().out("c1\n");
        t.sh("lxc-ls --lxcpath=/tmp/store -1").ok().out("c1\n");
        t.sh("lxc-start -P /tmp/store// -n c1").ok().silent();
        t.sh("lxc-info -P /tmp/store -n c1 -sH").ok().out("RUNNING\n");
        t.sh("lxc-info -n c1 -s").code(1);
        t.sh("lxc-stop -k -P /tmp/store -n c1").ok();
    })
    .covers("start -P --lxcpath; ls -P --lxcpath; info -P; stop -P");

    c.add("common.lxc_conf_sets_the_store", |t| {
        t.write("/etc/lxc/lxc.conf", "# comment\nlxc.lxcpath = /tmp/other\n");
        t.mk_in("/tmp/other", "c7", "");
        t.sh("lxc-ls -1").ok().out("c7\n");
        t.sh("lxc-config lxc.lxcpath").ok().out("/tmp/other\n");
        t.sh("lxc-info -n c7 -sH").ok().out("STOPPED\n");
    });

    c.add("common.quiet_keeps_data", |t| {
        t.mk("c1", "");
        t.sh("lxc-info -q -n c1 -s").ok().out("State:          STOPPED\n");
        t.sh("lxc-start -q -n nope").code(1).silent();
        t.sh("lxc-freeze --quiet -n nope").code(1).silent();
        t.sh("lxc-destroy -q -n nope").code(1).silent();
    })
    .covers("info -q; start --quiet; freeze --quiet; destroy -q");

    c.add("common.rcfile_missing", |t| {
        t.mk("c1", "");
        for tool in ["start", "freeze", "stop", "info", "attach", "execute"] {
            let tail = if matches!(tool, "attach" | "execute") { "-- true" } else { "" };
            let o = t.sh(&format!("lxc-{tool} --rcfile /no/such -n c1 {tail}"));
            o.code(1).err_has("Failed to load rcfile");
        }
    })
    .covers("start --rcfile; freeze --rcfile; stop --rcfile; info --rcfile; attach --rcfile; execute --rcfile");

    c.add("common.rcfile_replaces_config", |t| {
        t.mk("c1", "");
        t.write("/tmp/rc", "lxc.uts.name = fromrc\n");
        t.sh("lxc-info -n c1 -c lxc.uts.name").ok().out("lxc.uts.name = c1\n");
        t.sh("lxc-info --rcfile /tmp/rc -n c1 -c lxc.uts.name").ok().out("lxc.uts.name = fromrc\n");
    });

    c.add("common.all_common_options_parse_everywhere", |t| {
        t.mk("c1", "");
        t.write("/tmp/rc", "lxc.uts.name = c1\n");
        for tool in TOOLS {
            let o = t.sh(&format!("lxc-{tool} --rcfile=/tmp/rc --lxcpath=/var/lib/lxc --logfile=none --logpriority=ERROR --quiet --name=c1 --version"));
            o.ok().err("");
            let o = t.sh(&format!("lxc-{tool} -P /var/lib/lxc -o none -l ERROR -q -n c1 --version"));
            o.ok().err("");
        }
    })
    .covers(
        "attach -n -P -o -l -q --rcfile --help --usage --version -h; console -n -P -o -l -q --rcfile --help --usage --version; \
         create -n -P -o -l -q --rcfile --help --usage --version; destroy -n -P -o -l -q --rcfile --help --usage --version; \
         execute -n -P -o -l -q --rcfile --help --usage --version; freeze -n -P -o -l -q --rcfile --help --usage --version; \
         info -n -P -o -l -q --rcfile --help --usage --version; ls -n -P -o -l -q --rcfile --help --usage --version; \
         start -n -P -o -l -q --rcfile --help --usage --version; stop -n -P -o -l -q --rcfile --help --usage --version; \
         unfreeze -n -P -o -l -q --rcfile --help --usage --version; wait -n -P -o -l -q --rcfile --help --usage --version",
    );

    c.add("common.operand_is_the_name_everywhere", |t| {
        t.mk("c1", "");
        t.sh("lxc-start c1").ok().silent();
        t.ready("c1");
        t.sh("lxc-wait c1 -s RUNNING").ok().silent();
        t.sh("lxc-freeze c1").ok().silent();
        t.sh("lxc-unfreeze c1").ok().silent();
        t.sh("lxc-attach c1 -- true").ok().silent();
        t.sh("lxc-info c1 -sH").ok().out("RUNNING\n");
        t.sh("lxc-stop c1").ok().silent();
        t.sh("lxc-destroy c1").ok().silent();
        t.gone("/var/lib/lxc/c1");
        t.sh("lxc-create c2 -t none").ok().silent();
        t.sh("lxc-destroy c2").ok().silent();
    });
}
