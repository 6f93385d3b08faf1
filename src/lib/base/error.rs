//! The one error type: what failed, on which object, why, and what to do about it. Prints nothing itself.
#![forbid(unsafe_code)]

use std::fmt;

/// A failure as its reader needs it.
#[derive(Debug, Clone, Default)]
pub struct Error {
    /// The stage of a start that failed (`mount`, `network` …); empty outside of one.
    pub stage: &'static str,
    /// What failed and on which object.
    pub what: String,
    /// The kernel's error number, 0 when none is known.
    pub errno: i32,
    /// The command or setting that mends it, when one is known.
    pub hint: Option<String>,
    /// The exit code that a tool ends with; 1 unless told otherwise.
    pub code: i32,
    /// The user has been told already: a tool must not print it again.
    pub told: bool,
}

/// The library's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure without a kernel error number.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), code: 1, ..Self::default() }
    }

    /// A failure with the kernel's error number.
    pub fn os(errno: i32, what: impl Into<String>) -> Self {
        Self { what: what.into(), errno, code: 1, ..Self::default() }
    }

    /// A failure of an I/O call on an object.
    pub fn io(e: &std::io::Error, what: impl Into<String>) -> Self {
        Self::os(e.raw_os_error().unwrap_or(0), what)
    }

    /// Adds what mends it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the stage that failed.
    #[must_use]
    pub fn stage(mut self, stage: &'static str) -> Self {
        self.stage = stage;
        self
    }

    /// Sets the exit code of a tool that ends by this error.
    #[must_use]
    pub fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    /// The error number in words, as strerror(3) has them; empty without a number.
    pub fn reason(&self) -> String {
        if self.errno == 0 { String::new() } else { strerror(self.errno) }
    }
}

/// strerror(3): the words that users know, without the number that Rust adds.
pub fn strerror(errno: i32) -> String {
    let mut text = std::io::Error::from_raw_os_error(errno).to_string();
    if let Some(at) = text.rfind(" (os error") {
        text.truncate(at);
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.stage.is_empty() {
            write!(f, "{}: ", self.stage)?;
        }
        f.write_str(&self.what)?;
        if self.errno != 0 {
            write!(f, ": {}", strerror(self.errno))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Adds the object to an I/O error.
pub trait Context<T> {
    /// Turns the error into [`Error`], with `what` as its text.
    ///
    /// # Errors
    /// The error of `self`, in words.
    fn ctx(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn ctx(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::io(&e, what()))
    }
}

impl<T> Context<T> for nix::Result<T> {
    fn ctx(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::os(e as i32, what()))
    }
}
