//! lxc-config --check and lxc-update-config: what is wrong with a config before a start says so, and old ones made new.

use crate::case::Cases;

pub fn add(c: &mut Cases) {
    check(c);
    words(c);
    update(c);
}

fn check(c: &mut Cases) {
    c.add("check.a_good_config_is_clean", |t| {
        t.mk("c1", "");
        t.sh("lxc-config --check -n c1").ok().silent();
        t.sh("lxc-config --check /var/lib/lxc/c1/config").ok().silent();
        t.sh("lxc-config --check -P /var/lib/lxc -n c1").ok().silent();
    })
    .differs("config-check")
    .covers("config --check -n -P");

    c.add("check.all_problems_at_once", |t| {
        t.write(
            "/tmp/c.conf",
            "lxc.uts.nam = x\n  lxc.tty.max = 5x\nlxc.start.auto = 7\nlxc.utsname = old\nlxc.include = /no/such\n\
             lxc.cap.drop = chown\nlxc.cap.keep = kill\nlxc.namespace.clone = net\nlxc.namespace.keep = pid\n\
             lxc.net.0.type = none\nlxc.net.1.type = none\nLXC.x = 1\n",
        );
        let o = t.sh("lxc-config --check /tmp/c.conf");
        o.code(1).err("");
        for part in [
            "/tmp/c.conf:1:1: error: unknown key lxc.uts.nam (did you mean lxc.uts.name?)\n",
            "/tmp/c.conf:2:17: error: lxc.tty.max = 5x: ",
            "/tmp/c.conf:3:18: error: lxc.start.auto = 7: neither 0 nor 1 (lxc.start.auto takes 0 or 1)\n",
            "/tmp/c.conf:4:1: info: lxc.utsname is an old name of lxc.uts.name (write lxc.uts.name, ",
            "/tmp/c.conf:5:15: error: lxc.include = /no/such: ",
            "/tmp/c.conf:7:16: error: lxc.cap.keep = kill: ",
            "/tmp/c.conf:9:22: error: lxc.namespace.keep = pid: ",
            "/tmp/c.conf:11:18: warning: lxc.net.0 and lxc.net.1 are both of type none",
            "/tmp/c.conf:12:1: warning: the line is ignored",
        ] {
            o.out_has(part);
        }
        o.check(o.out.lines().count() == 9, "nine lines wanted");
    })
    .differs("config-check");

    c.add("check.problems_of_includes_have_their_file", |t| {
        t.write("/tmp/d/b.conf", "# x\nlxc.bogus = 1\n");
        t.write("/tmp/d/a.conf", "lxc.tty.max = z\n");
        t.write("/tmp/c.conf", "lxc.include = /tmp/d\nlxc.include = /no/dir/\n");
        let o = t.sh("lxc-config --check /tmp/c.conf");
        o.code(1).out_has("/tmp/d/a.conf:1:15: error: ").out_has("/tmp/d/b.conf:2:1: error: unknown key lxc.bogus");
        o.out_has("/tmp/c.conf:2:15: info: lxc.include = /no/dir/: there is no such directory");
    })
    .differs("config-check");

    c.add("check.what_the_host_lacks_is_a_warning", |t| {
        t.write("/etc/subuid", "");
        t.write("/etc/subgid", "root:100000:65536\n");
        t.write(
            "/tmp/config",
            "lxc.rootfs.path = dir:/no/rootfs\nlxc.net.0.type = veth\nlxc.net.0.link = nobr9\n\
             lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\nlxc.mount.fstab = /no/fstab\n\
             lxc.hook.pre-start = /no/hook x\n",
        );
        let o = t.sh("lxc-config --check /tmp/config");
        o.code(2).err("");
        for part in [
            "/tmp/config:1:19: warning: lxc.rootfs.path = /no/rootfs",
            "/tmp/config:3:18: warning: lxc.net.0.link = nobr9: there is no such bridge on this host",
            "/tmp/config:4:13: warning: lxc.idmap = u 0 100000 65536: /etc/subuid does not grant root these ids (add the line root:100000:65536 to /etc/subuid)\n",
            "/tmp/config:6:19: warning: lxc.mount.fstab = /no/fstab: No such file or directory",
            "/tmp/config:7:22: warning: lxc.hook.pre-start = /no/hook x: there is no such command",
        ] {
            o.out_has(part);
        }
        o.out_lacks("/tmp/config:5:");
    })
    .differs("config-check");

    c.add("check.named_files_are_looked_through", |t| {
        t.write("/tmp/p", "2\ndenylist\nmkdir frob\n");
        t.write("/tmp/f", "# x\ntmpfs\n");
        t.mk("c1", "lxc.seccomp.profile = /tmp/p\nlxc.mount.fstab = /tmp/f\nlxc.mount.entry = a b c create=x");
        let o = t.sh("lxc-config --check -n c1");
        o.code(1).out_has("/tmp/p:3:7: error: unknown action").out_has("/tmp/f:2:6: error: ");
        o.out_has("error: lxc.mount.entry = a b c create=x: ");
    })
    .differs("config-check");

    c.add("check.other_formats", |t| {
        for (file, text, part) in [
            (
                "/etc/lxc/lxc.conf",
                "lxc.lxcpaht = /x\n",
                "1:1: warning: unknown key lxc.lxcpaht (did you mean lxc.lxcpath?)",
            ),
            ("/etc/lxc/lxc-usernet", "alice vteh br0 1\n", "1:7: error: vteh is no type"),
            ("/tmp/subuid", "alice:1\n", "1:8: error: 2 of 3 fields"),
            ("/etc/default/lxc-net", "LXC_ADR=1\n", "1:1: warning: LXC_ADR is no name"),
            ("/tmp/x.seccomp", "3\nallowlist\n", "1:1: error: "),
            ("/tmp/fstab", "tmpfs\n", "1:6: error: "),
        ] {
            t.write(file, text);
            let o = t.sh(&format!("lxc-config --check {file}"));
            o.check(o.code == 1 || o.code == 2, "a status of its own").err("").out_has(&format!("{file}:{part}"));
        }
        t.write("/tmp/anything", "alice veth br0 1\n");
        t.sh("lxc-config --check --as usernet /tmp/anything").ok().silent();
    })
    .differs("config-check")
    .covers("config --as");

    c.add("check.json", |t| {
        t.write("/tmp/c.conf", "lxc.uts.nam = x\n");
        let o = t.sh("lxc-config --check /tmp/c.conf --format json");
        o.code(1).err("").out(
            "{\"files\":[\"/tmp/c.conf\"],\"errors\":1,\"warnings\":0,\"notes\":0,\"problems\":[{\"file\":\"/tmp/c.conf\",\
             \"line\":1,\"column\":1,\"severity\":\"error\",\"key\":\"lxc.uts.nam\",\"text\":\"unknown key lxc.uts.nam\",\
             \"hint\":\"did you mean lxc.uts.name?\"}]}\n",
        );
        t.sh("lxc-config --check --format=xml /tmp/c.conf").code(1).out("").err_has("the formats are: json text");
    })
    .differs("config-check")
    .covers("config --format");

    c.add("check.exit_codes_of_bad_calls", |t| {
        for line in
            ["--check /no/such", "--check -n nope", "--check -n ../x", "--check a b", "--check --bogus", "--check -n"]
        {
            t.sh(&format!("lxc-config {line}")).code(1).out("").err_has("lxc-config: ");
        }
    })
    .differs("config-check");
}

