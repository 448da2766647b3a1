//! A model that is served: answers from its service, where it has logits, and rows of texts from its embedder.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use lantern_engine::{
    CompletionOptions, Error, LanguageModel, Reasoning, Service, ServiceOptions, Tools, Unsupported,
};
use serde_json::Value;

use super::{error::ApiError, texts::Texts, wanted::Conversation};

/// A model that is loaded, with what answers.
pub struct Served {
    /// The name that requests may say, and answers do.
    pub name: String,
    /// Time at which it was loaded, seconds since 1970.
    pub created: u64,
    /// Computes texts as they are.
    pub texts: Texts,
    model: LanguageModel,
    /// None for an encoder, which completes nothing.
    service: Option<Service>,
}

/// Tokens to complete, and what may be among those that follow.
pub struct Given {
    pub tokens: Vec<u32>,
    /// How thoughts are marked.
    pub reasoning: Option<Reasoning>,
    /// Tools that may be called.
    pub tools: Option<Tools>,
}

impl From<Vec<u32>> for Given {
    fn from(tokens: Vec<u32>) -> Given {
        Given {
            tokens,
            reasoning: None,
            tools: None,
        }
    }
}

impl Served {
    /// Starts to serve a model. Blocks.
    pub fn start(
        model: LanguageModel,
        options: ServiceOptions,
        name: Option<String>,
    ) -> Result<Served, Error> {
        let queue = options.queue;
        let service = match Service::start(&model, options) {
            Ok(service) => Some(service),
            Err(Error::Unsupported {
                what: Unsupported::Logits,
                ..
            }) => None,
            Err(error) => return Err(error),
        };
        Ok(Served {
            name: name.unwrap_or_else(|| model.model().config().name.clone()),
            created: super::seconds_since_1970(),
            texts: Texts::new(&model, queue),
            model,
            service,
        })
    }

    /// The model, its tokenizer and its template.
    pub fn model(&self) -> &LanguageModel {
        &self.model
    }

    /// The service that completes prompts.
    pub fn service(&self) -> Result<&Service, ApiError> {
        let missing = || {
            let message = format!(
                "{} is an encoder: it has embeddings and scores at /v1/embeddings and /v1/rerank, and no answers",
                self.name
            );
            ApiError::bad(message, Some("model"))
        };
        self.service.as_ref().ok_or_else(missing)
    }

    /// An id that no other answer of this server has.
    pub fn id(&self, prefix: &str) -> String {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        format!("{prefix}{:x}{number:06x}", self.created)
    }

    /// Tokens that a prompt and its answer, or a text, may have.
    pub fn context(&self) -> usize {
        let service = self.service.as_ref();
        service.map_or(self.model.model().context(), Service::context)
    }

    /// Sampling as the model's authors advise it.
    pub fn advised(&self) -> CompletionOptions {
        self.model.completion_options()
    }

    /// The tokens of a conversation, up to where the assistant speaks.
    pub fn conversation(&self, conversation: Conversation) -> Result<Given, ApiError> {
        self.service()?;
        let (template, tokenizer) = (self.model.template()?, self.model.tokenizer());
        let Conversation {
            mut input,
            choice,
            parallel,
        } = conversation;
        let tools = match &input["tools"] {
            Value::Null => None,
            tools => template.tools(tokenizer, tools, choice, parallel)?,
        };
        if tools.is_none() {
            input["tools"] = Value::Null; // a model that may call none is not told of them
        }
        let prompt = template.prompt(input, tokenizer, false)?;
        let reasoning = template.reasoning(tokenizer, &prompt.tokens);
        Ok(Given {
            tokens: prompt.tokens,
            reasoning,
            tools,
        })
    }
}

/// A model in use, which stays loaded while this is held.
pub type Held = Arc<Served>;
