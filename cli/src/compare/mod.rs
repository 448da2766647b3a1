//! `lantern compare`: whether what `bench` measured is slower than before, by the repetitions and no fixed percentage.

mod print;
mod welch;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use lantern_engine::bench::report::{CountersReport, LoadedReport, Rate, Report};
use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    output,
    results::{self, Found},
};

/// The help that comes after the flags.
pub const HELP: &str = "\
Example:
  lantern bench -r 8 --json > before.json
  lantern bench -r 8 --json > after.json
  lantern compare before.json after.json

Rows of the same weights, adapter, test and depth, loaded with the same precision, cache, streamed
layers and LoRA adapters, are held against each other.
Verdicts come from the repetitions: Welch's t-test, two-sided, at 0.01 with Holm's correction
over the rows. It takes 3 repetitions a side, and sees more with more.

Repetitions of one run do not know what changes from one start of the program to the next: on a
busy machine, put several runs of each side into one list ([…, …]); they count together.
Exit code 1 when a row is slower beyond the noise.";

/// The chance of a false alarm among all rows.
const ALPHA: f64 = 0.01;
/// Repetitions a side, below which a deviation says nothing.
const SAMPLES_MIN: usize = 3;

/// `compare`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Result of `lantern bench --json` before a change
    #[arg(value_name = "A")]
    before: PathBuf,
    /// The same after it
    #[arg(value_name = "B")]
    after: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Setup that must be the same before two speeds can be compared; the model's name alone is not enough.
#[derive(Debug, Clone, Serialize)]
struct Setup {
    adapter: String,
    model: String,
    weights_xxh3: String,
    /// Precision, and what of the rest is not the usual.
    loaded: String,
}

impl Ord for Setup {
    fn cmp(&self, other: &Setup) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Setup {
    fn partial_cmp(&self, other: &Setup) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Setup {
    fn eq(&self, other: &Setup) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Setup {}

/// Samples of one setup by test and depth, and its counters.
#[derive(Debug, Default)]
struct Side {
    rows: Vec<((String, usize), Vec<f64>)>,
    counters: CountersReport,
    loaded: Option<LoadedReport>,
}

type Sides = BTreeMap<Setup, Side>;

/// Verdict on how the speed of a row changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Verdict {
    #[serde(rename = "slower")]
    Slower,
    #[serde(rename = "faster")]
    Faster,
    #[serde(rename = "within the noise")]
    Noise,
    #[serde(rename = "too few repetitions")]
    TooFew,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verdict::Slower => "slower",
            Verdict::Faster => "faster",
            Verdict::Noise => "within the noise",
            Verdict::TooFew => "too few repetitions",
        })
    }
}

/// One test, before and after.
#[derive(Debug, Serialize)]
struct Compared {
    #[serde(flatten)]
    setup: Setup,
    test: String,
    depth: usize,
    before: Rate,
    after: Rate,
    change: f64,
    /// After Holm's correction; none with too few repetitions.
    p: Option<f64>,
    verdict: Verdict,
}

/// A counter that is not what it was.
#[derive(Debug, Serialize)]
struct Changed {
    #[serde(flatten)]
    setup: Setup,
    counter: &'static str,
    before: f64,
    after: f64,
}

/// All that there is to say.
#[derive(Debug, Default, Serialize)]
struct Comparison {
    alpha: f64,
    rows: Vec<Compared>,
    counters: Vec<Changed>,
    only_before: Vec<String>,
    only_after: Vec<String>,
}

/// Compares and prints.
pub fn run(args: &Args) -> Result {
    let (before, after) = (results::read(&args.before)?, results::read(&args.after)?);
    let found = compare(&before, &after)?;
    if args.json {
        output::json(&found)?;
    } else {
        print::print(&found)?;
    }
    let slower = found.rows.iter().filter(|r| r.verdict == Verdict::Slower);
    let names: Vec<String> = slower.map(Compared::name).collect();
    if names.is_empty() {
        return Ok(());
    }
    let problem = format!("slower beyond the noise: {}", names.join(", "));
    Err(Failure::Message(problem))
}

/// Rows of the same setup, test and depth; samples of several results in a file count together.
fn compare(before: &[Found], after: &[Found]) -> Result<Comparison> {
    let (before, after) = (sides(before), sides(after));
    let mut found = Comparison {
        alpha: ALPHA,
        ..Comparison::default()
    };
    for (setup, side) in &before {
        let other = after.get(setup);
        for (row, samples) in &side.rows {
            match other.and_then(|other| other.samples(row)) {
                Some(others) => found.rows.push(compared(setup, row, samples, others)),
                None => found.only_before.push(named(setup, row)),
            }
        }
    }
    for (setup, side) in &after {
        let other = before.get(setup);
        for (row, _) in &side.rows {
            if other.and_then(|other| other.samples(row)).is_none() {
                found.only_after.push(named(setup, row));
            }
        }
        if let Some(other) = other {
            let changed = changed(setup, other, side);
            found.counters.extend(changed);
        }
    }
    if found.rows.is_empty() {
        return Err(Failure::Message(nothing_in_common(&before, &after)));
    }
    judge(&mut found.rows);
    Ok(found)
}

