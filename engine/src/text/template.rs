//! Chat templates: the Jinja text in a model file that turns messages into a prompt, rendered as `transformers` renders it.
//!
//! A template comes with the model, from anyone: it has a budget and can reach nothing but the messages and the date.

use jiff::{Zoned, civil::DateTime, fmt::strtime};
use serde_json::{Map, Value, json};

use super::{
    Tokenizer, calls, content,
    jinja::{Failure, Template},
    reasoning,
};
use crate::{Error, Result};

/// A compiled chat template, or several that go by names: `tool_use` renders what has tools, `default` all else.
#[derive(Debug)]
pub struct ChatTemplate {
    default: Option<Template>,
    tool_use: Option<Template>,
    /// Names of all templates that the model has.
    names: Vec<String>,
    source: String,
    /// Text of the one that has tools, where it is another.
    with_tools: Option<String>,
    /// Time at which the template's clock is stopped.
    now: Option<DateTime>,
}

impl ChatTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    /// [`Error::Template`] with the line, where it is no Jinja.
    pub fn new(source: &str) -> Result<ChatTemplate> {
        ChatTemplate::several(&[("default", source)])
    }

    /// Compiles the templates of a model that has several, by their names. Those that nothing here chooses (`rag`) are left alone.
    ///
    /// # Errors
    /// [`Error::Template`] with the line, where one is no Jinja.
    pub fn several(templates: &[(&str, &str)]) -> Result<ChatTemplate> {
        let named = |name: &str| {
            let source = templates.iter().find(|(one, _)| *one == name);
            source.map(|(_, source)| *source)
        };
        let compiled = |source: Option<&str>| {
            let template = source.map(Template::new).transpose();
            template.map_err(|failure| at_line(&failure))
        };
        let (default, tool_use) = (named("default"), named("tool_use"));
        Ok(ChatTemplate {
            default: compiled(default)?,
            tool_use: compiled(tool_use)?,
            names: templates
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            source: default.or(tool_use).unwrap_or_default().to_owned(),
            with_tools: tool_use.map(str::to_owned),
            now: None,
        })
    }

    /// Stops the template's clock at `now` (`2026-01-15` or `2026-01-15T12:30:00`), so that what it renders does not depend on the day.
    ///
    /// # Errors
    /// [`Error::BadInput`] where that is no date.
    pub fn with_now(mut self, now: &str) -> Result<ChatTemplate> {
        let date = now.parse();
        self.now =
            Some(date.map_err(|error| Error::BadInput(format!("{now:?} is no date: {error}")))?);
        Ok(self)
    }

    /// The template's text; of several, the default one's.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text of the template that a conversation with tools has.
    pub(super) fn text_with_tools(&self) -> &str {
        self.with_tools.as_deref().unwrap_or(&self.source)
    }

    /// Renders the prompt. `input`: an object like the `input` of the reference cases (messages, add_generation_prompt, tools, bos_token, …);
    /// what it does not have is undefined, as in Jinja, and what is null in a message is not there, as in `transformers`.
    ///
    /// # Errors
    /// [`Error::Template`] with the line, where the template refuses the messages, fails, or works longer than any honest one.
    pub fn render(&self, input: &Value) -> Result<String> {
        let Value::Object(input) = input else {
            return Err(Error::BadInput(
                "the input of a chat template is an object".to_owned(),
            ));
        };
        let clock = |format: &str| {
            let now = self.now.unwrap_or_else(|| Zoned::now().datetime());
            strtime::format(format, now).map_err(|error| error.to_string())
        };
        let mut input = input.clone();
        if let Some(Value::Array(messages)) = input.get_mut("messages") {
            messages.iter_mut().for_each(prepare);
        }
        let template = self.chosen(&input)?;
        let rendered = template.render(&input, &clock);
        rendered.map_err(|failure| at_line(&failure))
    }

    /// The template for an input, as `transformers` chooses it.
    fn chosen(&self, input: &Map<String, Value>) -> Result<&Template> {
        let has_tools = input.get("tools").is_some_and(|tools| !tools.is_null());
        let tool_use = self.tool_use.as_ref().filter(|_| has_tools);
        tool_use.or(self.default.as_ref()).ok_or_else(|| {
            Error::Template(format!(
                "the model has several chat templates ({}) and none that is named default",
                self.names.join(", ")
            ))
        })
    }

    /// Renders and tokenizes a conversation up to where the assistant speaks. BOS and EOS go to the template by their texts,
    /// unless the input has its own. A template that refuses the system message gets its text before the first user
    /// message, as in llama.cpp; one that knows no tools gets them in a system message. Texts of control tokens are those tokens where the template wrote them, and text where
    /// the input did; with `special` they are tokens everywhere.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`], and those of the tokenizer.
    pub fn prompt(
        &self,
        mut input: Value,
        tokenizer: &Tokenizer,
        special: bool,
    ) -> Result<ChatPrompt> {
        name_special_tokens(&mut input, tokenizer);
        if reasoning::has_harmony(tokenizer) {
            let messages = input.get_mut("messages").and_then(Value::as_array_mut);
            messages.into_iter().flatten().for_each(take_apart);
        }
        if has_tools(&input) && !calls::tells_of_tools(self.text_with_tools(), tokenizer) {
            input = calls::instructed(&input);
        }
        let once = |input: &Value| {
            if special {
                return tokenizer.encode_rendered(&self.render(input)?);
            }
            let (prompt, literal) = content::rendered(self, input, tokenizer)?;
            tokenizer.encode_around(&prompt, &literal)
        };
        let tokens = |input: &Value| {
            let mut refusal = None;
            for input in calls::variants(input) {
                match once(&input) {
                    Err(error @ Error::Template(_)) => {
                        refusal.get_or_insert(error);
                    }
                    other => return other,
                }
            }
            Err(refusal.expect("there is a way at least"))
        };
        let (tokens, system_moved) = match tokens(&input) {
            Ok(all) => (all, false),
            Err(refusal @ Error::Template(_)) => match without_system(&input) {
                Some(moved) => (tokens(&moved).map_err(|_| refusal)?, true),
                None => return Err(refusal),
            },
            Err(error) => return Err(error),
        };
        Ok(ChatPrompt {
            tokens,
            system_moved,
        })
    }

    /// The tokens of [`ChatTemplate::prompt`].
    ///
    /// # Errors
    /// As [`ChatTemplate::prompt`].
    pub fn tokens(&self, input: Value, tokenizer: &Tokenizer, special: bool) -> Result<Vec<u32>> {
        let prompt = self.prompt(input, tokenizer, special)?;
        Ok(prompt.tokens)
    }
}

