//! `lantern plan`: the dispatches of a forward pass, one a line.

use std::num::NonZeroUsize;

use crate::{
    failure::{Failure, Result},
    load::{self, LoadArgs},
    model::ModelArgs,
    numbers, output,
};

/// `plan`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Tokens in the pass: 1 is a step of decode, more a batch of prefill
    #[arg(long, value_name = "N", default_value = "1", value_parser = numbers::from_one, allow_negative_numbers = true)]
    width: NonZeroUsize,
    #[command(flatten)]
    load: LoadArgs,
}

/// Prints it.
pub fn run(args: &Args) -> Result {
    let file = args.load.open(args.model.model.as_deref())?;
    let (width, options) = (args.width.get(), args.load.options());
    let context = file.context(&options)?;
    if width > context {
        return Err(Failure::Usage(format!(
            "--width {width} is more than the context of {context} tokens; raise --context"
        )));
    }
    let gpu = load::open_gpu(&args.load.gpu)?;
    let plan = file.plan(&gpu, &options, width)?;
    output::line(plan.to_string().trim_end())
}
