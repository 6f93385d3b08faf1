//! The event loop with a plain process as init.
#![forbid(unsafe_code)]

use super::*;
use crate::ipc::command::{Client, Fail, Waiting};
use crate::sys::socket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A shell that says when it is ready and ends as its script says.
fn init(script: &str) -> Child {
    let mut child = Command::new("/bin/sh");
    child.args(["-c", &format!("{script}\necho ready; while :; do sleep 0.05; done")]).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn running(pid: i32) -> Running {
    Running {
        facts: crate::base::facts::Facts::default(),
        config: crate::config::Config::new(),
        pid,
        pidfd: process::pidfd_open(pid).unwrap(),
        ns_fds: Default::default(),
        clone_flags: 0,
        console: None,
        ttys: Vec::new(),
        devpts: None,
        seccomp_listener: None,
        notify: None,
        groups: None,
        host_veths: vec![(0, "vethX".into())],
        hook_env: Vec::new(),
        status: None,
    }
}

/// Runs a monitor in a thread of its own, until init has ended as often as `scripts` has entries.
fn monitor(name: &str, scripts: &'static [&'static str]) -> (Client, std::thread::JoinHandle<Vec<Outcome>>) {
    let store = Path::new("/nonexistent/lxc-supervisor");
    let command = socket::listen_abstract(&crate::ipc::address::address(store, name), 10).unwrap();
    let client = Client::new(store, name).timeout(Some(Duration::from_secs(20)));
    let name = name.to_string();
    let thread = std::thread::spawn(move || {
        let mut monitor = Monitor::new(command, None, &name, store).unwrap();
        let mut outcomes = Vec::new();
        for (i, script) in scripts.iter().enumerate() {
            monitor.announce(State::Starting);
            let mut child = init(script);
            let mut running = running(child.id() as i32);
            outcomes.push(monitor.run(&mut running).unwrap());
            assert!(running.status.is_some());
            // The monitor has reaped it.
            assert!(child.wait().is_err());
            monitor.announce(State::Stopping);
            if i + 1 == scripts.len() {
                monitor.close_command();
            }
            monitor.announce(State::Stopped);
        }
        outcomes
    });
    (client, thread)
}

#[test]
fn init_is_served_until_it_ends_and_a_stop_ends_with_the_name_free() {
    let (client, thread) = monitor("stop", &[""]);
    let Ok(state) = client.add_state_client(&[State::Running]) else { panic!("no answer") };
    if let Waiting::Later(w) = state {
        assert_eq!(w.wait(None), Ok(State::Running));
    }
    assert_eq!(client.state(), Ok(State::Running));
    let pid = client.init_pid().unwrap().unwrap();
    let fd = client.init_pidfd().unwrap();
    process::pidfd_send_signal(fd.as_fd(), 0).unwrap();
    assert_eq!(client.cgroup_path("memory"), Err(Fail::Unsupported));
    assert_eq!(client.config_item("lxc.net.0.veth.pair"), Ok(Some("vethX".into())));
    assert_eq!(client.config_item("lxc.net.1.veth.pair"), Ok(None));
    assert_eq!(client.console(0).map(drop), Err(Fail::Refused(libc::EBADF)));
    let Ok(Waiting::Later(stopping)) = client.add_state_client(&[State::Stopping]) else { panic!("is stopping") };
    assert_eq!(client.stop(Some(Duration::from_secs(20))), Ok(()));
    assert_eq!(stopping.wait(None), Ok(State::Stopping));
    assert_eq!(client.state(), Ok(State::Stopped));
    assert!(process::kill(pid, 0).is_err());
    assert_eq!(thread.join().unwrap(), [Outcome::Stopped(libc::SIGKILL)]);
}

#[test]
fn a_reboot_keeps_the_socket_and_who_waits_for_the_next_run() {
    // SIGHUP is what the kernel ends init by when the container calls reboot(2).
    let (client, thread) = monitor("reboot", &["", "trap 'exit 3' TERM"]);
    let before = loop {
        match client.init_pid() {
            Ok(Some(pid)) => break pid,
            other => assert!(!thread.is_finished(), "{other:?}"),
        }
    };
    let Ok(Waiting::Later(stopped)) = client.add_state_client(&[State::Stopped]) else { panic!("it runs") };
    let Ok(Waiting::Later(next)) = client.next_running() else { panic!("it runs") };
    process::kill(before, libc::SIGHUP).unwrap();
    assert_eq!(stopped.wait(None), Ok(State::Stopped));
    assert_eq!(next.wait(None), Ok(State::Running));
    let after = client.init_pid().unwrap().unwrap();
    assert_ne!(before, after);
    process::kill(after, libc::SIGTERM).unwrap();
    assert_eq!(thread.join().unwrap(), [Outcome::Reboot, Outcome::Stopped(3 << 8)]);
    assert_eq!(client.state(), Ok(State::Stopped));
}

#[test]
fn the_starter_is_told_the_first_state_after_starting() {
    let (ours, theirs) = socket::pair_stream().unwrap();
    let store = Path::new("/nonexistent/lxc-supervisor");
    let thread = std::thread::spawn(move || {
        let command = socket::listen_abstract(b"/nonexistent/lxc-supervisor/starter/command", 1).unwrap();
        let mut monitor = Monitor::new(command, Some(theirs), "starter", store).unwrap();
        for state in [State::Starting, State::Aborting, State::Stopping] {
            monitor.announce(state);
        }
        monitor.state()
    });
    let mut word = [0u8; 8];
    let mut got = 0;
    while let Ok(r) = scm::recv(ours.as_fd(), word.get_mut(got..).unwrap()) {
        if r.bytes == 0 {
            break;
        }
        got += r.bytes;
    }
    assert_eq!((got, word[0]), (4, State::Aborting as u8));
    assert_eq!(thread.join().unwrap(), State::Stopping);
}
