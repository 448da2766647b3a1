//! Requests to a service, and what they hear.

use std::ops::ControlFlow;

use super::super::completion::{Completion, CompletionEvent, CompletionOptions};
use crate::{Reasoning, Result, Tools};

/// Completion that is asked for.
pub struct Request {
    /// Tokens to complete.
    pub tokens: Vec<u32>,
    /// How thoughts are marked; none where no chat template made the prompt.
    pub reasoning: Option<Reasoning>,
    /// Tools that the answer may call, or has to.
    pub tools: Option<Tools>,
    /// How it is sampled, and what ends it.
    pub options: CompletionOptions,
    /// Hears of it as it goes on; breaking ends it. Called on the service's thread, and must not wait.
    pub each: Box<Each>,
}

/// Listener of a request.
pub(super) type Each = dyn FnMut(ServiceEvent<'_>) -> ControlFlow<()> + Send;

/// Progress of a request.
#[derive(Debug)]
pub enum ServiceEvent<'a> {
    /// Progress of the completion.
    Completion(CompletionEvent<'a>),
    /// Its end, or why there is none. Nothing follows.
    Done(Result<Completion>),
}
