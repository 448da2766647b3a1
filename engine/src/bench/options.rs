//! Options of a benchmark: the rows that it measures, and how often.

use crate::{Error, Result, Session};

/// Tokens of decode before anything counts: enough that every pipeline has run once.
pub(super) const WARM_UP: usize = 8;

/// Options of a benchmark.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BenchOptions {
    /// Tokens of each prompt that is prefilled; none of 0.
    pub prompt: Vec<usize>,
    /// Tokens of each answer that is sampled; none of 0.
    pub generated: Vec<usize>,
    /// Tokens in the cache before each sample, rising.
    pub depths: Vec<usize>,
    /// Samples of each row.
    pub repetitions: usize,
    /// Also time each kernel, by timestamps of the GPU.
    pub profile: bool,
    /// Seconds that opening the device and loading took.
    pub load_seconds: f64,
}

/// Kind of tokens that a row measures: prefilled, or generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    Prefill(usize),
    Decode(usize),
}

impl Default for BenchOptions {
    /// Has the rows of `lantern bench`: 128 tokens of a prompt, 32 of an answer, from an empty cache.
    fn default() -> Self {
        BenchOptions {
            prompt: vec![128],
            generated: vec![32],
            depths: vec![0],
            repetitions: 3,
            profile: false,
            load_seconds: 0.0,
        }
    }
}

impl BenchOptions {
    /// Prefills prompts of so many tokens.
    #[must_use]
    pub fn prompt(mut self, prompt: Vec<usize>) -> Self {
        self.prompt = prompt;
        self
    }

    /// Samples answers of so many tokens.
    #[must_use]
    pub fn generated(mut self, generated: Vec<usize>) -> Self {
        self.generated = generated;
        self
    }

    /// Measures with so many tokens in the cache, rising.
    #[must_use]
    pub fn depths(mut self, depths: Vec<usize>) -> Self {
        self.depths = depths;
        self
    }

    /// Takes so many samples of each row.
    #[must_use]
    pub fn repetitions(mut self, repetitions: usize) -> Self {
        self.repetitions = repetitions;
        self
    }

    /// Also times each kernel, or does not.
    #[must_use]
    pub fn profile(mut self, profile: bool) -> Self {
        self.profile = profile;
        self
    }

    /// Reports that opening the device and loading took so many seconds.
    #[must_use]
    pub fn load_seconds(mut self, load_seconds: f64) -> Self {
        self.load_seconds = load_seconds;
        self
    }

    /// Positions that the measurements take.
    pub fn positions(&self) -> usize {
        let longest = |counts: &[usize]| counts.iter().copied().max().unwrap_or(0);
        // A prompt is followed by the first token of an answer; before N timed tokens one is prefilled and one sampled.
        let (prompt, sampled) = (longest(&self.prompt), longest(&self.generated));
        longest(&self.depths) + (prompt + 1).max(sampled + 2).max(2 * WARM_UP)
    }

    pub(super) fn tests(&self) -> Vec<Test> {
        let prompts = self.prompt.iter().map(|&count| Test::Prefill(count));
        let sampled = self.generated.iter().map(|&count| Test::Decode(count));
        prompts.chain(sampled).collect()
    }

    pub(super) fn check(&self, session: &Session) -> Result<()> {
        let nothing = self.tests().is_empty() || self.repetitions == 0 || self.depths.is_empty();
        let zero = |counts: &[usize]| counts.contains(&0);
        if nothing || zero(&self.prompt) || zero(&self.generated) {
            return Err(Error::BadInput("a benchmark of nothing".to_owned()));
        }
        let (needed, context) = (self.positions(), session.context());
        if needed > context {
            return Err(Error::BadInput(format!(
                "this benchmark takes a context of {needed} tokens, and the session has {context}"
            )));
        }
        Ok(())
    }
}
