//! From messages to tokens through a model's chat template.

use lantern_engine::{ChatTemplate, Tokenizer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    let mut input = json!({"messages": messages, "add_generation_prompt": true});
    name_special_tokens(&mut input, tokenizer);
    Ok(tokenizer.encode_rendered(&template.render(&input)?)?)
}

/// Tells a template the texts of BOS and EOS, unless the input has its own.
pub fn name_special_tokens(input: &mut Value, tokenizer: &Tokenizer) {
    let Some(object) = input.as_object_mut() else {
        return; // the template's own error says that this is no object
    };
    for (name, token) in [
        ("bos_token", tokenizer.bos()),
        ("eos_token", tokenizer.eos()),
    ] {
        if let Some(token) = token {
            let text = String::from_utf8_lossy(&tokenizer.bytes(token)).into_owned();
            object.entry(name).or_insert(Value::String(text));
        }
    }
}
