//! The library's face: open a model, chat with it, complete texts. It decides nothing about kernels, and prints nothing.
//!
//! Natively [`open`], [`Chat::user`] and [`LanguageModel::complete`] block, with the feature `blocking`, which is on by
//! default; an answer is then computed on a thread of its own. What is `async` runs everywhere, and needs no runtime.

mod advice;
mod answer;
#[cfg(feature = "blocking")]
mod blocking;
mod chat;
mod complete;
mod completion;
mod embed;
mod language_model;
mod perplexity;
mod prepare;
#[cfg(feature = "blocking")]
mod service;

#[cfg(feature = "blocking")]
pub use blocking::{Reply, open, open_with};
pub use chat::{
    Chat, Fitted, Message, answer_room, conversation, fit_conversation, template_input,
};
pub use completion::{Completion, CompletionEvent, CompletionOptions, Prompt, Timings, Usage};
pub use embed::{EmbedOptions, Embedder, ranking};
pub use language_model::{LanguageModel, OpenOptions};
pub use perplexity::Perplexity;
pub use prepare::{OpenEvent, PrepareOptions, TUNING_SECONDS, Trial};
#[cfg(feature = "blocking")]
pub use service::{
    BUCKETS, Histogram, Request, Service, ServiceEvent, ServiceOptions, ServiceStats,
};
