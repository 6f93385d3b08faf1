//! What is wrong in a file that is read whole, and where: one form for every format (`FILE:LINE:COLUMN: what`). Finds
//! nothing itself.
#![forbid(unsafe_code)]

use super::Error;

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing: an old name that still works.
    Info,
    /// It works, but hardly as meant.
    Warning,
    /// It does not load, does not count, or a start refuses it.
    Error,
}

impl Severity {
    /// The word for messages and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One fault of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// What to write in its place, or to do.
    pub hint: Option<String>,
}

impl Fault {
    /// As an error of the file.
    pub fn error(&self, file: &str) -> Error {
        let mut error = Error::os(libc::EINVAL, format!("{file}:{}:{}: {}", self.line, self.column, self.what));
        error.hint.clone_from(&self.hint);
        error
    }
}

/// The lines of a file while faults are found in it.
pub struct Faults {
    /// What was found.
    pub all: Vec<Fault>,
}

/// A line that is being read.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Its number, from 1.
    pub number: usize,
    /// Its text, without the line end.
    pub text: &'a str,
}

impl Line<'_> {
    /// The column, from 1, of `part`, which must be a piece of the line.
    pub fn column(&self, part: &str) -> usize {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        self.text.get(..offset).map_or(1, |head| head.chars().count() + 1)
    }
}

impl Faults {
    /// None yet.
    pub const fn new() -> Self {
        Self { all: Vec::new() }
    }

    /// Calls `each` for every line; a line that is no UTF-8 is a fault.
    pub fn lines<'a>(&mut self, text: &'a [u8], mut each: impl FnMut(&mut Self, Line<'a>)) {
        for (i, bytes) in text.split(|c| *c == b'\n').enumerate() {
            let line = Line { number: i + 1, text: std::str::from_utf8(bytes).unwrap_or_default() };
            match std::str::from_utf8(bytes) {
                Ok(_) => each(self, line),
                Err(e) => {
                    let column = String::from_utf8_lossy(bytes.get(..e.valid_up_to()).unwrap_or_default());
                    self.all.push(Fault {
                        line: i + 1,
                        column: column.chars().count() + 1,
                        severity: Severity::Error,
                        what: "the line is not UTF-8".into(),
                        hint: None,
                    });
                }
            }
        }
    }

    /// An error at `part`, a piece of the line.
    pub fn error(&mut self, line: Line<'_>, part: &str, what: impl Into<String>, hint: Option<String>) {
        self.push(line, part, Severity::Error, what.into(), hint);
    }

    /// A warning at `part`, a piece of the line.
    pub fn warn(&mut self, line: Line<'_>, part: &str, what: impl Into<String>, hint: Option<String>) {
        self.push(line, part, Severity::Warning, what.into(), hint);
    }

    fn push(&mut self, line: Line<'_>, part: &str, severity: Severity, what: String, hint: Option<String>) {
        self.all.push(Fault { line: line.number, column: line.column(part), severity, what, hint });
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters() {
        let mut f = Faults::new();
        f.lines("é x\n".as_bytes(), |f, l| {
            if let Some(part) = l.text.split(' ').nth(1) {
                f.warn(l, part, "w", None);
            }
        });
        f.lines(b"ok\n\xc3\xa9\xff", |_, _| {});
        assert_eq!((f.all[0].line, f.all[0].column), (1, 3));
        assert_eq!(f.all[1].error("F").what, "F:2:2: the line is not UTF-8");
        assert_eq!(f.all[0].severity.name(), "warning");
    }
}
