//! Anthropic's requests.

use lantern_engine::{CompletionOptions, ToolChoice};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{
    calling::{self, Calling},
    error::ApiError,
    fields::{Field, Fields, Table, harmless, needed, taken},
    wanted::{self, Conversation, Prompt, Wanted},
};

/// Fields of a request for a message.
pub const TABLE: Table = Table {
    lists: &[
        &[
            needed("max_tokens", "integer"),
            taken("stop_sequences", "array"),
            taken("output_config", "object"),
            taken("output_format", "object"),
        ],
        PROMPT,
        wanted::CHAT,
        wanted::FIELDS,
    ],
    samples: true,
};

/// Fields of a conversation whose tokens are counted.
pub const COUNTED: Table = Table {
    lists: &[&[taken("model", "string")], PROMPT, wanted::CHAT],
    samples: false,
};

const PROMPT: &[Field] = &[
    needed("messages", "messages"),
    taken("system", "string|array"),
    taken("thinking", "object"),
    taken("tool_choice", "object"),
    harmless("cache_control"),
    harmless("diagnostics"),
    harmless("inference_geo"),
    harmless("metadata"),
    harmless("service_tier"),
    harmless("speed"),
    harmless("user_profile_id"),
    harmless("workspace_id"),
];

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Content,
}

