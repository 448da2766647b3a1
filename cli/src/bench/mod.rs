//! `lantern bench`: how fast prefill and decode are, how near that is to what the adapter can do at all, and what a decoded
//! token costs in counts that no adapter can be blamed for.

mod kernels;
mod measure;
mod report;

use std::path::Path;

use lantern_engine::{Config, EngineOptions, ModelFile};

use crate::{
    failure::{Failure, Result},
    load::{self, LoadArgs, Loaded},
    model::{self, ModelArgs},
    notes, numbers,
};
use measure::{Bench, WARM_UP};
use report::{ModelReport, Profile, Report};

/// How often a profile times each dispatch.
const PROFILE_ROUNDS: usize = 5;

/// `bench`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Prompt tokens of the prefill rows, or a list of them; 0 leaves them out
    #[arg(short, long, value_name = "N,…", default_value = "128", value_delimiter = ',', value_parser = numbers::from_zero, allow_negative_numbers = true)]
    prompt: Vec<usize>,
    /// Tokens of the decode rows, or a list of them; 0 leaves them out
    #[arg(short = 'n', long = "tokens", value_name = "N,…", default_value = "32", value_delimiter = ',', value_parser = numbers::from_zero, allow_negative_numbers = true)]
    count: Vec<usize>,
    /// Samples of each row
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000), allow_negative_numbers = true)]
    repetitions: u32,
    /// Tokens that are in the cache before each sample, or a list of them
    #[arg(short, long, value_name = "N,…", default_value = "0", value_delimiter = ',', value_parser = numbers::from_zero, allow_negative_numbers = true)]
    depth: Vec<usize>,
    /// How to print: a table, the same for Markdown, one JSON object, or a line of CSV for each row
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// The same as -o json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Also time each kernel, by timestamps of the GPU
    #[arg(long)]
    profile: bool,
    /// Time every case of the named kernels, or of all (`all`), in every variant that runs here, and no model
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        conflicts_with = "profile"
    )]
    kernels: Vec<String>,
    #[command(flatten)]
    load: LoadArgs,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Table,
    Md,
    Json,
    Csv,
}

impl Args {
    fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }

    /// Each once, in order.
    fn depths(&self) -> Vec<usize> {
        let mut depths = self.depth.clone();
        depths.sort_unstable();
        depths.dedup();
        depths
    }

    /// What rows measure: `pp` or `tg`, and how many tokens.
    fn tests(&self) -> Vec<(&'static str, usize)> {
        let of = |name, counts: &[usize]| -> Vec<_> {
            let counts = counts.iter().filter(|&&count| count > 0);
            counts.map(|&count| (name, count)).collect()
        };
        [of("pp", &self.prompt), of("tg", &self.count)].concat()
    }
}

/// Measures and prints.
pub fn run(args: &Args) -> Result {
    if !args.kernels.is_empty() {
        return kernels::run(&args.kernels, &args.load, args.format());
    }
    if args.tests().is_empty() {
        return Err(Failure::Usage(
            "-p 0 and -n 0 leave nothing to measure".to_owned(),
        ));
    }
    let path = model::resolve(args.model.model.as_deref())?;
    let file = ModelFile::open(&path)?;
    let loaded = load(args, &file)?;
    let report = measure(args, &loaded, &file, &path)?;
    report::print(args.format(), &report)
}

fn load(args: &Args, file: &ModelFile) -> Result<Loaded> {
    let mut options = args.load.options();
    let needed = positions(args, options.context)?;
    let trained = Config::of(file)?.context as usize;
    if needed > trained {
        notes::warning(&format!(
            "{needed} positions are measured; the model was trained for {trained}"
        ));
    }
    options.context.get_or_insert(needed);
    let engine = EngineOptions {
        timestamps: args.profile,
        ..EngineOptions::default()
    };
    load::load_on(file, &args.load, &options, engine)
}

fn measure(args: &Args, loaded: &Loaded, file: &ModelFile, path: &Path) -> Result<Report> {
    let config = loaded.model.config();
    let (tests, depths) = (args.tests(), args.depths());
    let mut bench = Bench::new(loaded, &tests, &depths, args.repetitions)?;
    let cold = loaded.duration.as_secs_f64() + bench.warm_up(&tests)?;
    let rows = bench.rows(&tests, &depths)?;
    let counters = bench.counters(loaded.model.weight_bytes(), loaded.model.cache_bytes());
    let warm = bench.first_token();
    let profile = if args.profile {
        Some(profile(&mut bench, args)?)
    } else {
        None
    };
    let ceilings = bench.ceilings()?;
    let rows = rows.into_iter().map(|row| bench.against(row, &ceilings));
    let rows = rows.collect();
    bench.finish(); // before the figures, on the same terminal
    Ok(Report {
        lantern: env!("CARGO_PKG_VERSION"),
        model: ModelReport {
            name: config.name.clone(),
            family: config.family.clone(),
            file: path.display().to_string(),
            bytes: file.len(),
        },
        adapter: loaded.engine.adapter().clone(),
        precision: args.load.precision,
        load_ms: loaded.duration.as_secs_f64() * 1e3,
        time_to_first_token_ms: warm.map(|warm| report::FirstToken {
            warm: warm * 1e3,
            cold: cold * 1e3,
        }),
        ceilings,
        rows,
        counters,
        profile,
    })
}

/// The kernels of one decoded token, and of one pass of the prompt.
fn profile(bench: &mut Bench, args: &Args) -> Result<Profile> {
    let of = |counts: &[usize]| counts.iter().any(|&count| count > 0);
    let (decode, prefill) = (of(&args.count), of(&args.prompt));
    Ok(Profile {
        decode: if decode {
            bench.profile_decode(PROFILE_ROUNDS)?
        } else {
            vec![]
        },
        prefill: if prefill {
            bench.profile_prefill(PROFILE_ROUNDS)?
        } else {
            vec![]
        },
    })
}

/// Positions that the measurements take; refused where the context is asked to have fewer.
fn positions(args: &Args, context: Option<usize>) -> Result<usize> {
    let depth = args.depths().into_iter().max().unwrap_or(0);
    let longest = |counts: &[usize]| counts.iter().copied().max().unwrap_or(0);
    // A prompt is followed by the first token of an answer; before N timed tokens one is fed and one drawn.
    let (prompt, count) = (longest(&args.prompt), longest(&args.count));
    let needed = depth + (prompt + 1).max(count + 2).max(2 * WARM_UP);
    match context {
        Some(context) if context < needed => Err(Failure::Usage(format!(
            "this takes a context of {needed} tokens, and --context {context} has fewer"
        ))),
        _ => Ok(needed),
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: super::Args,
    }

    #[test]
    fn lists_become_rows_and_zero_leaves_them_out() {
        let words = [
            "bench", "-p", "16,0,8", "-n", "0", "-d", "64,0,64", "-o", "csv",
        ];
        let Cli { args } = clap::Parser::parse_from(words);
        assert_eq!(args.tests(), [("pp", 16), ("pp", 8)]);
        assert_eq!(args.depths(), [0, 64]);
        assert_eq!(args.format(), Format::Csv);
    }
}
