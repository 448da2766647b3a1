//! Wishes of a request, from OpenAI's fields and llama.cpp's beside them.

use std::collections::BTreeMap;

use lantern_engine::{CompletionOptions, Grammar, SamplerOptions};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::ApiError, fields::Fields};

/// Fields that change nothing here: they are for an account that there is not, or for the client itself.
pub const HARMLESS: [&str; 8] = [
    "user",
    "store",
    "metadata",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "parallel_tool_calls",
    "cache_prompt",
];

/// Answers to one request at most.
const ANSWERS_MAX: usize = 16;

/// How a request wants its answers.
pub struct Wanted {
    pub options: CompletionOptions,
    /// Answers to the same prompt.
    pub count: usize,
    pub stream: bool,
    /// The last piece of a stream says how many tokens there were.
    pub usage: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Takes the fields that completions of every kind have.
pub fn wanted(fields: &mut Fields, advised: CompletionOptions) -> Result<Wanted, ApiError> {
    let mut sampler = advised.sampler.clone();
    for name in SamplerOptions::names() {
        if let Some(value) = fields.take::<f64>(name)? {
            let set = sampler.set(name, value);
            set.map_err(|error| ApiError::bad(error.to_string(), Some(name)))?;
        }
    }
    let seed = fields.take::<i64>("seed")?;
    sampler.seed = seed.map_or_else(crate::sampling::random_seed, |seed| seed as u64);
    for (token, bias) in fields
        .take::<BTreeMap<String, f32>>("logit_bias")?
        .unwrap_or_default()
    {
        let wrong = |_| {
            ApiError::bad(
                format!("logit_bias: {token} is not a token's number"),
                Some("logit_bias"),
            )
        };
        sampler
            .logit_bias
            .push((token.parse().map_err(wrong)?, bias));
    }
    let most = fields.take::<usize>("max_completion_tokens")?;
    let most = most.or(fields.take::<usize>("max_tokens")?);
    let stops = match fields.take::<OneOrMany>("stop")? {
        None => vec![],
        Some(OneOrMany::One(stop)) => vec![stop],
        Some(OneOrMany::Many(stops)) => stops,
    };
    if stops.iter().any(String::is_empty) {
        return Err(ApiError::bad("stop: a text is empty", Some("stop")));
    }
    let count = fields.take::<usize>("n")?.unwrap_or(1);
    if !(1..=ANSWERS_MAX).contains(&count) {
        return Err(ApiError::bad(
            format!("n is 1 to {ANSWERS_MAX}, not {count}"),
            Some("n"),
        ));
    }
    let stream = fields.take("stream")?.unwrap_or(false);
    let told = fields
        .take::<StreamOptions>("stream_options")?
        .unwrap_or_default();
    let mut options = advised
        .sampler(sampler)
        .max_tokens(most)
        .ignore_end(fields.take("ignore_eos")?.unwrap_or(false))
        .grammar(form(fields)?);
    options = stops.into_iter().fold(options, CompletionOptions::stop);
    let sound = options.sampler.validate();
    sound?;
    Ok(Wanted {
        options,
        count,
        stream,
        usage: told.include_usage,
    })
}

/// The form that an answer must have: `response_format`, or llama.cpp's and vLLM's fields for it.
fn form(fields: &mut Fields) -> Result<Option<Grammar>, ApiError> {
    let format = fields.take::<Value>("response_format")?;
    let schema = fields.take::<Value>("json_schema")?;
    let regex = fields.take::<String>("guided_regex")?;
    let lark = fields.take::<String>("guided_grammar")?;
    let refused = |message: &str| Err(ApiError::bad(message, Some("response_format")));
    let format = match format.as_ref().map(|format| (&format["type"], format)) {
        None => None,
        Some((Value::String(kind), format)) => match kind.as_str() {
            "text" => None,
            "json_object" => Some(Grammar::JsonSchema(json!({"type": "object"}))),
            "json_schema" => match format["json_schema"].get("schema") {
                Some(schema) => Some(Grammar::JsonSchema(schema.clone())),
                None => return refused("response_format.json_schema.schema is missing"),
            },
            other => {
                return refused(&format!(
                    "response_format: type is text, json_object or json_schema, not {other}"
                ));
            }
        },
        Some(_) => return refused("response_format: type is missing"),
    };
    let all = [
        format,
        schema.map(Grammar::JsonSchema),
        regex.map(Grammar::Regex),
        lark.map(Grammar::Lark),
    ];
    let mut all = all.into_iter().flatten();
    let first = all.next();
    if all.next().is_some() {
        return refused(
            "an answer has one form: response_format, json_schema, guided_regex or guided_grammar",
        );
    }
    Ok(first)
}

/// Messages as chat templates have them: texts in parts are put together, and `developer` is `system`.
pub fn messages(fields: &mut Fields) -> Result<Vec<Value>, ApiError> {
    let mut messages: Vec<Value> = fields.need("messages")?;
    if messages.is_empty() {
        return Err(ApiError::bad("messages is empty", Some("messages")));
    }
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

fn joined(parts: &[Value]) -> Result<String, String> {
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
