//! lxc-ls: which containers there are. One readdir, one look at the kernel's sockets; a container's config is read only for
//! a column or a filter that needs it, its monitor is asked only for what the sockets do not tell.
#![forbid(unsafe_code)]

mod nested;
mod print;

use super::common::{Call, Named, Tool, err_line, out, utf8};
use super::live::{self, Looker};
use crate::base::Result;
use crate::config::Config;
use crate::ipc::command::Client;
use crate::ipc::list::active_names;
use crate::ipc::state::State;
use crate::sys::path;
use crate::sys::regex::Ere;
use clap::Command;
use print::Column;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-ls",
    text: "\
[-1|-f] [OPTION...] [REGEX]

Lists the containers below PATH.

-1, --line\tone name a line, nothing else
-f, --fancy\ta table
-F, --fancy-format=COLUMNS\twith -f: these columns, parted by commas, of NAME, STATE, PID,
\tRAM, SWAP, AUTOSTART, GROUPS, INTERFACE, IPV4, IPV6, UNPRIVILEGED
--active\tonly active ones (a monitor answers)
--running\tonly running ones, frozen ones among them
--frozen\tonly frozen ones
--stopped\tonly stopped ones
--defined\tonly those with a config
--nesting[=NUM]\tcontainers inside of containers too, NUM levels deep (5)
-g, --groups=GROUPS\tonly those that are in all of these GROUPS, parted by commas
--filter=REGEX\tonly names that match REGEX (extended, anywhere in the name)
+--format=FORMAT\tFORMAT json: the columns of -f as JSON",
    named: Named::No,
    types,
    check: |_| Ok(()),
    more_help: None,
    run,
};

fn types(cmd: Command) -> Command {
    cmd.mut_arg("format", |a| {
        a.value_parser(|v: &str| if v == "json" { Ok(v.to_string()) } else { Err("the formats are: json") })
    })
    .mut_arg("fancy-format", |a| a.value_parser(utf8))
    .mut_arg("groups", |a| a.value_parser(utf8))
    .mut_arg("filter", |a| a.value_parser(utf8))
    .mut_arg("nesting", |a| a.value_parser(utf8))
}

/// What is asked for.
#[derive(Clone)]
struct Query<'a> {
    lxcpath: &'a Path,
    active: bool,
    running: bool,
    frozen: bool,
    stopped: bool,
    defined: bool,
    groups: Vec<String>,
    filter: Option<&'a str>,
    columns: Vec<Column>,
    /// How many levels of nesting are left.
    nesting: u32,
    /// Nobody can run here: a root file system of a container that is stopped.
    dead: bool,
}

/// A container, with what the columns need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Entry {
    name: String,
    /// The containers around it, `a/b`; empty at the top.
    parent: String,
    level: u32,
    /// `None`: this user may not know.
    state: Option<State>,
    pid: Option<i32>,
    autostart: bool,
    unprivileged: bool,
    groups: Vec<String>,
    net: live::Net,
    ram: Option<u64>,
    swap: Option<u64>,
}

impl Entry {
    fn full_name(&self) -> String {
        if self.parent.is_empty() { self.name.clone() } else { format!("{}/{}", self.parent, self.name) }
    }
}

fn run(call: &Call) -> Result<i32> {
    let json = call.get::<String>("format").is_some();
    let fancy = call.flag("fancy");
    let columns = match call.get::<String>("fancy-format").filter(|_| fancy || json) {
        Some(list) => match Column::parse_list(&list) {
            Ok(columns) => columns,
            Err(bad) => {
                err_line(&format!("Invalid key: {bad}"));
                return Ok(0);
            }
        },
        None if fancy || json => Column::DEFAULT.to_vec(),
        None => Vec::new(),
    };
    // One operand is a filter; of two and more none is looked at.
    let operand = match call.operands.as_slice() {
        [one] => one.to_str(),
        _ => None,
    };
    let filter = call.get::<String>("filter");
    let nesting = match call.get::<String>("nesting") {
        None => 0,
        Some(n) if n == super::table::NO_VALUE => 5,
        Some(n) => n.parse().unwrap_or(5),
    };
    let query = Query {
        lxcpath: &call.lxcpath,
        active: call.flag("active"),
        running: call.flag("running"),
        frozen: call.flag("frozen"),
        stopped: call.flag("stopped"),
        defined: call.flag("defined"),
        groups: call
            .get::<String>("groups")
            .map(|g| g.split(',').map(str::trim).filter(|g| !g.is_empty()).map(String::from).collect())
            .unwrap_or_default(),
        filter: filter.as_deref().or(operand),
        columns,
        nesting,
        dead: false,
    };
    let entries = gather(&query, "", 0);
    if json {
        out(&print::as_json(&entries, &query.columns));
    } else if fancy {
        out(&print::table(&entries, &query.columns));
    } else if call.flag("line") {
        out(&print::lines(&entries));
    } else {
        out(&print::names(&entries, print::terminal_width()));
    }
    Ok(0)
}

