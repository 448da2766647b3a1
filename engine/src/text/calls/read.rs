//! Calls read from what stands between their marks, as far as it has come.

use super::{
    Tool, ToolCall, elements,
    formats::Form,
    literals,
    scan::{fields, value_end},
};

/// The calls in a text, as far as it has come: the last may lack the end of its arguments, but none that is told of changes in
/// what it has. `whole`: nothing follows. None where these are no calls.
pub(super) fn calls(form: &Form, text: &str, whole: bool, tools: &[Tool]) -> Option<Vec<ToolCall>> {
    match form {
        Form::Json {
            list,
            name,
            arguments,
        } => json(text, (*list, name, arguments), whole),
        Form::Named(texts) => named(text, *texts, whole),
        // Those that are told of when they are whole.
        Form::Elements(form) => elements::calls(form, text, whole, tools),
        _ if !whole => Some(vec![]),
        Form::Python { .. } => literals::python_calls(text),
        Form::Gemma => literals::gemma_call(text).map(|call| vec![call]),
        Form::Harmony => None,
    }
}

/// Objects with a name and arguments, in a list or one after the other.
fn json(
    text: &str,
    (list, name_key, arguments_key): (bool, &str, &str),
    whole: bool,
) -> Option<Vec<ToolCall>> {
    let mut rest = text.trim_start();
    let mut all = Vec::new();
    if let Some(inner) = rest.strip_prefix('[') {
        rest = inner;
    } else if list && !rest.is_empty() && !rest.starts_with('{') {
        return None;
    }
    loop {
        rest = rest.trim_start_matches([',', ';', ' ', '\n', '\r', '\t']);
        if rest.is_empty() || rest.starts_with(']') {
            return (!whole || !all.is_empty()).then_some(all);
        }
        let (fields, after) = fields(rest)?;
        let field = |key: &str| fields.iter().find(|(one, ..)| one == key);
        let name = field(name_key).filter(|(.., whole)| *whole);
        if let Some((_, name, _)) = name {
            let arguments = match field(arguments_key) {
                Some((_, value, true)) => arguments(value),
                Some((_, value, false)) if value.starts_with('{') => (*value).to_owned(),
                None if after.is_some() => "{}".to_owned(),
                _ => String::new(),
            };
            let name = serde_json::from_str(name).ok()?;
            all.push(ToolCall { name, arguments });
        } else if after.is_some() {
            return None;
        }
        match after {
            Some(after) => rest = after,
            None if whole => return None,
            None => return Some(all),
        }
    }
}

/// Arguments of a call: an object, or a text with one in it.
fn arguments(value: &str) -> String {
    match serde_json::from_str::<String>(value) {
        Ok(text) => text,
        Err(_) if value == "null" => "{}".to_owned(),
        Err(_) => value.to_owned(),
    }
}

/// A name, and a JSON object behind a mark.
fn named(text: &str, [before, between, _]: [&str; 3], whole: bool) -> Option<Vec<ToolCall>> {
    let text = text.trim_start();
    let mark = between.trim_start_matches(":0");
    let Some((name, rest)) = text.split_once(mark) else {
        return (!whole).then_some(vec![]);
    };
    let name = name.strip_prefix(before).unwrap_or(name);
    let name = name.split("[CALL_ID]").next().unwrap_or_default();
    let numbered = name.rsplit_once(':');
    let name = match numbered {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    };
    let rest = rest.trim_start();
    if !rest.starts_with('{') && !rest.is_empty() {
        return None;
    }
    let arguments = match value_end(rest) {
        Some(end) => &rest[..end],
        None if whole => return None,
        None => rest,
    };
    Some(vec![ToolCall {
        name: name.trim().to_owned(),
        arguments: arguments.to_owned(),
    }])
}