fn sides(found: &[Found]) -> Sides {
    let mut sides = Sides::new();
    for Found { report, .. } in found {
        let side = sides.entry(Setup::of(report)).or_default();
        // Of the last: counts do not scatter.
        side.counters = report.measured.counters.clone();
        side.loaded.clone_from(&report.loaded);
        for row in &report.measured.rows {
            let key = (row.test.clone(), row.depth);
            let samples = &row.tokens_per_second.samples;
            match side.rows.iter_mut().find(|(there, _)| *there == key) {
                Some((_, all)) => all.extend(samples),
                None => side.rows.push((key, samples.clone())),
            }
        }
    }
    sides
}

impl Setup {
    fn key(&self) -> [&str; 3] {
        [&self.adapter, &self.weights_xxh3, &self.loaded]
    }

    fn of(report: &Report) -> Setup {
        Setup {
            adapter: results::adapter(report),
            model: report.model.name.clone(),
            weights_xxh3: report.model.weights_xxh3.clone(),
            loaded: results::loading(report),
        }
    }
}

impl Side {
    fn samples(&self, row: &(String, usize)) -> Option<&[f64]> {
        let found = self.rows.iter().find(|(there, _)| there == row);
        found.map(|(_, samples)| samples.as_slice())
    }
}

impl Compared {
    fn name(&self) -> String {
        results::test_name(&self.test, self.depth)
    }
}

fn named(setup: &Setup, (test, depth): &(String, usize)) -> String {
    let Setup {
        adapter,
        model,
        loaded,
        ..
    } = setup;
    let row = results::test_name(test, *depth);
    format!("{row} of {model}, {loaded}, on {adapter}")
}

/// A row without its verdict, which depends on how many rows there are.
fn compared(setup: &Setup, row: &(String, usize), before: &[f64], after: &[f64]) -> Compared {
    let enough = before.len().min(after.len()) >= SAMPLES_MIN;
    let p = enough.then(|| welch::probability(before, after));
    let (before, after) = (Rate::of(before.to_vec()), Rate::of(after.to_vec()));
    Compared {
        setup: setup.clone(),
        test: row.0.clone(),
        depth: row.1,
        change: after.mean / before.mean - 1.0,
        before,
        after,
        p,
        verdict: Verdict::TooFew,
    }
}

fn judge(rows: &mut [Compared]) {
    let known: Vec<f64> = rows.iter().filter_map(|row| row.p).collect();
    let tested = rows.iter_mut().filter(|row| row.p.is_some());
    for (row, p) in tested.zip(welch::holm(&known)) {
        row.p = Some(p);
        row.verdict = match p < ALPHA {
            false => Verdict::Noise,
            true if row.after.mean < row.before.mean => Verdict::Slower,
            true => Verdict::Faster,
        };
    }
}

/// Counts and bytes, exactly. Not the host's memory, which is the system's to say, and scatters.
fn changed(setup: &Setup, before: &Side, after: &Side) -> Vec<Changed> {
    let passes = |side: &Side| {
        let of = side.loaded.as_ref();
        of.map(|l| {
            [
                ("context", l.context as f64),
                ("prefill batch", l.prefill_batch as f64),
            ]
        })
    };
    // Older results do not say.
    let passes = passes(before).zip(passes(after));
    let passes = passes.into_iter().flat_map(|(b, a)| b.into_iter().zip(a));
    counters(&before.counters)
        .into_iter()
        .zip(counters(&after.counters))
        .chain(passes)
        .filter(|((_, before), (_, after))| before.total_cmp(after).is_ne())
        .map(|((counter, before), (_, after))| Changed {
            setup: setup.clone(),
            counter,
            before,
            after,
        })
        .collect()
}

