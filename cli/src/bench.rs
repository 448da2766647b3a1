//! `lantern bench`: how fast prefill and decode are, and what a decoded token costs in counts that no adapter can be blamed for.

use std::time::Instant;

use indicatif::DecimalBytes;
use lantern_engine::{AdapterDescription, Config, Counters, Engine, Generated, ModelFile, Session};
use pollster::block_on;
use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    interrupt,
    load::{self, LoadArgs, PrecisionArg},
    model::{self, ModelArgs},
    notes, numbers, output,
    progress::Progress,
    sampling,
};

const WARM_UP: usize = 8; // tokens of decode: enough that every pipeline has run once

/// `bench`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Prompt tokens of the prefill row; 0 leaves it out
    #[arg(short, long, value_name = "N", default_value_t = 128, value_parser = numbers::from_zero, allow_negative_numbers = true)]
    prompt: usize,
    /// Tokens of the decode row; 0 leaves it out
    #[arg(short = 'n', long = "tokens", value_name = "N", default_value_t = 32, value_parser = numbers::from_zero, allow_negative_numbers = true)]
    count: usize,
    /// Samples of each row
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000), allow_negative_numbers = true)]
    repetitions: u32,
    /// Tokens that are in the cache before each sample
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = numbers::from_zero, allow_negative_numbers = true)]
    depth: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(Serialize)]
struct Report<'a> {
    model: ModelReport,
    adapter: &'a AdapterDescription,
    precision: PrecisionArg,
    load_ms: f64,
    /// None where no prefill was measured.
    time_to_first_token_ms: Option<FirstToken>,
    rows: Vec<Row>,
    counters: CountersReport,
}

#[derive(Serialize)]
struct ModelReport {
    name: String,
    family: String,
    file: String,
    bytes: u64,
}

#[derive(Serialize)]
struct Row {
    test: String,
    depth: usize,
    tokens_per_second: Rate,
}

#[derive(Serialize)]
struct Rate {
    mean: f64,
    deviation: f64,
    samples: Vec<f64>,
}

/// From a prompt to the first token of its answer.
#[derive(Serialize)]
struct FirstToken {
    /// Mean of the prefill samples, each with a token drawn after it.
    warm: f64,
    /// Opening the device, loading, and the first prefill, which runs every pipeline for the first time.
    cold: f64,
}

/// Differences around the decode samples, per token drawn. All 0 where there was no decode.
#[derive(Default, Serialize)]
struct CountersReport {
    dispatches_per_token: f64,
    passes_per_token: f64,
    submissions_per_token: f64,
    readbacks_per_token: f64,
    buffers_created_per_token: f64,
    bind_groups_created_per_token: f64,
    gpu_bytes: u64,
    weight_bytes: u64,
    /// Bytes of weights that a decoded token reads.
    weight_bytes_read_per_token: u64,
    cache_bytes: u64,
    /// Bytes on the GPU over those of weights and cache.
    gpu_bytes_over_weights_and_cache: f64,
}

/// A session that is set back to the same depth before each sample.
struct Bench<'a> {
    engine: &'a Engine,
    session: Session,
    vocabulary: u32,
    depth: usize,
    decoded: usize,
    spent: Counters,
    /// Seconds from each prefill's start to the first token after it.
    first_tokens: Vec<f64>,
    progress: Progress,
    /// Tokens fed and drawn so far, and those that will have been at the end.
    done: (usize, usize),
}

/// Measures and prints.
pub fn run(args: &Args) -> Result {
    if args.prompt == 0 && args.count == 0 {
        return Err(Failure::Usage(
            "-p 0 and -n 0 leave nothing to measure".to_owned(),
        ));
    }
    let path = model::resolve(args.model.model.as_deref())?;
    let file = ModelFile::open(&path)?;
    let mut options = args.load.options();
    let needed = positions(args, options.context)?;
    let trained = Config::of(&file)?.context as usize;
    if needed > trained {
        notes::warning(&format!(
            "{needed} positions are measured; the model was trained for {trained}"
        ));
    }
    options.context.get_or_insert(needed);
    let loaded = load::load_with(&file, &args.load, &options)?;
    let config = loaded.model.config();
    let total = tokens_in_all(args);
    let mut bench = Bench {
        engine: &loaded.engine,
        session: block_on(loaded.model.session())?,
        vocabulary: config.vocabulary,
        depth: args.depth,
        decoded: 0,
        spent: Counters::default(),
        first_tokens: Vec::new(),
        progress: Progress::count("measuring", total as u64),
        done: (0, total),
    };
    let cold = loaded.duration.as_secs_f64() + bench.warm_up(args)?;
    let rows = bench.rows(args)?;
    let counters = bench.counters(loaded.model.weight_bytes(), loaded.model.cache_bytes());
    let time_to_first_token_ms = (args.prompt > 0).then(|| FirstToken {
        warm: mean_and_deviation(&bench.first_tokens).0 * 1e3,
        cold: cold * 1e3,
    });
    bench.progress.finish(); // before the figures, on the same terminal
    print(
        args.json,
        &Report {
            model: ModelReport {
                name: config.name.clone(),
                family: config.family.clone(),
                file: path.display().to_string(),
                bytes: file.len(),
            },
            adapter: loaded.engine.adapter(),
            precision: args.load.precision,
            load_ms: loaded.duration.as_secs_f64() * 1e3,
            time_to_first_token_ms,
            rows,
            counters,
        },
    )
}

