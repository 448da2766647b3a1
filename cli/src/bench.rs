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
    notes, output,
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
    #[arg(short, long, value_name = "N", default_value_t = 128)]
    prompt: usize,
    /// Tokens of the decode row; 0 leaves it out
    #[arg(short = 'n', long = "tokens", value_name = "N", default_value_t = 32)]
    count: usize,
    /// Samples of each row
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: u32,
    /// Tokens that are in the cache before each sample
    #[arg(short, long, value_name = "N", default_value_t = 0)]
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
    cache_bytes: u64,
    /// Bytes on the GPU over those of weights and cache.
    gpu_bytes_ratio: f64,
}

/// A session that is set back to the same depth before each sample.
struct Bench<'a> {
    engine: &'a Engine,
    session: Session,
    vocabulary: u32,
    depth: usize,
    decoded: usize,
    spent: Counters,
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
    let needed = args.depth + args.prompt.max(args.count + 2).max(2 * WARM_UP);
    let trained = Config::of(&file)?.context as usize;
    if needed > trained {
        notes::warning(&format!(
            "{needed} positions are measured; the model was trained for {trained}"
        ));
    }
    let mut options = args.load.options();
    options.context.get_or_insert(needed);
    let loaded = load::load_with(&file, &args.load, &options)?;
    let config = loaded.model.config();
    let mut bench = Bench {
        engine: &loaded.engine,
        session: block_on(loaded.model.session())?,
        vocabulary: config.vocabulary,
        depth: args.depth,
        decoded: 0,
        spent: Counters::default(),
    };
    let rows = bench.rows(args)?;
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
            rows,
            counters: bench.counters(loaded.model.weight_bytes(), loaded.model.cache_bytes()),
        },
    )
}

impl Bench<'_> {
    fn rows(&mut self, args: &Args) -> Result<Vec<Row>> {
        let rows = [
            (
                "pp",
                args.prompt,
                Bench::prefill as fn(&mut Self, usize) -> Result<f64>,
            ),
            ("tg", args.count, Bench::decode),
        ];
        let mut progress = Progress::count("measuring", 2 + 2 * u64::from(args.repetitions));
        let mut steps = 0;
        let mut step = || {
            steps += 1;
            progress.set(steps, 2 + 2 * u64::from(args.repetitions));
        };
        self.feed(self.depth)?;
        self.prefill(if args.prompt > 0 {
            args.prompt
        } else {
            WARM_UP
        })?; // as wide as what is measured
        step();
        self.decode(WARM_UP)?;
        step();
        (self.decoded, self.spent) = (0, Counters::default());
        let mut measured = Vec::new();
        for (name, count, sample) in rows.into_iter().filter(|(_, count, _)| *count > 0) {
            let mut samples = Vec::new();
            for _ in 0..args.repetitions {
                samples.push(count as f64 / sample(self, count)?);
                step();
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

    /// Seconds to feed `count` tokens and have the logits after the last.
    fn prefill(&mut self, count: usize) -> Result<f64> {
        self.session.rewind(self.depth)?;
        let start = Instant::now();
        self.feed(count)?;
        block_on(self.session.logits())?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Seconds of `count` passes that each draw a token, after one that is drawn from logits that are there.
    fn decode(&mut self, count: usize) -> Result<f64> {
        self.session.rewind(self.depth)?;
        self.feed(1)?;
        block_on(self.session.logits())?;
        let engine = self.engine;
        let mut start = None;
        let mut each = |_| {
            start.get_or_insert_with(|| (Instant::now(), engine.counters()));
            interrupt::control()
        };
        let greedy = sampling::greedy();
        let generated = block_on(self.session.generate(count + 1, &greedy, &mut each))?;
        let (start, before) = start.expect("a token was drawn");
        let seconds = start.elapsed().as_secs_f64();
        match generated {
            Generated::Count => {}
            Generated::Stopped => return Err(Failure::Interrupted),
            Generated::ContextFull => {
                return Err(Failure::Message(
                    "the context is too short for this; raise --context".to_owned(),
                ));
            }
        }
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
        if !tokens.is_empty() {
            block_on(self.session.feed(&tokens, &mut |_, _| interrupt::control()))?;
        }
        Ok(())
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
            cache_bytes,
            gpu_bytes_ratio: gpu_bytes as f64 / (weight_bytes + cache_bytes).max(1) as f64,
        }
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
