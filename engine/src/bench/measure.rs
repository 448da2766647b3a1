//! Taking the samples: a session that is set back to the same depth before each.

use std::ops::ControlFlow;

use web_time::Instant;

use super::{
    options::{BenchOptions, Test, WARM_UP},
    report::{Ceiling, CountersReport, FirstToken, Measured, Profile, Rate, Row},
};
use crate::{
    Ceilings, Counters, Error, FinishReason, Result, SamplerOptions, Session,
    gpu::system::bytes_in, resident::load::Model,
};

/// How often a profile times each dispatch.
const PROFILE_ROUNDS: usize = 5;

/// A session, and what was counted while it was measured.
pub(super) struct Bench<'a> {
    session: &'a mut Session,
    options: &'a BenchOptions,
    depth: usize,
    decoded: usize,
    spent: Counters,
    /// A row for each prefill: its tokens, the depth, and seconds from its start to the first token after it.
    first_tokens: Vec<((usize, usize), f64)>,
    each: &'a mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    /// Tokens prefilled and sampled so far, and those that will have been at the end.
    done: usize,
    total: usize,
}

/// The samples of a row.
struct Samples {
    test: Test,
    depth: usize,
    tokens_per_second: Vec<f64>,
}

impl<'a> Bench<'a> {
    pub fn new(
        session: &'a mut Session,
        options: &'a BenchOptions,
        each: &'a mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Bench<'a> {
        Bench {
            session,
            options,
            depth: 0,
            decoded: 0,
            spent: Counters::default(),
            first_tokens: Vec::new(),
            each,
            done: 0,
            total: tokens_in_all(options),
        }
    }

    pub async fn run(mut self) -> Result<Measured> {
        let options = self.options;
        let cold = options.load_seconds + self.warm_up().await?;
        let samples = self.samples().await?;
        let counters = self.counters();
        let warm = self.first_token();
        let profile = if options.profile {
            Some(self.profile().await?)
        } else {
            None
        };
        let ceilings = self.session.model.gpu.ceilings().await?;
        let rows = samples.into_iter().map(|row| self.against(row, &ceilings));
        let rows = rows.collect();
        Ok(Measured {
            load_ms: options.load_seconds * 1e3,
            time_to_first_token_ms: warm.map(|warm| FirstToken {
                warm: warm * 1e3,
                cold: cold * 1e3,
            }),
            ceilings,
            rows,
            counters,
            profile,
        })
    }

    /// Runs every pipeline once. Seconds from here to the first token after the prompt.
    async fn warm_up(&mut self) -> Result<f64> {
        self.prefill(warm_up_width(self.options)).await?;
        let first = self.first_token().unwrap_or_default();
        self.decode(WARM_UP).await?;
        (self.decoded, self.spent) = (0, Counters::default());
        self.first_tokens.clear();
        Ok(first)
    }

    /// Every test at every depth, the shallowest first.
    async fn samples(&mut self) -> Result<Vec<Samples>> {
        let mut rows = Vec::new();
        for &depth in &self.options.depths {
            self.session.rewind(self.depth)?;
            self.prefill_tokens(depth - self.depth).await?;
            self.depth = depth;
            for test in self.options.tests() {
                let mut tokens_per_second = Vec::new();
                for _ in 0..self.options.repetitions {
                    tokens_per_second.push(match test {
                        Test::Prefill(count) => count as f64 / self.prefill(count).await?,
                        Test::Decode(count) => count as f64 / self.decode(count).await?,
                    });
                }
                rows.push(Samples {
                    test,
                    depth,
                    tokens_per_second,
                });
            }
        }
        Ok(rows)
    }

    /// Mean seconds from a prompt's start to the first token after it, of the first row of prompts.
    fn first_token(&self) -> Option<f64> {
        let (what, _) = self.first_tokens.first()?;
        let same = self.first_tokens.iter().filter(|(other, _)| other == what);
        let all: Vec<f64> = same.map(|(_, seconds)| *seconds).collect();
        Some(Rate::of(all).mean)
    }

    /// The row of `samples`, with what the adapter's ceilings would allow.
    fn against(&self, samples: Samples, ceilings: &Ceilings) -> Row {
        let Samples { test, depth, .. } = samples;
        let tokens_per_second = Rate::of(samples.tokens_per_second);
        let (name, count) = match test {
            Test::Prefill(count) => ("pp", count),
            Test::Decode(count) => ("tg", count),
        };
        let (load, seconds) = match test {
            Test::Prefill(_) => self.session.prefill_load(count, depth, ceilings),
            // A token in the middle of those that were sampled stands for all.
            Test::Decode(_) => {
                let (load, seconds) = self.session.decode_load(depth + 1 + count / 2, ceilings);
                (load.times(count as u64), seconds * count as f64)
            }
        };
        let (ceiling, min) = match test {
            Test::Prefill(_) if 2 * load.matrix_operations > load.operations => {
                (Ceiling::Matrix, load.computing(ceilings))
            }
            Test::Prefill(_) => (Ceiling::F32, load.computing(ceilings)),
            Test::Decode(_) => (
                Ceiling::Read,
                load.bytes as f64 / ceilings.read_bytes_per_second,
            ),
        };
        Row {
            test: format!("{name}{count}"),
            depth,
            ceiling,
            ceiling_share: min * tokens_per_second.mean / count as f64,
            expected_tokens_per_second: count as f64 / seconds,
            tokens_per_second,
        }
    }

    /// The kernels of one more token, and of one pass of the prompt.
    async fn profile(&mut self) -> Result<Profile> {
        let mut profile = Profile {
            decode: vec![],
            prefill: vec![],
        };
        if !self.options.generated.is_empty() {
            profile.decode = self.session.profile_decode(PROFILE_ROUNDS).await?;
        }
        if !self.options.prompt.is_empty() {
            profile.prefill = self.session.profile_prefill(PROFILE_ROUNDS).await?;
        }
        Ok(profile)
    }

    /// Seconds to prefill `count` tokens and have the logits after the last. Then samples a token, for the time to the first.
    async fn prefill(&mut self, count: usize) -> Result<f64> {
        self.session.rewind(self.depth)?;
        let start = Instant::now();
        self.prefill_tokens(count).await?;
        self.session.logits().await?;
        let seconds = start.elapsed().as_secs_f64();
        let greedy = SamplerOptions::greedy();
        let mut go = |_| ControlFlow::Continue(());
        let sampled = self.session.generate(1, &greedy, &mut go).await?;
        let first = start.elapsed().as_secs_f64();
        self.first_tokens.push(((count, self.depth), first));
        complete(sampled)?;
        self.done += 1;
        asked((self.each)(self.done, self.total))?;
        Ok(seconds)
    }

    /// Seconds of `count` passes that each sample a token, after one that is sampled from logits that are there.
    async fn decode(&mut self, count: usize) -> Result<f64> {
        self.session.rewind(self.depth)?;
        self.prefill_tokens(1).await?;
        self.session.logits().await?;
        let gpu = self.session.model.gpu.clone();
        let (told, done, total) = (&mut self.each, &mut self.done, self.total);
        let mut start = None;
        let mut each = |_| {
            start.get_or_insert_with(|| (Instant::now(), gpu.counters()));
            *done += 1;
            told(*done, total)
        };
        let greedy = SamplerOptions::greedy();
        let sampled = self.session.generate(count + 1, &greedy, &mut each).await?;
        complete(sampled)?;
        let (start, before) = start.expect("a token was sampled");
        let seconds = start.elapsed().as_secs_f64();
        self.decoded += count;
        self.spent = sum(&self.spent, &before, &gpu.counters());
        Ok(seconds)
    }

    /// Ids that repeat nothing, so that no cache of anybody's flatters the figures.
    async fn prefill_tokens(&mut self, count: usize) -> Result<()> {
        let position = self.session.position() as u32;
        let vocab_size = self.session.model.config.vocab_size.max(1);
        let id = |index: u32| (position + index).wrapping_mul(2_654_435_761) % vocab_size;
        let tokens: Vec<u32> = (0..count as u32).map(id).collect();
        if tokens.is_empty() {
            return Ok(());
        }
        let (told, done, total) = (&mut self.each, self.done, self.total);
        let mut show = |prefilled: usize, _: usize| told(done + prefilled, total);
        self.session.prefill(&tokens, &mut show).await?;
        self.done += count;
        Ok(())
    }

    /// Counts for each decoded token, and bytes of memory.
    fn counters(&self) -> CountersReport {
        let model = Model(self.session.model.clone());
        let per_token = |count: u64| count as f64 / self.decoded.max(1) as f64;
        let (spent, now) = (&self.spent, model.gpu().counters());
        let (weight_bytes, cache_bytes) = (model.weight_bytes(), model.cache_bytes());
        CountersReport {
            dispatches_per_token: per_token(spent.dispatches),
            passes_per_token: per_token(spent.passes),
            submissions_per_token: per_token(spent.submissions),
            readbacks_per_token: per_token(spent.readbacks),
            buffers_created_per_token: per_token(spent.buffers_created),
            bind_groups_created_per_token: per_token(spent.bind_groups_created),
            gpu_bytes: now.gpu_bytes,
            weight_bytes,
            weight_bytes_read_per_token: self.session.weight_bytes_read(),
            cache_bytes,
            gpu_bytes_over_weights_and_cache: now.gpu_bytes as f64
                / (weight_bytes + cache_bytes).max(1) as f64,
            host_peak_bytes: host_peak_bytes(),
            pipelines_compiled: now.pipelines_compiled,
        }
    }
}

fn asked(answer: ControlFlow<()>) -> Result<()> {
    if answer.is_break() {
        return Err(Error::Aborted);
    }
    Ok(())
}

/// A sample counts where as many tokens came as were asked for.
fn complete(reason: FinishReason) -> Result<()> {
    match reason {
        FinishReason::Length => Ok(()),
        FinishReason::Stop | FinishReason::Aborted => Err(Error::Aborted),
        FinishReason::ContextFull => Err(Error::BadInput("the context is too short".to_owned())),
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

/// Tokens that are prefilled and sampled, warm-up included, for the progress bar.
fn tokens_in_all(options: &BenchOptions) -> usize {
    let sampled = |count| count + 2; // one is prefilled before, one sampled before the clock runs
    let of = |test: Test| match test {
        Test::Prefill(count) => count + 1,
        Test::Decode(count) => sampled(count),
    };
    let round: usize = options.tests().into_iter().map(of).sum();
    let warm_up = warm_up_width(options) + 1 + sampled(WARM_UP);
    let deepest = options.depths.last().unwrap_or(&0);
    deepest + warm_up + options.depths.len() * options.repetitions * round
}

/// As wide as the first prompt that is measured.
fn warm_up_width(options: &BenchOptions) -> usize {
    options.prompt.first().copied().unwrap_or(WARM_UP)
}

/// The most memory that this process has had, where the system says (Linux).
fn host_peak_bytes() -> Option<u64> {
    bytes_in("/proc/self/status", "VmHWM:")
}
