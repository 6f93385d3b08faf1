//! Loading files and texts: top to bottom, includes in place, the first error ends it. With a collector (`--check`) it
//! goes on and keeps all problems. Facts: config-formats sheet 1 to 4.
#![forbid(unsafe_code)]

use super::places::{self, Places};
use super::{Config, Problem, Severity, Target, read_file, wording};
use crate::base::{Error, Result};
use crate::keys::Bad;
use crate::keys::syntax::{Item, Lines, Pair, position};
use crate::log_info;
use std::cell::Cell;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The state of one load: the files that are open above the present one, and the problems if they are collected.
#[derive(Default)]
pub(super) struct Loader {
    stack: Vec<(u64, u64)>,
    collect: Option<Collected>,
}

/// What a check wants to know.
#[derive(Default)]
struct Collected {
    problems: Vec<Problem>,
    places: Places,
}

/// Where a text came from.
struct Source<'a> {
    file: &'a str,
    bytes: &'a [u8],
    /// The bytes as text, if all of them are UTF-8.
    text: Option<&'a str>,
    /// The last position that was asked for: the start of its line and the line's number.
    last: Cell<(usize, usize)>,
}

impl<'a> Source<'a> {
    fn new(file: &'a str, bytes: &'a [u8]) -> Self {
        Self { file, bytes, text: std::str::from_utf8(bytes).ok(), last: Cell::new((0, 1)) }
    }

    /// A piece of a line as text.
    fn text(&self, at: usize, bytes: &'a [u8]) -> Option<&'a str> {
        match self.text {
            Some(text) => text.get(at..at + bytes.len()),
            None => std::str::from_utf8(bytes).ok(),
        }
    }

    fn problem(&self, at: usize, severity: Severity, key: &str, text: String) -> Problem {
        let (start, number) = Some(self.last.get()).filter(|(start, _)| *start <= at).unwrap_or((0, 1));
        let (line, column) = position(&self.bytes[start..], at - start);
        let line = line + number - 1;
        let line_start = self.bytes[..at.min(self.bytes.len())].iter().rposition(|c| matches!(c, b'\n' | b'\r'));
        self.last.set((line_start.map_or(0, |i| i + 1), line));
        Problem {
            file: self.file.to_string(),
            line,
            column,
            severity,
            text,
            key: key.to_string(),
            hint: None,
            errno: libc::EINVAL,
        }
    }
}

impl Config {
    /// Loads a file: its settings are added to those that are there, its text to the text.
    ///
    /// # Errors
    /// The first problem, with file, line and column. The settings before it are kept, and the whole text.
    pub fn load_file(&mut self, path: &Path) -> Result<()> {
        let mut loader = Loader::default();
        loader.enter(path).map_err(|bad| Error::os(bad.errno, bad.why))?;
        let bytes = read_file(path)?;
        self.load_top(bytes, &path.display().to_string(), &mut loader)
    }

    /// Loads a text; `origin` is its name in messages.
    ///
    /// # Errors
    /// As [`Config::load_file`].
    pub fn load_str(&mut self, text: &str, origin: &str) -> Result<()> {
        self.load_top(text.as_bytes().to_vec(), origin, &mut Loader::default())
    }

    /// Loads the bytes of a file.
    ///
    /// # Errors
    /// As [`Config::load_file`].
    pub fn load_bytes(&mut self, bytes: Vec<u8>, origin: &str) -> Result<()> {
        self.load_top(bytes, origin, &mut Loader::default())
    }

    /// Loads a file to the end and answers all problems that its lines have; what does not fit together is not among them
    /// (see [`super::check`]).
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn load_all(&mut self, path: &Path) -> Result<(Vec<Problem>, Places)> {
        let mut loader = Loader { collect: Some(Collected::default()), ..Loader::default() };
        loader.enter(path).map_err(|bad| Error::os(bad.errno, bad.why))?;
        let bytes = read_file(path)?;
        self.load_top(bytes, &path.display().to_string(), &mut loader)?;
        let Collected { mut problems, places } = loader.collect.unwrap_or_default();
        problems.extend(self.notes.iter().cloned());
        Ok((problems, places))
    }

