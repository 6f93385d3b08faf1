//! What all tools share: the common options, the container's name and store, logging, how an error is told, exit codes.
//! Owns no tool's behaviour.
#![forbid(unsafe_code)]

use super::getopt::{self, End};
use super::table::{self, Table};
use crate::base::{Error, Result, log, paths};
use crate::config::Config;
use crate::container::Container;
use crate::container::name::printable;
use clap::{ArgMatches, Command};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// How a tool gets its container's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// `-n`, else the first operand; without one the tool ends.
    Must,
    /// It works on no single container.
    No,
}

/// A tool.
#[derive(Clone, Copy)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Its options, see [`table`].
    pub text: &'static str,
    /// Whether it needs a name.
    pub named: Named,
    /// Gives clap the types of the options' arguments.
    pub types: fn(Command) -> Command,
    /// What may be wrong with the options although each is right by itself. Runs before anything is opened or logged.
    pub check: fn(&Call) -> std::result::Result<(), String>,
    /// Shown after the tool's own help, for `-h` after other options (lxc-create shows its template's help).
    pub more_help: Option<fn(&Call)>,
    /// The tool itself: its exit code.
    pub run: fn(&Call) -> Result<i32>,
}

/// A tool's call, parsed.
pub struct Call {
    /// The tool's name.
    pub tool: &'static str,
    /// The container.
    pub name: String,
    /// The store.
    pub lxcpath: PathBuf,
    /// `-P` gave it.
    pub lxcpath_given: bool,
    /// `--rcfile`.
    pub rcfile: Option<PathBuf>,
    /// `-q`.
    pub quiet: bool,
    /// What is left after the name.
    pub operands: Vec<OsString>,
    matches: ArgMatches,
}

impl Call {
    /// Whether a flag was given.
    pub fn flag(&self, id: &str) -> bool {
        self.matches.get_count(id) > 0
    }

    /// Where on the command line an option stood last; for two of which the last counts.
    pub fn place(&self, id: &str) -> Option<usize> {
        // A flag that was not given has an index of its own: that of its default.
        let given = self.matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
        self.matches.indices_of(id).filter(|_| given).and_then(Iterator::last)
    }

    /// The argument of an option, as bytes; the last one counts.
    pub fn os(&self, id: &str) -> Option<&OsStr> {
        self.matches.get_many::<OsString>(id).and_then(Iterator::last).map(OsString::as_os_str)
    }

    /// A path.
    pub fn path(&self, id: &str) -> Option<&Path> {
        self.os(id).map(Path::new)
    }

    /// A typed argument (see [`Tool::types`]).
    pub fn get<T: Clone + Send + Sync + 'static>(&self, id: &str) -> Option<T> {
        self.matches.get_many::<T>(id).and_then(Iterator::last).cloned()
    }

    /// All arguments of an option that may be repeated.
    pub fn all<T: Clone + Send + Sync + 'static>(&self, id: &str) -> Vec<T> {
        self.matches.get_many::<T>(id).map(|v| v.cloned().collect()).unwrap_or_default()
    }

    /// The tool's own message, on stderr unless `-q`.
    pub fn say(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            err_line(&format!("{}: {text}", self.tool));
        }
    }

    /// The container's handle; its config is not read.
    ///
    /// # Errors
    /// The name is refused.
    pub fn container(&self) -> Result<Container> {
        Container::new(&self.name, Some(&self.lxcpath))
    }

    /// After LXC's own lines about a container that does not run: one more that says what to do. A name that is not
    /// there is near one that is, or is made; a stopped container is started.
    pub fn say_what_helps(&self) {
        let store = if self.lxcpath_given { format!(" -P {}", self.lxcpath.display()) } else { String::new() };
        let name = printable(&self.name);
        if self.container().is_ok_and(|c| c.is_defined()) {
            return self.say(format_args!("{name} is not running: lxc-start{store} -n {name}"));
        }
        let all = crate::container::list::all(&self.lxcpath).unwrap_or_default();
        let absent = format!("there is no container {name} in {}", self.lxcpath.display());
        match crate::keys::near::nearest(&self.name, all.iter().map(String::as_str)) {
            Some(near) => self.say(format_args!("{absent}: did you mean {}?", printable(near))),
            None => self.say(format_args!("{absent}: see lxc-ls{store}, or lxc-create{store} -n {name} -t TEMPLATE")),
        }
    }

    /// `PATH:NAME`, as messages have it.
    pub fn place_and_name(&self) -> String {
        format!("{}:{}", self.lxcpath.display(), self.name)
    }
}

/// Writes to stdout; a reader that went away is a quiet end.
pub fn out(text: &str) {
    out_bytes(text.as_bytes());
}

/// [`out`] for bytes.
pub fn out_bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

