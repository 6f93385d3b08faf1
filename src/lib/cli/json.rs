//! Just enough JSON (RFC 8259) to print: strings, numbers, lists, objects. Reads none.
#![forbid(unsafe_code)]

/// A text as a JSON string.
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A text, or null.
pub fn maybe(text: Option<&str>) -> String {
    text.map_or_else(|| "null".into(), string)
}

/// A list of values that are JSON already.
pub fn list(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(","))
}

/// A list of texts.
pub fn strings<T: AsRef<str>>(values: &[T]) -> String {
    list(values.iter().map(|v| string(v.as_ref())))
}

/// An object; its values are JSON already.
pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let all: Vec<String> = members.into_iter().map(|(k, v)| format!("{}:{v}", string(k))).collect();
    format!("{{{}}}", all.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(string("a\"b\\c\n\u{1}ü"), "\"a\\\"b\\\\c\\n\\u0001ü\"");
        assert_eq!(object([("a", list([])), ("b", maybe(None))]), "{\"a\":[],\"b\":null}");
    }
}
