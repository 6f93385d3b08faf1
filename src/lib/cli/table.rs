//! A tool's options as one text, and what is made of it: getopt's rows, clap's arguments, `--usage`, `--help`, completion.
//! Knows no tool: each file of a tool brings its own text.
//!
//! The text (one per tool, so that the library holds no table of pointers to relocate) is paragraphs parted by empty
//! lines: what follows the tool's name in `Usage:`; what the tool does; then the options, a line each, in the order of `--usage`:
//! `-f, --config=FILE` TAB help. `[=X]` marks an optional argument. Further lines of the help begin with a TAB. `-0; ` is a
//! short name that help does not show, `+` before a row an option of ours that LXC lacks, `#` a heading, `=` text as it is.
#![forbid(unsafe_code)]

use super::getopt::{Row, Takes};
use clap::{Arg, ArgAction, Command, builder::ValueParser};

/// The options that every tool has, in the order of `--usage`.
const COMMON: &str = "\
-n, --name=NAME\tthe container
-h; --help\tshow this text
-?, --help\tshow this text
--usage\tshow the options in short
--version\tshow the version
-q, --quiet\twrite no messages
-o, --logfile=FILE\tappend the log to FILE
-l, --logpriority=LEVEL\tlog what is of this LEVEL (ERROR) or more urgent
-P, --lxcpath=PATH\tcontainers are below PATH
--rcfile=FILE\tuse this config FILE instead of the container's own";

/// The ids of the rows of `COMMON` that end the scan of a command line.
pub const HELP: &str = "help";
/// `--usage`.
pub const USAGE: &str = "usage";
/// `--version`.
pub const VERSION: &str = "version";

/// What an optional argument that was left out reads as in clap's matches: no command line can hold it.
pub const NO_VALUE: &str = "\0";

/// The rows of a tool's own options, for its manual page.
#[cfg(test)]
pub(super) fn own_rows(text: &'static str) -> Vec<Line> {
    lines(Table::new("", text).own).collect()
}

/// The rows that all tools share, for their manual pages.
#[cfg(test)]
pub(super) fn common_rows() -> Vec<Line> {
    lines(COMMON).filter(|l| !matches!(l, Line::Opt(o, _) if !o.shown)).collect()
}

/// A row of the text.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// The short name.
    pub short: Option<u8>,
    /// Help shows the short name.
    pub shown: bool,
    /// The long name, also its id in clap.
    pub long: &'static str,
    /// Whether it takes an argument.
    pub takes: Takes,
    /// The argument's name in help.
    pub value: &'static str,
    /// An option that LXC lacks.
    pub ours: bool,
}

impl Opt {
    fn parse(left: &'static str) -> Option<Opt> {
        let (ours, left) = left.strip_prefix('+').map_or((false, left), |l| (true, l));
        let at = left.find("--")?;
        let (head, rest) = (left.get(..at)?, left.get(at + 2..)?);
        let short = head.strip_prefix('-').and_then(|h| h.bytes().next());
        let (long, takes, value) = match rest.split_once("[=") {
            Some((long, value)) => (long, Takes::Maybe, value.trim_end_matches(']')),
            None => match rest.split_once('=') {
                Some((long, value)) => (long, Takes::Value, value),
                None => (rest, Takes::Nothing, ""),
            },
        };
        Some(Opt { short, shown: !head.contains(';'), long, takes, value, ours })
    }

    /// getopt's row.
    pub const fn row(&self) -> Row<'static> {
        Row { long: self.long, short: self.short, takes: self.takes }
    }

    /// The left column of help.
    fn left(&self) -> String {
        let short = match self.short {
            Some(s) if self.shown => format!("-{}, ", char::from(s)),
            _ => "    ".into(),
        };
        let (open, close) = if self.takes == Takes::Maybe { ("[=", "]") } else { ("=", "") };
        match self.takes {
            Takes::Nothing => format!("  {short}--{}", self.long),
            _ => format!("  {short}--{}{open}{}{close}", self.long, self.value),
        }
    }
}