/// One line on stderr.
pub fn err_line(text: &str) {
    let mut line = text.to_string();
    line.push('\n');
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The end of an option that parses but whose act is not there.
pub fn not_built(option: impl std::fmt::Display) -> Error {
    Error::new(format!("{option}: not built yet"))
}

/// An error that the tool has told already.
pub fn told(code: i32) -> Error {
    Error { told: true, ..Error::new("") }.code(code)
}

/// The value parser of a text that must be UTF-8.
pub fn utf8(value: &str) -> std::result::Result<String, String> {
    Ok(value.to_string())
}

/// atoi(3): a leading number, else 0.
pub fn atoi(text: &str) -> i64 {
    let t = text.trim_start();
    let digits = t.strip_prefix(['-', '+']).unwrap_or(t);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let n = digits.get(..end).unwrap_or_default().parse::<i64>().unwrap_or(if end == 0 { 0 } else { i64::MAX });
    if t.starts_with('-') { -n } else { n }
}

/// A whole number as strtol(3) with base 0 reads it, and nothing after it.
pub fn whole_number(text: &str) -> Option<i64> {
    let t = text.trim_start();
    let (minus, digits) = t.strip_prefix('-').map_or((false, t.strip_prefix('+').unwrap_or(t)), |d| (true, d));
    let n = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        i64::from_str_radix(hex, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse::<u64>().ok().and_then(|n| i64::try_from(n).ok())?
    };
    Some(if minus { -n } else { n })
}

/// The config of `--rcfile`, if one was given.
///
/// # Errors
/// It cannot be read or parsed: told in full.
pub fn load_rcfile(call: &Call) -> Result<Option<Config>> {
    let Some(file) = &call.rcfile else { return Ok(None) };
    let mut config = Config::new();
    // A directory is taken as lxc.include takes one.
    let loaded = match file.to_str().filter(|_| file.is_dir()) {
        Some(dir) => config.set("lxc.include", dir),
        None => config.load_file(file),
    };
    if let Err(e) = loaded {
        tell_config(call, &e);
        crate::log_error!("Failed to load rcfile");
        return Err(told(1));
    }
    Ok(Some(config))
}

/// What parsing a command line leads to.
enum Parsed {
    Run(Box<Call>),
    /// The tool ends here, with this code.
    Done(i32),
}

/// Runs a tool: parse, log, act, tell.
pub fn run(tool: &Tool, args: &[OsString]) -> i32 {
    let call = match parse(tool, args) {
        Parsed::Run(call) => call,
        Parsed::Done(code) => return code,
    };
    if let Err(e) = start_log(&call) {
        tell(&call, &e);
        return 1;
    }
    match (tool.run)(&call) {
        Ok(code) => code,
        Err(e) => {
            tell(&call, &e);
            if e.code == 0 { 1 } else { e.code }
        }
    }
}

/// Logs what is wrong with a config, in LXC's form of an error line; what mends it follows on stderr.
pub fn tell_config(call: &Call, e: &Error) {
    crate::log_error!("{e}");
    if let Some(hint) = &e.hint {
        call.say(hint);
    }
}

/// Tells an error once: on stderr with the tool's prefix, with what mends it; in the log file, too.
pub fn tell(call: &Call, e: &Error) {
    if e.told {
        return;
    }
    call.say(e);
    if let Some(hint) = &e.hint {
        call.say(format_args!("{hint}"));
    }
    log::set_quiet(true);
    crate::log_error!("{e}");
    log::set_quiet(call.quiet);
}

fn start_log(call: &Call) -> Result<()> {
    let level = call.matches.get_many::<OsString>("logpriority").and_then(Iterator::last);
    log::init(&log::Setup {
        prog: call.tool.into(),
        name: call.name.clone(),
        lxcpath: call.lxcpath.clone(),
        file: call.path("logfile").map(Path::to_path_buf),
        level: level.map(|l| l.to_string_lossy().into_owned()),
        quiet: call.quiet,
        default_level: None,
        default_file: level.is_some(),
    })
}

fn parse(tool: &Tool, args: &[OsString]) -> Parsed {
    let table = Table::new(tool.name, tool.text);
    let options = table.options();
    let rows: Vec<_> = options.iter().map(table::Opt::row).collect();
    let stops =
        |row: usize| options.get(row).is_some_and(|o| matches!(o.long, table::HELP | table::USAGE | table::VERSION));
    let posix = std::env::var_os("POSIXLY_CORRECT").is_some();
    let scan = getopt::scan(&rows, args.get(1..).unwrap_or_default(), posix, stops);
    let named = |met: &getopt::Met| options.get(met.row).map(|o| o.long);
    if scan.met.iter().filter(|m| named(m) == Some("lxcpath")).count() > 1 {
        err_line("This command only accepts 1 -P,--lxcpath arguments");
        return Parsed::Done(1);
    }
    let mut words: Vec<OsString> = Vec::new();
    for met in &scan.met {
        let mut word = OsString::from("--");
        word.push(named(met).unwrap_or_default());
        if let Some(value) = &met.value {
            word.push("=");
            word.push(value);
        }
        words.push(word);
    }
    let matches = match (tool.types)(table.command()).try_get_matches_from(&words) {
        Ok(m) => m,
        Err(e) => return wrong_line(tool, &words, &clap_reason(&e)),
    };
    let mut call = match call_of(tool, matches, scan.operands) {
        Ok(call) => call,
        Err(reason) => return wrong_line(tool, &words, &reason),
    };
    match scan.end {
        Some(End::At(row)) => end_at(tool, &table, &call, options.get(row)),
        Some(End::Wrong(text)) => {
            let prog = args.first().map_or(tool.name.as_bytes(), |a| a.as_bytes());
            let mut line = [prog, b": ", &text].concat();
            line.push(b'\n');
            let _ = std::io::stderr().write_all(&line);
            err_text(&table.help());
            Parsed::Done(1)
        }
        None => {
            if tool.named == Named::Must && call.matches.get_many::<OsString>("name").is_none() {
                if call.operands.is_empty() {
                    call.say("No container name specified");
                    return Parsed::Done(1);
                }
                match name_of(call.operands.remove(0)) {
                    Ok(name) => call.name = name,
                    Err(reason) => return wrong_line(tool, &words, &reason),
                }
            }
            match (tool.check)(&call) {
                Ok(()) => Parsed::Run(Box::new(call)),
                Err(reason) => wrong_line(tool, &words, &reason),
            }
        }
    }
}

/// Help, usage or version.
fn end_at(tool: &Tool, table: &Table, call: &Call, option: Option<&table::Opt>) -> Parsed {
    match option.map(|o| (o.long, o.short)) {
        Some((table::VERSION, _)) => {
            out(concat!(env!("CARGO_PKG_VERSION"), "\n"));
            Parsed::Done(0)
        }
        Some((table::USAGE, _)) => {
            err_text(&table.short_usage());
            Parsed::Done(0)
        }
        other => {
            err_text(&table.help());
            if let Some(more) = tool.more_help {
                more(call);
            }
            Parsed::Done(i32::from(matches!(other, Some((_, Some(b'?'))))))
        }
    }
}

/// Text on stderr.
pub fn err_text(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The reason, then LXC's own line.
fn wrong_line(tool: &Tool, words: &[OsString], reason: &str) -> Parsed {
    if !words.iter().any(|w| w == "--quiet") {
        if !reason.is_empty() {
            err_line(&format!("{}: {reason}", tool.name));
        }
        err_line(&format!("{}: could not parse command line", tool.name));
    }
    Parsed::Done(1)
}

/// What is wrong with an argument: `--timeout abc: not a number of seconds`.
fn clap_reason(e: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue};
    use std::error::Error as _;
    let context = |kind| match e.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue), e.source()) {
        (Some(arg), Some(value), Some(reason)) => {
            format!("{} {value}: {reason}", arg.split(' ').next().unwrap_or(arg))
        }
        _ => {
            let text = e.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.strip_prefix("error: ").unwrap_or(line).to_string()
        }
    }
}