    fn load_top(&mut self, mut bytes: Vec<u8>, file: &str, loader: &mut Loader) -> Result<()> {
        let mut frozen = Vec::new();
        let done = self.load_lines(&Source::new(file, &bytes), loader, &mut Some(&mut frozen));
        for (at, mac) in frozen {
            if let Some(place) = bytes.get_mut(at..at + mac.len()) {
                place.copy_from_slice(mac.as_bytes());
            }
        }
        self.text.push_file(bytes);
        done.map_err(Error::from)
    }

    /// Takes the lines of one file. `top`: where filled-in hardware addresses go, for a file whose text is kept.
    fn load_lines(
        &mut self,
        source: &Source<'_>,
        loader: &mut Loader,
        top: &mut Option<&mut Vec<(usize, String)>>,
    ) -> std::result::Result<(), Problem> {
        // A NUL ends the text, as in C.
        let end = crate::sys::bytes::find(source.bytes, 0).unwrap_or(source.bytes.len());
        let file = loader.collect.as_mut().map_or(0, |all| all.places.enter(source.file, source.bytes));
        for line in Lines::new(&source.bytes[..end]) {
            let result = match line.parse() {
                Item::Nothing => {
                    if let (Some(all), Some((at, text, hint))) = (&mut loader.collect, places::ignored(line.bytes)) {
                        let found = source.problem(line.start + at, places::IGNORED, "", text);
                        all.problems.push(Problem { hint, ..found });
                    }
                    Ok(())
                }
                Item::NoEquals(text) => {
                    let at = line.start + line.bytes.len();
                    let key = String::from_utf8_lossy(text);
                    let text = format!("\"{}\" is no line of the form key = value", crate::keys::value::cut(&key, 80));
                    Err(source.problem(at, Severity::Error, &key, text))
                }
                Item::Pair(pair) => self.load_pair(source, (file, line.start), &pair, loader, top),
            };
            match (result, &mut loader.collect) {
                (Err(problem), Some(all)) => all.problems.push(problem),
                (result, _) => result?,
            }
        }
        Ok(())
    }

    fn load_pair<'a>(
        &mut self,
        source: &Source<'a>,
        (file, start): (usize, usize),
        pair: &Pair<'a>,
        loader: &mut Loader,
        top: &mut Option<&mut Vec<(usize, String)>>,
    ) -> std::result::Result<(), Problem> {
        let (key_at, value_at) = (start + pair.key_at, start + pair.value_at);
        let (Some(key), Some(value)) = (source.text(key_at, pair.key), source.text(value_at, pair.value)) else {
            let key = String::from_utf8_lossy(pair.key);
            let text = format!("{key}: the line is not UTF-8");
            return Err(source.problem(start + pair.key_at, Severity::Error, &key, text));
        };
        let failed = |bad: &Bad| {
            let (text, hint) = wording(key, value, bad);
            let at = if bad.why == "unknown key" { key_at } else { value_at + bad.at.min(value.len()) };
            Problem { hint, errno: bad.errno, ..source.problem(at, Severity::Error, key, text) }
        };
        if key == "lxc.include" {
            if let Some(all) = loader.collect.as_mut().filter(|_| value.ends_with('/') && !Path::new(value).exists()) {
                let text = format!("lxc.include = {value}: there is no such directory: nothing is included");
                all.problems.push(source.problem(value_at, Severity::Info, key, text));
            }
            return self.load_include(value, loader, &failed);
        }
        let opens = key == "lxc.network.type" && !value.is_empty();
        if opens {
            self.open_legacy_device(value).map_err(|bad| failed(&bad))?;
        }
        let found = match self.target(key).map_err(|bad| failed(&bad))? {
            Target::Row(found) => found,
            _ => {
                self.apply(key, value).map_err(|bad| failed(&bad))?;
                if let Some(all) = &mut loader.collect {
                    all.places.note(file, key_at, value_at, key.to_string(), value);
                }
                return self.note_special(source, key_at, key);
            }
        };
        self.set_row(key, value, &found).map_err(|bad| failed(&bad))?;
        if let Some(all) = &mut loader.collect {
            let name = found.name();
            if let Some((other, line)) = found.index.and_then(|_| all.places.reset_by(&name)) {
                let text = format!("{name} resets {other} of line {line}, and all other settings of the device");
                let hint = Some(format!("move {name} before the device's other keys"));
                all.problems.push(Problem { hint, ..source.problem(value_at, Severity::Warning, key, text) });
            }
            all.places.note(file, key_at, value_at, name, value);
        }
        if opens && top.is_some() {
            self.legacy_blocks.extend(self.legacy_device);
        }
        if found.legacy {
            let present = found.name();
            let text = format!("{key} is an old name of {present}");
            let note = source.problem(key_at, Severity::Info, key, text);
            self.note(Problem { hint: Some(format!("write {present}, or run lxc-update-config")), ..note });
        }
        if let (Some(index), Some(frozen)) = (found.index, top.as_mut())
            && found.row().name().ends_with(".hwaddr")
            && value.contains(['x', 'X'])
            && let Some(mac) = self.network.devices.get(&index).and_then(|d| d.hwaddr.clone())
            && mac.len() == value.len()
        {
            frozen.push((value_at, mac));
        }
        Ok(())
    }