/// A line of the options' paragraphs.
pub(super) enum Line {
    Opt(Opt, &'static str),
    More(&'static str),
    Heading(&'static str),
    Text(&'static str),
}

fn lines(text: &'static str) -> impl Iterator<Item = Line> {
    text.lines().filter_map(|l| {
        if let Some(more) = l.strip_prefix('\t') {
            return Some(Line::More(more));
        }
        if let Some(heading) = l.strip_prefix('#') {
            return Some(Line::Heading(heading));
        }
        if let Some(text) = l.strip_prefix('=') {
            return Some(Line::Text(text));
        }
        let (left, help) = l.split_once('\t').unwrap_or((l, ""));
        Opt::parse(left).map(|o| Line::Opt(o, help))
    })
}

/// A tool's text, taken apart.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The tool.
    pub tool: &'static str,
    usage: &'static str,
    about: &'static str,
    own: &'static str,
}

impl Table {
    /// Takes a text apart.
    pub fn new(tool: &'static str, text: &'static str) -> Self {
        let mut parts = text.splitn(3, "\n\n");
        let mut part = || parts.next().unwrap_or_default();
        Table { tool, usage: part(), about: part(), own: part() }
    }

    /// All options in the order that getopt looks through them: own, common, then those that LXC lacks.
    pub fn options(&self) -> Vec<Opt> {
        let of = |text| {
            lines(text).filter_map(|l| match l {
                Line::Opt(o, _) => Some(o),
                _ => None,
            })
        };
        of(self.own).filter(|o| !o.ours).chain(of(COMMON)).chain(of(self.own).filter(|o| o.ours)).collect()
    }

    /// clap's command: each option under its long name, an argument as bytes until the tool says better.
    pub fn command(&self) -> Command {
        let mut known: Vec<&str> = Vec::new();
        let mut cmd = Command::new(self.tool).disable_help_flag(true).disable_version_flag(true).no_binary_name(true);
        for o in self.options() {
            if known.contains(&o.long) {
                continue;
            }
            known.push(o.long);
            let arg = Arg::new(o.long).long(o.long);
            cmd = cmd.arg(match o.takes {
                Takes::Nothing => arg.action(ArgAction::Count),
                Takes::Value => arg.action(ArgAction::Append).num_args(1).value_parser(ValueParser::os_string()),
                Takes::Maybe => arg
                    .action(ArgAction::Append)
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value(NO_VALUE)
                    .value_parser(ValueParser::os_string()),
            });
        }
        cmd
    }

    /// What `--usage` prints: LXC's own options only, byte for byte as LXC's.
    pub fn short_usage(&self) -> String {
        let mut out = format!("Usage: {} ", self.tool);
        for (i, o) in self.options().iter().filter(|o| !o.ours).enumerate() {
            out.push('[');
            if let Some(s) = o.short {
                out.push('-');
                out.push(char::from(s));
                out.push('|');
            }
            out.push_str("--");
            out.push_str(o.long);
            let name = o.long.to_uppercase();
            match o.takes {
                Takes::Nothing => {}
                Takes::Value => out.push_str(&format!("={name}")),
                Takes::Maybe => out.push_str(&format!("[={name}]")),
            }
            out.push_str("] ");
            if (i + 1) % 4 == 0 {
                out.push_str("\n\t");
            }
        }
        out.push('\n');
        out
    }

    /// What `--help` prints.
    pub fn help(&self) -> String {
        let mut out = format!("Usage: {} {}\n\n{}\n\nOptions :\n", self.tool, self.usage, self.about);
        let mut rows = vec![];
        if let Some(Line::Opt(name, help)) = lines(COMMON).next() {
            rows.push(Line::Opt(name, help));
        }
        rows.extend(lines(self.own));
        if !self.own.contains("--rcfile") {
            rows.extend(lines(COMMON).filter(|l| matches!(l, Line::Opt(o, _) if o.long == "rcfile")));
        }
        layout(&mut out, &rows);
        out.push_str("\nCommon options :\n");
        let order = ["logfile", "logpriority", "quiet", "lxcpath", HELP, USAGE, VERSION];
        let common = order
            .iter()
            .filter_map(|name| lines(COMMON).find(|l| matches!(l, Line::Opt(o, _) if o.long == *name && o.shown)));
        layout(&mut out, &common.collect::<Vec<_>>());
        out.push_str(&format!(
            "\nThe short form of an option takes what its long form takes; an optional argument must be glued on.\n\n\
             See the {} man page for further information.\n\n",
            self.tool
        ));
        out
    }
}

/// Two columns; a left part that is too long stands on a line of its own.
fn layout(out: &mut String, rows: &[Line]) {
    let widest = rows.iter().filter_map(|l| match l {
        Line::Opt(o, _) => Some(o.left().len()).filter(|n| *n <= 30),
        _ => None,
    });
    let column = widest.max().unwrap_or(20) + 2;
    for row in rows {
        match row {
            Line::Opt(o, help) => {
                let left = o.left();
                if left.len() + 2 > column {
                    out.push_str(&format!("{left}\n{:column$}{help}\n", ""));
                } else {
                    out.push_str(&format!("{left:column$}{help}\n"));
                }
            }
            Line::More(help) => out.push_str(&format!("{:column$}{help}\n", "")),
            Line::Heading(h) => out.push_str(&format!("\n  {h}:\n")),
            Line::Text(t) => out.push_str(&format!("{t}\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[OPTION...]\n\nDoes things.\n\n-s, --state\tthe state\n\tof it\n--nesting[=NUM]\tdepth\n\
                        -0; --lvname=LV\tname\n+--format=FORMAT\tas FORMAT";

    #[test]
    fn rows_of_a_text() {
        let t = Table::new("lxc-x", TEXT);
        let all = t.options();
        let longs: Vec<_> = all.iter().map(|o| o.long).collect();
        assert_eq!(longs[..4], ["state", "nesting", "lvname", "name"]);
        assert_eq!(longs.last(), Some(&"format"));
        assert_eq!((all[2].short, all[2].shown, all[2].value), (Some(b'0'), false, "LV"));
        assert_eq!(all[1].takes, Takes::Maybe);
        t.command().debug_assert();
    }

    #[test]
    fn usage_breaks_after_each_fourth() {
        assert_eq!(
            Table::new("lxc-x", TEXT).short_usage(),
            "Usage: lxc-x [-s|--state] [--nesting[=NESTING]] [-0|--lvname=LVNAME] [-n|--name=NAME] \n\t\
             [-h|--help] [-?|--help] [--usage] [--version] \n\t[-q|--quiet] [-o|--logfile=LOGFILE] \
             [-l|--logpriority=LOGPRIORITY] [-P|--lxcpath=LXCPATH] \n\t[--rcfile=RCFILE] \n"
        );
    }

    #[test]
    fn help_has_two_columns() {
        let help = Table::new("lxc-x", TEXT).help();
        assert!(
            help.starts_with("Usage: lxc-x [OPTION...]\n\nDoes things.\n\nOptions :\n  -n, --name=NAME      the con"),
            "{help}"
        );
        assert!(help.contains("\n  -s, --state          the state\n                       of it\n"), "{help}");
        assert!(help.contains("\n      --lvname=LV      name\n"), "{help}");
        assert!(help.contains("\nCommon options :\n  -o, --logfile=FILE       append"), "{help}");
        assert!(help.contains("\n  -?, --help "), "{help}");
    }
}
