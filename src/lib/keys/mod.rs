//! The config engine: what a key is ([`Key`], [`Row`]), how text becomes a field and back ([`Slot`]), the grammar of a
//! config file ([`syntax`]), the text that a save writes ([`text`]) and how it is written (`file`).
//!
//! It knows no key: every feature owns its rows (`<feature>/keys.rs`) and `config` joins them. It refuses to act on any
//! value, to log, and to open anything but the file that `file` is told to write.
#![forbid(unsafe_code)]

pub mod file;
pub mod info;
pub mod near;
pub mod slot;
pub mod syntax;
pub mod text;
pub mod value;

pub use slot::{Ref, Slot, View};

/// How the text of a key becomes a value. Carries no pointer, so that a table of rows needs no relocation for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text up to this many bytes.
    Text(u16),
    /// A path: `//` and a trailing `/` are removed; below PATH_MAX.
    Path,
    /// A relative path without `..`.
    RelPath,
    /// One file name: no `/`, not `.` or `..`.
    FileName,
    /// `0` or `1`.
    Bool,
    /// An unsigned number, 32 bits, up to this one.
    UInt(u32),
    /// A signed number, 32 bits.
    Int,
    /// A signal: number, `SIGxxx`, `SIGRTMIN+n`, `SIGRTMAX-n`.
    Signal,
    /// A byte count; junk becomes 500000.
    TmpfsSize,
    /// `auto` or a byte count with KB, MB or GB, rounded up to a power of two.
    ConsoleSize,
    /// Any text; every line adds one item.
    List,
    /// Blank-separated words; every line adds some.
    Words,
    /// A network interface's name; what is over 15 bytes is cut off.
    IfName,
    /// What the feature's own function takes.
    Own,
}

impl Kind {
    /// The kind in words, for messages and manual pages.
    pub const fn describe(self) -> &'static str {
        match self {
            Kind::Text(_) => "text",
            Kind::Path => "path",
            Kind::RelPath => "relative path",
            Kind::FileName => "file name",
            Kind::Bool => "0 or 1",
            Kind::UInt(_) => "unsigned number",
            Kind::Int => "number",
            Kind::Signal => "signal name or number",
            Kind::TmpfsSize => "bytes",
            Kind::ConsoleSize => "bytes with KB, MB or GB, or auto",
            Kind::List => "text, one item a line",
            Kind::Words => "words",
            Kind::IfName => "interface name",
            Kind::Own => "see the description",
        }
    }
}

/// What `key =` (an empty value) does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// The same as a clear.
    Clear,
    /// Stores this number.
    Number(i32),
    /// Is an error, after the value was cleared.
    Refuse,
}

/// What a key is, without its place in a `Conf`.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The name, then the names of older releases, blank-separated. `prefix.*` takes any text for the star,
    /// `lxc.net.[i].x` any index.
    pub names: &'static str,
    /// How text becomes a value.
    pub kind: Kind,
    /// What an empty value does.
    pub empty: Empty,
    /// The number that a clear leaves behind.
    pub reset: i32,
    /// Versions, default, samples and documentation, see [`info`].
    pub info: &'static str,
}

impl Row {
    /// The present name.
    pub const fn name(&self) -> &'static str {
        let mut end = 0;
        let bytes = self.names.as_bytes();
        while end < bytes.len() && bytes[end] != b' ' {
            end += 1;
        }
        self.names.split_at(end).0
    }

    /// The names of older releases.
    pub fn legacy(&self) -> impl Iterator<Item = &'static str> {
        self.names.split(' ').skip(1)
    }

    /// The part of the name before `*`, for a prefix row.
    pub fn prefix(&self) -> Option<&'static str> {
        self.name().strip_suffix('*')
    }
}

/// A row and its place in the `Conf` of type `C`.
pub struct Key<C: 'static> {
    /// What the key is.
    pub row: Row,
    /// Where its value lies.
    pub access: Access<C>,
}