fn name_of(word: OsString) -> std::result::Result<String, String> {
    word.into_string().map_err(|w| format!("the container's name is not UTF-8: {}", w.to_string_lossy()))
}

fn call_of(tool: &Tool, matches: ArgMatches, operands: Vec<OsString>) -> std::result::Result<Call, String> {
    let last = |id: &str| matches.get_many::<OsString>(id).and_then(Iterator::last).cloned();
    let name = last("name").map(name_of).transpose()?.unwrap_or_default();
    let given = last("lxcpath");
    let lxcpath_given = given.is_some();
    let lxcpath = given.map_or_else(paths::lxcpath, |p| {
        let mut bytes = p.into_vec();
        while bytes.len() > 1 && bytes.last() == Some(&b'/') {
            bytes.pop();
        }
        PathBuf::from(OsString::from_vec(bytes))
    });
    Ok(Call {
        tool: tool.name,
        name,
        lxcpath,
        lxcpath_given,
        rcfile: last("rcfile").map(PathBuf::from),
        quiet: matches.get_count("quiet") > 0,
        operands,
        matches,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_c_reads_them() {
        assert_eq!(atoi("12x"), 12);
        assert_eq!(atoi("abc"), 0);
        assert_eq!(atoi(" -3"), -3);
        assert_eq!(atoi("99999999999999999999"), i64::MAX);
        assert_eq!(whole_number("0x10"), Some(16));
        assert_eq!(whole_number("010"), Some(8));
        assert_eq!(whole_number("-1"), Some(-1));
        assert_eq!(whole_number("1x"), None);
        assert_eq!(whole_number(""), None);
    }
}
