//! A Debian system with systemd in a container.

use crate::case::{Cases, Need};
use crate::ctx::T;

/// Units that may fail in a container, each with the reason. Whatever else fails, fails the case.
const EXCUSED: &[(&str, &str)] = &[];

/// Wait until systemd has finished booting: it is running, or degraded only by units that are excused.
#[track_caller]
fn booted(t: &mut T, name: &str) {
    let state = format!("lxc-attach -n {name} -- systemctl is-system-running");
    t.until_within("systemd has finished booting", 180, |t| matches!(t.sh(&state).line(), "running" | "degraded"));
    if t.sh(&state).line() == "running" {
        return;
    }
    let failed = t.sh(&format!("lxc-attach -n {name} -- systemctl --failed --plain --no-legend"));
    for unit in failed.ok().out.lines().filter_map(|l| l.split_whitespace().next()) {
        match EXCUSED.iter().find(|(known, _)| *known == unit) {
            Some((_, reason)) => println!("degraded by {unit}: {reason}"),
            None => {
                let why = t.sh(&format!("lxc-attach -n {name} -- systemctl status --no-pager -l {unit}"));
                why.fail(&format!("{unit} failed, and is not excused"));
            }
        }
    }
}

/// Start it, wait for systemd, look in, stop it cleanly.
#[track_caller]
pub fn boots(t: &mut T, name: &str) {
    t.sh_within(&format!("lxc-start -n {name}"), 60).ok().silent();
    booted(t, name);
    t.sh(&format!("lxc-attach -n {name} -- cat /proc/1/comm")).ok().out("systemd\n");
    t.sh_within(&format!("lxc-stop -n {name} -t 60"), 70).ok();
    t.sh(&format!("lxc-info -n {name} -sH")).ok().out("STOPPED\n");
}

/// The tree of $LXC_TEST_DEBIAN as the lower layer of a container's rootfs.
fn debian(t: &mut T, lines: &str) {
    let tree = std::env::var("LXC_TEST_DEBIAN").unwrap_or_default();
    let prefix = t.prefix.display().to_string();
    t.sh(&format!(
        "mkdir -p /var/lib/lxc/deb/rootfs /tmp/up /tmp/wk && mount -t overlay overlay -o lowerdir={tree},upperdir=/tmp/up,workdir=/tmp/wk /var/lib/lxc/deb/rootfs"
    ))
    .ok();
    t.write(
        "/var/lib/lxc/deb/config",
        &format!("lxc.rootfs.path = dir:/var/lib/lxc/deb/rootfs\nlxc.uts.name = deb\nlxc.net.0.type = empty\nlxc.include = {prefix}/share/lxc/config/debian.common.conf\n{lines}\n"),
    );
    t.before = crate::snapshot::take();
}

pub fn add(c: &mut Cases) {
    c.add("systemd.boots_and_stops", |t| {
        debian(t, "");
        boots(t, "deb");
    })
    .needs(&[Need::Systemd, Need::Overlay])
    .limit(300);

    c.add("systemd.reboots", |t| {
        debian(t, "");
        t.sh_within("lxc-start -n deb", 60).ok();
        booted(t, "deb");
        let before = t.sh("lxc-info -n deb -pH").out;
        t.sh_within("lxc-stop -r -n deb", 90).ok();
        t.until("another init", |t| t.sh("lxc-info -n deb -pH").out != before);
        booted(t, "deb");
        t.sh_within("lxc-attach -n deb -- poweroff", 20);
        t.sh_within("lxc-wait -n deb -s STOPPED -t 60", 70).ok();
    })
    .needs(&[Need::Systemd, Need::Overlay])
    .limit(400);

    c.add("systemd.console_login", |t| {
        debian(t, "");
        t.sh_within("lxc-start -n deb", 60).ok();
        t.until_within("a getty", 120, |t| {
            t.sh("lxc-attach -n deb -- pgrep -a agetty").out.contains("getty")
                || t.sh("lxc-attach -n deb -- sh -c 'cat /proc/[0-9]*/comm'").out.contains("agetty")
        });
        let mut p = t.pty("lxc-console -n deb -t 0");
        p.expect("Connected to tty 0");
        p.send("\r");
        p.expect("login:");
        p.send("\x01q");
        assert_eq!(p.end(), 0);
    })
    .needs(&[Need::Systemd, Need::Overlay])
    .limit(300);
}
