//! Requests for responses.

use lantern_engine::CompletionOptions;
use serde_json::{Map, Value, json};

use super::super::{
    error::ApiError,
    fields::{Fields, Table, harmless, needed, taken},
    openai::request::joined,
    wanted::{self, Prompt, Wanted},
};

/// Fields of a request.
pub const TABLE: Table = Table {
    lists: &[
        &[
            needed("input", "string|array"),
            taken("instructions", "string"),
            taken("max_output_tokens", "integer"),
            taken("reasoning", "object"),
            taken("stop", "string|array"),
            taken("text", "object"),
            taken("truncation", "string"),
            taken("chat_template_kwargs", "object"),
            harmless("client_metadata"),
            harmless("include"),
            harmless("max_tool_calls"),
            harmless("metadata"),
            harmless("parallel_tool_calls"),
            harmless("prompt_cache_key"),
            harmless("prompt_cache_retention"),
            harmless("safety_identifier"),
            harmless("service_tier"),
            harmless("store"),
            harmless("stream_options"),
            harmless("user"),
        ],
        wanted::FIELDS,
    ],
    samples: true,
};

/// Fields that a response says again.
const REPEATED: [&str; 6] = [
    "instructions",
    "max_output_tokens",
    "metadata",
    "temperature",
    "top_p",
    "reasoning",
];

/// Takes all fields of a request; with them what the response says again.
pub fn wanted(
    fields: &mut Fields,
    advised: CompletionOptions,
) -> Result<(Wanted, Map<String, Value>), ApiError> {
    let mut told = Map::new();
    for name in REPEATED {
        told.insert(
            name.into(),
            fields.peek(name).cloned().unwrap_or(Value::Null),
        );
    }
    if let Some(other) = fields.take::<String>("truncation")?
        && other != "disabled"
    {
        let message = format!(
            "truncation of {other} is not done: a conversation that is too long is refused"
        );
        return Err(ApiError::bad(message, Some("truncation")));
    }
    let input = conversation(fields)?;
    let options = wanted::sampling(fields, advised)?;
    let options = wanted::stops(fields, "stop", options)?;
    let text = fields.take::<Value>("text")?.unwrap_or(json!({}));
    let format = match text.get("format") {
        None | Some(Value::Null) => None,
        Some(format) => wanted::format("text.format", format, format.get("schema"))?,
    };
    let shown = text.get("format").cloned();
    told.insert(
        "text".into(),
        json!({"format": shown.unwrap_or(json!({"type": "text"}))}),
    );
    let most = fields.take::<usize>("max_output_tokens")?;
    let wanted = Wanted {
        prompts: vec![Prompt::Chat(input)],
        count: 1,
        options: options
            .max_tokens(most)
            .grammar(wanted::form(fields, format)?),
        stream: fields.take("stream")?.unwrap_or(false),
    };
    Ok((wanted, told))
}

/// The input of the chat template.
fn conversation(fields: &mut Fields) -> Result<Value, ApiError> {
    let mut messages = Vec::new();
    if let Some(instructions) = fields.take::<String>("instructions")? {
        messages.push(json!({"role": "system", "content": instructions}));
    }
    match fields.need::<Value>("input")? {
        Value::String(text) => messages.push(json!({"role": "user", "content": text})),
        Value::Array(items) => {
            let mut thoughts = String::new();
            for (number, item) in items.iter().enumerate() {
                let wrong =
                    |what: String| ApiError::bad(format!("input[{number}]: {what}"), Some("input"));
                let message = item_of(item, &mut thoughts).map_err(wrong)?;
                messages.extend(message);
            }
        }
        _ => {
            return Err(ApiError::bad(
                "input is neither a text nor items",
                Some("input"),
            ));
        }
    }
    let mut input = wanted::conversation(fields, &together(messages))?;
    let reasoning = fields.take::<Map<String, Value>>("reasoning")?;
    if let Some(effort) = reasoning
        .as_ref()
        .and_then(|all| all.get("effort")?.as_str())
    {
        wanted::effort(&mut input, effort)?;
    }
    Ok(input)
}

/// System messages at the start are one, as templates have it.
fn together(messages: Vec<Value>) -> Vec<Value> {
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

/// An item as chat templates have it. Thoughts go into the assistant's message that follows.
fn item_of(item: &Value, thoughts: &mut String) -> Result<Option<Value>, String> {
    let kind = item
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("message");
    match kind {
        "message" => {}
        "reasoning" => {
            for part in item["content"].as_array().into_iter().flatten() {
                thoughts.push_str(part["text"].as_str().unwrap_or_default());
            }
            return Ok(None);
        }
        other => return Err(format!("items of type {other} are not taken here")),
    }
    let role = match item["role"].as_str() {
        Some("developer" | "system") => "system",
        Some(role @ ("user" | "assistant")) => role,
        Some(other) => return Err(format!("there is no role {other}")),
        None => return Err("role is missing".into()),
    };
    let text = match &item["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => joined(parts)?,
        _ => return Err("content is neither a text nor parts".into()),
    };
    let mut message = json!({"role": role, "content": text});
    if role == "assistant" && !thoughts.is_empty() {
        message["reasoning_content"] = std::mem::take(thoughts).into();
    }
    Ok(Some(message))
}
