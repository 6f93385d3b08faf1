//! What is wrong with a config, and where. Finds nothing itself.
#![forbid(unsafe_code)]

use crate::base::Error;
use crate::base::fault::Fault;
use std::fmt;

pub use crate::base::fault::Severity;

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

impl Problem {
    /// The fault of a file that is no container's config.
    pub fn of_fault(file: &str, fault: Fault) -> Self {
        Self {
            file: file.to_string(),
            line: fault.line,
            column: fault.column,
            severity: fault.severity,
            text: fault.what,
            key: String::new(),
            hint: fault.hint,
            errno: libc::EINVAL,
        }
    }

    /// An error whose text begins with `FILE:LINE:COLUMN: `, taken apart.
    pub fn of_error(file: &str, error: &Error) -> Self {
        let mut problem = Self {
            file: file.to_string(),
            line: 0,
            column: 0,
            severity: Severity::Error,
            text: error.what.clone(),
            key: String::new(),
            hint: error.hint.clone(),
            errno: if error.errno == 0 { libc::EINVAL } else { error.errno },
        };
        let placed = error.what.strip_prefix(file).and_then(|rest| rest.strip_prefix(':')).and_then(|rest| {
            let (line, rest) = rest.split_once(':')?;
            let (column, text) = rest.split_once(": ")?;
            Some((line.parse().ok()?, column.parse().ok()?, text.to_string()))
        });
        if let Some((line, column, text)) = placed {
            (problem.line, problem.column, problem.text) = (line, column, text);
        }
        problem
    }
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
