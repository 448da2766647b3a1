//! `lantern quantize`: a model file with its matrices stored in fewer bits.

use std::{collections::BTreeMap, path::PathBuf};

use indicatif::DecimalBytes;
use lantern_engine::ModelFile;
use pollster::block_on;

use crate::{
    failure::Result, files, interrupt, model, notes, numbers::counted, output, progress::Progress,
};

/// `quantize`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: a GGUF file, or user/repo[:file] on the Hugging Face hub
    #[arg(value_name = "IN")]
    input: String,
    /// The GGUF file to write
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The type of its matrices
    #[arg(value_name = "TYPE", value_parser = ModelFile::quantised_types())]
    stored: String,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

/// Writes the file.
pub fn run(args: &Args) -> Result {
    let out = args.output.display().to_string();
    files::check_new(&args.output, args.force)?;
    let file = model::open(Some(&args.input))?;
    let quantised = file.quantised(&args.stored)?;
    let wanted = args.stored.to_uppercase();
    let changed = file.tensors().iter().zip(quantised.tensors());
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for (before, after) in changed {
        let matrix = before.shape.len() > 1;
        if matrix && after.kind.name() != wanted {
            *others.entry(after.kind.name()).or_default() += 1;
        }
    }
    for (kind, count) in others {
        let tensors = counted(count, "tensor");
        notes::note(&format!(
            "{tensors} stored as {kind}: rows are no whole blocks of {wanted}, or are kept as they are"
        ));
    }
    interrupt::listen();
    let total = quantised.bytes_read();
    let mut progress = Progress::bytes("quantizing", total);
    files::write_whole(&args.output, |writer| {
        let mut show = |done: u64| {
            progress.set(done, total);
            interrupt::control()
        };
        Ok(block_on(quantised.write(writer, &mut show))?)
    })?;
    progress.finish();
    let bytes = std::fs::metadata(&args.output).map_or(0, |there| there.len());
    output::line(&format!(
        "{out}: {} of {}",
        DecimalBytes(bytes),
        DecimalBytes(file.len())
    ))
}
