//! One answer: what of the prompt is new is prefilled, then tokens are sampled until something ends it.

use std::ops::ControlFlow;

use js_sys::Function;
use lantern_engine::{Error, FinishReason, SamplerOptions, TextStream};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use web_time::Instant;

use crate::{LoadedModel, error::Result, model::asked};

/// How to sample; names as OpenAI has them, and what is missing as llama.cpp has it.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    temperature: f32,
    top_p: f32,
    top_k: u32,
    min_p: f32,
    max_tokens: Option<usize>,
    stop: Vec<String>,
    seed: u64,
    frequency_penalty: f32,
    presence_penalty: f32,
    repeat_penalty: f32,
    ignore_eos: bool,
}

impl Default for Options {
    fn default() -> Options {
        let sampler = SamplerOptions::default();
        Options {
            temperature: sampler.temperature,
            top_p: sampler.top_p,
            top_k: sampler.top_k,
            min_p: sampler.min_p,
            max_tokens: None,
            stop: Vec::new(),
            seed: sampler.seed,
            frequency_penalty: sampler.frequency_penalty,
            presence_penalty: sampler.presence_penalty,
            repeat_penalty: sampler.repeat_penalty,
            ignore_eos: false,
        }
    }
}

impl Options {
    fn sampler(&self) -> SamplerOptions {
        SamplerOptions {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            seed: self.seed,
        }
    }
}

/// `Completion` of the package.
#[derive(Serialize)]
struct Completion {
    text: String,
    tokens: Vec<u32>,
    finish_reason: &'static str,
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
    /// Samples an answer to `prompt`, of which `sampled` was sampled before a device was lost. `emit(piece, token)` gets every
    /// token with the text that is certain since the last; `progress(done, total)` counts tokens of the prompt; both stop
    /// by returning true. Resolves to a `Completion` as JSON.
    pub async fn answer(
        &mut self,
        prompt: Vec<u32>,
        sampled: Vec<u32>,
        options: String,
        emit: Function,
        progress: Function,
    ) -> Result<String> {
        let options: Options = serde_json::from_str(&options)?;
        let sampler = options.sampler();
        sampler.validate()?;
        let mut answer = Answer::new(prompt, sampled);
        match answer.prefill(self, &progress).await {
            Err(Error::Aborted) => answer.finish_reason = Some("aborted"),
            result => {
                result?;
                answer.sample(self, &options, &sampler, &emit).await?;
            }
        }
        let completion = answer.completion(self.session.tokens_per_readback());
        Ok(serde_json::to_string(&completion)?)
    }
}

/// An answer that is under way.
struct Answer {
    prompt: usize,
    all: Vec<u32>,
    /// Tokens of `all` that were sampled in this call.
    sampled: usize,
    cached: usize,
    text: String,
    finish_reason: Option<&'static str>,
    start: Instant,
    prefilled: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Answer {
    fn new(mut prompt: Vec<u32>, sampled: Vec<u32>) -> Answer {
        let length = prompt.len();
        prompt.extend(sampled);
        Answer {
            prompt: length,
            all: prompt,
            sampled: 0,
            cached: 0,
            text: String::new(),
            finish_reason: None,
            start: Instant::now(),
            prefilled: None,
            first: None,
            last: None,
        }
    }

    /// Prefills what the session does not hold; at least the last token, whose logits the next is sampled from.
    async fn prefill(
        &mut self,
        model: &mut LoadedModel,
        progress: &Function,
    ) -> lantern_engine::Result<()> {
        let session = &mut model.session;
        let context = session.context();
        if self.all.len() >= context {
            return Err(Error::ContextFull {
                tokens: self.all.len() + 1,
                context,
            });
        }
        let held = session.tokens().iter();
        let same = held.zip(&self.all).take_while(|(a, b)| a == b).count();
        self.cached = same.min(self.all.len().saturating_sub(1));
        session.rewind(self.cached)?;
        let mut told = |done: usize, total: usize| asked(progress, done as f64, total as f64);
        session.prefill(&self.all[self.cached..], &mut told).await?;
        session.mark_sampled(self.prompt);
        self.prefilled = Some(Instant::now());
        Ok(())
    }

    async fn sample(
        &mut self,
        model: &mut LoadedModel,
        options: &Options,
        sampler: &SamplerOptions,
        emit: &Function,
    ) -> Result<()> {
        let already = self.all.len() - self.prompt;
        let limit = options.max_tokens.unwrap_or(usize::MAX);
        let Some(count) = limit.checked_sub(already).filter(|&left| left > 0) else {
            self.finish_reason = Some("length");
            return Ok(());
        };
        let (tokenizer, session) = model.speaking()?;
        let mut stream = TextStream::new(tokenizer, options.stop.clone());
        let shown = |token: &&u32| !tokenizer.is_special(**token);
        let before: String = self.all[self.prompt..]
            .iter()
            .filter(shown)
            .map(|&token| stream.push(token))
            .collect();
        self.text = before;
        let mut each = |token: u32| {
            self.last = Some(Instant::now());
            self.first = self.first.or(self.last);
            self.all.push(token);
            self.sampled += 1;
            let end = tokenizer.is_end(token) && !options.ignore_eos;
            let hidden = end || tokenizer.is_special(token);
            let piece = if hidden {
                String::new()
            } else {
                stream.push(token)
            };
            self.text += &piece;
            if end || stream.stopped() {
                self.finish_reason = Some("stop");
            }
            let stop = emit.call2(&JsValue::NULL, &piece.into(), &token.into());
            if self.finish_reason.is_some() {
                return ControlFlow::Break(());
            }
            if stop.map_or(true, |answer| answer.is_truthy()) {
                self.finish_reason = Some("aborted");
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let room = session.context(); // asking for as many as the context holds always reaches its end
        let generated = session.generate(count.min(room), sampler, &mut each).await;
        match generated? {
            FinishReason::Length => self.finish_reason = Some("length"),
            FinishReason::ContextFull => self.finish_reason = Some("context-full"),
            FinishReason::Stop => {} // said by whoever stopped it
        }
        let rest = stream.finish();
        if !rest.is_empty() {
            self.text += &rest;
            // Nothing is left to stop.
            let _ = emit.call2(&JsValue::NULL, &rest.into(), &JsValue::UNDEFINED);
        }
        Ok(())
    }

    fn completion(self, tokens_per_readback: usize) -> Completion {
        let tokens = self.all[self.prompt..].to_vec();
        let milliseconds = |from: Instant, to: Option<Instant>| {
            to.map_or(0.0, |to| to.duration_since(from).as_secs_f64() * 1e3)
        };
        let per_second = |count: usize, milliseconds: f64| {
            if milliseconds > 0.0 {
                count as f64 / milliseconds * 1e3
            } else {
                0.0
            }
        };
        let prompt_ms = milliseconds(self.start, self.prefilled);
        let predicted_ms = self
            .first
            .map_or(0.0, |first| milliseconds(first, self.last));
        let prefilled = self.all.len() - self.sampled - self.cached;
        Completion {
            text: self.text,
            finish_reason: self.finish_reason.unwrap_or("length"),
            usage: Usage {
                prompt_tokens: self.prompt,
                completion_tokens: tokens.len(),
                total_tokens: self.prompt + tokens.len(),
                cached_tokens: self.cached,
            },
            timings: Timings {
                first_token_ms: milliseconds(self.start, self.first),
                prompt_ms,
                prompt_per_second: per_second(prefilled, prompt_ms),
                predicted_ms,
                predicted_per_second: per_second(self.sampled.saturating_sub(1), predicted_ms),
                tokens_per_readback,
            },
            tokens,
        }
    }
}
