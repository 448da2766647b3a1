//! OpenAI's requests for chats and completions, and llama.cpp's and vLLM's fields beside theirs.

use lantern_engine::CompletionOptions;
use serde::Deserialize;
use serde_json::Value;

use super::super::{
    calling::{self, Calling},
    error::ApiError,
    fields::{Field, Fields, Table, harmless, needed, taken},
    wanted::{self, Conversation, Prompt, Wanted},
};

/// Fields of a conversation, beside those of every protocol.
pub const CONVERSATION: &[Field] = &[
    needed("messages", "messages"),
    taken("parallel_tool_calls", "boolean"),
    taken("reasoning_effort", "string"),
    taken("tool_choice", "string|object"),
];

/// Fields of a chat.
pub const CHAT: Table = Table {
    lists: &[CONVERSATION, wanted::CHAT, COMMON, wanted::FIELDS],
    samples: true,
};

/// Fields of a completion.
pub const TEXT: Table = Table {
    lists: &[&[needed("prompt", "string|array")], COMMON, wanted::FIELDS],
    samples: true,
};

const COMMON: &[Field] = &[
    taken("max_completion_tokens", "integer"),
    taken("max_tokens", "integer"),
    taken("n", "integer"),
    taken("response_format", "object"),
    taken("stop", "string|array"),
    taken("stream_options", "object"),
    harmless("cache_prompt"),
    harmless("metadata"),
    harmless("prompt_cache_key"),
    harmless("safety_identifier"),
    harmless("service_tier"),
    harmless("store"),
    harmless("user"),
];

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Takes a chat, and whether the last piece of a stream says how many tokens there were.
pub fn chat(fields: &mut Fields, advised: CompletionOptions) -> Result<(Wanted, bool), ApiError> {
    let chat = conversation(fields)?;
    common(fields, advised, vec![Prompt::Chat(chat)])
}

/// Takes a conversation.
pub fn conversation(fields: &mut Fields) -> Result<Conversation, ApiError> {
    let messages = messages(fields)?;
    let tools = calling::tools(fields.take("tools")?, |tool| Ok(tool.clone().into()))?;
    let choice = fields.take::<Value>("tool_choice")?;
    let calling = Calling {
        tools,
        choice: calling::choice(choice.as_ref())?,
        parallel: fields.take("parallel_tool_calls")?.unwrap_or(true),
    };
    let mut chat = wanted::conversation(fields, &messages, calling)?;
    if let Some(effort) = fields.take::<String>("reasoning_effort")? {
        wanted::effort(&mut chat.input, &effort)?;
    }
    Ok(chat)
}

/// Takes a completion, as [`chat`].
pub fn completion(
    fields: &mut Fields,
    advised: CompletionOptions,
) -> Result<(Wanted, bool), ApiError> {
    let given = fields.need::<Value>("prompt")?;
    let prompts = prompts(given).ok_or_else(|| {
        let message = "prompt is neither a text nor tokens, nor a list of those";
        ApiError::bad(message, Some("prompt"))
    })?;
    common(fields, advised, prompts)
}

/// A text or tokens, or a list of those.
pub fn prompts(given: Value) -> Option<Vec<Prompt>> {
    let tokens = |given: Value| serde_json::from_value::<Vec<u32>>(given).ok();
    let one = |given: Value| match given {
        Value::String(text) => Some(Prompt::Text(text)),
        given => tokens(given).map(Prompt::Tokens),
    };
    match given {
        Value::Array(all) if all.first().is_some_and(|first| !first.is_number()) => {
            all.into_iter().map(one).collect()
        }
        given => Some(vec![one(given)?]),
    }
}

fn common(
    fields: &mut Fields,
    advised: CompletionOptions,
    prompts: Vec<Prompt>,
) -> Result<(Wanted, bool), ApiError> {
    let options = wanted::sampling(fields, advised)?;
    let options = wanted::stops(fields, "stop", options)?;
    let most = fields.take::<usize>("max_completion_tokens")?;
    let most = most.or(fields.take::<usize>("max_tokens")?);
    let count = fields.take::<usize>("n")?.unwrap_or(1);
    let stream = fields.take("stream")?.unwrap_or(false);
    let told = fields.take::<StreamOptions>("stream_options")?;
    let format = match fields.take::<Value>("response_format")? {
        None => None,
        Some(format) => {
            let schema = format["json_schema"].get("schema");
            wanted::format("response_format", &format, schema)?
        }
    };
    let wanted = Wanted {
        prompts,
        count,
        options: options
            .max_tokens(most)
            .grammar(wanted::form(fields, format)?),
        stream,
    };
    Ok((wanted, told.unwrap_or_default().include_usage))
}

/// Messages as chat templates have them: texts in parts are put together, and `developer` is `system`.
pub fn messages(fields: &mut Fields) -> Result<Vec<Value>, ApiError> {
    let mut messages: Vec<Value> = fields.need("messages")?;
    for (number, message) in messages.iter_mut().enumerate() {
        let wrong =
            |what: &str| ApiError::bad(format!("messages[{number}]: {what}"), Some("messages"));
        let Some(message) = message.as_object_mut() else {
            return Err(wrong("not an object"));
        };
        match message.get("role").and_then(Value::as_str) {
            Some("developer") => drop(message.insert("role".into(), "system".into())),
            Some("system" | "user" | "assistant" | "tool") => {}
            Some(other) => return Err(wrong(&format!("there is no role {other}"))),
            None => return Err(wrong("role is missing")),
        }
        let text = match message.get("content") {
            Some(Value::Array(parts)) => Some(joined(parts).map_err(|what| wrong(&what))?),
            Some(Value::String(_)) => None,
            Some(Value::Null) | None if message.contains_key("tool_calls") => None,
            Some(Value::Null) | None => return Err(wrong("content is missing")),
            Some(_) => return Err(wrong("content is neither a text nor parts")),
        };
        if let Some(text) = text {
            message.insert("content".into(), text.into());
        }
    }
    Ok(messages)
}

/// The text of parts, put together.
pub fn joined(parts: &[Value]) -> Result<String, String> {
    let text = |part: &Value| match part["type"].as_str() {
        Some("text" | "input_text" | "output_text") => part["text"]
            .as_str()
            .map(str::to_owned)
            .ok_or("a part has no text".to_owned()),
        Some(other) => Err(format!(
            "parts of type {other} are not taken: this model reads text"
        )),
        None => Err("a part has no type".to_owned()),
    };
    parts.iter().map(text).collect()
}
