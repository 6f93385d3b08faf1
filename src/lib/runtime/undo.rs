//! The undo stack: each thing that a start makes leaves here how it is taken back. A failed start and a normal end unwind the
//! same stack, so teardown is written once. Knows nothing of what it undoes.
#![forbid(unsafe_code)]

use crate::base::Result;

/// How one thing is taken back.
type Undoing<C> = Box<dyn FnOnce(&mut C) -> Result<()>>;

/// A stack of named undoings; `C` is what they may need when they run.
pub struct Undo<C> {
    entries: Vec<(&'static str, Undoing<C>)>,
}

impl<C> Default for Undo<C> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<C> std::fmt::Debug for Undo<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|e| e.0)).finish()
    }
}

impl<C> Undo<C> {
    /// Puts an undoing on top.
    pub fn push(&mut self, name: &'static str, undo: impl FnOnce(&mut C) -> Result<()> + 'static) {
        self.entries.push((name, Box::new(undo)));
    }

    /// How many there are.
    pub fn depth(&self) -> usize {
        self.entries.len()
    }

    /// Runs all, the last made first; a failure is handed to `told` and the rest still runs.
    pub fn unwind(&mut self, ctx: &mut C, told: impl FnMut(&'static str, crate::base::Error)) {
        self.unwind_to(0, ctx, told);
    }

    /// Runs those above `depth`.
    pub fn unwind_to(&mut self, depth: usize, ctx: &mut C, mut told: impl FnMut(&'static str, crate::base::Error)) {
        while self.entries.len() > depth {
            let Some((name, undo)) = self.entries.pop() else { return };
            if let Err(e) = undo(ctx) {
                told(name, e);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwinds_last_first_and_past_failures() {
        let mut undo: Undo<Vec<u32>> = Undo::default();
        undo.push("a", |c| {
            c.push(1);
            Ok(())
        });
        undo.push("b", |_| Err(crate::base::Error::new("no")));
        undo.push("c", |c| {
            c.push(3);
            Ok(())
        });
        let (mut seen, mut failed) = (Vec::new(), Vec::new());
        undo.unwind_to(2, &mut seen, |n, _| failed.push(n));
        assert_eq!(seen, [3]);
        undo.unwind(&mut seen, |n, _| failed.push(n));
        assert_eq!(seen, [3, 1]);
        assert_eq!(failed, ["b"]);
        assert_eq!(undo.depth(), 0);
    }
}
