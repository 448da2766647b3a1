//! Perplexity and speed.

use js_sys::Function;
use lantern_engine::{
    BenchOptions, Error,
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
        if tokens.len() < 2 {
            let message = "a perplexity takes two tokens or more".to_owned();
            return Err(Error::BadInput(message).into());
        }
        let context = self.session.context();
        let (mut nll_sum, mut count) = (0.0, 0);
        for (index, chunk) in tokens.chunks(context).enumerate() {
            let mut told = |done: usize| {
                asked(
                    &progress,
                    (index * context + done) as f64,
                    tokens.len() as f64,
                )
            };
            nll_sum += self.session.nll(chunk, &mut told).await?;
            count += chunk.len() - 1;
        }
        let perplexity = (nll_sum / count as f64).exp();
        Ok(serde_json::to_string(&Perplexity {
            perplexity,
            nll_sum,
            count,
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
        let options = BenchOptions {
            prompt: some(prompt_tokens),
            generated: some(generated_tokens),
            depths,
            repetitions,
            profile,
            load_seconds: self.load_seconds,
        };
        let mut told = |done: usize, total: usize| asked(&progress, done as f64, total as f64);
        let measured = self.session.bench(&options, &mut told).await?;
        let report = Report::new(&self.session, self.size(), host, measured);
        Ok(serde_json::to_string(&report)?)
    }
}
