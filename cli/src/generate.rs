//! One answer: prefill a prompt, sample tokens until something ends it, and measure. Run and chat both speak through this.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use indicatif::DecimalBytes;
use lantern_engine::{Model, SamplerOptions, Session, Streaming, TextStream, Tokenizer};
use pollster::block_on;
use serde::Serialize;

use crate::{
    failure::Result, interrupt, notes, numbers::counted, progress::Progress, sampling::SamplingArgs,
};

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinishReason {
    /// As many tokens as were asked for.
    Length,
    /// An end token or a stop string.
    Stop,
    /// No room in the context.
    ContextFull,
    /// Ctrl-C.
    Interrupted,
}

/// How an answer is sampled, and what ends it.
pub struct Sampling<'a> {
    /// The sampler.
    pub sampler: SamplerOptions,
    /// Limit of tokens; None is until the context is full.
    pub count: Option<usize>,
    /// Texts that end the answer.
    pub stops: &'a [String],
    /// End tokens are tokens like any other.
    pub ignore_end: bool,
}

impl Sampling<'_> {
    /// What the flags ask for, checked.
    pub fn new(args: &SamplingArgs) -> Result<Sampling<'_>> {
        let sampler = args.options()?;
        Ok(Sampling {
            sampler,
            count: args.count,
            stops: &args.stop,
            ignore_end: args.ignore_end,
        })
    }
}

/// What was sampled, and how long it took.
pub struct Answer {
    /// Every token sampled, the one that ended the text included.
    pub tokens: Vec<u32>,
    /// Their text, without end tokens and stop strings.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens that were in the cache before.
    pub prefill_tokens: usize,
    /// Time of prefill.
    pub prefill: Duration,
    /// Sampling all but the first, which costs no pass of its own.
    pub decode: Duration,
    /// From the start of prefill to the first token sampled.
    pub first_token: Option<Duration>,
}

/// Prefills `tokens`, showing progress. Interrupted where Ctrl-C comes before the end.
pub fn prefill(session: &mut Session, tokens: &[u32]) -> Result<Duration> {
    let start = Instant::now();
    let mut progress = Progress::count("prefill", tokens.len() as u64);
    let mut show = |done: usize, total: usize| {
        progress.set(done as u64, total as u64);
        interrupt::control()
    };
    block_on(session.prefill(tokens, &mut show))?;
    progress.finish();
    Ok(start.elapsed())
}

/// Prefills `prompt` and samples the answer. `emit` gets the text piece by piece; its failure ends the answer.
pub fn answer(
    session: &mut Session,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    sampling: &Sampling,
    emit: &mut dyn FnMut(&str) -> Result,
) -> Result<Answer> {
    interrupt::listen();
    let start = Instant::now();
    let prefill = prefill(session, prompt)?;
    let mut answer = Answer {
        tokens: Vec::new(),
        text: String::new(),
        finish_reason: FinishReason::Length,
        prefill_tokens: prompt.len(),
        prefill,
        decode: Duration::ZERO,
        first_token: None,
    };
    sample(session, tokenizer, sampling, &mut answer, emit, start)?;
    let first = answer.first_token.unwrap_or_else(|| start.elapsed());
    answer.decode = start.elapsed().saturating_sub(first);
    Ok(answer)
}

fn sample(
    session: &mut Session,
    tokenizer: &Tokenizer,
    sampling: &Sampling,
    answer: &mut Answer,
    emit: &mut dyn FnMut(&str) -> Result,
    start: Instant,
) -> Result {
    let mut stream = TextStream::new(tokenizer, sampling.stops.to_vec());
    let mut failed = Ok(());
    let mut reason = None;
    let mut each = |token: u32| {
        answer.first_token.get_or_insert_with(|| start.elapsed());
        answer.tokens.push(token);
        let end = tokenizer.is_end(token) && !sampling.ignore_end;
        if !end && !tokenizer.is_special(token) {
            failed = hand_on(&stream.push(token), &mut answer.text, emit);
        }
        reason = if end || stream.stopped() {
            Some(FinishReason::Stop)
        } else {
            interrupt::asked().then_some(FinishReason::Interrupted)
        };
        let over = reason.is_some() || failed.is_err();
        if over {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    // Without a limit the context's end is the limit: asking for as many tokens as it holds always reaches it.
    let count = sampling.count.unwrap_or(session.context());
    let generated = match count {
        0 => lantern_engine::FinishReason::Length,
        count => block_on(session.generate(count, &sampling.sampler, &mut each))?,
    };
    failed?;
    answer.finish_reason = reason.unwrap_or(match generated {
        lantern_engine::FinishReason::Length => FinishReason::Length,
        lantern_engine::FinishReason::Stop => FinishReason::Stop,
        lantern_engine::FinishReason::ContextFull => FinishReason::ContextFull,
    });
    hand_on(&stream.finish(), &mut answer.text, emit)
}

fn hand_on(piece: &str, text: &mut String, emit: &mut dyn FnMut(&str) -> Result) -> Result {
    if piece.is_empty() {
        return Ok(());
    }
    text.push_str(piece);
    emit(piece)
}

impl Answer {
    /// Tokens a second after the first; 0 where there is no second.
    pub fn decode_rate(&self) -> f64 {
        per_second(self.tokens.len().saturating_sub(1), self.decode)
    }

    /// What was sampled against what reading the weights that stream allows, on stderr.
    pub fn note_streaming(&self, model: &Model) {
        let sampled = self.tokens.len() > 1;
        let Some(streaming) = model.streaming().filter(|_| sampled) else {
            return;
        };
        let (rate, bound) = (self.decode_rate(), streaming_bound(&streaming));
        notes::note(&format!(
            "streaming {} a token: {rate:.2} tokens/s of the {bound:.2} that reading at {}/s allows ({:.0} %)",
            DecimalBytes(streaming.bytes_per_pass),
            DecimalBytes(streaming.bytes_per_second as u64),
            100.0 * rate / bound,
        ));
    }

    /// One line of measurements on stderr.
    pub fn note_timings(&self) {
        let sampled = self.tokens.len();
        let first = self.first_token.map_or(String::new(), |first| {
            format!(", first token after {:.2} s", first.as_secs_f64())
        });
        // The first token is sampled from the prefill's logits; what is timed are the passes of the others.
        let rate = if sampled > 1 {
            let (seconds, rate) = (self.decode.as_secs_f64(), self.decode_rate());
            format!(" in {seconds:.2} s ({rate:.1} tokens/s after the first)")
        } else {
            String::new()
        };
        notes::note(&format!(
            "prefill {} in {:.2} s ({:.1} tokens/s), decode {sampled}{rate}{first}; {}",
            counted(self.prefill_tokens, "token"),
            self.prefill.as_secs_f64(),
            per_second(self.prefill_tokens, self.prefill),
            self.finish_reason.in_words(),
        ));
    }
}

/// Tokens a second that a model which streams could generate at most, by what reading its bytes takes.
pub fn streaming_bound(streaming: &Streaming) -> f64 {
    streaming.bytes_per_second / (streaming.bytes_per_pass as f64).max(1.0)
}

impl FinishReason {
    fn in_words(self) -> &'static str {
        match self {
            FinishReason::Length => "as many tokens as asked for",
            FinishReason::Stop => "the text ended",
            FinishReason::ContextFull => "the context is full",
            FinishReason::Interrupted => "interrupted",
        }
    }
}

/// A rate that is 0 where nothing was done.
pub fn per_second(count: usize, duration: Duration) -> f64 {
    if count == 0 {
        0.0
    } else {
        count as f64 / duration.as_secs_f64().max(1e-9)
    }
}