/// A conversation as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatPrompt {
    /// The tokens, up to where the assistant speaks.
    pub tokens: Vec<u32>,
    /// Whether the template refused the system message, and its text stands before the first user message.
    pub system_moved: bool,
}

/// Whether a conversation has tools, or calls of some.
fn has_tools(input: &Value) -> bool {
    let some = |value: &Value| value.as_array().is_some_and(|all| !all.is_empty());
    let mut messages = input["messages"].as_array().into_iter().flatten();
    some(&input["tools"]) || messages.any(|message| some(&message["tool_calls"]))
}

/// A message as `transformers` hands it over: without what is null, and with its reasoning under the names that templates read.
fn prepare(message: &mut Value) {
    let Value::Object(fields) = message else {
        return;
    };
    fields.retain(|_, value| !value.is_null());
    let names = ["reasoning_content", "thinking", "reasoning"];
    let Some(reasoning) = names.iter().find_map(|name| fields.get(*name)).cloned() else {
        return;
    };
    let mut all = Map::new();
    all.insert("thinking".to_owned(), reasoning.clone());
    all.extend(std::mem::take(fields));
    all.insert("reasoning_content".to_owned(), reasoning);
    *fields = all;
}

/// An answer with channels, as a model says it, in the fields that templates read: they refuse the marks themselves.
fn take_apart(message: &mut Value) {
    let content = message["content"].as_str().unwrap_or_default();
    if message["role"] != "assistant" || !reasoning::has_channels(content) {
        return;
    }
    let (thinking, answer) = reasoning::harmony_apart(content);
    message["content"] = answer.into();
    if message.get("thinking").is_none() && !thinking.is_empty() {
        message["thinking"] = thinking.into();
    }
}

/// The input with the text of its system message before the first user message; None where it has no such two.
fn without_system(input: &Value) -> Option<Value> {
    let mut input = input.clone();
    let messages = input.get_mut("messages")?.as_array_mut()?;
    if messages.first()?["role"] != "system" {
        return None;
    }
    let system = messages.remove(0);
    let user = messages
        .iter_mut()
        .find(|message| message["role"] == "user")?;
    let text = format!(
        "{}\n{}",
        system["content"].as_str()?,
        user["content"].as_str()?
    );
    user["content"] = json!(text);
    Some(input)
}

/// Tells a template the texts of BOS and EOS, and of all special tokens that a folder names, unless the input has its own.
pub fn name_special_tokens(input: &mut Value, tokenizer: &Tokenizer) {
    let Some(object) = input.as_object_mut() else {
        return; // the template's own error says that this is no object
    };
    for (name, text) in tokenizer.named() {
        object.entry(name).or_insert(text.into());
    }
    for (name, token) in [
        ("bos_token", tokenizer.bos()),
        ("eos_token", tokenizer.eos()),
    ] {
        if let Some(token) = token {
            let text = String::from_utf8_lossy(&tokenizer.bytes(token)).into_owned();
            object.entry(name).or_insert(text.into());
        }
    }
}

/// The error with the line of the template where it was met.
fn at_line(failure: &Failure) -> Error {
    let what = &failure.message;
    Error::Template(match failure.line {
        Some(line) => format!("{what} (line {line})"),
        None => what.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_channels_is_taken_apart_and_a_users_text_is_not() {
        let marked = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.";
        let mut answer = json!({"role": "assistant", "content": marked});
        take_apart(&mut answer);
        let wanted = json!({"role": "assistant", "content": "Yes.", "thinking": "Hm."});
        assert_eq!(answer, wanted);
        let said = json!({"role": "user", "content": marked});
        let mut same = said.clone();
        take_apart(&mut same);
        assert_eq!(same, said);
    }
}
