//! How lxc-ls prints: names, a table, JSON. Asks nobody anything.
#![forbid(unsafe_code)]

use super::Entry;
use crate::cli::json;
use crate::sys::tty;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    State,
    Pid,
    Ram,
    Swap,
    Autostart,
    Groups,
    Interface,
    Ipv4,
    Ipv6,
    Unprivileged,
}

impl Column {
    const ALL: [Column; 11] = [
        Column::Name,
        Column::State,
        Column::Pid,
        Column::Ram,
        Column::Swap,
        Column::Autostart,
        Column::Groups,
        Column::Interface,
        Column::Ipv4,
        Column::Ipv6,
        Column::Unprivileged,
    ];
    pub(super) const DEFAULT: [Column; 7] = [
        Column::Name,
        Column::State,
        Column::Autostart,
        Column::Groups,
        Column::Ipv4,
        Column::Ipv6,
        Column::Unprivileged,
    ];

    const fn title(self) -> &'static str {
        match self {
            Column::Name => "NAME",
            Column::State => "STATE",
            Column::Pid => "PID",
            Column::Ram => "RAM",
            Column::Swap => "SWAP",
            Column::Autostart => "AUTOSTART",
            Column::Groups => "GROUPS",
            Column::Interface => "INTERFACE",
            Column::Ipv4 => "IPV4",
            Column::Ipv6 => "IPV6",
            Column::Unprivileged => "UNPRIVILEGED",
        }
    }

    /// The columns of a list, or the first word that is none.
    pub(super) fn parse_list(list: &str) -> Result<Vec<Column>, &str> {
        list.split(',')
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .map(|w| Column::ALL.into_iter().find(|c| c.title().eq_ignore_ascii_case(w)).ok_or(w))
            .collect()
    }

    pub(super) const fn needs_net(self) -> bool {
        matches!(self, Column::Interface | Column::Ipv4 | Column::Ipv6)
    }

    pub(super) const fn needs_config(self) -> bool {
        matches!(self, Column::Autostart | Column::Groups | Column::Unprivileged)
    }

    fn cell(self, e: &Entry) -> String {
        let list = |l: &[String]| if l.is_empty() { "-".into() } else { l.join(", ") };
        let megabytes = |n: Option<u64>| n.map_or_else(|| "-".into(), |n| format!("{:.2}MB", n as f64 / 1_048_576.0));
        let known = |text: String| if e.state.is_some() { text } else { "-".into() };
        match self {
            Column::Name if e.level == 0 => e.name.clone(),
            Column::Name => format!("{:indent$}\\{}", "", e.name, indent = e.level as usize - 1),
            Column::State => e.state.map_or_else(|| "-".into(), |s| s.as_str().into()),
            Column::Pid => e.pid.map_or_else(|| "-".into(), |p| p.to_string()),
            Column::Ram => megabytes(e.ram),
            Column::Swap => megabytes(e.swap),
            Column::Autostart => known(u8::from(e.autostart).to_string()),
            Column::Groups => list(&e.groups),
            Column::Interface => list(&e.net.interfaces),
            Column::Ipv4 => list(&e.net.ipv4),
            Column::Ipv6 => list(&e.net.ipv6),
            Column::Unprivileged => known(e.unprivileged.to_string()),
        }
    }

    fn json(self, e: &Entry) -> String {
        let number = |n: Option<u64>| n.map_or_else(|| "null".into(), |n| n.to_string());
        match self {
            Column::Name => json::string(&e.full_name()),
            Column::State => json::maybe(e.state.map(|s| s.as_str())),
            Column::Pid => number(e.pid.and_then(|p| u64::try_from(p).ok())),
            Column::Ram => number(e.ram),
            Column::Swap => number(e.swap),
            Column::Autostart => e.autostart.to_string(),
            Column::Groups => json::strings(&e.groups),
            Column::Interface => json::strings(&e.net.interfaces),
            Column::Ipv4 => json::strings(&e.net.ipv4),
            Column::Ipv6 => json::strings(&e.net.ipv6),
            Column::Unprivileged => e.unprivileged.to_string(),
        }
    }
}

