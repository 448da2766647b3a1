//! Requests for responses.

use lantern_engine::CompletionOptions;
use serde_json::{Map, Value, json};

use super::super::{
    calling::{self, Calling},
    error::ApiError,
    fields::{Fields, Table, harmless, needed, taken},
    wanted::{self, Conversation, Prompt, Wanted},
};
use super::items;

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
            taken("parallel_tool_calls", "boolean"),
            taken("tool_choice", "string|object"),
            harmless("client_metadata"),
            harmless("include"),
            harmless("max_tool_calls"),
            harmless("metadata"),
            harmless("prompt_cache_key"),
            harmless("prompt_cache_retention"),
            harmless("safety_identifier"),
            harmless("service_tier"),
            harmless("store"),
            harmless("stream_options"),
            harmless("user"),
        ],
        wanted::CHAT,
        wanted::FIELDS,
    ],
    samples: true,
};

/// Fields that a response says again.
const REPEATED: [&str; 9] = [
    "instructions",
    "max_output_tokens",
    "metadata",
    "temperature",
    "top_p",
    "reasoning",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
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
    let chat = conversation(fields)?;
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
        prompts: vec![Prompt::Chat(chat)],
        count: 1,
        options: options
            .max_tokens(most)
            .grammar(wanted::form(fields, format)?),
        stream: fields.take("stream")?.unwrap_or(false),
    };
    Ok((wanted, told))
}

/// Takes the conversation.
fn conversation(fields: &mut Fields) -> Result<Conversation, ApiError> {
    let mut messages = Vec::new();
    if let Some(instructions) = fields.take::<String>("instructions")? {
        messages.push(json!({"role": "system", "content": instructions}));
    }
    match fields.need::<Value>("input")? {
        Value::String(text) => messages.push(json!({"role": "user", "content": text})),
        Value::Array(items) => items::messages(&items, &mut messages)?,
        _ => {
            let message = "input is neither a text nor items";
            return Err(ApiError::bad(message, Some("input")));
        }
    }
    let tool = |given: &Map<String, Value>| match given.get("type").and_then(Value::as_str) {
        Some("function") => calling::tool(given, "parameters", &["strict", "defer_loading"]),
        kind => Err(format!(
            "tools of type {} run elsewhere, and are not done",
            kind.unwrap_or_default()
        )),
    };
    let choice = fields.take::<Value>("tool_choice")?;
    let calling = Calling {
        tools: calling::tools(fields.take("tools")?, tool)?,
        choice: calling::choice(choice.as_ref())?,
        parallel: fields.take("parallel_tool_calls")?.unwrap_or(true),
    };
    let mut chat = wanted::conversation(fields, &items::together(messages), calling)?;
    let reasoning = fields.take::<Map<String, Value>>("reasoning")?;
    let effort = reasoning
        .as_ref()
        .and_then(|all| all.get("effort")?.as_str());
    if let Some(effort) = effort {
        wanted::effort(&mut chat.input, effort)?;
    }
    Ok(chat)
}
