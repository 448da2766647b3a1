//! `lantern check`: whether a model fits an adapter, with which context, and how fast it will be. Of the model only the
//! header is read, over the network by ranges.

use std::sync::Arc;

use indicatif::DecimalBytes;
use lantern_engine::{Estimate, ModelFile};
use pollster::block_on;

use crate::{
    download::{hub::Reference, remote},
    failure::{Failure, Result},
    interrupt,
    load::{self, LoadArgs},
    model, notes, output,
    predictions::{self, PastError},
    tuning::{self, Mode},
};

/// `check`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A GGUF file, its http(s) address, a folder with safetensors, user/repo[:file] on the Hugging Face hub, or a shape as `bench --synthetic` has it
    #[arg(value_name = "MODEL|URL")]
    model: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(serde::Serialize)]
struct Report {
    #[serde(flatten)]
    estimate: Estimate,
    /// How far earlier predictions on this adapter were off, as shares.
    past_error: Option<PastError>,
}

/// Estimates and prints; an error where the model does not fit.
pub fn run(args: &Args) -> Result {
    interrupt::listen();
    let file = args.load.quantised(open(&args.model)?)?;
    let gpu = Arc::new(load::open_gpu(&args.load.gpu)?);
    tuning::recall(&gpu, args.load.tuning == Mode::Auto);
    if args.load.gpu_memory.is_some() {
        notes::warning(
            "--gpu-memory is left out of account: what streams is as fast as the file can be read",
        );
    }
    if !args.load.lora.is_empty() {
        notes::warning("--lora is left out of account: the model alone is looked at");
    }
    notes::note("measuring a few layers of these sizes");
    let options = args.load.options();
    let estimate = block_on(gpu.estimate(&file, &options, &mut interrupt::control))?;
    let report = Report {
        past_error: predictions::past(&gpu),
        estimate,
    };
    predictions::predicted(&gpu, &report.estimate, &options);
    if args.json {
        output::json(&report)?;
    } else {
        output::table(&rows(&report))?;
    }
    if report.estimate.fits == Some(false) {
        return Err(Failure::Message(format!(
            "{} does not fit: try a smaller --context, a smaller model, or one with fewer bits a weight; as it is, layers of it \
             would be read from the file in every pass",
            report.estimate.name
        )));
    }
    Ok(())
}

/// The header of the model, wherever it is.
fn open(text: &str) -> Result<ModelFile> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return remote::open(text, None);
    }
    let path = std::path::Path::new(text);
    if path.exists() {
        return Ok(ModelFile::open(path)?);
    }
    let shape = ModelFile::synthetic(text);
    if shape.is_ok() || text.contains(':') && !text.contains('/') {
        return Ok(shape?); // or what is wrong with it
    }
    let Some(reference) = Reference::parse(text) else {
        return model::open(Some(text)); // which says what is wrong with it
    };
    if let Some(path) = reference.kept()? {
        return Ok(ModelFile::open(&path)?);
    }
    let (url, token) = reference.address()?;
    remote::open(&url, token.as_deref())
}

/// Recurrent states of a sequence, in words.
fn state_of(bytes: u64) -> String {
    match bytes {
        0 => "keys and values alone, which grow with a sequence".to_owned(),
        bytes => format!(
            "{} of the cache a sequence, whatever its length",
            DecimalBytes(bytes)
        ),
    }
}

/// Memory that a model takes, and whether there is as much, in words.
fn memory_of(e: &Estimate) -> String {
    let all = e.weight_bytes + e.cache_bytes + e.workspace_bytes;
    let room = match (e.memory_bytes, e.fits) {
        (_, Some(false)) if e.context > e.context_possible => {
            format!("; IT DOES NOT FIT with a context of {}", e.context)
        }
        (Some(memory), Some(true)) if all > memory => {
            let memory = DecimalBytes(memory);
            format!("of {memory} there are: it fits, with embeddings left in the file")
        }
        (Some(memory), Some(true)) => format!("of {} there are: it fits", DecimalBytes(memory)),
        (Some(memory), _) => format!("of {} there are: IT DOES NOT FIT", DecimalBytes(memory)),
        (None, _) => "; how much this GPU has, it does not say".to_owned(),
    };
    format!("{} {room}", DecimalBytes(all))
}

fn rows(report: &Report) -> Vec<Vec<String>> {
    let e = &report.estimate;
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let [weights, cache, work] =
        [e.weight_bytes, e.cache_bytes, e.workspace_bytes].map(DecimalBytes);
    let past = report.past_error.map_or_else(
        || "nothing was predicted and then measured on this adapter yet".to_owned(),
        |past| {
            format!(
                "{} speeds predicted on this adapter were off by {:.0} % on average, {:.0} % at most",
                past.count,
                past.mean * 100.0,
                past.max * 100.0
            )
        },
    );
    let mut all = vec![
        row(
            "model",
            format!("{} ({}), {}", e.name, e.family, DecimalBytes(e.file_bytes)),
        ),
        row("adapter", e.adapter.clone()),
        row("memory", memory_of(e)),
        row("", format!("{weights} weights, {cache} cache, {work} else")),
    ];
    let tables = DecimalBytes(e.tables_bytes);
    all.extend((e.tables_bytes > 0).then(|| {
        let told = "of the weights are embeddings, which stay in the file where memory is short";
        row("", format!("{tables} {told}"))
    }));
    all.extend([
        row("state", state_of(e.state_bytes)),
        row(
            "binding",
            format!(
                "{} the largest, {} allowed",
                DecimalBytes(e.largest_binding_bytes),
                DecimalBytes(e.binding_limit_bytes)
            ),
        ),
        row(
            "context",
            format!(
                "{} tokens; up to {} here, trained for {}",
                e.context, e.context_possible, e.context_trained
            ),
        ),
        row(
            "prefill",
            format!("about {:.1} tokens/s", e.prefill_tokens_per_second),
        ),
        row(
            "decode",
            format!("about {:.1} tokens/s", e.decode_tokens_per_second),
        ),
        row("before", past),
    ]);
    all
}