/// Positions that the measurements take; refused where the context is asked to have fewer.
fn positions(args: &Args, context: Option<usize>) -> Result<usize> {
    // A prompt is followed by the first token of an answer; before N timed tokens one is fed and one drawn.
    let needed = args.depth + (args.prompt + 1).max(args.count + 2).max(2 * WARM_UP);
    match context {
        Some(context) if context < needed => Err(Failure::Usage(format!(
            "this takes a context of {needed} tokens, and --context {context} has fewer"
        ))),
        _ => Ok(needed),
    }
}

/// Tokens that are fed and drawn, warm-up included, for the progress bar.
fn tokens_in_all(args: &Args) -> usize {
    let drawn = |count| count + 2; // one is fed before, one drawn before the clock runs
    let samples = args.repetitions as usize;
    let prefill = args.prompt + 1;
    let decode = if args.count == 0 {
        0
    } else {
        drawn(args.count)
    };
    let warm_up = warm_up_width(args) + 1 + drawn(WARM_UP);
    let measured = if args.prompt == 0 {
        decode
    } else {
        prefill + decode
    };
    args.depth + warm_up + samples * measured
}

/// As wide as what is measured.
fn warm_up_width(args: &Args) -> usize {
    if args.prompt > 0 {
        args.prompt
    } else {
        WARM_UP
    }
}

impl Bench<'_> {
    /// Runs every pipeline once. Seconds from here to the first token after the prompt.
    fn warm_up(&mut self, args: &Args) -> Result<f64> {
        self.feed(self.depth)?;
        self.prefill(warm_up_width(args))?;
        let first = self.first_tokens.iter().sum();
        self.decode(WARM_UP)?;
        (self.decoded, self.spent) = (0, Counters::default());
        self.first_tokens.clear();
        Ok(first)
    }

    fn rows(&mut self, args: &Args) -> Result<Vec<Row>> {
        let rows = [
            (
                "pp",
                args.prompt,
                Bench::prefill as fn(&mut Self, usize) -> Result<f64>,
            ),
            ("tg", args.count, Bench::decode),
        ];
        let mut measured = Vec::new();
        for (name, count, sample) in rows.into_iter().filter(|(_, count, _)| *count > 0) {
            let mut samples = Vec::new();
            for _ in 0..args.repetitions {
                samples.push(count as f64 / sample(self, count)?);
            }
            let (mean, deviation) = mean_and_deviation(&samples);
            let tokens_per_second = Rate {
                mean,
                deviation,
                samples,
            };
            measured.push(Row {
                test: format!("{name}{count}"),
                depth: self.depth,
                tokens_per_second,
            });
        }
        Ok(measured)
    }

    /// Seconds to feed `count` tokens and have the logits after the last. Then draws a token, for the time to the first.
    fn prefill(&mut self, count: usize) -> Result<f64> {
        self.session.rewind(self.depth)?;
        let start = Instant::now();
        self.feed(count)?;
        block_on(self.session.logits())?;
        let seconds = start.elapsed().as_secs_f64();
        let mut each = |_| interrupt::control();
        let drawn = block_on(self.session.generate(1, &sampling::greedy(), &mut each))?;
        self.first_tokens.push(start.elapsed().as_secs_f64());
        self.advance(1);
        complete(drawn)?;
        Ok(seconds)
    }

    /// Seconds of `count` passes that each draw a token, after one that is drawn from logits that are there.
    fn decode(&mut self, count: usize) -> Result<f64> {
        self.session.rewind(self.depth)?;
        self.feed(1)?;
        block_on(self.session.logits())?;
        let (engine, progress, (done, total)) = (self.engine, &mut self.progress, &mut self.done);
        let mut start = None;
        let mut each = |_| {
            start.get_or_insert_with(|| (Instant::now(), engine.counters()));
            *done += 1;
            progress.set(*done as u64, *total as u64);
            interrupt::control()
        };
        let greedy = sampling::greedy();
        complete(block_on(self.session.generate(
            count + 1,
            &greedy,
            &mut each,
        ))?)?;
        let (start, before) = start.expect("a token was drawn");
        let seconds = start.elapsed().as_secs_f64();
        self.decoded += count;
        self.spent = sum(&self.spent, &before, &self.engine.counters());
        Ok(seconds)
    }

    /// Ids that repeat nothing, so that no cache of anybody's flatters the figures.
    fn feed(&mut self, count: usize) -> Result {
        let position = self.session.position() as u32;
        let id =
            |index: u32| (position + index).wrapping_mul(2_654_435_761) % self.vocabulary.max(1);
        let tokens: Vec<u32> = (0..count as u32).map(id).collect();
        if tokens.is_empty() {
            return Ok(());
        }
        let (progress, (done, total)) = (&mut self.progress, self.done);
        let mut show = |fed: usize, _: usize| {
            progress.set((done + fed) as u64, total as u64);
            interrupt::control()
        };
        block_on(self.session.feed(&tokens, &mut show))?;
        self.advance(count);
        Ok(())
    }

    fn advance(&mut self, count: usize) {
        self.done.0 += count;
        self.progress.set(self.done.0 as u64, self.done.1 as u64);
    }

    fn counters(&self, weight_bytes: u64, cache_bytes: u64) -> CountersReport {
        let per_token = |count: u64| count as f64 / self.decoded.max(1) as f64;
        let spent = &self.spent;
        let gpu_bytes = self.engine.counters().gpu_bytes;
        CountersReport {
            dispatches_per_token: per_token(spent.dispatches),
            passes_per_token: per_token(spent.passes),
            submissions_per_token: per_token(spent.submissions),
            readbacks_per_token: per_token(spent.readbacks),
            buffers_created_per_token: per_token(spent.buffers_created),
            bind_groups_created_per_token: per_token(spent.bind_groups_created),
            gpu_bytes,
            weight_bytes,
            weight_bytes_read_per_token: self.session.weight_bytes_read(),
            cache_bytes,
            gpu_bytes_over_weights_and_cache: gpu_bytes as f64
                / (weight_bytes + cache_bytes).max(1) as f64,
        }
    }
}

