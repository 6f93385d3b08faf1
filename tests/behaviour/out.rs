//! What a command left: exit code, both streams, and the assertions on them.
//! A failing assertion panics with the whole transcript of the command.

/// Result of one command. `code` is the shell's: 128+N for a signal.
#[derive(Clone, Debug)]
pub struct Out {
    pub cmd: String,
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Out {
    #[track_caller]
    pub fn fail(&self, why: &str) -> ! {
        panic!(
            "{why}\n  command: {}\n  exit code: {}\n  stdout: {:?}\n  stderr: {:?}",
            self.cmd, self.code, self.out, self.err
        )
    }
    #[track_caller]
    pub fn check(&self, good: bool, why: &str) -> &Out {
        if !good {
            self.fail(why);
        }
        self
    }
    #[track_caller]
    pub fn code(&self, want: i32) -> &Out {
        self.check(self.code == want, &format!("exit code {} wanted", want))
    }
    #[track_caller]
    pub fn ok(&self) -> &Out {
        self.code(0)
    }
    /// stdout is exactly this.
    #[track_caller]
    pub fn out(&self, want: &str) -> &Out {
        self.check(self.out == want, &format!("stdout {want:?} wanted"))
    }
    #[track_caller]
    pub fn err(&self, want: &str) -> &Out {
        self.check(self.err == want, &format!("stderr {want:?} wanted"))
    }
    #[track_caller]
    pub fn out_has(&self, want: &str) -> &Out {
        self.check(self.out.contains(want), &format!("stdout containing {want:?} wanted"))
    }
    #[track_caller]
    pub fn out_lacks(&self, bad: &str) -> &Out {
        self.check(!self.out.contains(bad), &format!("stdout without {bad:?} wanted"))
    }
    #[track_caller]
    pub fn err_has(&self, want: &str) -> &Out {
        self.check(self.err.contains(want), &format!("stderr containing {want:?} wanted"))
    }
    #[track_caller]
    pub fn err_lacks(&self, bad: &str) -> &Out {
        self.check(!self.err.contains(bad), &format!("stderr without {bad:?} wanted"))
    }
    /// Nothing on either stream.
    #[track_caller]
    pub fn silent(&self) -> &Out {
        self.out("").err("")
    }
    /// A program fault of the tool (crash by a signal) is never right.
    #[track_caller]
    pub fn no_crash(&self) -> &Out {
        self.check(!matches!(self.code, 132 | 134 | 135 | 136 | 139), "the tool crashed")
    }
    pub fn line(&self) -> &str {
        self.out.trim_end_matches('\n')
    }
}
