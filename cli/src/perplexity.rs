//! `lantern perplexity`: how well a model predicts a text. The text is tokenised as it is, without a BOS;
//! what is longer than the context is evaluated in chunks, each of which predicts all but its own first token.

use std::path::PathBuf;

use pollster::block_on;
use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    files, interrupt,
    load::{self, LoadArgs},
    model::NamedModelArgs,
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
    /// Bytes of the tokens that were predicted: all but the first of each chunk.
    bytes_predicted: usize,
    chunks: usize,
}

/// Prints the figures.
pub fn run(args: &Args) -> Result {
    let text = files::read_text(&args.file)?;
    let file = args.load.open(Some(&args.model.model))?;
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
    let mut session = load::session(&loaded.model, &args.load)?;
    let mut progress = Progress::count("perplexity", tokens.len() as u64);
    let mut show = |done: usize, total: usize| {
        progress.set(done as u64, total as u64);
        interrupt::control()
    };
    let measured = block_on(session.perplexity(&tokens, &mut show))?;
    progress.finish();
    let predicted = tokens.chunks(context).flat_map(|chunk| &chunk[1..]);
    let bytes: usize = predicted.map(|&token| tokenizer.bytes(token).len()).sum();
    print(
        args.json,
        &Report {
            nll_sum: measured.nll_sum,
            nll_count: measured.count,
            perplexity: measured.perplexity(),
            bits_per_byte: measured.nll_sum / std::f64::consts::LN_2 / bytes.max(1) as f64,
            tokens: tokens.len(),
            bytes: text.len(),
            bytes_predicted: bytes,
            chunks: measured.chunks,
        },
    )
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
                "{} tokens, {} bytes, {} of them predicted, chunks: {}",
                report.tokens, report.bytes, report.bytes_predicted, report.chunks
            ),
        ),
    ])
}
