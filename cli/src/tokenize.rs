//! `lantern tokenize`: which tokens a text is.

use std::path::PathBuf;

use lantern_engine::Tokenizer;

use crate::{
    failure::Result,
    files,
    model::{self, NamedModelArgs},
    output,
};

/// `tokenize`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: NamedModelArgs,
    /// The text; without one and without -f, stdin
    text: Option<String>,
    /// Read the text from a file, `-` is stdin
    #[arg(short, long, value_name = "FILE", conflicts_with = "text")]
    file: Option<PathBuf>,
    /// Print the ids alone, as a JSON array
    #[arg(long)]
    ids: bool,
    /// Parse special tokens in the text, and add those that the model wants around it
    #[arg(long)]
    special: bool,
}

/// Prints ids and pieces.
pub fn run(args: &Args) -> Result {
    let text = match (&args.text, &args.file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => files::read_text(path)?,
        (None, None) => files::read_stdin()?,
    };
    let tokenizer = model::open(Some(&args.model.model))?.tokenizer()?;
    let ids = tokenizer.encode(&text, args.special)?;
    if args.ids {
        return output::json(&ids);
    }
    let row = |id: &u32| vec![format!("{id:>6}"), piece(&tokenizer, *id)];
    output::table(&ids.iter().map(row).collect::<Vec<_>>())
}

/// A token's text in quotes, or its bytes where they are no text by themselves.
fn piece(tokenizer: &Tokenizer, id: u32) -> String {
    match String::from_utf8(tokenizer.bytes(id)) {
        Ok(text) => format!("{text:?}"),
        Err(error) => error
            .into_bytes()
            .iter()
            .map(|byte| format!("<{byte:02X}>"))
            .collect::<Vec<_>>()
            .concat(),
    }
}
