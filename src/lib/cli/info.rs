//! lxc-info: what is known of one container. Asks the monitor and the stored config; changes nothing.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, err_line, load_rcfile, out, tell_config, told, utf8};
use super::json;
use super::live::{self, Looker};
use crate::base::Result;
use crate::config::Config;
use crate::ipc::command::Client;
use crate::ipc::state::State;
use clap::Command;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-info",
    text: "\
--name=NAME [OPTION...]

Shows what is known of the container NAME: everything, or what the options name.

-c, --config=KEY\tshow what the stored config says of KEY
-i, --ips\tshow the IP addresses
-s, --state\tshow the state
-p, --pid\tshow the process id of init
-S, --stats\tshow CPU, block I/O, memory and network use
-H, --no-humanize\tshow plain numbers; a single value without its label
+--format=FORMAT\tFORMAT json: everything as JSON",
    named: Named::Must,
    types,
    check: |_| Ok(()),
    more_help: None,
    run,
};

fn types(cmd: Command) -> Command {
    cmd.mut_arg("config", |a| a.value_parser(utf8)).mut_arg("format", |a| {
        a.value_parser(|v: &str| if v == "json" { Ok(v.to_string()) } else { Err("the formats are: json") })
    })
}

/// What is asked for.
struct Wanted {
    name: bool,
    state: bool,
    pid: bool,
    ips: bool,
    stats: bool,
    human: bool,
    /// Only one thing was asked for: with -H it stands without its label.
    bare: bool,
}

/// What a container uses, as far as its cgroups tell.
#[derive(Debug, Default)]
struct Usage {
    cpu_ns: Option<u64>,
    blkio: Option<u64>,
    memory: Option<u64>,
    kmem: Option<u64>,
    links: Vec<(String, u64, u64)>,
}

fn run(call: &Call) -> Result<i32> {
    let keys: Vec<String> = call.all("config");
    let json = call.get::<String>("format").is_some();
    let picked =
        ["state", "pid", "ips"].iter().filter(|f| call.flag(f)).count() + if call.flag("stats") { 5 } else { 0 };
    let all = json || (picked == 0 && keys.is_empty());
    let wanted = Wanted {
        name: all,
        state: all || call.flag("state"),
        pid: all || call.flag("pid"),
        ips: all || call.flag("ips"),
        stats: all || call.flag("stats"),
        human: !call.flag("no-humanize"),
        bare: picked == 1,
    };
    let rcfile = load_rcfile(call)?;
    let client = Client::new(&call.lxcpath, &call.name);
    if !client.may_control() {
        err_line(&format!("Insufficent privileges to control {}", call.name));
        return Err(told(1));
    }
    let state = client.state().map_err(|f| f.error(&call.name, "tell its state"))?;
    let file = call.lxcpath.join(&call.name).join("config");
    if state == State::Stopped && rcfile.is_none() && !file.exists() {
        err_line(&format!("{} doesn't exist", crate::container::name::printable(&call.name)));
        call.say_what_helps();
        return Err(told(1));
    }
    // A container that runs is asked itself: its config may be broken by now. Only -c, and a stopped one, need the file.
    let config = if state == State::Stopped || !keys.is_empty() {
        match rcfile.map_or_else(|| load(&file), Ok) {
            Ok(config) => Some(config),
            Err(_) if state != State::Stopped && !file.exists() => None,
            Err(e) => {
                if state == State::Stopped || picked == 0 {
                    tell_config(call, &e);
                    err_line(&format!("Failed to load config for {}", call.name));
                    err_line(&format!("Failure to retrieve information on {}", call.place_and_name()));
                    return Err(told(1));
                }
                None
            }
        }
    } else {
        None
    };
    if json {
        out(&as_json(call, &client, state, &keys, config.as_ref()));
        return Ok(0);
    }
    out(&report(call, &client, state, &wanted));
    show_keys(&keys, config.as_ref(), wanted.human);
    Ok(0)
}

fn load(file: &std::path::Path) -> Result<Config> {
    let mut config = Config::new();
    config.load_file(file).map(|()| config)
}

fn report(call: &Call, client: &Client, state: State, wanted: &Wanted) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        if !wanted.human && wanted.bare {
            text.push_str(&format!("{value}\n"));
        } else {
            text.push_str(&format!("{label:<15} {value}\n"));
        }
    };
    if wanted.name {
        line("Name:", &call.name);
    }
    if wanted.state {
        line("State:", state.as_str());
    }
    if state == State::Stopped {
        return text;
    }
    let pid = if wanted.pid || wanted.ips { client.init_pid().ok().flatten() } else { None };
    if let Some(pid) = pid {
        if wanted.pid {
            line("PID:", &pid.to_string());
        }
        if wanted.ips {
            let net = Looker::new().net(pid);
            for ip in net.ipv4.iter().chain(&net.ipv6) {
                line("IP:", ip);
            }
        }
    }
    if wanted.stats {
        let usage = usage(client);
        let size = |n: u64| if wanted.human { humanize(n) } else { n.to_string() };
        if let Some(ns) = usage.cpu_ns {
            line("CPU use:", &if wanted.human { format!("{:.2} seconds", ns as f64 / 1e9) } else { ns.to_string() });
        }
        for (label, value) in [("BlkIO use:", usage.blkio), ("Memory use:", usage.memory), ("KMem use:", usage.kmem)] {
            if let Some(n) = value {
                line(label, &size(n));
            }
        }
        for (link, tx, rx) in usage.links {
            line("Link:", &link);
            line(" TX bytes:", &size(tx));
            line(" RX bytes:", &size(rx));
            line(" Total bytes:", &size(tx.saturating_add(rx)));
        }
    }
    text
}

