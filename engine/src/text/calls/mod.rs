//! Calls of tools: what a chat may call, how a model writes calls into its answer, and those calls read back as they come.
//! Models write them in a dozen ways: `formats` is the table of those, and a template's text says which is its model's.

mod elements;
mod formats;
#[cfg(feature = "grammar")]
mod grammar;
#[cfg(feature = "templates")]
mod instructions;
mod literals;
#[cfg(feature = "templates")]
mod messages;
mod read;
mod scan;
mod split;

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::Tokenizer;
use crate::{Error, Result};

use formats::{CallFormat, FORMATS, HERMES};
#[cfg(feature = "templates")]
pub(super) use instructions::instructed;
#[cfg(feature = "templates")]
pub(super) use messages::variants;
pub(super) use split::Calls;

/// Call of a tool that a model asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ToolCall {
    /// Name of the tool.
    pub name: String,
    /// Its arguments: a JSON object, as far as the model wrote it.
    pub arguments: String,
}

/// Tool that a model may call.
#[derive(Debug, Clone, PartialEq)]
struct Tool {
    name: String,
    /// JSON Schema of its arguments: an object.
    parameters: Value,
}

/// Whether a model calls tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// It does as it likes.
    #[default]
    Auto,
    /// It calls none, and is not told of them.
    None,
    /// It calls at least one.
    Required,
    /// It calls the one of this name.
    Named(String),
}

/// Tools that an answer may call, and how its model writes that.
#[derive(Debug, Clone)]
pub struct Tools(Arc<Known>);

#[derive(Debug)]
struct Known {
    format: &'static CallFormat,
    tools: Vec<Tool>,
    choice: ToolChoice,
    /// An answer may have several calls.
    parallel: bool,
}

impl PartialEq for Tools {
    fn eq(&self, other: &Tools) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Tools {
    /// Tools in OpenAI's form, `[{"type": "function", "function": {"name": …, "parameters": {…}}}]`, for a model whose template has
    /// this text. `parallel`: an answer may have several calls. None where the choice is not to call any.
    ///
    /// # Errors
    /// [`Error::BadInput`] with the place, where one is none, or the choice is no tool's name.
    pub(super) fn of(
        template: &str,
        tokenizer: &Tokenizer,
        tools: &Value,
        (choice, parallel): (ToolChoice, bool),
    ) -> Result<Option<Tools>> {
        let tools = all(tools)?;
        if let ToolChoice::Named(name) = &choice
            && !tools.iter().any(|tool| tool.name == *name)
        {
            return Err(Error::BadInput(format!(
                "tool_choice: there is no tool {name}"
            )));
        }
        if tools.is_empty() && choice == ToolChoice::Required {
            return Err(Error::BadInput(
                "tool_choice is required, but there are no tools".into(),
            ));
        }
        if tools.is_empty() || choice == ToolChoice::None {
            return Ok(None);
        }
        Ok(Some(Tools(Arc::new(Known {
            format: format_of(template, tokenizer).unwrap_or(&HERMES),
            tools,
            choice,
            parallel,
        }))))
    }

    /// Whether a control token of this text is said: it marks a call.
    pub(crate) fn says(&self, token: &str) -> bool {
        let mut marks = self.0.format.marks();
        marks.any(|mark| mark.contains(token))
    }

    /// Whether calls are parts of an answer in harmony, which a header names.
    pub(crate) fn in_harmony(&self) -> bool {
        self.0.format.is_harmony()
    }

    /// The text that begins calls; none where that is no mark, but the answer's begin.
    pub(super) fn open_mark(&self) -> Option<&'static str> {
        Some(self.0.format.open).filter(|mark| !mark.is_empty())
    }

    /// Whether an answer may have several calls.
    pub(super) fn parallel(&self) -> bool {
        self.0.parallel
    }

    /// Whether the answer has to be a call.
    pub(super) fn required(&self) -> bool {
        matches!(self.0.choice, ToolChoice::Required | ToolChoice::Named(_))
    }
}

/// The format of calls that a template writes; none where it writes none that is known.
fn format_of(template: &str, tokenizer: &Tokenizer) -> Option<&'static CallFormat> {
    let has = |text: &&str| template.contains(*text) || tokenizer.has_mark(text);
    let known = |format: &&CallFormat| format.known_by.iter().all(has);
    FORMATS.iter().find(known)
}

/// Whether a template tells its model of tools, in a form whose calls can be read back.
#[cfg(feature = "templates")]
pub(super) fn tells_of_tools(template: &str, tokenizer: &Tokenizer) -> bool {
    template.contains("tools") && format_of(template, tokenizer).is_some()
}

/// Tools in OpenAI's form, read.
fn all(tools: &Value) -> Result<Vec<Tool>> {
    let wrong = |what: String| Error::BadInput(format!("tools{what}"));
    let list = tools
        .as_array()
        .ok_or_else(|| wrong(" are not a list".to_owned()))?;
    let one = |(at, tool): (usize, &Value)| {
        let wrong = |what: &str| wrong(format!("[{at}]: {what}"));
        if tool["type"] != "function" {
            return Err(wrong("type is not function"));
        }
        let function = &tool["function"];
        let name = function["name"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| wrong("function.name is missing"))?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.len() > 256 || !name.chars().all(fits) {
            return Err(wrong(
                "function.name has other characters than letters, digits, _, - and .",
            ));
        }
        let parameters = match function.get("parameters") {
            None | Some(Value::Null) => json!({"type": "object", "properties": {}}),
            Some(Value::Object(schema)) if schema.is_empty() => {
                json!({"type": "object", "properties": {}})
            }
            Some(schema @ Value::Object(_)) => closed(schema.clone()),
            Some(_) => return Err(wrong("function.parameters is not a JSON Schema's object")),
        };
        Ok(Tool {
            name: name.to_owned(),
            parameters,
        })
    };
    let tools: Vec<Tool> = list.iter().enumerate().map(one).collect::<Result<_>>()?;
    for (at, tool) in tools.iter().enumerate() {
        if tools[..at].iter().any(|other| other.name == tool.name) {
            return Err(wrong(format!(
                "[{at}]: there is another of the name {}",
                tool.name
            )));
        }
    }
    Ok(tools)
}

/// A schema whose objects have no other properties than those that it names, where it does not say whether they may: what a
/// tool does not know is of no use to it.
fn closed(mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else {
        return schema;
    };
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        for property in properties.values_mut() {
            *property = closed(property.take());
        }
        object.entry("additionalProperties").or_insert(false.into());
    }
    if let Some(items) = object.get_mut("items") {
        *items = closed(items.take());
    }
    schema
}
