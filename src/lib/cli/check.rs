//! `lxc-config --check`: everything that is wrong with a file, before a start says so. Finds nothing itself; prints, and
//! says by the exit code how bad it is.
#![forbid(unsafe_code)]

use super::common::{err_line, out};
use super::json;
use crate::base::{Error, Result, paths};
use crate::config::format::Format;
use crate::config::{Problem, Severity, check, host};
use crate::runtime::refuse;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// No problem, or notes only.
const CLEAN: i32 = 0;
/// At least an error; also for a command line that is none and a file that cannot be read.
const ERRORS: i32 = 1;
/// Warnings, no error.
const WARNINGS: i32 = 2;

/// What the words after `--check` ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    file: Option<PathBuf>,
    name: Option<String>,
    lxcpath: Option<PathBuf>,
    format: Option<Format>,
    json: bool,
    quiet: bool,
}

/// Runs `lxc-config --check` with the words of the command line but the tool's name.
pub fn main(words: &[OsString]) -> i32 {
    let request = match request(words) {
        Ok(request) => request,
        Err(why) => {
            err_line(&format!("lxc-config: {why}"));
            return ERRORS;
        }
    };
    let files = match targets(&request) {
        Ok(files) => files,
        Err(e) => return failed(&e),
    };
    let mut all = Vec::new();
    for (file, format) in &files {
        match look(file, *format) {
            Ok(problems) => all.extend(problems),
            Err(e) => return failed(&e),
        }
    }
    if request.json {
        out(&as_json(&files, &all));
    } else if !request.quiet {
        all.iter().for_each(|p| out(&line(p)));
    }
    match all.iter().map(|p| p.severity).max() {
        Some(Severity::Error) => ERRORS,
        Some(Severity::Warning) => WARNINGS,
        _ => CLEAN,
    }
}

fn failed(e: &Error) -> i32 {
    err_line(&format!("lxc-config: {e}"));
    if let Some(hint) = &e.hint {
        err_line(&format!("lxc-config: {hint}"));
    }
    ERRORS
}

fn request(words: &[OsString]) -> std::result::Result<Request, String> {
    let mut r = Request::default();
    let mut words = words.iter();
    let mut operands = false;
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let (option, glued) = match text.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(OsString::from(value))),
            _ if !text.starts_with("--") && text.starts_with('-') && text.len() > 2 && text.is_char_boundary(2) => {
                (&text[..2], Some(OsString::from(&text[2..])))
            }
            _ => (text.as_ref(), None),
        };
        let mut value =
            || glued.clone().or_else(|| words.next().cloned()).ok_or_else(|| format!("{option} needs an argument"));
        match option {
            _ if operands => operand(&mut r, word)?,
            "--" => operands = true,
            "--check" if glued.is_none() => {}
            "--check" => operand(&mut r, &value()?)?,
            "-n" | "--name" => r.name = Some(value()?.to_string_lossy().into_owned()),
            "-P" | "--lxcpath" => r.lxcpath = Some(PathBuf::from(value()?)),
            "-q" | "--quiet" => r.quiet = true,
            "--format" => match value()?.to_string_lossy().as_ref() {
                "json" => r.json = true,
                "text" => r.json = false,
                other => return Err(format!("--format={other}: the formats are: json text")),
            },
            "--as" => {
                let word = value()?.to_string_lossy().into_owned();
                let names: Vec<&str> = Format::ALL.iter().map(|f| f.0).collect();
                let found = Format::named(&word);
                r.format = Some(found.ok_or_else(|| format!("--as={word}: one of: {}", names.join(" ")))?);
            }
            o if o.starts_with('-') && o.len() > 1 => return Err(format!("'{text}' is no option of --check")),
            _ => operand(&mut r, word)?,
        }
    }
    if r.file.is_some() && r.name.is_some() {
        return Err("--check takes a FILE or -n NAME, not both".into());
    }
    Ok(r)
}

fn operand(r: &mut Request, word: &OsString) -> std::result::Result<(), String> {
    match &r.file {
        Some(_) => Err(format!("--check takes one file; '{}' is one too many", word.to_string_lossy())),
        None => {
            r.file = Some(PathBuf::from(word));
            Ok(())
        }
    }
}

