//! lxc-start.

use crate::case::Cases;

pub fn add(c: &mut Cases) {
    c.add("start.daemon_is_running_and_silent", |t| {
        t.mk("c1", "");
        t.sh("lxc-start -n c1").ok().silent();
        t.ready("c1");
        assert_eq!(t.state("c1"), "RUNNING");
        assert_eq!(t.inside("c1", "hostname"), "c1");
    })
    .covers("start -n --name; info -s -H; attach --clear-env");
}
