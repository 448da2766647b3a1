//! `lantern logits`: the numbers behind the next token, for comparison with other programs.

use std::{ops::ControlFlow, path::PathBuf};

use pollster::block_on;

use crate::{
    failure::{Failure, Result},
    files, generate,
    ids::{self, Ids},
    interrupt,
    load::{self, LoadArgs},
    model::NamedModelArgs,
    notes,
    progress::Progress,
};

/// `logits`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: NamedModelArgs,
    /// Token ids to prefill, with commas or spaces between; `lantern tokenize --ids` prints such a list
    #[arg(long, value_name = "IDS", value_parser = ids::parse, allow_hyphen_values = true)]
    tokens: Ids,
    /// Logits at every position, not only after the last token
    #[arg(long)]
    all: bool,
    /// Where to write them, as little-endian f32, one row of the vocabulary's size per position
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    load: LoadArgs,
}

/// Writes the file.
pub fn run(args: &Args) -> Result {
    files::check_name(&args.output)?;
    let tokens = args.tokens.0.as_slice();
    let file = args.load.open(Some(&args.model.model))?;
    file.admit(tokens, &args.load.options())?;
    let loaded = load::load(&file, &args.load)?;
    let mut session = load::session(&loaded.model, &args.load)?;
    let rows = if args.all { tokens.len() } else { 1 };
    files::write_whole(&args.output, |out| {
        let mut put = |row: &[f32]| {
            let bytes: Vec<u8> = row.iter().flat_map(|logit| logit.to_le_bytes()).collect();
            out.write_all(&bytes)
                .map_err(|error| Failure::io(&args.output, error))
        };
        if !args.all {
            generate::prefill(&mut session, tokens)?;
            return put(&block_on(session.logits())?);
        }
        let mut failed = Ok(());
        let mut progress = Progress::count("logits", rows as u64);
        let mut done = 0;
        let mut sink = |_, row: &[f32]| {
            done += 1;
            progress.set(done, rows as u64);
            failed = put(row);
            if failed.is_ok() {
                interrupt::control()
            } else {
                ControlFlow::Break(())
            }
        };
        let done = block_on(session.prefill_all(tokens, &mut sink));
        failed?;
        Ok(done?)
    })?;
    notes::note(&format!(
        "{rows} × {} logits written to {}",
        loaded.model.config().vocab_size,
        args.output.display()
    ));
    Ok(())
}