/// The files to look through: the one that is named, the container's config, or those of the host.
fn targets(r: &Request) -> Result<Vec<(PathBuf, Format)>> {
    if let Some(file) = &r.file {
        return Ok(vec![(file.clone(), r.format.unwrap_or_else(|| Format::of(file)))]);
    }
    if let Some(name) = &r.name {
        crate::container::name::check(name)?;
        let store = r.lxcpath.clone().unwrap_or_else(paths::lxcpath);
        return Ok(vec![(store.join(name).join("config"), Format::Container)]);
    }
    let default = paths::global("lxc.default_config").ok().flatten();
    let etc = Path::new(paths::dirs::SYSCONFDIR);
    let all = [
        Some((paths::global_conf(), Format::LxcConf)),
        default.map(|d| (PathBuf::from(d), Format::Container)),
        Some((PathBuf::from(paths::dirs::USERNET_CONF), Format::Usernet)),
        Some((etc.join("subuid"), Format::Subid)),
        Some((etc.join("subgid"), Format::Subid)),
        Some((etc.join("default/lxc"), Format::Defaults)),
        Some((etc.join("default/lxc-net"), Format::Defaults)),
    ];
    Ok(all.into_iter().flatten().filter(|(file, _)| file.exists()).collect())
}

/// All problems of a file.
fn look(file: &Path, format: Format) -> Result<Vec<Problem>> {
    if format != Format::Container {
        let bytes = std::fs::read(file).map_err(|e| Error::io(&e, file.display().to_string()))?;
        return Ok(format.check(&file.display().to_string(), &bytes));
    }
    let mut report = check::file(file)?;
    let refused = refuse::all_unbuilt(&report.config);
    let lacking = host::lacks(&report.config, file.file_name().is_some_and(|n| n == "config"));
    report.add(refused);
    report.add(lacking);
    Ok(report.problems)
}

/// `FILE:LINE:COLUMN: error: what (what to do)`.
fn line(p: &Problem) -> String {
    let place = if p.line > 0 { format!("{}:{}:{}: ", p.file, p.line, p.column) } else { String::new() };
    let hint = p.hint.as_ref().map_or_else(String::new, |h| format!(" ({h})"));
    format!("{place}{}: {}{hint}\n", p.severity.name(), p.text)
}

fn as_json(files: &[(PathBuf, Format)], all: &[Problem]) -> String {
    let count = |severity| all.iter().filter(|p| p.severity == severity).count().to_string();
    let number = |n: usize| if n == 0 { "null".to_string() } else { n.to_string() };
    let text = |t: &str| json::maybe(Some(t).filter(|t| !t.is_empty()));
    let problem = |p: &Problem| {
        json::object([
            ("file", text(&p.file)),
            ("line", number(p.line)),
            ("column", number(p.column)),
            ("severity", json::string(p.severity.name())),
            ("key", text(&p.key)),
            ("text", json::string(&p.text)),
            ("hint", json::maybe(p.hint.as_deref())),
        ])
    };
    let names: Vec<String> = files.iter().map(|(f, _)| f.display().to_string()).collect();
    json::object([
        ("files", json::strings(&names)),
        ("errors", count(Severity::Error)),
        ("warnings", count(Severity::Warning)),
        ("notes", count(Severity::Info)),
        ("problems", json::list(all.iter().map(problem))),
    ]) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> std::result::Result<Request, String> {
        request(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn command_lines() {
        let r = asked(&["--check", "-nc1", "-P", "/s", "--format=json"]).unwrap();
        assert_eq!((r.name.as_deref(), r.lxcpath, r.json), (Some("c1"), Some("/s".into()), true));
        assert_eq!(asked(&["--check", "f"]).unwrap().file, Some("f".into()));
        assert_eq!(asked(&["--format", "json", "--check=f"]).unwrap().file, Some("f".into()));
        assert_eq!(asked(&["--check", "--", "-x"]).unwrap().file, Some("-x".into()));
        assert_eq!(asked(&["--check", "--as=usernet", "f"]).unwrap().format, Some(Format::Usernet));
        for bad in [&["--check", "a", "b"][..], &["--check", "-n"], &["--bogus"], &["-n", "a", "f"], &["--as=x"]] {
            assert!(asked(bad).is_err(), "{bad:?}");
        }
    }
}