/// A text, or blocks.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of blocks")]
enum Content {
    Text(String),
    Blocks(Vec<Value>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Thinking {
    Enabled {
        /// Tokens that thoughts may have.
        budget_tokens: usize,
        #[serde(default)]
        display: Display,
    },
    Adaptive {
        #[serde(default)]
        display: Display,
    },
    Disabled,
}

/// Use of thoughts in answers.
#[derive(Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Display {
    #[default]
    Summarized,
    Omitted,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Choice {
    Auto {
        #[serde(default)]
        disable_parallel_tool_use: bool,
    },
    Any {
        #[serde(default)]
        disable_parallel_tool_use: bool,
    },
    Tool {
        name: String,
        #[serde(default)]
        disable_parallel_tool_use: bool,
    },
    None,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Output {
    format: Option<Value>,
    effort: Option<String>,
}

/// Takes all fields of a request: what is wanted, and whether clients see thoughts.
pub fn wanted(fields: &mut Fields, advised: CompletionOptions) -> Result<(Wanted, bool), ApiError> {
    let most: usize = fields.need("max_tokens")?;
    if most == 0 {
        return Err(ApiError::bad(
            "max_tokens is 1 at least",
            Some("max_tokens"),
        ));
    }
    let (mut chat, budget, shown) = conversation(fields)?;
    let options = wanted::sampling(fields, advised)?;
    let options = wanted::stops(fields, "stop_sequences", options)?;
    let budget = budget.or(options.reasoning_budget);
    let output = fields.take::<Output>("output_config")?.unwrap_or_default();
    if let Some(effort) = output.effort {
        wanted::effort(&mut chat.input, &effort)?;
    }
    let format = match output.format.or(fields.take("output_format")?) {
        None => None,
        Some(format) => wanted::format("output_config", &format, format.get("schema"))?,
    };
    let wanted = Wanted {
        prompts: vec![Prompt::Chat(chat)],
        count: 1,
        options: options
            .max_tokens(most)
            .reasoning_budget(budget)
            .grammar(wanted::form(fields, format)?),
        stream: fields.take("stream")?.unwrap_or(false),
    };
    Ok((wanted, shown))
}

/// Takes what the prompt is made of; how many tokens thoughts may have, and whether clients see them.
pub fn conversation(fields: &mut Fields) -> Result<(Conversation, Option<usize>, bool), ApiError> {
    let mut messages = Vec::new();
    if let Some(system) = fields.take::<Content>("system")? {
        let text = system.text().map_err(|what| wrong("system", &what))?;
        messages.push(json!({"role": "system", "content": text}));
    }
    let given: Vec<Message> = fields.need("messages")?;
    if given.last().is_some_and(|last| last.role == "assistant") {
        let message = "messages: the last one is the assistant's, and answers that go on with one are not done";
        return Err(ApiError::bad(message, Some("messages")));
    }
    for (number, message) in given.into_iter().enumerate() {
        let turned = turn(message).map_err(|what| wrong(&format!("messages[{number}]"), &what))?;
        messages.extend(turned);
    }
    let calling = calling(fields)?;
    let mut chat = wanted::conversation(fields, &messages, calling)?;
    let input = &mut chat.input;
    let mut budget = None;
    let display = match fields.take::<Thinking>("thinking")? {
        None => Display::default(),
        Some(Thinking::Disabled) => {
            input["enable_thinking"] = false.into();
            Display::default()
        }
        Some(Thinking::Adaptive { display }) => {
            input["enable_thinking"] = true.into();
            display
        }
        Some(Thinking::Enabled {
            budget_tokens,
            display,
        }) => {
            input["enable_thinking"] = true.into();
            input["thinking_budget"] = budget_tokens.into();
            budget = Some(budget_tokens);
            display
        }
    };
    Ok((chat, budget, display == Display::Summarized))
}

/// Takes the tools, and whether the answer calls some.
fn calling(fields: &mut Fields) -> Result<Calling, ApiError> {
    let tool = |given: &Map<String, Value>| match given.get("type").map(Value::as_str) {
        None | Some(Some("custom")) => calling::tool(
            given,
            "input_schema",
            &[
                "cache_control",
                "eager_input_streaming",
                "input_examples",
                "strict",
            ],
        ),
        Some(kind) => Err(format!(
            "tools of type {} run elsewhere, and are not done",
            kind.unwrap_or_default()
        )),
    };
    let mut calling = Calling {
        tools: calling::tools(fields.take("tools")?, tool)?,
        ..Calling::default()
    };
    match fields.take::<Choice>("tool_choice")? {
        None => {}
        Some(Choice::None) => calling.choice = ToolChoice::None,
        Some(Choice::Auto {
            disable_parallel_tool_use: alone,
        }) => calling.parallel = !alone,
        Some(Choice::Any {
            disable_parallel_tool_use: alone,
        }) => {
            calling.choice = ToolChoice::Required;
            calling.parallel = !alone;
        }
        Some(Choice::Tool {
            name,
            disable_parallel_tool_use: alone,
        }) => {
            calling.choice = ToolChoice::Named(name);
            calling.parallel = !alone;
        }
    }
    Ok(calling)
}

fn wrong(place: &str, what: &str) -> ApiError {
    let field = place.split('[').next();
    ApiError::bad(format!("{place}: {what}"), field)
}

impl Content {
    fn text(self) -> Result<String, String> {
        match self {
            Content::Text(text) => Ok(text),
            Content::Blocks(blocks) => {
                let texts = blocks.iter().map(|block| match block["type"].as_str() {
                    Some("text") => text_of(block, "text"),
                    kind => Err(refused(kind)),
                });
                Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n\n"))
            }
        }
    }
}

fn text_of<'a>(block: &'a Value, name: &str) -> Result<&'a str, String> {
    let text = block[name].as_str();
    text.ok_or_else(|| format!("a block has no {name}"))
}

fn refused(kind: Option<&str>) -> String {
    match kind {
        Some(kind) => format!("blocks of type {kind} are not taken here"),
        None => "a block has no type".to_owned(),
    }
}

/// A message as chat templates have it.
fn turn(message: Message) -> Result<Vec<Value>, String> {
    let Message { role, content } = message;
    if !["user", "assistant", "system"].contains(&role.as_str()) {
        return Err(format!("there is no role {role}"));
    }
    let blocks = match content {
        Content::Text(text) => return Ok(vec![json!({"role": role, "content": text})]),
        Content::Blocks(blocks) => blocks,
    };
    let (mut texts, mut thoughts) = (Vec::new(), Vec::new());
    let (mut calls, mut turned) = (Vec::new(), Vec::new());
    for block in blocks {
        match (block["type"].as_str(), role.as_str()) {
            (Some("text"), _) => texts.push(text_of(&block, "text")?.to_owned()),
            (Some("thinking"), "assistant") => {
                thoughts.push(text_of(&block, "thinking")?.to_owned());
            }
            // Nobody but its author can read it.
            (Some("redacted_thinking"), "assistant") => {}
            (Some("tool_use"), "assistant") => {
                calls.push(calling::call(&block["id"], &block["name"], &block["input"]));
            }
            (Some("tool_result"), "user") => turned.push(result(block)?),
            (kind, _) => return Err(refused(kind)),
        }
    }
    if role == "user" && texts.is_empty() && !turned.is_empty() {
        return Ok(turned);
    }
    let mut message = json!({"role": role, "content": texts.join("\n\n")});
    if !thoughts.is_empty() {
        message["reasoning_content"] = thoughts.join("\n\n").into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    turned.push(message);
    Ok(turned)
}

/// Result of a tool, as a message of its own.
fn result(mut block: Value) -> Result<Value, String> {
    let content = match block["content"].take() {
        Value::Null => String::new(),
        given => {
            let content: Content = serde_json::from_value(given)
                .map_err(|error| format!("content of a tool_result: {error}"))?;
            content.text()?
        }
    };
    let failed = if block["is_error"] == true {
        "Error: "
    } else {
        ""
    };
    Ok(json!({
        "role": "tool", "tool_call_id": block["tool_use_id"], "content": format!("{failed}{content}"),
    }))
}
