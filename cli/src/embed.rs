//! `lantern embed`: vectors of texts.

use std::path::PathBuf;

use lantern_engine::Row;
use pollster::block_on;

use crate::{
    failure::{Failure, Result},
    files,
    ids::{self, Ids},
    load::{self, LoadArgs},
    model::NamedModelArgs,
};

/// `embed`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: NamedModelArgs,
    /// Token ids, with commas or spaces between
    #[arg(long, value_name = "IDS", value_parser = ids::parse, allow_hyphen_values = true)]
    tokens: Ids,
    /// Where to write them, as NumPy's .npy, a row for each token
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
    let mut embedder = block_on(loaded.model.embedder(1))?;
    let rows = (0..).zip(tokens).map(|(position, &token)| Row {
        token,
        position,
        sequence: 0,
    });
    let rows: Vec<Row> = rows.collect();
    let all = block_on(embedder.forward(&rows))?;
    files::write_whole(&args.output, |out| {
        out.write_all(&npy(&all))
            .map_err(|error| Failure::io(&args.output, error))
    })
}

/// Rows as NumPy keeps them (format 1.0 of its documentation), little-endian f32.
fn npy(rows: &[Vec<f32>]) -> Vec<u8> {
    const ALIGNMENT: usize = 64;
    let cols = rows.first().map_or(0, Vec::len);
    let shape = format!("({}, {cols})", rows.len());
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let before = b"\x93NUMPY\x01\x00".len() + 2;
    let length = (before + header.len() + 1).next_multiple_of(ALIGNMENT) - before;
    header = format!("{header:<width$}\n", width = length - 1);
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(rows.iter().flatten().flat_map(|value| value.to_le_bytes()));
    bytes
}
