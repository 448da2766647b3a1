//! `lantern embed`: vectors of texts.

use std::path::PathBuf;

use clap::ValueEnum;
use lantern_engine::{EmbedOptions, Embedding, Pooling, Tokenizer};
use pollster::block_on;
use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    files, interrupt,
    load::{self, LoadArgs},
    model::ModelArgs,
    notes, output,
    progress::Progress,
    texts::TextArgs,
};

/// `embed`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    texts: TextArgs,
    /// Row that a text gets [default: what the model's file says, or mean]
    #[arg(long, value_name = "KIND", value_enum)]
    pooling: Option<PoolingArg>,
    /// Give each vector a length of 1: the default
    #[arg(long, overrides_with = "no_normalize")]
    normalize: bool,
    /// Leave vectors as long as they are
    #[arg(long, overrides_with = "normalize")]
    no_normalize: bool,
    /// Keep the first N values of each vector, for models that are trained for that
    #[arg(long, value_name = "N")]
    dimensions: Option<usize>,
    /// Print JSON
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Write the vectors to a file of NumPy's (.npy), a row each
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    load: LoadArgs,
}

/// The engine's poolings, as the command line names them.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum PoolingArg {
    /// Every token's row
    None,
    /// The mean of all rows
    Mean,
    /// The first row
    Cls,
    /// The last row
    Last,
}

impl From<PoolingArg> for Pooling {
    fn from(pooling: PoolingArg) -> Pooling {
        match pooling {
            PoolingArg::None => Pooling::None,
            PoolingArg::Mean => Pooling::Mean,
            PoolingArg::Cls => Pooling::Cls,
            PoolingArg::Last => Pooling::Last,
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    pooling: &'static str,
    data: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    index: usize,
    tokens: usize,
    embedding: Values<'a>,
}

/// A vector, or one for each token.
#[derive(Serialize)]
#[serde(untagged)]
enum Values<'a> {
    One(&'a [f32]),
    Rows(Vec<&'a [f32]>),
}

/// Prints or writes vectors.
pub fn run(args: &Args) -> Result {
    if let Some(path) = &args.output {
        files::check_name(path)?;
    }
    let file = args.load.open(args.model.model.as_deref())?;
    let texts = args.texts.texts()?;
    let tokens = args.texts.tokens(&file, &texts, Tokenizer::encode_text)?;
    let loaded = load::load(&file, &args.load)?;
    let model = &loaded.model;
    let pooling = args.pooling.map_or(model.pooling(), Pooling::from);
    let options = EmbedOptions::default()
        .pooling(pooling)
        .normalize(!args.no_normalize)
        .dimensions(args.dimensions);
    let mut progress = Progress::count(
        "embedding",
        tokens.iter().map(Vec::len).sum::<usize>() as u64,
    );
    let mut show = |done: usize, total: usize| {
        progress.set(done as u64, total as u64);
        interrupt::control()
    };
    let all = block_on(model.embedder().embed(&tokens, &options, &mut show))?;
    progress.finish();
    if let Some(path) = &args.output {
        return write(path, &all);
    }
    if !args.json {
        return print(&all);
    }
    let row = |(index, embedding)| row(index, embedding, pooling);
    output::json(&Report {
        model: &model.config().name,
        pooling: pooling.name(),
        data: all.iter().enumerate().map(row).collect(),
    })
}

fn row(index: usize, embedding: &Embedding, pooling: Pooling) -> Row<'_> {
    let rows = || embedding.rows().collect();
    Row {
        index,
        tokens: embedding.tokens,
        embedding: match pooling {
            Pooling::None => Values::Rows(rows()),
            _ => Values::One(&embedding.values),
        },
    }
}

/// A line a row: text, its tokens, the vector's first values.
fn print(all: &[Embedding]) -> Result {
    const SHOWN: usize = 6;
    let mut lines = vec![
        ["text", "tokens", "dim", "first values"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (index, embedding) in all.iter().enumerate() {
        for row in embedding.rows() {
            let values: Vec<String> = row.iter().take(SHOWN).map(|v| format!("{v:.5}")).collect();
            lines.push(vec![
                index.to_string(),
                embedding.tokens.to_string(),
                embedding.dim.to_string(),
                values.join(" "),
            ]);
        }
    }
    output::table(&lines)
}

fn write(path: &PathBuf, all: &[Embedding]) -> Result {
    let rows: Vec<&[f32]> = all.iter().flat_map(Embedding::rows).collect();
    files::write_whole(path, |out| {
        let written = out.write_all(&npy(&rows));
        written.map_err(|error| Failure::io(path, error))
    })?;
    let cols = rows.first().map_or(0, |row| row.len());
    notes::note(&format!(
        "{} × {cols} written to {}",
        rows.len(),
        path.display()
    ));
    Ok(())
}

/// Rows as NumPy keeps them (its documentation of format 1.0), little-endian f32.
fn npy(rows: &[&[f32]]) -> Vec<u8> {
    const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
    const ALIGNMENT: usize = 64;
    let cols = rows.first().map_or(0, |row| row.len());
    let header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {cols}), }}",
        rows.len()
    );
    let before = MAGIC.len() + 2;
    let length = (before + header.len() + 1).next_multiple_of(ALIGNMENT) - before;
    let header = format!("{header:<width$}\n", width = length - 1);
    let mut bytes = MAGIC.to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(header.bytes());
    for row in rows {
        bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::npy;

    #[test]
    fn a_file_of_numpy_has_its_header() {
        let bytes = npy(&[&[1.0, 2.0], &[3.0, 4.0]]);
        assert_eq!((bytes.len() - 16) % 64, 0);
        let length = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
        assert_eq!((10 + length) % 64, 0);
        let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
        assert!(
            header.contains("(2, 2)") && header.ends_with('\n'),
            "{header}"
        );
    }
}
