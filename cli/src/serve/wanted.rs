//! Wishes of a request, whatever protocol it came in. Each protocol has a translation into this, and one of the answers back.

use std::collections::BTreeMap;

use lantern_engine::{CompletionOptions, Grammar, SamplerOptions, ToolChoice};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    calling::Calling,
    error::ApiError,
    fields::{Field, Fields, taken},
    served::{Given, Served},
};

/// Answers to one request at most.
pub const ANSWERS_MAX: usize = 16;

/// Fields that requests for answers have in every protocol, beside those of samplers.
pub const FIELDS: &[Field] = &[
    taken("model", "string"),
    taken("stream", "boolean"),
    taken("seed", "integer"),
    taken("logit_bias", "object"),
    taken("ignore_eos", "boolean"),
    taken("reasoning_budget", "integer"),
    taken("json_schema", "object|boolean"),
    taken("guided_regex", "string"),
    taken("guided_grammar", "string"),
];

/// Fields that conversations have in every protocol.
pub const CHAT: &[Field] = &[
    taken("chat_template_kwargs", "object"),
    taken("enable_thinking", "boolean"),
    taken("tools", "array"),
];

/// Wishes of a request for completions.
pub struct Wanted {
    pub prompts: Vec<Prompt>,
    /// Answers to each prompt.
    pub count: usize,
    pub options: CompletionOptions,
    /// Answers come in pieces.
    pub stream: bool,
}

/// A beginning that is to be completed.
pub enum Prompt {
    /// A conversation.
    Chat(Conversation),
    /// A text as it is.
    Text(String),
    /// A text as its tokens.
    Tokens(Vec<u32>),
}

/// A conversation up to where the assistant speaks.
pub struct Conversation {
    /// Input of the chat template.
    pub input: Value,
    pub choice: ToolChoice,
    /// An answer may have several calls.
    pub parallel: bool,
}

impl Prompt {
    /// The tokens to complete, and what may be among those that follow.
    pub fn given(self, served: &Served) -> Result<Given, ApiError> {
        match self {
            Prompt::Chat(conversation) => served.conversation(conversation),
            Prompt::Text(text) => {
                let tokenizer = served.model().tokenizer();
                Ok(Given::from(tokenizer.encode_prompt(&text, false)?))
            }
            Prompt::Tokens(tokens) => Ok(Given::from(tokens)),
        }
    }
}

/// A conversation of messages, with what `chat_template_kwargs` has beside them.
pub fn conversation(
    fields: &mut Fields,
    messages: &[Value],
    calling: Calling,
) -> Result<Conversation, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::bad("messages is empty", Some("messages")));
    }
    let mut input = json!({
        "messages": messages,
        "tools": calling.tools,
        "documents": null,
        "add_generation_prompt": true,
    });
    let more = fields.take::<Map<String, Value>>("chat_template_kwargs")?;
    for (name, value) in more.into_iter().flatten() {
        if input.get(&name).is_some() {
            let message = format!("chat_template_kwargs: {name} has a field of its own");
            return Err(ApiError::bad(message, Some("chat_template_kwargs")));
        }
        input[name] = value;
    }
    if let Some(thinks) = fields.take::<bool>("enable_thinking")? {
        input["enable_thinking"] = thinks.into();
    }
    Ok(Conversation {
        input,
        choice: calling.choice,
        parallel: calling.parallel,
    })
}

/// How much a model is to think, as OpenAI has it, for templates that take that.
pub fn effort(input: &mut Value, effort: &str) -> Result<(), ApiError> {
    let level = match effort {
        "none" => {
            input["enable_thinking"] = false.into();
            return Ok(());
        }
        "minimal" | "low" => "low",
        "medium" => "medium",
        "high" | "xhigh" | "max" => "high",
        other => {
            let message =
                format!("effort is none, minimal, low, medium, high or xhigh, not {other}");
            return Err(ApiError::bad(message, Some("reasoning_effort")));
        }
    };
    input["enable_thinking"] = true.into();
    input["reasoning_effort"] = level.into();
    Ok(())
}

/// Takes the fields of sampling, by OpenAI's names and llama.cpp's, over what the model's authors advise.
pub fn sampling(
    fields: &mut Fields,
    advised: CompletionOptions,
) -> Result<CompletionOptions, ApiError> {
    let mut sampler = advised.sampler.clone();
    for name in SamplerOptions::names() {
        if let Some(value) = fields.take::<f64>(name)? {
            let set = sampler.set(name, value);
            set.map_err(|error| ApiError::bad(error.to_string(), Some(name)))?;
        }
    }
    let seed = fields.take::<i64>("seed")?;
    sampler.seed = seed.map_or_else(crate::sampling::random_seed, |seed| seed as u64);
    let biases = fields.take::<BTreeMap<String, f32>>("logit_bias")?;
    for (token, bias) in biases.into_iter().flatten() {
        let wrong = |_| {
            let message = format!("logit_bias: {token} is not a token's number");
            ApiError::bad(message, Some("logit_bias"))
        };
        let token = token.parse().map_err(wrong)?;
        sampler.logit_bias.push((token, bias));
    }
    sampler.validate()?;
    let ignores_end = fields.take("ignore_eos")?.unwrap_or(false);
    let budget = fields.take::<usize>("reasoning_budget")?;
    let options = advised.sampler(sampler).ignore_end(ignores_end);
    Ok(options.reasoning_budget(budget))
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Texts that end an answer.
pub fn stops(
    fields: &mut Fields,
    name: &str,
    options: CompletionOptions,
) -> Result<CompletionOptions, ApiError> {
    let stops = match fields.take::<OneOrMany>(name)? {
        None => vec![],
        Some(OneOrMany::One(stop)) => vec![stop],
        Some(OneOrMany::Many(stops)) => stops,
    };
    if stops.iter().any(String::is_empty) {
        let message = format!("{name}: a text is empty");
        return Err(ApiError::bad(message, Some(name)));
    }
    Ok(stops.into_iter().fold(options, CompletionOptions::stop))
}

/// The form of an answer by a format of OpenAI's: its `type`, and the schema, which lies where the protocol has it.
pub fn format(
    name: &str,
    format: &Value,
    schema: Option<&Value>,
) -> Result<Option<Grammar>, ApiError> {
    let refused = |message: String| Err(ApiError::bad(message, Some(name)));
    match format["type"].as_str() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Grammar::JsonSchema(json!({"type": "object"})))),
        Some("json_schema") => match schema {
            Some(schema) => Ok(Some(Grammar::JsonSchema(schema.clone()))),
            None => refused(format!("{name}: the schema is missing")),
        },
        Some(other) => refused(format!(
            "{name}: type is text, json_object or json_schema, not {other}"
        )),
        None => refused(format!("{name}: type is missing")),
    }
}

/// The form of an answer: `format`, or llama.cpp's and vLLM's fields for it.
pub fn form(fields: &mut Fields, format: Option<Grammar>) -> Result<Option<Grammar>, ApiError> {
    let schema = fields.take::<Value>("json_schema")?;
    let regex = fields.take::<String>("guided_regex")?;
    let lark = fields.take::<String>("guided_grammar")?;
    let all = [
        format,
        schema.map(Grammar::JsonSchema),
        regex.map(Grammar::Regex),
        lark.map(Grammar::Lark),
    ];
    let mut all = all.into_iter().flatten();
    let first = all.next();
    if all.next().is_some() {
        return Err(ApiError::bad(
            "an answer has one form: that of the protocol, json_schema, guided_regex or guided_grammar",
            None,
        ));
    }
    Ok(first)
}
