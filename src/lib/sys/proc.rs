//! The text of files of proc(5) taken apart. Reads no file: who reads one knows which and why.

/// A field of the text of `/proc/PID/status` (proc_pid_status(5)), without the blanks around it; `None` when this kernel has
/// no such field.
pub fn status_field(text: &str, field: &str) -> Option<String> {
    let value = |line: &str| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_string());
    text.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_whole_word_at_the_start_of_a_line() {
        let text = "Name:\tPid: 7\nUmask:\t0022\nPid:\t12\nNoNewPrivs:\t1\n";
        assert_eq!(status_field(text, "Pid").as_deref(), Some("12"));
        assert_eq!(status_field(text, "NoNewPriv"), None);
        assert_eq!(status_field(text, "Seccomp"), None);
    }
}