fn counters(of: &CountersReport) -> [(&'static str, f64); 11] {
    [
        ("dispatches_per_token", of.dispatches_per_token),
        ("passes_per_token", of.passes_per_token),
        ("submissions_per_token", of.submissions_per_token),
        ("readbacks_per_token", of.readbacks_per_token),
        ("buffers_created_per_token", of.buffers_created_per_token),
        (
            "bind_groups_created_per_token",
            of.bind_groups_created_per_token,
        ),
        ("gpu_bytes", of.gpu_bytes as f64),
        ("weight_bytes", of.weight_bytes as f64),
        (
            "weight_bytes_read_per_token",
            of.weight_bytes_read_per_token as f64,
        ),
        ("cache_bytes", of.cache_bytes as f64),
        ("pipelines_compiled", of.pipelines_compiled as f64),
    ]
}

/// Why no row of one has its like in the other: the first thing that no two share.
fn nothing_in_common(before: &Sides, after: &Sides) -> String {
    type Aspect = (&'static str, fn(&Setup) -> String);
    let aspects: [Aspect; 3] = [
        ("adapter", |setup| setup.adapter.clone()),
        ("model", |setup| {
            format!("{} (weights {})", setup.model, setup.weights_xxh3)
        }),
        ("loading", |setup| setup.loaded.clone()),
    ];
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
    let mut differences = Vec::new();
    let mut add = |what: &str, before: &BTreeSet<String>, after: &BTreeSet<String>| {
        if before.is_disjoint(after) {
            let (before, after) = (list(before), list(after));
            differences.push(format!("the {what} ({before} against {after})"));
        }
    };
    for (what, aspect) in aspects {
        let of = |sides: &Sides| sides.keys().map(aspect).collect();
        add(what, &of(before), &of(after));
    }
    let tests = |sides: &Sides| {
        let rows = sides.values().flat_map(|side| &side.rows);
        rows.map(|((test, depth), _)| results::test_name(test, *depth))
            .collect()
    };
    add("tests", &tests(before), &tests(after));
    let differences = match differences.as_slice() {
        [] => "which of them go together".to_owned(),
        some => some.join(", "),
    };
    format!("nothing was measured in both; what differs: {differences}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;

    const BEFORE: [f64; 5] = [100.0, 101.0, 99.0, 100.5, 99.5];

    fn verdicts(before: &[f64], after: &[f64]) -> Vec<Verdict> {
        let (before, after) = (sample::with_samples(before), sample::with_samples(after));
        let found = compare(&[before], &[after]).unwrap();
        found.rows.iter().map(|row| row.verdict).collect()
    }

    #[test]
    fn verdicts_come_from_the_repetitions() {
        let shifted = |by: f64| BEFORE.map(|speed| speed + by);
        assert_eq!(verdicts(&BEFORE, &shifted(-10.0)), [Verdict::Slower; 2]);
        assert_eq!(verdicts(&BEFORE, &shifted(10.0)), [Verdict::Faster; 2]);
        assert_eq!(verdicts(&BEFORE, &shifted(-0.5)), [Verdict::Noise; 2]);
        // Ten percent less, among noise of twenty.
        let noisy = [70.0, 110.0, 90.0, 85.0, 95.0];
        assert_eq!(verdicts(&BEFORE, &noisy), [Verdict::Noise; 2]);
        assert_eq!(verdicts(&BEFORE, &[50.0, 50.1]), [Verdict::TooFew; 2]);
    }

    #[test]
    fn results_in_one_file_count_together() {
        let two = [
            sample::with_samples(&[100.0, 101.0]),
            sample::with_samples(&[99.0]),
        ];
        let found = compare(&two, &[sample::with_samples(&[50.0, 50.1, 49.9])]).unwrap();
        assert_eq!(found.rows[0].before.samples, [100.0, 101.0, 99.0]);
        assert_eq!(found.rows[0].verdict, Verdict::Slower);
    }

    #[test]
    fn counters_are_held_exactly_and_lone_rows_named() {
        let (before, mut after) = (sample::found(), sample::found());
        after.report.measured.counters.dispatches_per_token += 1.0;
        after.report.measured.rows[1].depth = 64;
        let found = compare(&[before], &[after]).unwrap();
        assert_eq!(found.rows.len(), 1);
        let [changed] = found.counters.as_slice() else {
            panic!("{:?}", found.counters)
        };
        assert_eq!(changed.counter, "dispatches_per_token");
        assert!(found.only_before[0].starts_with("tg8 of Tiny"));
        assert!(found.only_after[0].starts_with("tg8 at depth 64 of Tiny"));
    }

    /// A cache of another type is another setup; another context is not, and is said.
    #[test]
    fn how_models_were_loaded_counts() {
        let loaded = |cache: &str, context| LoadedReport {
            context,
            prefill_batch: 32,
            cache: cache.to_owned(),
            layers_streamed: 0,
            tables_bytes: 0,
            loras: vec![],
        };
        let with = |loaded| {
            let mut found = sample::found();
            found.report.loaded = Some(loaded);
            [found]
        };
        let usual = with(loaded("f16", 64));
        assert_eq!(compare(&[sample::found()], &usual).unwrap().rows.len(), 2);
        let error = compare(&usual, &with(loaded("q8_0", 64))).unwrap_err();
        let wanted = "the loading (mixed precision against mixed precision, q8_0 cache)";
        assert!(error.to_string().contains(wanted), "{error}");
        let found = compare(&usual, &with(loaded("f16", 128))).unwrap();
        let changed: Vec<&str> = found.counters.iter().map(|c| c.counter).collect();
        assert_eq!(changed, ["context"]);
    }

    #[test]
    fn nothing_in_common_says_what_differs() {
        let (before, mut after) = (sample::found(), sample::found());
        after.report.adapter.name = "Another".to_owned();
        after.report.model.weights_xxh3 = "1".to_owned();
        let error = compare(&[before], &[after]).unwrap_err().to_string();
        assert!(error.contains("the adapter (Made Up 9000 (vulkan) against Another (vulkan))"));
        assert!(
            error.contains("the model (") && !error.contains("loading"),
            "{error}"
        );
    }
}
