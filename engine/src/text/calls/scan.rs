//! JSON that is not whole yet: where values end, and what of a call is certain.

/// Bytes of the JSON value at the start of a text; none where it is not whole. A number is whole where something follows it.
pub(super) fn value_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'"' => string_end(text),
        b'{' | b'[' => {
            let (mut depth, mut at) = (0usize, 0);
            while let Some(byte) = bytes.get(at) {
                match byte {
                    b'"' => {
                        at += string_end(&text[at..])?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            None
        }
        _ => text.find([',', '}', ']', ' ', '\n', '\t', '\r']),
    }
}

fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Field of an object: its key, its value as far as there is one, and whether that is whole.
pub(super) type Field<'a> = (String, &'a str, bool);

/// The fields of the object at the start of a text as far as they have come, and what follows it; none after it where it is
/// not whole. None at all where the text is no object.
pub(super) fn fields(text: &str) -> Option<(Vec<Field<'_>>, Option<&str>)> {
    let mut rest = text.strip_prefix('{')?.trim_start();
    let mut all = Vec::new();
    loop {
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some((all, Some(after)));
        }
        if rest.is_empty() {
            return Some((all, None));
        }
        if !rest.starts_with('"') {
            return None;
        }
        let Some(end) = string_end(rest) else {
            return Some((all, None));
        };
        let key: String = serde_json::from_str(&rest[..end]).ok()?;
        rest = rest[end..].trim_start();
        let Some(value) = rest.strip_prefix(':') else {
            return rest.is_empty().then_some((all, None));
        };
        rest = value.trim_start();
        let Some(end) = value_end(rest) else {
            all.push((key, rest, false));
            return Some((all, None));
        };
        all.push((key, &rest[..end], true));
        rest = rest[end..].trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_as_they_are_written() {
        let whole = r#"{"name": "f", "arguments": {"a": "}\"", "b": [1]}} x"#;
        let field = |key: &str, value, whole| (key.to_owned(), value, whole);
        let name = field("name", "\"f\"", true);
        let arguments = field("arguments", r#"{"a": "}\"", "b": [1]}"#, true);
        assert_eq!(
            fields(whole),
            Some((vec![name.clone(), arguments], Some(" x")))
        );
        let part = field("arguments", r#"{"a": "}\""#, false);
        assert_eq!(fields(&whole[..37]), Some((vec![name, part], None)));
        assert_eq!(fields("{a: 1}"), None);
        assert_eq!(fields(r#"{"a" 1}"#), None);
        assert_eq!(fields(r#"{"a"#), Some((vec![], None)));
    }
}
