//! A container's states, by name and by the number that the command protocol uses. Owns no transition rules.
#![forbid(unsafe_code)]

use std::fmt;

/// How many states there are; the protocol also uses it as "not there yet".
pub const MAX_STATE: i32 = 8;

/// A container's state (lxc(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum State {
    /// No monitor answers.
    Stopped = 0,
    /// Between the start's beginning and init's exec.
    Starting = 1,
    /// Init runs.
    Running = 2,
    /// Init has ended, its things are being taken down.
    Stopping = 3,
    /// A start failed.
    Aborting = 4,
    /// The freezer is at work.
    Freezing = 5,
    /// All processes are frozen.
    Frozen = 6,
    /// The freezer has let go; followed by RUNNING.
    Thawed = 7,
}

impl State {
    /// All eight, by number.
    pub const ALL: [State; 8] = [
        State::Stopped,
        State::Starting,
        State::Running,
        State::Stopping,
        State::Aborting,
        State::Freezing,
        State::Frozen,
        State::Thawed,
    ];

    /// The name that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Stopped => "STOPPED",
            State::Starting => "STARTING",
            State::Running => "RUNNING",
            State::Stopping => "STOPPING",
            State::Aborting => "ABORTING",
            State::Freezing => "FREEZING",
            State::Frozen => "FROZEN",
            State::Thawed => "THAWED",
        }
    }

    /// The state of that exact name; lower case is no state (lxc-wait(1)).
    pub fn parse(name: &str) -> Option<State> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    /// The state of that number.
    pub fn from_i32(number: i32) -> Option<State> {
        usize::try_from(number).ok().and_then(|n| Self::ALL.get(n).copied())
    }

    /// Its number.
    pub const fn number(self) -> i32 {
        self as i32
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for (i, s) in State::ALL.into_iter().enumerate() {
            assert_eq!(State::from_i32(i as i32), Some(s));
            assert_eq!(State::parse(s.as_str()), Some(s));
            assert_eq!(s.number(), i as i32);
        }
        assert_eq!(State::parse("running"), None);
        assert_eq!(State::parse("STOPPED "), None);
        assert_eq!(State::from_i32(8), None);
        assert_eq!(State::from_i32(-1), None);
        assert_eq!(format!("{:>9}", State::Frozen), "   FROZEN");
    }
}
