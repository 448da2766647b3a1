//! Tools that an answer may call, and calls that were made, in OpenAI's form, which templates read, whatever protocol they
//! came in.

use lantern_engine::ToolChoice;
use serde_json::{Map, Value, json};

use super::error::ApiError;

/// Tools of a request.
pub struct Calling {
    /// The tools; null: none.
    pub tools: Value,
    pub choice: ToolChoice,
    /// An answer may have several calls.
    pub parallel: bool,
}

impl Default for Calling {
    fn default() -> Calling {
        Calling {
            tools: Value::Null,
            choice: ToolChoice::Auto,
            parallel: true,
        }
    }
}

/// A tool whose name, description and parameters lie in one object, the last under the name `schema`. `known` are further
/// names of that object that change nothing.
pub fn tool(given: &Map<String, Value>, schema: &str, known: &[&str]) -> Result<Value, String> {
    let ours = ["type", "name", "description", schema];
    let mut names = given.keys().map(String::as_str);
    if let Some(other) = names.find(|name| !ours.contains(name) && !known.contains(name)) {
        return Err(format!("{other} is not known here, or not done"));
    }
    let mut function = Map::new();
    for (name, own) in [
        ("name", "name"),
        ("description", "description"),
        ("parameters", schema),
    ] {
        if let Some(value) = given.get(own).filter(|value| !value.is_null()) {
            function.insert(name.into(), value.clone());
        }
    }
    Ok(json!({"type": "function", "function": function}))
}

/// The tools of a list, each made by `one`.
pub fn tools(
    given: Option<Vec<Map<String, Value>>>,
    one: impl Fn(&Map<String, Value>) -> Result<Value, String>,
) -> Result<Value, ApiError> {
    let Some(given) = given.filter(|given| !given.is_empty()) else {
        return Ok(Value::Null);
    };
    let tool = |(at, given): (usize, &Map<String, Value>)| {
        let wrong = |what: String| ApiError::bad(format!("tools[{at}]: {what}"), Some("tools"));
        one(given).map_err(wrong)
    };
    given.iter().enumerate().map(tool).collect()
}

/// A choice as OpenAI has it: a word, or an object that leads to a tool's name.
pub fn choice(given: Option<&Value>) -> Result<ToolChoice, ApiError> {
    let refused = |what: String| ApiError::bad(format!("tool_choice: {what}"), Some("tool_choice"));
    match given {
        None => Ok(ToolChoice::Auto),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            other => Err(refused(format!(
                "it is auto, none, required or a tool, not {other}"
            ))),
        },
        Some(object) => {
            let name = object["function"].get("name").or(object.get("name"));
            match (object["type"].as_str(), name.and_then(Value::as_str)) {
                (Some("function"), Some(name)) => Ok(ToolChoice::Named(name.to_owned())),
                (Some("function"), None) => Err(refused("name is missing".into())),
                (kind, _) => Err(refused(format!("type {kind:?} is not known here"))),
            }
        }
    }
}

/// A call as assistants' messages have it.
pub fn call(id: &Value, name: &Value, arguments: &Value) -> Value {
    let arguments = match arguments {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}