/// A start refuses in the words of the check.
fn words(c: &mut Cases) {
    for (id, lines) in [
        ("unknown_key", "lxc.uts.nam = x"),
        ("bad_value", "lxc.tty.max = 5x"),
        ("cap_drop_and_keep", "lxc.cap.drop = chown\nlxc.cap.keep = kill"),
        ("clone_and_keep", "lxc.namespace.clone = net\nlxc.namespace.keep = pid"),
        ("missing_include", "lxc.include = /no/such"),
        ("overlapping_ids", "lxc.idmap = u 0 100000 10\nlxc.idmap = u 5 200000 10\nlxc.idmap = g 0 100000 10"),
        ("cgroup_dirs", "lxc.cgroup.dir = a\nlxc.cgroup.dir.monitor = b\nlxc.cgroup.dir.container = c"),
        ("cgroup_monitor_alone", "lxc.cgroup.dir.monitor = b"),
        ("cgroup_inner_alone", "lxc.cgroup.dir.container.inner = b"),
        ("cgroup_base_itself", "lxc.cgroup.dir.monitor = .\nlxc.cgroup.dir.container = c"),
        ("no_equals", "lxc.uts.name"),
        ("include_loop", "lxc.include = /var/lib/lxc/c1/config"),
        ("user_without_ids", "lxc.namespace.clone = user mnt pid"),
        ("offset_without_clock", "lxc.time.offset.boot = 1h\nlxc.namespace.keep = time"),
        ("not_built", "lxc.net.1.type = macvlan\nlxc.net.1.link = lo"),
        ("unknown_device_key", "lxc.net.0.bogus = 1"),
        ("bad_name_of_a_device", "lxc.net.0.type = veth\nlxc.net.0.name = a/b"),
        ("gateway_without_address", "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.ipv4.gateway = 10.9.0.1"),
        ("missing_rootfs", "lxc.rootfs.path = dir:/no/rootfs"),
        ("missing_rootfs_mount", "lxc.rootfs.mount = /no/such/dir"),
        ("missing_fstab", "lxc.mount.fstab = /no/fstab"),
        ("bad_fstab", "lxc.mount.fstab = /tmp/f"),
        ("missing_policy", "lxc.seccomp.profile = /no/policy"),
        ("missing_hook", "lxc.hook.pre-start = /no/hook"),
        ("ids_not_granted", "lxc.idmap = u 0 5000000 10\nlxc.idmap = g 0 5000000 10"),
        ("unknown_limit", "lxc.prlimit.bogus = 1"),
        ("soft_above_hard", "lxc.prlimit.nofile = 20:10"),
        ("bad_hwaddr", "lxc.net.0.type = veth\nlxc.net.0.hwaddr = zz"),
        ("bad_mtu", "lxc.net.0.type = veth\nlxc.net.0.mtu = abc"),
        ("no_parent_interface", "lxc.net.1.type = macvlan"),
        ("missing_bridge", "lxc.net.0.type = veth\nlxc.net.0.link = nobr9"),
        ("bad_mount_entry", "lxc.mount.entry = a b c create=x"),
        ("bad_policy", "lxc.seccomp.profile = /tmp/p"),
        ("unknown_file_of_sysctl", "lxc.sysctl.net.no.such = 1"),
        ("unknown_file_of_proc", "lxc.proc.no_such = 1"),
    ] {
        c.add(format!("check.same_words.{id}"), move |t| {
            t.write("/tmp/p", "2\ndenylist\nmkdir frob\n");
            t.write("/tmp/f", "tmpfs\n");
            t.mk("c1", lines);
            let check = t.sh("lxc-config --check -n c1");
            check.check(check.code != 0, "a problem is found");
            let words = problems(&check.out);
            let start = t.sh("lxc-start -F -n c1");
            start.code(1);
            start.check(words.iter().any(|w| start.err.contains(w.as_str())), &format!("one of {words:?} wanted"));
        })
        .differs("config-check");
    }

    c.add("check.same_words.not_utf_8", |t| {
        t.mk("c1", "");
        t.sh(r"printf 'lxc.uts.name = caf\351\n' >> /var/lib/lxc/c1/config").ok();
        let check = t.sh("lxc-config --check -n c1");
        check.code(1).out_has(": error: lxc.uts.name: the line is not UTF-8");
        t.sh("lxc-start -F -n c1").code(1).err_has("lxc.uts.name: the line is not UTF-8");
    })
    .differs("config-check");

    c.add("check.sysctls_of_the_containers_interfaces", |t| {
        t.mk(
            "c1",
            "lxc.net.0.type = empty\nlxc.sysctl.net.ipv4.conf.eth7.forwarding = 1\nlxc.sysctl.kernel.msgmax = 4096",
        );
        t.sh("lxc-config --check -n c1").ok().silent();
    })
    .differs("config-check");

    c.add("check.same_words.every_bad_value", |t| {
        let (mut tried, mut text) = (0, String::new());
        for (_, row) in lxc::config::table::rows() {
            let name = row.sample_name();
            let kind = ["veth", "macvlan", "ipvlan", "vlan"].into_iter().find(|k| name.contains(&format!(".{k}.")));
            let device = kind.map_or(String::new(), |k| format!("lxc.net.0.type = {k}\n"));
            for bad in row.info().bad {
                tried += 1;
                t.mk("c1", &format!("{device}{name} = {bad}"));
                let check = t.sh("lxc-config --check -n c1");
                check.code(1);
                let words = problems(&check.out);
                let start = t.sh("lxc-start -F -n c1");
                if start.code != 1 || !words.iter().any(|w| start.err.contains(w.as_str())) {
                    text.push_str(&format!("{name} = {bad}: {words:?}, a start {}: {}\n", start.code, start.err));
                }
                t.sh("rm -r /var/lib/lxc/c1").ok();
            }
        }
        assert!(text.is_empty() && tried > 60, "{tried} values: {text}");
    })
    .differs("config-check")
    .limit(180);
}

