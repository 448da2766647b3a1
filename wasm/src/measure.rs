//! Perplexity and speed.

use js_sys::Function;
use lantern_engine::{
    BenchOptions,
    bench::report::{Host, Report},
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::{LoadedModel, error::Result, model::asked};

/// `Perplexity` of the package.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the name of the measure")]
struct Perplexity {
    perplexity: f64,
    nll_sum: f64,
    count: usize,
}

/// `BenchOptions` of the package, and where it runs.
#[derive(Deserialize)]
struct Bench {
    host: Host,
    prompt_tokens: Vec<usize>,
    generated_tokens: Vec<usize>,
    depths: Vec<usize>,
    repetitions: usize,
    profile: bool,
}

#[wasm_bindgen]
impl LoadedModel {
    /// How well the model predicts a text, as JSON; in chunks of the context, each of which predicts all but its own first
    /// token. `progress(done, total)` counts tokens, and stops by returning true.
    pub async fn perplexity(&mut self, text: String, progress: Function) -> Result<String> {
        let tokens = self.tokenizer()?.encode(&text, false)?;
        let mut told = |done: usize, total: usize| asked(&progress, done as f64, total as f64);
        let measured = self.session.perplexity(&tokens, &mut told).await?;
        Ok(serde_json::to_string(&Perplexity {
            perplexity: measured.perplexity(),
            nll_sum: measured.nll_sum,
            count: measured.count,
        })?)
    }

    /// Measures; a report as JSON, in the form that `lantern bench --json` has too. `progress(done, total)` counts tokens,
    /// and stops by returning true.
    pub async fn bench(&mut self, options: String, progress: Function) -> Result<String> {
        let Bench {
            host,
            prompt_tokens,
            generated_tokens,
            mut depths,
            repetitions,
            profile,
        } = serde_json::from_str(&options)?;
        depths.sort_unstable();
        depths.dedup();
        let some = |counts: Vec<usize>| counts.into_iter().filter(|&count| count > 0).collect();
        let options = BenchOptions::default()
            .prompt(some(prompt_tokens))
            .generated(some(generated_tokens))
            .depths(depths)
            .repetitions(repetitions)
            .profile(profile)
            .load_seconds(self.load_seconds);
        let mut told = |done: usize, total: usize| asked(&progress, done as f64, total as f64);
        let measured = self.session.bench(&options, &mut told).await?;
        let report = Report::new(&self.session, self.size(), host, measured);
        Ok(serde_json::to_string(&report)?)
    }
}
