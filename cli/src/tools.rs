//! The flags for tools that an answer may call.

use std::path::Path;

use lantern_engine::{ChatTemplate, Tokenizer, ToolChoice, Tools};
use serde_json::Value;

use crate::{
    failure::{Failure, Result},
    files,
};

/// Tools of an answer.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Tools")]
pub struct ToolArgs {
    /// Tools that the answer may call, as OpenAI has them, [{"type": "function", "function": {"name": …, "parameters": {…}}}]: a
    /// file, or the JSON itself; the calls are printed a line each, and are `tool_calls` in JSON
    #[arg(long, value_name = "FILE|JSON", conflicts_with = "raw")]
    tools: Option<String>,
    /// Calls that the answer makes: auto (as the model likes), none, required (at least one), or the name of the tool to call
    #[arg(long, value_name = "CHOICE", requires = "tools")]
    tool_choice: Option<String>,
}

impl ToolArgs {
    /// The tools as they are given, and those that the answer may call.
    pub fn of(
        &self,
        template: &ChatTemplate,
        tokenizer: &Tokenizer,
    ) -> Result<(Value, Option<Tools>)> {
        let Some(text) = &self.tools else {
            return Ok((Value::Null, None));
        };
        let own = text.trim_start().starts_with('[');
        let text = if own {
            text.clone()
        } else {
            files::read_text(Path::new(text))?
        };
        let list: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::Usage(format!("--tools is not JSON: {error}")))?;
        let choice = match self.tool_choice.as_deref() {
            None | Some("auto") => ToolChoice::Auto,
            Some("none") => ToolChoice::None,
            Some("required") => ToolChoice::Required,
            Some(name) => ToolChoice::Named(name.to_owned()),
        };
        let tools = template.tools(tokenizer, &list, choice, true)?;
        Ok((list, tools))
    }

    /// Refuses tools for a model that has no chat template to tell of them.
    pub fn refuse_without_template(&self) -> Result {
        match &self.tools {
            Some(_) => Err(Failure::Message(
                "this model has no chat template, so it cannot be told of tools; leave --tools out"
                    .to_owned(),
            )),
            None => Ok(()),
        }
    }
}