/// A sample counts where as many tokens came as were asked for.
fn complete(generated: Generated) -> Result {
    match generated {
        Generated::Count => Ok(()),
        Generated::Stopped => Err(Failure::Interrupted),
        Generated::ContextFull => Err(Failure::Message(
            "the context is too short for this; raise --context".to_owned(),
        )),
    }
}

/// `total` and what was counted between two readings.
fn sum(total: &Counters, before: &Counters, after: &Counters) -> Counters {
    Counters {
        dispatches: total.dispatches + after.dispatches - before.dispatches,
        passes: total.passes + after.passes - before.passes,
        submissions: total.submissions + after.submissions - before.submissions,
        readbacks: total.readbacks + after.readbacks - before.readbacks,
        buffers_created: total.buffers_created + after.buffers_created - before.buffers_created,
        bind_groups_created: total.bind_groups_created + after.bind_groups_created
            - before.bind_groups_created,
        ..*after
    }
}

/// The deviation is that of a sample (n - 1), and 0 for a single one.
fn mean_and_deviation(samples: &[f64]) -> (f64, f64) {
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
    (
        mean,
        (squares / samples.len().saturating_sub(1).max(1) as f64).sqrt(),
    )
}

fn print(json: bool, report: &Report) -> Result {
    if json {
        return output::json(report);
    }
    let line = |name: &str, value: String| vec![name.to_owned(), value];
    let counters = &report.counters;
    let mut rows = vec![
        line(
            "model",
            format!(
                "{}, {}",
                report.model.name,
                DecimalBytes(report.model.bytes)
            ),
        ),
        line(
            "adapter",
            format!(
                "{} ({}, {})",
                report.adapter.name, report.adapter.backend, report.adapter.kind
            ),
        ),
    ];
    rows.extend(report.rows.iter().map(|row| {
        let Rate {
            mean, deviation, ..
        } = &row.tokens_per_second;
        let name = if row.depth == 0 {
            row.test.clone()
        } else {
            format!("{} @ {}", row.test, row.depth)
        };
        line(&name, format!("{mean:.2} ± {deviation:.2} tokens/s"))
    }));
    if let Some(FirstToken { warm, cold }) = report.time_to_first_token_ms {
        let text = format!("{warm:.0} ms warm, {cold:.0} ms with loading");
        rows.push(line("first token", text));
    }
    rows.push(line("a token", format!(
        "{:.1} dispatches, {:.2} passes, {:.2} submissions, {:.2} read-backs, {:.2} buffers and {:.2} bind groups created",
        counters.dispatches_per_token,
        counters.passes_per_token,
        counters.submissions_per_token,
        counters.readbacks_per_token,
        counters.buffers_created_per_token,
        counters.bind_groups_created_per_token,
    )));
    let [weights, cache, all] = [
        counters.weight_bytes,
        counters.cache_bytes,
        counters.gpu_bytes,
    ]
    .map(DecimalBytes);
    rows.push(line(
        "memory",
        format!("{all} on the GPU, {weights} of it weights, {cache} cache"),
    ));
    output::table(&rows)
}

#[cfg(test)]
mod tests {
    use super::mean_and_deviation;

    #[test]
    fn deviation_is_that_of_a_sample() {
        assert_eq!(mean_and_deviation(&[1.0, 3.0]), (2.0, 2.0_f64.sqrt()));
        assert_eq!(mean_and_deviation(&[5.0]), (5.0, 0.0));
    }
}