/// The containers of a store that the query asks for, sorted by name, each followed by those inside of it.
fn gather(q: &Query<'_>, parent: &str, level: u32) -> Vec<Entry> {
    let filter = match q.filter {
        Some(text) => match Ere::new(text) {
            Some(re) => Some(re),
            None => return Vec::new(),
        },
        None => None,
    };
    let looker = q.columns.iter().any(|c| c.needs_net()).then(Looker::new);
    let mut found = Vec::new();
    for (name, known) in names(q) {
        if filter.as_ref().is_some_and(|re| CString::new(name.as_str()).is_ok_and(|n| !re.is_match(&n))) {
            continue;
        }
        let Some(entry) = look_at(q, &name, known, looker.as_ref()) else { continue };
        let inside = if q.nesting > 0 { nested::inside(q, &entry, parent, level) } else { Vec::new() };
        found.push(Entry { parent: parent.into(), level, ..entry });
        found.extend(inside);
    }
    found
}

/// Whether a name is that of a running container, and of one with a config.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    active: bool,
    defined: bool,
}

/// The names in the store, sorted; what only `--defined` or only `--active` asks for is all that is looked at.
fn names(q: &Query<'_>) -> BTreeMap<String, Known> {
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    let running = if q.dead { Vec::new() } else { active_names(q.lxcpath).unwrap_or_default() };
    for name in running {
        all.entry(name).or_default().active = true;
    }
    if !q.active || q.defined {
        for name in defined_names(q.lxcpath) {
            all.entry(name).or_default().defined = true;
        }
    }
    all.retain(|name, k| {
        !name.starts_with('.')
            && (!q.active || k.active)
            && (!q.defined || k.defined)
            && (!q.running || k.active)
            && (!q.frozen || k.active)
            && (!q.stopped || !k.active)
    });
    all
}

/// The directories with a config: looked up below the store's descriptor, so that its path is walked once.
fn defined_names(lxcpath: &Path) -> Vec<String> {
    let Ok(dir) = std::fs::read_dir(lxcpath) else { return Vec::new() };
    let Ok(store) = CString::new(lxcpath.as_os_str().as_bytes()) else { return Vec::new() };
    let Ok(store) = path::open(&store, libc::O_PATH | libc::O_DIRECTORY, 0) else { return Vec::new() };
    let mut file = Vec::with_capacity(300);
    dir.flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|name| {
            file.clear();
            file.extend_from_slice(name.as_bytes());
            file.extend_from_slice(b"/config\0");
            let there = |f| path::access(store.as_fd(), f, libc::F_OK).is_ok();
            !name.starts_with('.') && CStr::from_bytes_with_nul(&file).is_ok_and(there)
        })
        .collect()
}

/// One container: asked of its monitor and read in its config as far as the query needs it. `None` leaves it out.
fn look_at(q: &Query<'_>, name: &str, known: Known, looker: Option<&Looker>) -> Option<Entry> {
    let mut e = Entry { name: name.into(), state: Some(State::Stopped), ..Entry::default() };
    let needs_config = !q.groups.is_empty() || q.columns.iter().any(|c| c.needs_config());
    if known.active {
        e.state = Some(State::Running);
        let client = Client::new(q.lxcpath, name);
        if q.frozen || !q.columns.is_empty() {
            // Whoever may know init's pid may control it.
            e.state = None;
            if let Ok(pid) = client.init_pid() {
                e.pid = pid;
                e.state = client.state().ok();
            }
        }
        if q.frozen && e.state != Some(State::Frozen) {
            return None;
        }
        if e.state.is_none() {
            return q.groups.is_empty().then_some(e);
        }
        ask_monitor(q, &client, &mut e, looker);
    }
    let file = q.lxcpath.join(name).join("config");
    // With --active alone nobody has looked for it yet.
    if needs_config && (known.defined || file.exists()) {
        let mut config = Config::new();
        match config.load_file(&file) {
            Ok(()) => {
                e.autostart = config.process.start_auto;
                e.unprivileged = !config.idmap.maps.is_empty();
                e.groups = std::mem::take(&mut config.process.groups);
            }
            Err(problem) => {
                crate::log_error!("{problem}");
                err_line(&format!("Failed to load config for {name}"));
                if !known.active {
                    return None;
                }
            }
        }
    }
    q.groups.iter().all(|g| e.groups.contains(g)).then_some(e)
}

fn ask_monitor(q: &Query<'_>, client: &Client, e: &mut Entry, looker: Option<&Looker>) {
    if e.pid.is_none() && q.nesting > 0 {
        e.pid = client.init_pid().ok().flatten();
    }
    if let (Some(looker), Some(pid)) = (looker, e.pid) {
        e.net = looker.net(pid);
    }
    if q.columns.contains(&Column::Ram) {
        e.ram = live::cgroup_number(client, c"memory.usage_in_bytes")
            .or_else(|| live::cgroup_number(client, c"memory.current"));
    }
    if q.columns.contains(&Column::Swap) {
        e.swap = live::cgroup_file(client, c"memory.stat")
            .and_then(|s| live::field(&s, "swap"))
            .or_else(|| live::cgroup_number(client, c"memory.swap.current"));
    }
}