/// How many characters a text takes; what is no letter of a Latin script counts as one.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// The table of `-f`: each cell as wide as its column, and a blank behind it.
pub(super) fn table(entries: &[Entry], columns: &[Column]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let titles = columns.iter().map(|c| c.title().to_string()).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> =
        std::iter::once(titles).chain(entries.iter().map(|e| columns.iter().map(|c| c.cell(e)).collect())).collect();
    let widths: Vec<usize> =
        (0..columns.len()).map(|i| rows.iter().filter_map(|r| r.get(i)).map(|c| width(c)).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        for (cell, w) in row.iter().zip(&widths) {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', w + 1 - width(cell)));
        }
        out.push('\n');
    }
    out
}

/// `-1`: the names.
pub(super) fn lines(entries: &[Entry]) -> String {
    entries.iter().map(|e| e.full_name() + "\n").collect()
}

/// Names in as many columns as fit, each as wide as the widest; one a line without a width.
pub(super) fn names(entries: &[Entry], cols: usize) -> String {
    let all: Vec<String> = entries.iter().map(Entry::full_name).collect();
    let widest = entries.iter().zip(&all).map(|(e, n)| width(n) + e.level as usize).max().unwrap_or(0).max(4);
    let per_line = ((cols + 1) / (widest + 1)).max(1);
    let mut out = String::new();
    for line in all.chunks(per_line) {
        for (i, name) in line.iter().enumerate() {
            if i > 0 {
                out.push(' ');
            }
            out.push_str(name);
            out.extend(std::iter::repeat_n(' ', widest.saturating_sub(width(name))));
        }
        out.push('\n');
    }
    out
}

/// The width of the terminal at stdin, stdout or stderr; 0 without one.
pub(super) fn terminal_width() -> usize {
    let (i, o, e) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    tty::winsize(&i).or_else(|_| tty::winsize(&o)).or_else(|_| tty::winsize(&e)).map_or(0, |w| usize::from(w.cols))
}

/// JSON: a list of objects.
pub(super) fn as_json(entries: &[Entry], columns: &[Column]) -> String {
    let key = |c: &Column| match c {
        Column::Interface => "interfaces".to_string(),
        c => c.title().to_lowercase(),
    };
    let keys: Vec<String> = columns.iter().map(key).collect();
    let rows =
        entries.iter().map(|e| json::object(keys.iter().map(String::as_str).zip(columns.iter().map(|c| c.json(e)))));
    json::list(rows) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::state::State;

    fn entry(name: &str, parent: &str, level: u32) -> Entry {
        Entry { name: name.into(), parent: parent.into(), level, state: Some(State::Stopped), ..Entry::default() }
    }

    #[test]
    fn table_is_lxcs() {
        let mut cl1 = entry("cl1", "", 0);
        cl1.state = Some(State::Running);
        cl1.autostart = true;
        cl1.groups = vec!["onboot".into(), "web".into()];
        assert_eq!(
            table(&[cl1, entry("outer", "", 0), entry("deep", "outer/inner", 2)], &Column::DEFAULT),
            "NAME   STATE   AUTOSTART GROUPS      IPV4 IPV6 UNPRIVILEGED \n\
             cl1    RUNNING 1         onboot, web -    -    false        \n\
             outer  STOPPED 0         -           -    -    false        \n \
             \\deep STOPPED 0         -           -    -    false        \n"
        );
        assert_eq!(table(&[], &Column::DEFAULT), "");
    }

    #[test]
    fn columns_of_names() {
        let all = [entry("averyverylongname", "", 0), entry("c1", "", 0), entry("c2", "", 0)];
        assert_eq!(names(&all, 0), "averyverylongname\nc1               \nc2               \n");
        assert_eq!(names(&all, 40), "averyverylongname c1               \nc2               \n");
        let two = [entry("c1", "", 0), entry("c2", "", 0)];
        assert_eq!(names(&two, 9), "c1   c2  \n");
        assert_eq!(names(&two, 8), "c1  \nc2  \n");
        assert_eq!(names(&[], 80), "");
        assert_eq!(names(&[entry("deep", "outer/inner1", 2)], 0), "outer/inner1/deep  \n");
    }

    #[test]
    fn column_lists() {
        assert_eq!(Column::parse_list("name,,State"), Ok(vec![Column::Name, Column::State]));
        assert_eq!(Column::parse_list("name,foo"), Err("foo"));
    }

    #[test]
    fn unknown_to_this_user() {
        let e = Entry { state: None, ..entry("x", "", 0) };
        assert_eq!(Column::Autostart.cell(&e), "-");
        assert_eq!(as_json(&[e], &[Column::Name, Column::State]), "[{\"name\":\"x\",\"state\":null}]\n");
    }
}
