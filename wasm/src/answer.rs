//! One answer: the engine's completion, as the package has it.

use std::{ops::ControlFlow, time::Duration};

use js_sys::Function;
use lantern_engine::{
    CompletionEvent, CompletionOptions, Error, FinishReason, Prompt, SamplerOptions,
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::{LoadedModel, error::Result, model::asked};

/// How to sample, where it is not as the model's authors advise; names as OpenAI has them, and what is missing as llama.cpp
/// has it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<u32>,
    min_p: Option<f32>,
    max_tokens: Option<usize>,
    stop: Vec<String>,
    seed: u64,
    frequency_penalty: f32,
    presence_penalty: f32,
    repeat_penalty: Option<f32>,
    ignore_eos: bool,
    reasoning_format: ReasoningFormat,
}

/// Use of a model's thoughts: split off, or left in the text.
#[derive(Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReasoningFormat {
    #[default]
    Auto,
    None,
}

impl Options {
    fn completion(self, advised: CompletionOptions) -> CompletionOptions {
        let own = &advised.sampler;
        let sampler = SamplerOptions::default()
            .temperature(self.temperature.unwrap_or(own.temperature))
            .top_k(self.top_k.unwrap_or(own.top_k))
            .top_p(self.top_p.unwrap_or(own.top_p))
            .min_p(self.min_p.unwrap_or(own.min_p))
            .repeat_penalty(self.repeat_penalty.unwrap_or(own.repeat_penalty))
            .frequency_penalty(self.frequency_penalty)
            .presence_penalty(self.presence_penalty)
            .seed(self.seed);
        let options = advised
            .sampler(sampler)
            .max_tokens(self.max_tokens)
            .ignore_end(self.ignore_eos)
            .thoughts_in_text(self.reasoning_format == ReasoningFormat::None);
        self.stop.into_iter().fold(options, CompletionOptions::stop)
    }
}

/// `Completion` of the package.
#[derive(Serialize)]
struct Completion {
    text: String,
    reasoning_content: String,
    tokens: Vec<u32>,
    finish_reason: FinishReason,
    usage: Usage,
    timings: Timings,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "OpenAI's names")]
struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
    cached_tokens: usize,
}

#[derive(Serialize)]
struct Timings {
    first_token_ms: f64,
    prompt_ms: f64,
    prompt_per_second: f64,
    predicted_ms: f64,
    predicted_per_second: f64,
    tokens_per_readback: usize,
}

#[wasm_bindgen]
impl LoadedModel {
    /// Samples an answer to `prompt`, of which `sampled` was sampled before a device was lost; `templated`: the chat template
    /// made the prompt. `emit(text, reasoning, token)` gets every token with the text and the thoughts that are certain
    /// since the last; `progress(done, total)` counts tokens of the prompt; both stop by returning true. Resolves to a
    /// `Completion` as JSON.
    pub async fn answer(
        &mut self,
        prompt: Vec<u32>,
        sampled: Vec<u32>,
        templated: bool,
        options: String,
        emit: Function,
        progress: Function,
    ) -> Result<String> {
        let options: Options = serde_json::from_str(&options)?;
        let options = options.completion(self.advised()?);
        let (tokens, context) = (prompt.len() + sampled.len(), self.session.context());
        if tokens >= context {
            let tokens = tokens + 1;
            return Err(Error::ContextFull { tokens, context }.into());
        }
        let said = |text: &str, reasoning: &str, token: JsValue| {
            emit.call3(&JsValue::NULL, &text.into(), &reasoning.into(), &token)
        };
        let mut each = |event: CompletionEvent<'_>| {
            let stop = match event {
                CompletionEvent::Prefill { done, total } => {
                    return asked(&progress, done as f64, total as f64);
                }
                CompletionEvent::Token {
                    token,
                    text,
                    reasoning,
                } => said(text, reasoning, token.into()),
                // Prompts have no tools here yet.
                CompletionEvent::ToolCall { .. } => return ControlFlow::Continue(()),
                CompletionEvent::Rest { text, reasoning } => {
                    said(text, reasoning, JsValue::UNDEFINED)
                }
            };
            if stop.map_or(true, |answer| answer.is_truthy()) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let reasoning = if templated {
            self.reasoning(&prompt)?
        } else {
            None
        };
        let (tokenizer, session) = self.speaking()?;
        let given = Prompt {
            tokens: &prompt,
            sampled: &sampled,
            reasoning,
            tools: None,
        };
        let completed = session.complete(tokenizer, given, &options, &mut each);
        let completed = completed.await?;
        let completion = Completion::new(completed, session.tokens_per_readback());
        Ok(serde_json::to_string(&completion)?)
    }
}

impl Completion {
    fn new(completed: lantern_engine::Completion, tokens_per_readback: usize) -> Completion {
        let (usage, timings) = (completed.usage, completed.timings);
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
        let sampled = completed.tokens.len();
        Completion {
            finish_reason: completed.finish_reason,
            usage: Usage {
                prompt_tokens: usage.prompt_tokens,
                completion_tokens: sampled,
                total_tokens: usage.prompt_tokens + sampled,
                cached_tokens: usage.cached_tokens,
            },
            timings: Timings {
                first_token_ms: timings.first_token.map_or(0.0, milliseconds),
                prompt_ms: milliseconds(timings.prefill),
                prompt_per_second: completed.prefill_rate(),
                predicted_ms: milliseconds(timings.decode),
                predicted_per_second: completed.decode_rate(),
                tokens_per_readback,
            },
            text: completed.text,
            reasoning_content: completed.reasoning,
            tokens: completed.tokens,
        }
    }
}
