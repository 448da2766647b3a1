//! A conversation. What the model has read stays in its session, so each turn prefills only what is new.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    completion::{Completion, CompletionEvent, CompletionOptions, Prompt},
    language_model::LanguageModel,
};
use crate::{ChatPrompt, ChatTemplate, Reasoning, Result, Session, Tokenizer};

/// One turn of a conversation, as chat templates have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Text of the message.
    pub content: String,
    /// Thoughts on the way to an answer, where there were some; templates have those of earlier turns as they like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: &str, content: &str) -> Message {
        Message {
            role: role.to_owned(),
            content: content.to_owned(),
            reasoning_content: None,
        }
    }

    /// An answer with what was thought on the way to it.
    pub fn answer(completion: &Completion) -> Message {
        let thoughts = Some(&completion.reasoning).filter(|text| !text.is_empty());
        Message {
            reasoning_content: thoughts.cloned(),
            ..Message::new("assistant", &completion.text)
        }
    }
}

/// A conversation as tokens, up to where the assistant speaks. Texts of control tokens in messages are text, unless
/// `special`.
///
/// # Errors
/// [`Error::Template`](crate::Error::Template) where the template refuses the messages.
pub fn conversation(
    template: &ChatTemplate,
    tokenizer: &Tokenizer,
    messages: &[Message],
    special: bool,
) -> Result<ChatPrompt> {
    template.prompt(template_input(messages), tokenizer, special)
}

/// Input of a chat template for a conversation up to where the assistant speaks. The template is told, as by
/// `transformers`, that there are no tools and no documents.
pub fn template_input(messages: &[Message]) -> Value {
    json!({"messages": messages, "tools": null, "documents": null, "add_generation_prompt": true})
}

/// A conversation that was made to fit a context.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fitted {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Messages that were left out: the oldest that are no system messages.
    pub left_out: usize,
    /// Whether the template refused the system message, and its text stands before the first user message.
    pub system_moved: bool,
}

/// Tokens of a context that an answer gets at least, where older messages can make room for it: a quarter, or the most that
/// it may have.
pub fn answer_room(context: usize, max_tokens: Option<usize>) -> usize {
    (context / 4).min(max_tokens.unwrap_or(context)).max(1)
}

/// The tokens of a conversation, as [`ChatTemplate::tokens`] has them, in a context of so many tokens with `room` left for
/// an answer. Where they do not fit, the oldest turns are left out, each from a message of the user to the next, and a
/// quarter of the context at a time, so that the next turns begin with the same tokens. System messages and the last turn
/// always stay, and may be too long.
///
/// # Errors
/// As [`ChatTemplate::tokens`].
pub fn fit_conversation(
    template: &ChatTemplate,
    tokenizer: &Tokenizer,
    input: &Value,
    special: bool,
    context: usize,
    room: usize,
) -> Result<Fitted> {
    let messages = input["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let role = |message: &Value, role: &str| message["role"] == role;
    let system = |message: &&Value| role(message, "system") || role(message, "developer");
    let first = messages.iter().take_while(system).count();
    let without = |cut: usize| {
        let mut input = input.clone();
        if cut > first {
            input["messages"] = [&messages[..first], &messages[cut..]].concat().into();
        }
        let prompt = template.prompt(input, tokenizer, special)?;
        Ok(Fitted {
            tokens: prompt.tokens,
            left_out: cut - first,
            system_moved: prompt.system_moved,
        })
    };
    let whole = without(first)?;
    let excess = (whole.tokens.len() + room).saturating_sub(context);
    let cuts = first + 1..messages.len();
    let cuts: Vec<usize> = cuts.filter(|&at| role(&messages[at], "user")).collect();
    if excess == 0 || cuts.is_empty() {
        return Ok(whole);
    }
    let step = (context / 4).max(1);
    let max = whole
        .tokens
        .len()
        .saturating_sub(excess.div_ceil(step) * step);
    let (mut from, mut to) = (0, cuts.len() - 1);
    while from < to {
        let middle = usize::midpoint(from, to);
        if without(cuts[middle])?.tokens.len() <= max {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    without(cuts[from])
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
            options: self.completion_options(),
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
        let (mut session, (tokens, reasoning)) = self.begin().await?;
        let tokenizer = self.model.tokenizer();
        let prompt = Prompt {
            reasoning,
            ..Prompt::from(&tokens[..])
        };
        let answered = session
            .complete(tokenizer, prompt, &self.options, each)
            .await;
        self.session = Some(session);
        answered
    }

    /// The session to answer in, a new one for the first answer, the tokens of what was said, and how thoughts are marked.
    pub(super) async fn begin(&mut self) -> Result<(Session, (Vec<u32>, Option<Reasoning>))> {
        let tokens = self.tokens()?;
        let template = self.model.template()?;
        let reasoning = template.reasoning(self.model.tokenizer(), &tokens);
        let session = match self.session.take() {
            Some(session) => session,
            None => self.model.session().await?,
        };
        Ok((session, (tokens, reasoning)))
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
            Ok(answer) => self.messages.push(Message::answer(answer)),
            Err(_) => drop(self.messages.pop()),
        }
    }
}
