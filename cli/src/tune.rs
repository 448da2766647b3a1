//! `lantern tune`: measures at leisure which kernel variants are fastest on an adapter, and keeps the choices.

use lantern_engine::{ModelFile, TunedRow, Tuning};

use crate::{
    failure::Result,
    load::{self, LoadArgs},
    model::ModelArgs,
    output,
    tuning::{self, Mode},
};

/// `tune`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A model of random weights instead of a file, such as llama-8b:q4_k, of which two layers are measured
    #[arg(long, value_name = "SHAPE:TYPE", conflicts_with = "model")]
    synthetic: Option<String>,
    /// Seconds that it may take
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600), allow_negative_numbers = true)]
    seconds: u32,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(serde::Serialize)]
struct Report<'a> {
    tuning: &'a Tuning,
    measured: &'a [TunedRow],
    file: String,
}

/// Measures, keeps and prints.
pub fn run(args: &Args) -> Result {
    let file = match &args.synthetic {
        Some(shape) => ModelFile::synthetic(shape)?.synthetic_layers(2)?,
        None => args.load.open(args.model.model.as_deref())?,
    };
    let load = LoadArgs {
        tuning: Mode::Off,
        ..args.load.clone()
    };
    let loaded = load::load(&file, &load)?;
    let (found, rows) = tuning::measure(&loaded.model, f64::from(args.seconds))?;
    tuning::keep(&loaded.gpu, &found)?;
    let kept = tuning::file(&loaded.gpu)?.display().to_string();
    if args.json {
        return output::json(&Report {
            tuning: &found,
            measured: &rows,
            file: kept,
        });
    }
    let header = ["shape", "variant", "µs", ""].map(String::from).to_vec();
    let row = |row: &TunedRow| {
        let chosen = found
            .choices
            .get(&row.shape)
            .is_some_and(|name| name == row.variant);
        vec![
            row.shape.clone(),
            row.variant.to_owned(),
            format!("{:.1}", row.seconds * 1e6),
            if chosen { "chosen" } else { "" }.to_owned(),
        ]
    };
    output::table(
        &std::iter::once(header)
            .chain(rows.iter().map(row))
            .collect::<Vec<_>>(),
    )?;
    output::line(&format!("kept in {kept}"))
}
