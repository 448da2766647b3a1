//! A conversation. What the model has read stays in its session, so each turn prefills only what is new.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    complete::{Completion, CompletionEvent, CompletionOptions, Prompt},
    language_model::LanguageModel,
};
use crate::{ChatPrompt, ChatTemplate, Result, Session, Tokenizer};

/// One turn of a conversation, as chat templates have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Text of the message.
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

/// A conversation as tokens, up to where the assistant speaks. Texts of control tokens in messages are text, unless
/// `special`. The template is told, as by `transformers`, that there are no tools and no documents.
///
/// # Errors
/// [`Error::Template`](crate::Error::Template) where the template refuses the messages.
pub fn conversation(
    template: &ChatTemplate,
    tokenizer: &Tokenizer,
    messages: &[Message],
    special: bool,
) -> Result<ChatPrompt> {
    let input = json!({"messages": messages, "tools": null, "documents": null, "add_generation_prompt": true});
    template.prompt(input, tokenizer, special)
}

/// A conversation with a model.
pub struct Chat {
    pub(super) model: LanguageModel,
    /// None before the first turn, and while an answer is being computed.
    pub(super) session: Option<Session>,
    pub(super) messages: Vec<Message>,
    pub(super) options: CompletionOptions,
}

impl LanguageModel {
    /// A conversation with nothing said yet.
    pub fn chat(&self) -> Chat {
        Chat {
            model: self.clone(),
            session: None,
            messages: Vec::new(),
            options: CompletionOptions::default(),
        }
    }
}

impl Chat {
    /// Has this system message, in the place of any before it.
    #[must_use]
    pub fn system(mut self, text: &str) -> Chat {
        self.messages.retain(|message| message.role != "system");
        self.messages.insert(0, Message::new("system", text));
        self
    }

    /// Goes on with these messages, in the place of any before them.
    #[must_use]
    pub fn with_messages(mut self, messages: Vec<Message>) -> Chat {
        self.messages = messages;
        self
    }

    /// Samples answers in this way.
    #[must_use]
    pub fn options(mut self, options: CompletionOptions) -> Chat {
        self.options = options;
        self
    }

    /// The messages so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Says `text` and resolves to the answer, which becomes part of the conversation; `each` hears of it as it comes, and
    /// breaking it ends the answer there. Where the answer fails, the message is taken back.
    ///
    /// # Errors
    /// [`Error::ContextFull`](crate::Error::ContextFull) where the conversation is longer than the context;
    /// [`Error::Unsupported`](crate::Error::Unsupported) where the model has no chat template.
    pub async fn user_async(
        &mut self,
        text: &str,
        each: &mut dyn FnMut(CompletionEvent<'_>) -> ControlFlow<()>,
    ) -> Result<Completion> {
        self.messages.push(Message::new("user", text));
        let answered = self.answer(each).await;
        self.keep(&answered);
        answered
    }

    async fn answer(
        &mut self,
        each: &mut dyn FnMut(CompletionEvent<'_>) -> ControlFlow<()>,
    ) -> Result<Completion> {
        let (mut session, tokens) = self.begin().await?;
        let (tokenizer, prompt) = (self.model.tokenizer(), Prompt::from(&tokens[..]));
        let answered = session
            .complete(tokenizer, prompt, &self.options, each)
            .await;
        self.session = Some(session);
        answered
    }

    /// The session to answer in, a new one for the first answer, and the tokens of what was said.
    pub(super) async fn begin(&mut self) -> Result<(Session, Vec<u32>)> {
        let tokens = self.tokens()?;
        let session = match self.session.take() {
            Some(session) => session,
            None => self.model.session().await?,
        };
        Ok((session, tokens))
    }

    /// The tokens of what was said, up to where the assistant speaks.
    fn tokens(&self) -> Result<Vec<u32>> {
        let prompt = conversation(
            self.model.template()?,
            self.model.tokenizer(),
            &self.messages,
            self.options.special,
        )?;
        Ok(prompt.tokens)
    }

    /// Keeps an answer, or takes back the message that has none.
    pub(super) fn keep(&mut self, answered: &Result<Completion>) {
        match answered {
            Ok(answer) => self.messages.push(Message::new("assistant", &answer.text)),
            Err(_) => drop(self.messages.pop()),
        }
    }
}
