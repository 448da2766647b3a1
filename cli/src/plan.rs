//! `lantern plan`: the dispatches of a forward pass, one a line.

use std::num::NonZeroUsize;

use crate::{
    failure::Result,
    load::{self, LoadArgs},
    model::{self, ModelArgs},
    output,
};

/// `plan`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Tokens in the pass: 1 is a step of decode, more a chunk of prefill
    #[arg(long, value_name = "N", default_value = "1")]
    width: NonZeroUsize,
    #[command(flatten)]
    load: LoadArgs,
}

/// Prints it.
pub fn run(args: &Args) -> Result {
    let file = model::open(args.model.model.as_deref())?;
    let loaded = load::load(&file, &args.load)?;
    let text = loaded.model.plan_text(args.width.get())?;
    output::line(text.trim_end())
}
