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
    let engine = load::open_engine(&args.load)?;
    let plan = file.plan(&engine, &args.load.options(), args.width.get())?;
    output::line(plan.to_string().trim_end())
}
