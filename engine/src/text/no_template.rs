//! Stands in the place of `template` where the feature `templates` is left out: the text of a template is there, and
//! whatever would render it refuses.

use super::Tokenizer;
use crate::{Error, Result, Unsupported};

/// The text of a chat template, which cannot be rendered without the feature `templates`.
#[derive(Debug)]
pub struct ChatTemplate {
    source: String,
}

impl ChatTemplate {
    /// Keeps the text of a template.
    ///
    /// # Errors
    /// None; with the feature, [`Error::Template`].
    pub fn new(source: &str) -> Result<ChatTemplate> {
        Ok(ChatTemplate {
            source: source.to_owned(),
        })
    }

    /// Keeps the text of the default template, or of the first.
    ///
    /// # Errors
    /// None; with the feature, [`Error::Template`].
    pub fn several(templates: &[(&str, &str)]) -> Result<ChatTemplate> {
        let default = templates.iter().find(|(name, _)| *name == "default");
        let (_, source) = default.or(templates.first()).copied().unwrap_or_default();
        ChatTemplate::new(source)
    }

    /// Refuses: there is no clock to stop.
    ///
    /// # Errors
    /// [`Error::Unsupported`], always.
    pub fn with_now(self, _now: &str) -> Result<ChatTemplate> {
        Err(left_out())
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The template's text, also with tools.
    pub(super) fn text_with_tools(&self) -> &str {
        &self.source
    }

    /// Refuses to render.
    ///
    /// # Errors
    /// [`Error::Unsupported`], always.
    pub fn render(&self, _input: &serde_json::Value) -> Result<String> {
        Err(left_out())
    }

    /// Refuses to render.
    ///
    /// # Errors
    /// [`Error::Unsupported`], always.
    pub fn prompt(
        &self,
        _input: serde_json::Value,
        _tokenizer: &Tokenizer,
        _special: bool,
    ) -> Result<ChatPrompt> {
        Err(left_out())
    }

    /// Refuses to render.
    ///
    /// # Errors
    /// [`Error::Unsupported`], always.
    pub fn tokens(
        &self,
        _input: serde_json::Value,
        _tokenizer: &Tokenizer,
        _special: bool,
    ) -> Result<Vec<u32>> {
        Err(left_out())
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

fn left_out() -> Error {
    let message = "a chat takes the model's chat template, and this program was built without the feature `templates` of \
                   lantern-engine; complete texts instead";
    Error::unsupported(Unsupported::Feature, message.to_owned())
}
