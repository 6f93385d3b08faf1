//! What is wrong with a config, and where. Finds nothing itself.
#![forbid(unsafe_code)]

use crate::base::Error;
use std::fmt;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing: an old name that still works.
    Info,
    /// The container may start but not as meant.
    Warning,
    /// The config does not load, or a start refuses it.
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

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the name that [`super::Config::load_str`] was given; empty when no line is to blame.
    pub file: String,
    /// The line, from 1; 0 when no line is to blame.
    pub line: usize,
    /// The column in characters, from 1; 0 when no line is to blame.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub text: String,
    /// The key, as it was written.
    pub key: String,
    /// What to write in its place, or to do.
    pub hint: Option<String>,
    /// The kernel's number for the reason, EINVAL mostly.
    pub errno: i32,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        }
        f.write_str(&self.text)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let mut error = Error::new(problem.to_string());
        error.errno = if problem.errno == libc::EINVAL { 0 } else { problem.errno };
        error.hint = problem.hint;
        error
    }
}
