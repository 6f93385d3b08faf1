//! tests/skips.txt: which skips are allowed. `CASE | NEED | REASON`, CASE may end in `*`.

pub struct Skips(Vec<(String, String)>);

impl Skips {
    pub fn load(text: &str) -> Result<Skips, String> {
        let mut rows = Vec::new();
        for (n, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let f: Vec<&str> = line.splitn(3, '|').map(str::trim).collect();
            match f[..] {
                [case, need, reason] if !reason.is_empty() => rows.push((case.to_string(), need.to_string())),
                _ => return Err(format!("tests/skips.txt:{}: wanted CASE | NEED | REASON", n + 1)),
            }
        }
        Ok(Skips(rows))
    }

    pub fn allows(&self, case: &str, need: &str) -> bool {
        self.0
            .iter()
            .any(|(c, n)| n == need && c.strip_suffix('*').map_or(c == case, |prefix| case.starts_with(prefix)))
    }
}
