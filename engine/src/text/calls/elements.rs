//! Calls whose arguments are elements like those of XML. Values have no quotes: what kind they are, the tool's schema says.

use serde_json::{Map, Value};

use super::{Tool, ToolCall, formats::Elements};

/// The calls that are whole; none where these are no calls.
pub(super) fn calls(
    form: &Elements,
    text: &str,
    whole: bool,
    tools: &[Tool],
) -> Option<Vec<ToolCall>> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        // A call without an end of its own ends with the text.
        let end = form.end.trim();
        let (call, after) = match rest.split_once(end) {
            Some((call, after)) if !end.is_empty() => (call, after),
            _ if end.is_empty() && whole => (rest, ""),
            _ => return (!whole).then_some(all),
        };
        all.push(one(form, call, tools)?);
        rest = after.trim_start();
    }
    (!whole || !all.is_empty()).then_some(all)
}

fn one(form: &Elements, text: &str, tools: &[Tool]) -> Option<ToolCall> {
    let [open, close] = form.name;
    let rest = text.trim_start().strip_prefix(open)?;
    // A name without a mark behind it ends where the first key begins, or with the text.
    let end = rest.find(close).or_else(|| rest.find(form.key[0]));
    let end = end.unwrap_or(rest.len());
    let (name, mut rest) = rest.split_at(end);
    rest = rest.strip_prefix(close).unwrap_or(rest);
    let name = name.trim();
    let tool = tools.iter().find(|tool| tool.name == name);
    let mut arguments = Map::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix(form.key[0])?;
        let (key, after) = rest.split_once(form.key[1].trim_end())?;
        // Lines end between two marks; without a mark before it, a value begins at once.
        let value = match form.value[0].trim() {
            "" => after,
            _ => after.trim_start_matches('\n'),
        };
        let value = value.strip_prefix(form.value[0]).unwrap_or(value);
        let close = form.value[1].trim_start();
        let (value, after) = value.split_once(close)?;
        let value = value
            .strip_suffix(form.value[1].trim_end_matches(close))
            .unwrap_or(value);
        let schema = tool.map_or(&Value::Null, |tool| &tool.parameters["properties"][key]);
        arguments.insert(key.to_owned(), typed(value, schema));
        rest = after;
    }
    let arguments = Value::Object(arguments).to_string();
    Some(ToolCall {
        name: name.to_owned(),
        arguments,
    })
}

/// A value that is written without quotes, of the kind that its schema says: text where text may stand, else JSON where it is
/// some.
fn typed(text: &str, schema: &Value) -> Value {
    if is_text(schema) {
        return text.into();
    }
    match text.trim() {
        "True" => true.into(),
        "False" => false.into(),
        "None" => Value::Null,
        json => serde_json::from_str(json).unwrap_or_else(|_| text.into()),
    }
}

/// Whether a value by this schema is a text.
pub(super) fn is_text(schema: &Value) -> bool {
    let text = |value: &Value| value.as_str().is_some();
    match &schema["type"] {
        Value::String(kind) => kind == "string",
        Value::Null => schema["enum"]
            .as_array()
            .is_some_and(|all| all.iter().all(text)),
        _ => false,
    }
}
