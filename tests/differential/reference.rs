//! The reference process: compiled from reference.c, asked line by line.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The running process.
pub struct Reference {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Drop for Reference {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}

fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte <= b' ' || byte == b'%' || byte > b'~' {
            out.push_str(&format!("%{byte:02x}"));
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

/// An answer of ours as the helper prints the reference's.
pub fn shown(answer: Result<String, i32>) -> String {
    match answer {
        Ok(text) => format!("{} {}", text.len(), encode(&text)),
        Err(errno) => format!("{errno} "),
    }
}

impl Reference {
    /// Compiles and starts it.
    pub fn start(dir: &Path) -> Result<Self, String> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/reference.c");
        let program = dir.join("reference");
        let built = Command::new("cc").args(["-O1", "-o"]).arg(&program).arg(source).arg("-l:liblxc.so.1").output();
        match built {
            Err(e) => return Err(format!("no cc: {e}")),
            Ok(out) if !out.status.success() => return Err(String::from_utf8_lossy(&out.stderr).into_owned()),
            Ok(_) => {}
        }
        let mut child = Command::new(&program)
            .arg(dir.join("store"))
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { child, input, output })
    }

    /// One question, one answer (still encoded).
    pub fn ask(&mut self, question: &[&str]) -> String {
        self.ask_all(&[question.to_vec()]).pop().unwrap_or_default()
    }

    /// Some questions at once, so few that they fit into a pipe.
    pub fn ask_all(&mut self, questions: &[Vec<&str>]) -> Vec<String> {
        let mut text = String::new();
        for question in questions {
            text.push_str(question[0]);
            for argument in &question[1..] {
                text.push(' ');
                text.push_str(&encode(argument));
            }
            text.push('\n');
        }
        self.input.as_mut().expect("open").write_all(text.as_bytes()).expect("the reference listens");
        let mut answers = Vec::new();
        for _ in questions {
            let mut line = String::new();
            self.output.read_line(&mut line).expect("the reference answers");
            assert!(line.ends_with('\n'), "the reference died: {questions:?}");
            answers.push(line.trim_end_matches('\n').to_string());
        }
        answers
    }
}
