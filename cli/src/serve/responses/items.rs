//! Items of a conversation as messages, as chat templates have them.

use serde_json::{Value, json};

use super::super::{calling, error::ApiError, openai::request::joined};

/// Adds the messages of items.
pub fn messages(items: &[Value], messages: &mut Vec<Value>) -> Result<(), ApiError> {
    let mut thoughts = String::new();
    for (number, item) in items.iter().enumerate() {
        let wrong = |what: String| ApiError::bad(format!("input[{number}]: {what}"), Some("input"));
        add(item, &mut thoughts, messages).map_err(wrong)?;
    }
    Ok(())
}

/// Adds an item. Thoughts go into the assistant's message that follows, and so do calls that follow each other.
fn add(item: &Value, thoughts: &mut String, messages: &mut Vec<Value>) -> Result<(), String> {
    let kind = item.get("type").and_then(Value::as_str);
    let mut message = match kind.unwrap_or("message") {
        "message" => message(item)?,
        "reasoning" => {
            for part in item["content"].as_array().into_iter().flatten() {
                thoughts.push_str(part["text"].as_str().unwrap_or_default());
            }
            return Ok(());
        }
        "function_call" => {
            let call = calling::call(&item["call_id"], &item["name"], &item["arguments"]);
            if let Some(last) = messages
                .last_mut()
                .filter(|last| last["role"] == "assistant")
            {
                match last["tool_calls"].as_array_mut() {
                    Some(calls) => calls.push(call),
                    None => last["tool_calls"] = json!([call]),
                }
                return Ok(());
            }
            json!({"role": "assistant", "content": "", "tool_calls": [call]})
        }
        "function_call_output" => {
            let output = text(&item["output"])?;
            json!({"role": "tool", "tool_call_id": item["call_id"], "content": output})
        }
        other => return Err(format!("items of type {other} are not taken here")),
    };
    if message["role"] == "assistant" && !thoughts.is_empty() {
        message["reasoning_content"] = std::mem::take(thoughts).into();
    }
    messages.push(message);
    Ok(())
}

fn message(item: &Value) -> Result<Value, String> {
    let role = match item["role"].as_str() {
        Some("developer" | "system") => "system",
        Some(role @ ("user" | "assistant")) => role,
        Some(other) => return Err(format!("there is no role {other}")),
        None => return Err("role is missing".into()),
    };
    Ok(json!({"role": role, "content": text(&item["content"])?}))
}

fn text(content: &Value) -> Result<String, String> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => joined(parts),
        _ => Err("content is neither a text nor parts".into()),
    }
}

/// System messages at the start are one, as templates have it.
pub fn together(messages: Vec<Value>) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for message in messages {
        match all.last_mut() {
            Some(first) if first["role"] == "system" && message["role"] == "system" => {
                let text = |of: &Value| of["content"].as_str().unwrap_or_default().to_owned();
                first["content"] = format!("{}\n\n{}", text(first), text(&message)).into();
            }
            _ => all.push(message),
        }
    }
    all
}