    /// A note on a key that is no row: the old storage type, or one without effect.
    fn note_special(&mut self, source: &Source<'_>, at: usize, key: &str) -> std::result::Result<(), Problem> {
        let (text, hint) = match key {
            "lxc.rootfs.backend" => ("lxc.rootfs.backend is old", "write lxc.rootfs.path = TYPE:PATH"),
            "lxc.kmsg" | "lxc.pivotdir" => ("the key has no effect any more", "remove the line"),
            _ => return Ok(()),
        };
        let note = source.problem(at, Severity::Info, key, text.to_string());
        self.note(Problem { hint: Some(hint.to_string()), ..note });
        Ok(())
    }

    fn note(&mut self, note: Problem) {
        log_info!("{note}");
        self.notes.push(note);
    }

    /// `lxc.include` from the C API or `-s`.
    pub(super) fn include(&mut self, value: &str) -> std::result::Result<(), Bad> {
        let failed = |bad: &Bad| Problem {
            file: String::new(),
            line: 0,
            column: 0,
            severity: Severity::Error,
            text: bad.why.clone(),
            key: "lxc.include".to_string(),
            hint: None,
            errno: bad.errno,
        };
        let done = self.load_include(value, &mut Loader::default(), &failed);
        done.map_err(|problem| Bad::os(problem.errno, problem.to_string()))
    }

    fn load_include(
        &mut self,
        value: &str,
        loader: &mut Loader,
        failed: &dyn Fn(&Bad) -> Problem,
    ) -> std::result::Result<(), Problem> {
        if value.is_empty() {
            return Ok(());
        }
        let path = Path::new(value);
        if !value.ends_with('/') && !path.is_dir() {
            return self.load_included(path, loader, failed);
        }
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            // A missing directory with a slash at the end of its name is no error.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed(&Bad::os(e.raw_os_error().unwrap_or(0), "the directory cannot be read"))),
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|e| Some(e.ok()?.file_name()))
            .filter(|name| name.len() > ".conf".len() && name.as_encoded_bytes().ends_with(b".conf"))
            .map(|name| path.join(name))
            .collect();
        files.sort();
        for file in &files {
            self.load_included(file, loader, failed)?;
        }
        Ok(())
    }

    fn load_included(
        &mut self,
        path: &Path,
        loader: &mut Loader,
        failed: &dyn Fn(&Bad) -> Problem,
    ) -> std::result::Result<(), Problem> {
        loader.enter(path).map_err(|bad| failed(&bad))?;
        let bytes = read_file(path).map_err(|e| failed(&Bad::os(e.errno, e.what)));
        let done = bytes
            .and_then(|bytes| self.load_lines(&Source::new(&path.display().to_string(), &bytes), loader, &mut None));
        loader.stack.pop();
        done
    }
}

impl Loader {
    /// Notes that a file is being read.
    fn enter(&mut self, path: &Path) -> std::result::Result<(), Bad> {
        let os =
            |e: std::io::Error| Bad::os(e.raw_os_error().unwrap_or(0), format!("{} cannot be read", path.display()));
        let meta = std::fs::metadata(path).map_err(os)?;
        let id = (meta.dev(), meta.ino());
        if meta.is_dir() {
            return Err(Bad::os(libc::EISDIR, format!("{} is a directory", path.display())));
        }
        if self.stack.contains(&id) {
            return Err(Bad::os(libc::ELOOP, format!("{} includes itself", path.display())));
        }
        if self.stack.len() >= 100 {
            return Err(Bad::os(libc::ELOOP, "includes are nested more than 100 deep"));
        }
        self.stack.push(id);
        Ok(())
    }
}
