//! `lantern fetch`: a model on this machine, and where it is.

use crate::{
    failure::Result,
    model::{self, ModelArgs},
    output,
};

/// `fetch`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
}

/// Downloads what is missing and prints the path.
pub fn run(args: &Args) -> Result {
    output::line(
        &model::resolve(args.model.model.as_deref())?
            .display()
            .to_string(),
    )
}
