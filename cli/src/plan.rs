//! `lantern plan`: the dispatches of a forward pass, or its ops, one a line; and both sides of each compared.

use std::{num::NonZeroUsize, sync::Arc};

use lantern_engine::{CheckedDispatch, Model};
use pollster::block_on;

use crate::{
    failure::{Failure, Result},
    interrupt,
    load::{self, LoadArgs},
    model::ModelArgs,
    notes, numbers, output,
    progress::Progress,
};

/// `plan`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Tokens in the pass: 1 is a step of decode, more a batch of prefill
    #[arg(long, value_name = "N", default_value = "1", value_parser = numbers::from_one, allow_negative_numbers = true)]
    width: NonZeroUsize,
    /// Print the ops of the pass and the tensors between them, before they are lowered to dispatches
    #[arg(long, conflicts_with = "check")]
    ops: bool,
    /// Run the pass on the GPU and on the CPU, and name the first op whose result differs or is not finite; exit code 1 if one does
    #[arg(long)]
    check: bool,
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
    if args.check {
        return check(args, width);
    }
    let gpu = load::open_gpu(&args.load.gpu)?;
    if args.ops {
        return output::line(file.graph(&gpu, &options)?.to_string().trim_end());
    }
    let plan = file.plan(&gpu, &options, width)?;
    let text = if notes::verbose() {
        format!("{plan:#}") // with the rules of lowering
    } else {
        plan.to_string()
    };
    output::line(text.trim_end())
}

/// Runs a pass of `width` tokens on both sides. Kernels are not tried before, and none takes another's place.
fn check(args: &Args, width: usize) -> Result {
    interrupt::listen();
    let file = args.load.open(args.model.model.as_deref())?;
    let gpu = Arc::new(load::open_gpu(&args.load.gpu)?);
    let options = args.load.options();
    let mut progress = Progress::bytes("loading", file.len());
    let mut show = |done, total| {
        progress.set(done, total);
        interrupt::control()
    };
    let model = block_on(Model::load(&gpu, &file, &options, &mut show))?;
    progress.finish();
    let mut session = block_on(model.session())?;
    let vocab_size = model.config().vocab_size;
    let tokens: Vec<u32> = (0..width as u32)
        .map(|i| (7 * i + 3) % vocab_size)
        .collect();
    let (mut ops, mut max) = (0, 0f64);
    let mut each = |checked: &CheckedDispatch| {
        ops += 1;
        max = max.max(checked.nmse);
        notes::detail(&described(checked));
        interrupt::control()
    };
    let first = block_on(session.check_plan(&file, &tokens, &mut each))?;
    match first {
        Some(wrong) => {
            output::line(&described(&wrong))?;
            Err(Failure::Message(if wrong.finite {
                format!(
                    "op {ops} of the pass differs from its CPU reference; those before it do not"
                )
            } else {
                format!("op {ops} of the pass is the first whose result is not finite")
            }))
        }
        None => output::line(&format!(
            "{ops} ops agree with their CPU references (NMSE {max:.1e} at most)"
        )),
    }
}

/// A line for a dispatch that was run on both sides.
fn described(checked: &CheckedDispatch) -> String {
    let layer = checked
        .layer
        .map_or_else(|| "-".to_owned(), |layer| format!("blk.{layer}"));
    let result = checked
        .wrong
        .clone()
        .unwrap_or_else(|| format!("NMSE {:.1e}", checked.nmse));
    let (label, what, flow) = (&checked.label, &checked.what, &checked.flow);
    format!("{layer:<7} {label:<32} {what:<40} {flow:<18} {result}")
}