/// The values of `-c`, as the stored config has them.
fn show_keys(keys: &[String], config: Option<&Config>, human: bool) {
    for key in keys {
        match config.and_then(|c| c.get(key).ok()) {
            None => err_line(&format!("{key} invalid")),
            Some(value) if !human && keys.len() == 1 => out(&format!("{value}\n")),
            Some(value) if value.is_empty() => out(&format!("{key} =\n")),
            Some(value) => out(&format!("{key} = {value}\n")),
        }
    }
}

fn usage(client: &Client) -> Usage {
    let stat = |file, word| live::cgroup_file(client, file).and_then(|s| live::field(&s, word));
    let memory_stat = |words: &[&str]| {
        let text = live::cgroup_file(client, c"memory.stat")?;
        Some(words.iter().filter_map(|w| live::field(&text, w)).sum())
    };
    // Version 1 files first; those of version 2 tell the same as near as they can.
    Usage {
        cpu_ns: live::cgroup_number(client, c"cpuacct.usage")
            .or_else(|| stat(c"cpu.stat", "usage_usec").map(|us| us.saturating_mul(1000))),
        blkio: live::cgroup_file(client, c"blkio.throttle.io_service_bytes")
            .and_then(|s| live::field(&s, "Total"))
            .or_else(|| live::cgroup_file(client, c"io.stat").map(|s| io_bytes(&s))),
        memory: live::cgroup_number(client, c"memory.usage_in_bytes").or_else(|| memory_stat(&["anon", "file"])),
        kmem: live::cgroup_number(client, c"memory.kmem.usage_in_bytes")
            .or_else(|| memory_stat(&["kernel_stack", "pagetables", "sock", "slab"])),
        links: links(client),
    }
}

/// What io.stat of version 2 counts as read and written.
fn io_bytes(text: &str) -> u64 {
    text.split_whitespace()
        .filter_map(|w| w.strip_prefix("rbytes=").or_else(|| w.strip_prefix("wbytes=")))
        .filter_map(|n| n.parse::<u64>().ok())
        .sum()
}

/// The host's ends of the container's interfaces; what they receive the container has sent.
fn links(client: &Client) -> Vec<(String, u64, u64)> {
    let item = |key: String| client.config_item(&key).ok().flatten().filter(|v| !v.is_empty());
    let mut all = Vec::new();
    for i in 0..u32::MAX {
        let Some(kind) = item(format!("lxc.net.{i}.type")) else { break };
        let key = if kind == "veth" { "veth.pair" } else { "link" };
        let Some(name) = item(format!("lxc.net.{i}.{key}")) else { continue };
        if name.contains('/') || name.starts_with('.') {
            continue;
        }
        let read = |file: &str| {
            let text = std::fs::read_to_string(format!("/sys/class/net/{name}/statistics/{file}")).ok()?;
            text.trim().parse::<u64>().ok()
        };
        let (Some(rx), Some(tx)) = (read("rx_bytes"), read("tx_bytes")) else { continue };
        all.push((name, rx, tx));
    }
    all
}

/// A size with its unit, as LXC rounds it.
fn humanize(n: u64) -> String {
    let f = n as f64;
    match n {
        n if n > 1 << 30 => format!("{:.2} GiB", f / f64::from(1 << 30)),
        n if n > 1 << 20 => format!("{:.2} MiB", f / f64::from(1 << 20)),
        n if n > 1 << 10 => format!("{:.2} KiB", f / 1024.0),
        n => format!("{n} bytes"),
    }
}

fn as_json(call: &Call, client: &Client, state: State, keys: &[String], config: Option<&Config>) -> String {
    let number = |n: Option<u64>| n.map_or_else(|| "null".into(), |n| n.to_string());
    let runs = state != State::Stopped;
    let pid = if runs { client.init_pid().ok().flatten() } else { None };
    let net = pid.map(|p| Looker::new().net(p)).unwrap_or_default();
    let used = if runs { usage(client) } else { Usage::default() };
    let links = used.links.iter().map(|(name, tx, rx)| {
        json::object([("name", json::string(name)), ("tx_bytes", tx.to_string()), ("rx_bytes", rx.to_string())])
    });
    let values = keys.iter().map(|k| (k.as_str(), json::maybe(config.and_then(|c| c.get(k).ok()).as_deref())));
    json::object([
        ("name", json::string(&call.name)),
        ("lxcpath", json::string(&call.lxcpath.to_string_lossy())),
        ("state", json::string(state.as_str())),
        ("pid", number(pid.and_then(|p| u64::try_from(p).ok()))),
        ("interfaces", json::strings(&net.interfaces)),
        ("ipv4", json::strings(&net.ipv4)),
        ("ipv6", json::strings(&net.ipv6)),
        ("cpu_ns", number(used.cpu_ns)),
        ("blkio_bytes", number(used.blkio)),
        ("memory_bytes", number(used.memory)),
        ("kmem_bytes", number(used.kmem)),
        ("links", json::list(links)),
        ("config", json::object(values)),
    ]) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(humanize(0), "0 bytes");
        assert_eq!(humanize(1024), "1024 bytes");
        assert_eq!(humanize(1025), "1.00 KiB");
        assert_eq!(humanize(139_264), "136.00 KiB");
        assert_eq!(humanize(3 << 20), "3.00 MiB");
        assert_eq!(humanize((5 << 30) + 1), "5.00 GiB");
    }

    #[test]
    fn io_of_version_2() {
        assert_eq!(io_bytes("8:0 rbytes=10 wbytes=5 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=0\n"), 16);
    }
}
