//! Prints an answer as it comes, its progress and its measurements. The engine decides what is computed.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use indicatif::DecimalBytes;
use lantern_engine::{
    Completion, CompletionEvent, CompletionOptions, FinishReason, Model, Prompt, Session,
    Streaming, Tokenizer,
};
use pollster::block_on;

use crate::{
    failure::{Failure, Result},
    interrupt, notes,
    numbers::counted,
    progress::Progress,
};

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

/// Answers `prompt`. `emit(reasoning, text)` gets thoughts and text piece by piece; its failure ends the answer, and so does
/// Ctrl-C.
pub fn answer(
    session: &mut Session,
    tokenizer: &Tokenizer,
    prompt: Prompt<'_>,
    options: &CompletionOptions,
    emit: &mut dyn FnMut(&str, &str) -> Result,
) -> Result<Completion> {
    interrupt::listen();
    let mut progress = Some(Progress::count("prefill", prompt.tokens.len() as u64));
    let mut failed = Ok(());
    let mut each = |event: CompletionEvent<'_>| {
        match event {
            CompletionEvent::Prefill { done, total } => {
                if let Some(bar) = &mut progress {
                    bar.set(done as u64, total as u64);
                }
            }
            CompletionEvent::Token {
                text, reasoning, ..
            }
            | CompletionEvent::Rest { text, reasoning } => {
                if let Some(bar) = progress.take() {
                    bar.finish();
                }
                let says = !(text.is_empty() && reasoning.is_empty());
                if says && failed.is_ok() {
                    failed = emit(reasoning, text);
                }
            }
            // They are shown when they are whole.
            CompletionEvent::ToolCall { .. } => {}
        }
        match failed {
            Ok(()) => interrupt::control(),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let completed = block_on(session.complete(tokenizer, prompt, options, &mut each));
    failed?;
    let completion = completed?;
    match completion.finish_reason {
        // Before there was anything to print.
        FinishReason::Aborted if completion.tokens.is_empty() => Err(Failure::Interrupted),
        _ => Ok(completion),
    }
}

/// Says what was sampled against what reading the weights that stream allows, on stderr.
pub fn note_streaming(completion: &Completion, model: &Model) {
    let sampled = completion.tokens.len() > 1;
    let Some(streaming) = model.streaming().filter(|_| sampled) else {
        return;
    };
    let (rate, bound) = (completion.decode_rate(), streaming_bound(&streaming));
    notes::note(&format!(
        "streaming {} a token: {rate:.2} tokens/s of the {bound:.2} that reading at {}/s allows ({:.0} %)",
        DecimalBytes(streaming.bytes_per_pass),
        DecimalBytes(streaming.bytes_per_second as u64),
        100.0 * rate / bound,
    ));
}

/// Says how long an answer took, in one line on stderr.
pub fn note_timings(completion: &Completion) {
    let (sampled, timings) = (completion.tokens.len(), &completion.timings);
    let first = timings.first_token.map_or(String::new(), |first| {
        format!(", first token after {:.2} s", first.as_secs_f64())
    });
    // The first token is sampled from the prefill's logits; what is timed are the passes of the others.
    let rate = if sampled > 1 {
        let (seconds, rate) = (timings.decode.as_secs_f64(), completion.decode_rate());
        format!(" in {seconds:.2} s ({rate:.1} tokens/s after the first)")
    } else {
        String::new()
    };
    notes::note(&format!(
        "prefill {} in {:.2} s ({:.1} tokens/s), decode {sampled}{rate}{first}; {}",
        counted(completion.usage.prefilled_tokens, "token"),
        timings.prefill.as_secs_f64(),
        completion.prefill_rate(),
        in_words(completion.finish_reason),
    ));
}

/// Tokens a second that a model which streams could generate at most, by what reading its bytes takes.
pub fn streaming_bound(streaming: &Streaming) -> f64 {
    streaming.bytes_per_second / (streaming.bytes_per_pass as f64).max(1.0)
}

/// A reason, as JSON has it.
pub fn reason_name(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "length",
        FinishReason::Stop => "stop",
        FinishReason::ContextFull => "context-full",
        FinishReason::Aborted => "interrupted",
    }
}

fn in_words(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "as many tokens as asked for",
        FinishReason::Stop => "the text ended",
        FinishReason::ContextFull => "the context is full",
        FinishReason::Aborted => "interrupted",
    }
}
