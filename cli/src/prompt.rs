//! From messages to tokens through a model's chat template.

use lantern_engine::{ChatTemplate, Tokenizer};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::failure::Result;

/// One turn of a conversation, as templates and saved files have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: &str, content: &str) -> Message {
        Message {
            role: role.to_owned(),
            content: content.to_owned(),
        }
    }
}

/// The tokens of a conversation up to where the assistant speaks.
pub fn tokens(
    template: &ChatTemplate,
    tokenizer: &Tokenizer,
    messages: &[Message],
) -> Result<Vec<u32>> {
    let input = json!({"messages": messages, "add_generation_prompt": true});
    Ok(template.tokens(input, tokenizer)?)
}
