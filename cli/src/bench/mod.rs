//! `lantern bench`: how fast prefill and decode are, how near that is to what the adapter can do at all, and what a decoded
//! token costs in counts that no adapter can be blamed for.

mod kernels;
mod report;
mod synthetic;

use std::{sync::Arc, time::Instant};

use lantern_engine::{
    BenchOptions, Config, Gpu, GpuOptions, LoadOptions, ModelFile, SelfTest, Session,
    bench::report::{Host, Report, schema},
};
use pollster::block_on;

use crate::{
    failure::{Failure, Result},
    interrupt,
    load::{self, LoadArgs, Loaded},
    model::ModelArgs,
    notes, numbers, output, predictions,
    progress::Progress,
    selftest,
};

/// `bench`'s flags.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags, each by itself")]
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
    /// A model of random weights instead of a file, such as llama-1b:q8_0: nothing is downloaded, and layers that there is no
    /// memory for are reckoned from the others
    #[arg(long, value_name = "SHAPE:TYPE", conflicts_with_all = ["model", "kernels"])]
    synthetic: Option<String>,
    /// Test every kernel against its CPU reference first; the result says what became of it
    #[arg(long, conflicts_with = "kernels")]
    selftest: bool,
    /// Print the JSON Schema of results
    #[arg(long, exclusive = true)]
    schema: bool,
    /// Measure on every adapter of this machine, one after the other; as JSON, a list of their objects
    #[arg(long, conflicts_with_all = ["adapter", "kernels"])]
    all_adapters: bool,
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

    /// Options of the measurement: counts above 0, and each depth once, in ascending order.
    fn measured(&self) -> BenchOptions {
        let some = |counts: &[usize]| counts.iter().copied().filter(|&count| count > 0).collect();
        let mut depths = self.depth.clone();
        depths.sort_unstable();
        depths.dedup();
        BenchOptions::default()
            .prompt(some(&self.prompt))
            .generated(some(&self.count))
            .depths(depths)
            .repetitions(self.repetitions as usize)
            .profile(self.profile)
    }
}

/// Measures and prints.
pub fn run(args: &Args) -> Result {
    if args.schema {
        return output::json(&schema());
    }
    if !args.kernels.is_empty() {
        return kernels::run(&args.kernels, &args.load, args.format());
    }
    let asked = args.measured();
    if asked.prompt.is_empty() && asked.generated.is_empty() {
        return Err(Failure::Usage(
            "-p 0 and -n 0 leave nothing to measure".to_owned(),
        ));
    }
    if args.synthetic.is_some() && (args.load.quantize.is_some() || !args.load.lora.is_empty()) {
        return Err(Failure::Usage(
            "a --synthetic model has the type that SHAPE:TYPE names, and no --quantize or --lora"
                .to_owned(),
        ));
    }
    interrupt::listen();
    let file = match &args.synthetic {
        Some(shape) => ModelFile::synthetic(shape)?,
        None => args.load.open(args.model.model.as_deref())?,
    };
    if !args.all_adapters {
        let report = report_of(args, &args.load, &file)?;
        return report::print(args.format(), report);
    }
    let mut reports = Vec::new();
    for adapter in block_on(Gpu::adapters()) {
        let mut load = args.load.clone();
        load.gpu.adapter = Some(adapter.index.to_string());
        reports.push(report_of(args, &load, &file)?);
    }
    report::print_all(args.format(), &reports)
}

/// Measures `file` on the adapter that `load` names, after a self-test where `--selftest` asks for one.
fn report_of(args: &Args, load: &LoadArgs, file: &ModelFile) -> Result<Report> {
    let options = options(args, load, file)?;
    if !args.selftest {
        return measured_on(args, load, file, &options);
    }
    let (_, rows) = selftest::rows(&load.gpu, &[])?;
    let mut report = measured_on(args, load, file, &options)?;
    report.selftest = Some(SelfTest::of(rows));
    Ok(report)
}

/// On a device of its own, so that nothing was compiled before.
fn measured_on(
    args: &Args,
    load: &LoadArgs,
    file: &ModelFile,
    options: &LoadOptions,
) -> Result<Report> {
    let start = Instant::now();
    let gpu = GpuOptions::default().timestamps(args.profile);
    let gpu = Arc::new(load::open_gpu_with(&load.gpu, gpu)?);
    let report = if args.synthetic.is_some() {
        synthetic::run(args, load, file, options, &gpu)?
    } else {
        let loaded = load::load_onto(gpu.clone(), start, file, load, options)?;
        let mut session = load::session(&loaded.model, &args.load)?;
        measure(args, &loaded, &mut session, file)?
    };
    predictions::measured(&gpu, &report);
    Ok(report)
}

fn options(args: &Args, load: &LoadArgs, file: &ModelFile) -> Result<LoadOptions> {
    let mut options = load.options();
    let needed = args.measured().positions();
    if let Some(context) = options.context.filter(|&context| context < needed) {
        return Err(Failure::Usage(format!(
            "this takes a context of {needed} tokens, and --context {context} has fewer"
        )));
    }
    let trained = Config::of(file)?.context as usize;
    if needed > trained {
        notes::warning(&format!(
            "{needed} positions are measured; the model was trained for {trained}"
        ));
    }
    options.context.get_or_insert(needed);
    Ok(options)
}

fn measure(
    args: &Args,
    loaded: &Loaded,
    session: &mut Session,
    file: &ModelFile,
) -> Result<Report> {
    let options = args.measured().load_seconds(loaded.duration.as_secs_f64());
    let mut progress: Option<Progress> = None;
    let mut each = |done: usize, total: usize| {
        let bar = progress.get_or_insert_with(|| Progress::count("measuring", total as u64));
        bar.set(done as u64, total as u64);
        interrupt::control()
    };
    let measured = block_on(session.bench(&options, &mut each))?;
    if let Some(bar) = progress {
        bar.finish(); // before the figures, on the same terminal
    }
    let host = Host {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpus: std::thread::available_parallelism().map(usize::from).ok(),
        browser: None,
    };
    Ok(Report::new(session, file.len(), host, measured))
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
        let measured = args.measured();
        assert_eq!((measured.prompt, measured.generated), (vec![16, 8], vec![]));
        assert_eq!(measured.depths, [0, 64]);
        assert_eq!(args.format(), Format::Csv);
    }
}