/// The words of the problems that a check printed: `FILE:LINE:COLUMN: severity: WORDS (hint)`.
fn problems(out: &str) -> Vec<String> {
    let words = out.lines().filter_map(|l| l.split_once(": error: ").or_else(|| l.split_once(": warning: ")));
    words.map(|(_, words)| words.split(" (").next().unwrap_or_default().to_string()).collect()
}

const OLD: &str = "# mine\nlxc.utsname = x\n#lxc.tty = 4\nlxc.rootfs = /a/b\nlxc.network.type = veth\n\
                   lxc.network.link = br0\nlxc.network.ipv4 = 1.2.3.4/24\nlxc.kmsg = 0\n\tlxc.console =/x\n\
                   lxc.network.type = phys\nlxc.network.ipv6.gateway = auto\nlxc.id_map = u 0 1 2\n";
const NEW: &str = "# mine\nlxc.uts.name = x\n#lxc.tty.max = 4\nlxc.rootfs.path = dir:/a/b\nlxc.net.0.type = veth\n\
                   lxc.net.0.link = br0\nlxc.net.0.ipv4.address = 1.2.3.4/24\n\tlxc.console.path =/x\n\
                   lxc.net.1.type = phys\nlxc.net.1.ipv6.gateway = auto\nlxc.idmap = u 0 1 2\n";

