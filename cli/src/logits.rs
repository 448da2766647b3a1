//! `lantern logits`: the numbers behind the next token, for comparison with other programs.

use std::{ops::ControlFlow, path::PathBuf};

use pollster::block_on;

use crate::{
    failure::{Failure, Result},
    files, generate, interrupt,
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
    #[arg(long, value_name = "IDS", value_parser = ids, allow_hyphen_values = true)]
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

/// A newtype, because the parser takes a plain `Vec` for a flag that is given several times.
#[derive(Debug, Clone)]
struct Ids(Vec<u32>);

/// `1,2`, `1 2` or `[1, 2]`.
fn ids(text: &str) -> std::result::Result<Ids, String> {
    let text = text.trim();
    let inner = text
        .strip_prefix('[')
        .map_or(Some(text), |rest| rest.strip_suffix(']'))
        .ok_or("the list has no ]")?;
    let words = inner.split(|c: char| c == ',' || c.is_whitespace());
    let id = |word: &str| {
        word.parse()
            .map_err(|_| format!("{word:?} is no token id; ids are whole numbers from 0"))
    };
    let ids: Vec<u32> = words
        .filter(|word| !word.is_empty())
        .map(id)
        .collect::<std::result::Result<_, _>>()?;
    if ids.is_empty() {
        return Err("there is no token id in it".to_owned());
    }
    Ok(Ids(ids))
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

#[cfg(test)]
mod tests {
    use super::ids;

    #[test]
    fn ids_are_read_in_every_spelling() {
        for text in ["1,2", "1, 2", "1 2", "[1, 2]", " [1,2,] "] {
            assert_eq!(ids(text).unwrap().0, [1, 2], "{text}");
        }
        for text in ["", "[]", "[1", "1,x", "-1", "1.5", "4294967296"] {
            ids(text).unwrap_err();
        }
    }
}
