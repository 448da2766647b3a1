//! `lantern perplexity`: how well a model predicts a text. The text is tokenised as it is, without a BOS;
//! what is longer than the context is evaluated in chunks, each of which predicts all but its own first token.

use std::path::PathBuf;

use lantern_engine::Session;
use pollster::block_on;
use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    files, interrupt,
    load::{self, LoadArgs},
    model::{self, NamedModelArgs},
    numbers::counted,
    output,
    progress::Progress,
};

/// `perplexity`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: NamedModelArgs,
    /// The text, `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Parse special tokens in the text
    #[arg(long)]
    special: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(Serialize)]
struct Report {
    nll_sum: f64,
    nll_count: usize,
    perplexity: f64,
    bits_per_byte: f64,
    tokens: usize,
    bytes: usize,
    chunks: usize,
}

/// Prints the figures.
pub fn run(args: &Args) -> Result {
    let text = files::read_text(&args.file)?;
    let file = model::open(Some(&args.model.model))?;
    if file.context(&args.load.options())? < 2 {
        return Err(Failure::Usage(
            "a context of 1 has no next token; --context 2 is the least".to_owned(),
        ));
    }
    let tokenizer = file.tokenizer()?;
    let tokens = if args.special {
        tokenizer.encode_rendered(&text)?
    } else {
        tokenizer.encode(&text, false)?
    };
    if tokens.len() < 2 {
        let problem = format!(
            "{} has {}; a perplexity takes two or more",
            args.file.display(),
            counted(tokens.len(), "token")
        );
        return Err(Failure::Message(problem));
    }
    let loaded = load::load(&file, &args.load)?;
    let context = loaded.model.context();
    let mut session = block_on(loaded.model.session())?;
    let mut progress = Progress::count("perplexity", tokens.len() as u64);
    let mut sum = 0.0;
    let mut count = 0;
    for (index, chunk) in tokens.chunks(context).enumerate() {
        let mut show =
            |done: usize| progress.set((index * context + done) as u64, tokens.len() as u64);
        sum += nll(&mut session, chunk, &mut show)?;
        count += chunk.len() - 1;
    }
    progress.finish();
    print(
        args.json,
        &Report {
            nll_sum: sum,
            nll_count: count,
            perplexity: (sum / count as f64).exp(),
            bits_per_byte: sum / std::f64::consts::LN_2 / text.len() as f64,
            tokens: tokens.len(),
            bytes: text.len(),
            chunks: tokens.len().div_ceil(context),
        },
    )
}

/// The negative log-likelihood of a chunk's tokens after its first, in nats.
fn nll(session: &mut Session, chunk: &[u32], show: &mut dyn FnMut(usize)) -> Result<f64> {
    session.rewind(0)?;
    let mut sum = 0.0;
    let mut done = 0;
    let mut sink = |_, logits: &[f32]| {
        done += 1;
        show(done);
        if let Some(next) = chunk.get(done) {
            sum -= log_probability(logits, *next as usize);
        }
        interrupt::control()
    };
    block_on(session.feed_all(chunk, &mut sink))?;
    if sum.is_finite() {
        return Ok(sum);
    }
    Err(Failure::Message(
        "the model's logits are not finite; try --precision exact".to_owned(),
    ))
}

/// Log-softmax at `token`, in f64, with the largest logit taken out so that nothing overflows.
fn log_probability(logits: &[f32], token: usize) -> f64 {
    let Some(logit) = logits.get(token) else {
        return f64::NAN; // refused above: no such token
    };
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits
        .iter()
        .map(|logit| (f64::from(*logit) - most).exp())
        .sum();
    f64::from(*logit) - most - sum.ln()
}

fn print(json: bool, report: &Report) -> Result {
    if json {
        return output::json(report);
    }
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    output::table(&[
        row("perplexity", format!("{:.4}", report.perplexity)),
        row("bits per byte", format!("{:.4}", report.bits_per_byte)),
        row(
            "NLL sum",
            format!(
                "{:.4} nats over {}",
                report.nll_sum,
                counted(report.nll_count, "token")
            ),
        ),
        row(
            "text",
            format!(
                "{} tokens, {} bytes, chunks: {}",
                report.tokens, report.bytes, report.chunks
            ),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::log_probability;

    #[test]
    fn log_softmax_survives_large_logits() {
        let expected = -(1.0 + (-1.0_f64).exp()).ln();
        assert!((log_probability(&[1001.0, 1000.0], 0) - expected).abs() < 1e-12);
        assert!(log_probability(&[0.0], 1).is_nan());
    }
}