fn update(c: &mut Cases) {
    c.add("update_config.rewrites_and_keeps_a_backup", |t| {
        t.write("/tmp/old", OLD);
        t.sh("chmod 604 /tmp/old; lxc-update-config -c /tmp/old").ok().silent();
        assert_eq!(t.read("/tmp/old"), NEW);
        assert_eq!(t.read("/tmp/old.backup"), OLD);
        t.sh("stat -c %a /tmp/old /tmp/old.backup").ok().out("604\n604\n");
        t.sh("lxc-update-config --config /tmp/old").ok().silent();
        assert_eq!(t.read("/tmp/old"), NEW, "a second time nothing changes");
    })
    .covers("update-config -c --config");

    c.add("update_config.usage", |t| {
        for arg in ["", "-h", "--help"] {
            t.sh(&format!("lxc-update-config {arg}"))
                .ok()
                .err("")
                .out_has("lxc-update-config -h|--help [-c|--config]\nconfig: the container configuration to update\n");
        }
        t.sh("lxc-update-config -x").code(1);
        t.sh("lxc-update-config -c").code(1);
        t.sh("lxc-update-config -c /no/such").code(1).out("");
    })
    .covers("update-config -h --help");

    c.add("update_config.what_the_original_misses", |t| {
        t.write(
            "/tmp/old",
            "lxc.rootfs = /a\nlxc.rootfs.backend = overlay\nlxc.limit.nofile = 10\nlxc.network.0.ipv4 = 1.1.1.1/8\n# end\n",
        );
        t.sh("lxc-update-config -c /tmp/old").ok().silent();
        assert_eq!(
            t.read("/tmp/old"),
            "lxc.rootfs.path = overlay:/a\nlxc.prlimit.nofile = 10\nlxc.net.0.ipv4.address = 1.1.1.1/8\n# end\n"
        );
    })
    .differs("update-config-is-complete");

    c.add("update_config.dry_run", |t| {
        t.write("/tmp/old", OLD);
        let o = t.sh("lxc-update-config --dry-run -c /tmp/old");
        o.ok().err("").out_has("--- /tmp/old\n+++ /tmp/old\n@@ -1,12 +1,11 @@\n # mine\n-lxc.utsname = x\n");
        assert_eq!(t.read("/tmp/old"), OLD);
        t.gone("/tmp/old.backup");
        // What it prints is what it would do.
        if t.sh("command -v patch").code == 0 {
            t.sh("cp /tmp/old /tmp/new && lxc-update-config --dry-run -c /tmp/old | patch -s /tmp/new").ok();
            assert_eq!(t.read("/tmp/new"), NEW);
        }
    })
    .differs("update-config-dry-run")
    .covers("update-config --dry-run");
}
