//! A field of a common type, borrowed for one get, set or clear. Knows no key and no feature.
#![forbid(unsafe_code)]

use super::{Bad, Empty, Kind, Row, value};
use crate::base::units;
use std::fmt::Write as _;

/// A borrow that is shared for a get and exclusive for the rest.
pub enum Ref<'a, C> {
    /// For a get.
    Shared(&'a C),
    /// For a set or a clear.
    Mut(&'a mut C),
}

/// A field: for reading or for writing.
pub enum Slot<'a> {
    /// For a get.
    View(View<'a>),
    /// Text.
    Text(&'a mut Option<String>),
    /// A switch.
    Bool(&'a mut bool),
    /// A signed number.
    I32(&'a mut i32),
    /// An unsigned number.
    U32(&'a mut u32),
    /// An unsigned number that is shown signed.
    Id(&'a mut u32),
    /// A large number.
    U64(&'a mut u64),
    /// A list.
    List(&'a mut Vec<String>),
}

/// A field for reading.
pub enum View<'a> {
    /// Text.
    Text(&'a Option<String>),
    /// A switch.
    Bool(&'a bool),
    /// A signed number.
    I32(&'a i32),
    /// An unsigned number.
    U32(&'a u32),
    /// An unsigned number that is shown signed.
    Id(&'a u32),
    /// A large number.
    U64(&'a u64),
    /// A list.
    List(&'a Vec<String>),
}

/// The accessor of a field: `slot!(Text, uts_name)`.
#[macro_export]
#[doc(hidden)]
macro_rules! slot {
    ($kind:ident, $field:ident) => {
        |c| match c {
            $crate::keys::Ref::Shared(c) => $crate::keys::Slot::View($crate::keys::View::$kind(&c.$field)),
            $crate::keys::Ref::Mut(c) => $crate::keys::Slot::$kind(&mut c.$field),
        }
    };
    ($kind:ident, $field:ident, $index:expr) => {
        |c| match c {
            $crate::keys::Ref::Shared(c) => $crate::keys::Slot::View($crate::keys::View::$kind(&c.$field[$index])),
            $crate::keys::Ref::Mut(c) => $crate::keys::Slot::$kind(&mut c.$field[$index]),
        }
    };
}

/// The function of a key whose field a function of the feature sets, shows and clears, by its type alone:
/// `own!(environment, variables)`.
#[macro_export]
#[doc(hidden)]
macro_rules! own {
    ($field:ident, $f:expr) => {
        |op, call| match op {
            $crate::keys::Op::Set(c) => $f($crate::keys::Op::Set(&mut c.$field), call),
            $crate::keys::Op::Get(c) => $f($crate::keys::Op::Get(&c.$field), call),
            $crate::keys::Op::Clear(c) => $f($crate::keys::Op::Clear(&mut c.$field), call),
        }
    };
}

/// Stores `text` in the field.
///
/// # Errors
/// `text` is no value of the row's kind.
pub fn set(row: &Row, slot: Slot<'_>, text: &str) -> Result<(), Bad> {
    if text.is_empty() {
        match row.empty {
            Empty::Clear => clear(row, slot),
            Empty::Number(n) => number(slot, i64::from(n)),
            Empty::Refuse => {
                clear(row, slot);
                return Err(Bad::new("a value is needed"));
            }
        }
        return Ok(());
    }
    match row.kind {
        Kind::Text(max) if text.len() > usize::from(max) => {
            return Err(Bad::new(format!("longer than {max} bytes")).at(usize::from(max)));
        }
        Kind::Text(_) => put(slot, text),
        Kind::List => append(slot, text),
        Kind::Words => append_words(slot, text),
        Kind::Path => put_owned(slot, value::path(text)?),
        Kind::RelPath => put_owned(slot, value::relative_path(text)?),
        Kind::FileName => put_owned(slot, value::file_name(text)?),
        Kind::Bool => number(slot, i64::from(value::boolean(text)?)),
        Kind::UInt(max) => {
            let n = value::unsigned(text)?;
            if n > max {
                return Err(Bad::new(format!("not a number from 0 to {max}")));
            }
            number(slot, i64::from(n));
        }
        Kind::Int => number(slot, i64::from(value::signed(text)?)),
        Kind::Signal => match units::parse_signal(text) {
            Some(n) => number(slot, i64::from(n)),
            None => return Err(Bad::new("not a signal: a number, SIGxxx, SIGRTMIN+n or SIGRTMAX-n")),
        },
        Kind::TmpfsSize => number(slot, i64::from(value::signed(text).unwrap_or(500_000))),
        Kind::ConsoleSize => {
            let bytes = units::parse_console_size(text).map_err(Bad::new)?;
            if let Slot::U64(field) = slot {
                *field = bytes;
            }
        }
        Kind::IfName => put(slot, value::cut(text, 15)),
        Kind::Own => return Err(Bad::new("this key has no common type")),
    }
    Ok(())
}

/// The field as a get shows it: a list has a newline after each item, anything else none.
pub fn get(slot: Slot<'_>) -> String {
    let mut out = String::new();
    match slot {
        Slot::View(View::Text(t)) => out.push_str(t.as_deref().unwrap_or_default()),
        Slot::View(View::Bool(b)) => out.push(if *b { '1' } else { '0' }),
        Slot::View(View::I32(n)) => drop(write!(out, "{n}")),
        Slot::View(View::U32(n)) => drop(write!(out, "{n}")),
        // LXC prints some numbers as signed ones, and its clients read them so: 4294967295 is -1.
        Slot::View(View::Id(n)) => drop(write!(out, "{}", *n as i32)),
        Slot::View(View::U64(n)) => drop(write!(out, "{n}")),
        Slot::View(View::List(list)) => out = lines(list),
        _ => {}
    }
    out
}

/// Every item followed by a newline.
pub fn lines<T: AsRef<str>>(list: &[T]) -> String {
    let mut out = String::with_capacity(list.iter().map(|s| s.as_ref().len() + 1).sum());
    for item in list {
        out.push_str(item.as_ref());
        out.push('\n');
    }
    out
}

/// Resets the field.
pub fn clear(row: &Row, slot: Slot<'_>) {
    match slot {
        Slot::Text(field) => *field = None,
        Slot::List(field) => field.clear(),
        other => number(other, i64::from(row.reset)),
    }
}

fn number(slot: Slot<'_>, n: i64) {
    match slot {
        Slot::Bool(field) => *field = n != 0,
        Slot::I32(field) => *field = n as i32,
        Slot::U32(field) | Slot::Id(field) => *field = n as u32,
        Slot::U64(field) => *field = n as u64,
        _ => {}
    }
}

fn put(slot: Slot<'_>, text: &str) {
    if let Slot::Text(field) = slot {
        match field {
            Some(old) => {
                old.clear();
                old.push_str(text);
            }
            None => *field = Some(text.to_string()),
        }
    }
}

fn put_owned(slot: Slot<'_>, text: String) {
    if let Slot::Text(field) = slot {
        *field = Some(text);
    }
}

fn append(slot: Slot<'_>, text: &str) {
    if let Slot::List(list) = slot {
        list.push(text.to_string());
    }
}

fn append_words(slot: Slot<'_>, text: &str) {
    if let Slot::List(list) = slot {
        list.extend(value::words(text).map(|w| w.1.to_string()));
    }
}
