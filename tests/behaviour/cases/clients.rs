//! Programs that others built on the C library, with the subject's library under them.

use crate::case::{Cases, Need};
use crate::ctx::T;
use std::path::Path;

/// Where the distribution's library lies.
fn distributions() -> Option<&'static str> {
    ["/usr/lib/x86_64-linux-gnu/liblxc.so.1", "/usr/lib/aarch64-linux-gnu/liblxc.so.1"]
        .into_iter()
        .find(|p| Path::new(p).exists())
}

/// The directory of the subject's library.
fn libdir(t: &T) -> String {
    let own = t.prefix.join("lib").display().to_string();
    match distributions() {
        Some(file) if t.reference => file.trim_end_matches("/liblxc.so.1").into(),
        _ => own,
    }
}

const PYTHON: &str = "import lxc, sys\n\
    c = lxc.Container('c1')\n\
    print(c.start() and c.wait('RUNNING', 10), c.state)\n\
    print(sorted({l.split()[-1] for l in open('/proc/self/maps') if 'liblxc' in l}))\n";

pub fn add(c: &mut Cases) {
    // A system whose library file is the subject's: nobody sets LD_LIBRARY_PATH, the cache of the linker is as it was.
    c.add("clients.in_the_distributions_place", |t| {
        let place = std::fs::canonicalize(distributions().expect("a need")).expect("a library").display().to_string();
        let ours = libdir(t) + "/liblxc.so.1";
        let cached = t.sh("ldconfig -p | grep 'liblxc.so.1 '").out;
        t.sh(&format!("mount --bind $(readlink -e {ours}) {place}")).ok();
        assert_eq!(t.sh("ldconfig -p | grep 'liblxc.so.1 '").out, cached);
        t.sh(&format!("cmp {place} {ours}")).ok();
        t.mk("c1", "");
        t.write("/tmp/start.py", PYTHON);
        t.sh("/usr/bin/python3 /tmp/start.py").ok().out(&format!("True RUNNING\n['{place}']\n"));
        t.ready("c1");
        t.sh("/usr/bin/lxc-info -n c1 -sH").ok().out("RUNNING\n").err("");
        t.sh("/usr/bin/lxc-ls -f -F NAME,STATE").ok().out("NAME STATE   \nc1   RUNNING \n").err("");
        t.sh("/usr/bin/lxc-attach -n c1 -- hostname").ok().out("c1\n").err("");
        t.sh("/usr/bin/lxc-stop -n c1").ok().silent();
        let _ = std::fs::remove_file(t.rootfs("c1").join("ready"));
        t.sh("/usr/bin/lxc-start -n c1").ok().silent();
        t.ready("c1");
        t.sh("/usr/bin/python3 -c 'import lxc; c = lxc.Container(\"c1\"); print(c.state, c.stop(), c.state)'")
            .ok()
            .out("RUNNING True STOPPED\n");
        t.sh(&format!("umount {place}")).ok();
    })
    .needs(&[Need::Both, Need::Python]);

    // The subject's library starts it for a program; the tools of both see the same.
    c.add("clients.the_distributions_tools_agree", |t| {
        t.mk("c1", "lxc.tty.max = 2\n");
        t.write("/tmp/start.py", PYTHON);
        let python = format!("LD_LIBRARY_PATH={} /usr/bin/python3", libdir(t));
        t.sh(&format!("{python} /tmp/start.py")).ok().out_has("True RUNNING\n");
        t.ready("c1");
        let same = |t: &mut T, tool: &str, arguments: &str| {
            let ours = t.sh(&format!("lxc-{tool} {arguments}")).ok().out.clone();
            let theirs = t.sh(&format!("/usr/bin/lxc-{tool} {arguments}")).ok().out.clone();
            assert_eq!(ours, theirs, "lxc-{tool} {arguments}");
            assert!(!ours.is_empty(), "lxc-{tool} {arguments}");
        };
        for arguments in ["-n c1 -s -p", "-n c1 -pH", "-n c1 -c lxc.uts.name -c lxc.tty.max -c lxc.mount.auto"] {
            same(t, "info", arguments);
        }
        for arguments in ["-f", "-1", "--active -1", "-f -F NAME,STATE,PID,IPV4,IPV6,AUTOSTART,UNPRIVILEGED"] {
            same(t, "ls", arguments);
        }
        for arguments in ["-n c1 -- hostname", "-n c1 -- cat /proc/self/cgroup", "-n c1 -- grep Cap /proc/self/status"]
        {
            same(t, "attach", arguments);
        }
        t.sh(&format!("{python} -c 'import lxc; print(lxc.Container(\"c1\").freeze())'")).ok().out("True\n");
        same(t, "info", "-n c1 -s");
        same(t, "ls", "-f");
        t.sh(&format!("{python} -c 'import lxc; print(lxc.Container(\"c1\").unfreeze())'")).ok().out("True\n");
        t.sh(&format!("{python} -c 'import lxc; print(lxc.Container(\"c1\").stop())'")).ok().out("True\n");
        same(t, "info", "-n c1 -s");
        same(t, "ls", "-f");
    })
    .needs(&[Need::Both, Need::Python]);

    // Every call of lua-lxc prints what it prints on the distribution's library.
    c.add("clients.lua", |t| {
        let repo = std::env::var("LXC_TEST_REPO").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
        t.stores.extend(["/tmp/a", "/tmp/b"].map(String::from));
        let line = |store: &str| format!("{repo}/tests/clients/client.sh {repo}/tests/clients/client.lua {store}");
        let ours = t.sh(&format!("LD_LIBRARY_PATH={} {}", libdir(t), line("/tmp/a"))).ok().out.clone();
        let theirs = t.sh(&line("/tmp/b")).ok().out.clone();
        assert_eq!(ours.replace("/tmp/a", "STORE"), theirs.replace("/tmp/b", "STORE"));
        assert!(ours.lines().count() > 70, "{ours}");
    })
    .needs(&[Need::Both, Need::Lua]);
}