/// Where a key's value lies.
pub enum Access<C: 'static> {
    /// A field of a common type.
    Field(fn(Ref<'_, C>) -> Slot<'_>),
    /// A function of the feature.
    Own(fn(Op<'_, C>, &Call<'_>) -> Answer),
}

/// What a feature's own function is asked to do.
pub enum Op<'a, C> {
    /// Take `call.value`, which may be empty.
    Set(&'a mut C),
    /// Say what is stored.
    Get(&'a C),
    /// Forget it.
    Clear(&'a mut C),
}

/// The key as it was written.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The whole key.
    pub key: &'a str,
    /// What stands for the `*` of a prefix row; the row's own name otherwise.
    pub sub: &'a str,
    /// The value; empty for get and clear.
    pub value: &'a str,
    /// The key was written by a name of an older release.
    pub legacy: bool,
}

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// The kernel's number for the reason, as the C API returns it (negated there).
    pub errno: i32,
    /// The reason, to follow `lxc.x = value: `.
    pub why: String,
    /// The byte of the value at which the trouble starts.
    pub at: usize,
}

/// The text of a get (empty for set and clear).
pub type Answer = Result<String, Bad>;

impl Bad {
    /// An invalid value.
    pub fn new(why: impl Into<String>) -> Self {
        Self { errno: libc::EINVAL, why: why.into(), at: 0 }
    }

    /// A failure with another number than EINVAL.
    pub fn os(errno: i32, why: impl Into<String>) -> Self {
        Self { errno, why: why.into(), at: 0 }
    }

    /// An invalid value, with the byte where the trouble starts.
    #[must_use]
    pub fn at(mut self, at: usize) -> Self {
        self.at = at;
        self
    }
}

impl<C> Key<C> {
    /// A key whose value is a field of a common type.
    pub const fn field(names: &'static str, kind: Kind, slot: fn(Ref<'_, C>) -> Slot<'_>, info: &'static str) -> Self {
        let row = Row { names, kind, empty: Empty::Clear, reset: 0, info };
        Self { row, access: Access::Field(slot) }
    }

    /// A key with a function of its own.
    pub const fn own(names: &'static str, f: fn(Op<'_, C>, &Call<'_>) -> Answer, info: &'static str) -> Self {
        let row = Row { names, kind: Kind::Own, empty: Empty::Clear, reset: 0, info };
        Self { row, access: Access::Own(f) }
    }

    /// What an empty value does, when it is no clear.
    #[must_use]
    pub const fn empty(mut self, empty: Empty) -> Self {
        self.row.empty = empty;
        self
    }

    /// The number that a clear leaves behind, when it is not 0.
    #[must_use]
    pub const fn reset(mut self, reset: i32) -> Self {
        self.row.reset = reset;
        self
    }

    /// Stores `call.value` (which may be empty) in `conf`.
    ///
    /// # Errors
    /// The value is none of this key's; `conf` is as before, but for [`Empty::Refuse`].
    pub fn set(&self, conf: &mut C, call: &Call<'_>) -> Result<(), Bad> {
        match self.access {
            Access::Field(slot) => slot::set(&self.row, slot(Ref::Mut(conf)), call.value),
            Access::Own(f) => f(Op::Set(conf), call).map(drop),
        }
    }

    /// The text of the value in `conf`; empty when it is unset.
    ///
    /// # Errors
    /// The key has no value that could be told.
    pub fn get(&self, conf: &C, call: &Call<'_>) -> Answer {
        match self.access {
            Access::Field(slot) => Ok(slot::get(slot(Ref::Shared(conf)))),
            Access::Own(f) => f(Op::Get(conf), call),
        }
    }

    /// Resets the value in `conf`.
    ///
    /// # Errors
    /// The key cannot be cleared.
    pub fn clear(&self, conf: &mut C, call: &Call<'_>) -> Result<(), Bad> {
        match self.access {
            Access::Field(slot) => {
                slot::clear(&self.row, slot(Ref::Mut(conf)));
                Ok(())
            }
            Access::Own(f) => f(Op::Clear(conf), call).map(drop),
        }
    }
}
