//! Answers of the engine on their way to a client.

use std::ops::ControlFlow;

use lantern_engine::{Completion, CompletionEvent, FinishReason, Reasoning, Request, ServiceEvent};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{App, error::ApiError, request::Wanted};

/// Progress of one of a request's answers.
pub enum Said {
    Piece { text: String, reasoning: String },
    Done(Result<Completion, ApiError>),
}

/// Progress of all answers to a request, with the number of each.
pub type Answers = UnboundedReceiver<(usize, Said)>;

/// Asks for as many answers to a prompt as are wanted. An answer that nobody reads any more ends.
pub fn ask(
    app: &App,
    tokens: &[u32],
    reasoning: Option<Reasoning>,
    wanted: &Wanted,
) -> Result<Answers, ApiError> {
    let (sender, answers) = unbounded_channel();
    for number in 0..wanted.count {
        let sender = sender.clone();
        let mut options = wanted.options.clone();
        options.sampler.seed = options.sampler.seed.wrapping_add(number as u64);
        let each = move |event: ServiceEvent<'_>| {
            let said = match event {
                ServiceEvent::Completion(
                    CompletionEvent::Prefill { .. } | CompletionEvent::ToolCall { .. },
                ) => {
                    let gone = sender.is_closed();
                    return if gone {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    };
                }
                ServiceEvent::Completion(
                    CompletionEvent::Token {
                        text, reasoning, ..
                    }
                    | CompletionEvent::Rest { text, reasoning },
                ) => Said::Piece {
                    text: text.to_owned(),
                    reasoning: reasoning.to_owned(),
                },
                ServiceEvent::Done(done) => Said::Done(done.map_err(ApiError::from)),
            };
            match sender.send((number, said)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        };
        app.service.submit(Request {
            tokens: tokens.to_vec(),
            reasoning,
            tools: None,
            options,
            each: Box::new(each),
        })?;
    }
    Ok(answers)
}

/// Waits for all answers.
pub async fn whole(mut answers: Answers, count: usize) -> Result<Vec<Completion>, ApiError> {
    let mut all: Vec<Option<Completion>> = (0..count).map(|_| None).collect();
    let mut left = count;
    while left > 0 {
        let ended = || ApiError::from(lantern_engine::Error::Aborted);
        let (number, said) = answers.recv().await.ok_or_else(ended)?;
        if let Said::Done(done) = said {
            all[number] = Some(done?);
            left -= 1;
        }
    }
    Ok(all.into_iter().flatten().collect())
}

/// OpenAI's word for why an answer ended.
pub fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length | FinishReason::ContextFull => "length",
        FinishReason::Stop | FinishReason::Aborted => "stop",
    }
}

/// Tokens of all answers to one prompt.
pub fn usage(all: &[Completion]) -> Value {
    let first = all.first().map(|one| one.usage).unwrap_or_default();
    let sampled: usize = all.iter().map(|one| one.usage.sampled_tokens).sum();
    json!({
        "prompt_tokens": first.prompt_tokens,
        "completion_tokens": sampled,
        "total_tokens": first.prompt_tokens + sampled,
        "prompt_tokens_details": {"cached_tokens": first.cached_tokens},
    })
}
