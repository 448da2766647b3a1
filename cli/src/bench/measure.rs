//! Taking the samples: a session that is set back to the same depth before each.

use std::time::Instant;

use lantern_engine::{Ceilings, Counters, Engine, Generated, ProfileRow, Session};
use pollster::block_on;

use super::report::{CountersReport, Rate, Row};
use crate::{
    failure::{Failure, Result},
    interrupt,
    load::Loaded,
    progress::Progress,
    sampling,
};

/// Tokens of decode before anything counts: enough that every pipeline has run once.
pub const WARM_UP: usize = 8;

/// A session, and what was counted while it was measured.
pub struct Bench<'a> {
    engine: &'a Engine,
    session: Session,
    vocabulary: u32,
    repetitions: u32,
    depth: usize,
    decoded: usize,
    spent: Counters,
    /// Of each prefill: its tokens, the depth, and seconds from its start to the first token after it.
    first_tokens: Vec<((usize, usize), f64)>,
    progress: Progress,
    /// Tokens fed and drawn so far, and those that will have been at the end.
    done: (usize, usize),
}

/// The samples of a row.
pub struct Samples {
    name: &'static str,
    count: usize,
    depth: usize,
    tokens_per_second: Vec<f64>,
}

impl Bench<'_> {
    /// A session of the model, empty.
    pub fn new<'a>(
        loaded: &'a Loaded,
        tests: &[(&'static str, usize)],
        depths: &[usize],
        repetitions: u32,
    ) -> Result<Bench<'a>> {
        let total = tokens_in_all(tests, depths, repetitions as usize);
        Ok(Bench {
            engine: &loaded.engine,
            session: block_on(loaded.model.session())?,
            vocabulary: loaded.model.config().vocabulary,
            repetitions,
            depth: 0,
            decoded: 0,
            spent: Counters::default(),
            first_tokens: Vec::new(),
            progress: Progress::count("measuring", total as u64),
            done: (0, total),
        })
    }

    /// Runs every pipeline once. Seconds from here to the first token after the prompt.
    pub fn warm_up(&mut self, tests: &[(&'static str, usize)]) -> Result<f64> {
        self.prefill(warm_up_width(tests))?;
        let first = self.first_token().unwrap_or_default();
        self.decode(WARM_UP)?;
        (self.decoded, self.spent) = (0, Counters::default());
        self.first_tokens.clear();
        Ok(first)
    }

    /// Every test at every depth, the shallowest first.
    pub fn rows(
        &mut self,
        tests: &[(&'static str, usize)],
        depths: &[usize],
    ) -> Result<Vec<Samples>> {
        let mut rows = Vec::new();
        for &depth in depths {
            self.session.rewind(self.depth)?;
            self.feed(depth - self.depth)?;
            self.depth = depth;
            for &(name, count) in tests {
                let mut tokens_per_second = Vec::new();
                for _ in 0..self.repetitions {
                    let seconds = match name {
                        "pp" => self.prefill(count)?,
                        _ => self.decode(count)?,
                    };
                    tokens_per_second.push(count as f64 / seconds);
                }
                rows.push(Samples {
                    name,
                    count,
                    depth,
                    tokens_per_second,
                });
            }
        }
        Ok(rows)
    }

    /// Mean seconds from a prompt's start to the first token after it, of the first row of prompts.
    pub fn first_token(&self) -> Option<f64> {
        let (what, _) = self.first_tokens.first()?;
        let same = self.first_tokens.iter().filter(|(other, _)| other == what);
        let all: Vec<f64> = same.map(|(_, seconds)| *seconds).collect();
        Some(Rate::of(all).mean)
    }

    /// What this adapter can do at all.
    pub fn ceilings(&self) -> Result<Ceilings> {
        Ok(block_on(self.engine.ceilings())?)
    }

    /// The row of `samples`, with what the adapter's ceilings would allow.
    pub fn against(&self, samples: Samples, ceilings: &Ceilings) -> Row {
        let (count, depth) = (samples.count, samples.depth);
        let (load, seconds) = if samples.name == "pp" {
            self.session.prefill_load(count, depth, ceilings)
        } else {
            // A token in the middle of those that were drawn stands for all.
            let (load, seconds) = self.session.decode_load(depth + 1 + count / 2, ceilings);
            (load.times(count as u64), seconds * count as f64)
        };
        let tokens_per_second = Rate::of(samples.tokens_per_second);
        let took = count as f64 / tokens_per_second.mean;
        let (ceiling, share) = match samples.name {
            "pp" => (
                "f32",
                load.operations as f64 / ceilings.f32_operations_per_second,
            ),
            _ => ("read", load.bytes as f64 / ceilings.read_bytes_per_second),
        };
        Row {
            test: format!("{}{count}", samples.name),
            depth,
            tokens_per_second,
            ceiling,
            ceiling_share: share / took,
            expected_tokens_per_second: count as f64 / seconds,
        }
    }

    /// The kernels of one more token.
    pub fn profile_decode(&mut self, rounds: usize) -> Result<Vec<ProfileRow>> {
        Ok(block_on(self.session.profile_decode(rounds))?)
    }

    /// The kernels of one pass of a prompt.
    pub fn profile_prefill(&mut self, rounds: usize) -> Result<Vec<ProfileRow>> {
        Ok(block_on(self.session.profile_prefill(rounds))?)
    }

    /// Takes the progress bar away.
    pub fn finish(self) {
        self.progress.finish();
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
        let first = start.elapsed().as_secs_f64();
        self.first_tokens.push(((count, self.depth), first));
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

    /// What decoding cost, and memory.
    pub fn counters(&self, weight_bytes: u64, cache_bytes: u64) -> CountersReport {
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
            host_peak_bytes: host_peak_bytes(),
            pipelines_compiled: self.engine.counters().pipelines_compiled,
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

/// Tokens that are fed and drawn, warm-up included, for the progress bar.
fn tokens_in_all(tests: &[(&'static str, usize)], depths: &[usize], repetitions: usize) -> usize {
    let drawn = |count| count + 2; // one is fed before, one drawn before the clock runs
    let of = |&(name, count): &(&str, usize)| {
        if name == "pp" {
            count + 1
        } else {
            drawn(count)
        }
    };
    let round: usize = tests.iter().map(of).sum();
    let warm_up = warm_up_width(tests) + 1 + drawn(WARM_UP);
    depths.iter().max().unwrap_or(&0) + warm_up + depths.len() * repetitions * round
}

/// As wide as the first prompt that is measured.
fn warm_up_width(tests: &[(&'static str, usize)]) -> usize {
    let prompt = tests.iter().find(|(name, _)| *name == "pp");
    prompt.map_or(WARM_UP, |(_, count)| *count)
}

/// The most memory that this process has had, where the system says (Linux).
fn host_peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
