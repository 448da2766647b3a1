//! Perplexity and speed.

use std::ops::ControlFlow;

use js_sys::Function;
use lantern_engine::{Error, SamplerOptions};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use web_time::Instant;

use crate::{LoadedModel, error::Result, model::asked};

/// `Perplexity` of the package.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the name of the measure")]
struct Perplexity {
    perplexity: f64,
    nll_sum: f64,
    count: usize,
}

#[derive(Deserialize)]
struct Bench {
    prompt_tokens: usize,
    generated_tokens: usize,
    repetitions: usize,
}

/// `BenchRow` of the package.
#[derive(Serialize)]
struct Row {
    test: String,
    tokens_per_second: f64,
    deviation: f64,
    repetitions: Vec<f64>,
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

    /// Rows of a benchmark as JSON: `pp`, tokens fed a second, and `tg`, tokens drawn a second after the first.
    /// `progress(done, total)` counts tokens, and stops by returning true.
    pub async fn bench(&mut self, options: String, progress: Function) -> Result<String> {
        let options: Bench = serde_json::from_str(&options)?;
        let (fed, drawn) = (options.prompt_tokens, options.generated_tokens);
        let context = self.session.context();
        if options.repetitions == 0 || fed.max(drawn + 2) > context {
            let message = format!(
                "a context of {context} has no room for this benchmark, or it is of nothing"
            );
            return Err(Error::BadInput(message).into());
        }
        let total = ((fed + drawn) * (options.repetitions + 1)) as f64;
        let mut done = 0.0;
        let mut told = |count: f64| {
            done += count;
            asked(&progress, done, total)
        };
        let (mut feeding, mut drawing) = (Vec::new(), Vec::new());
        // The first round warms up, and does not count.
        for _ in 0..=options.repetitions {
            if fed > 0 {
                feeding.push(fed as f64 / self.feeding(fed, &mut told).await?);
            }
            if drawn > 0 {
                drawing.push(drawn as f64 / self.drawing(drawn, &mut told).await?);
            }
        }
        let rows = [
            (format!("pp{fed}"), feeding),
            (format!("tg{drawn}"), drawing),
        ];
        let rows = rows.into_iter().filter(|(_, all)| !all.is_empty());
        let rows: Vec<Row> = rows.map(|(test, all)| Row::new(test, &all[1..])).collect();
        Ok(serde_json::to_string(&rows)?)
    }
}

impl LoadedModel {
    /// Seconds to feed `count` tokens and have the logits after the last.
    async fn feeding(
        &mut self,
        count: usize,
        told: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<f64> {
        let vocabulary = self.model().config().vocabulary;
        self.session.rewind(0)?;
        // Ids that repeat nothing, as `lantern bench` has them.
        let id = |index: u32| index.wrapping_mul(2_654_435_761) % vocabulary;
        let tokens: Vec<u32> = (0..count as u32).map(id).collect();
        let start = Instant::now();
        let mut before = 0;
        let mut show = |done: usize, _: usize| {
            let new = done - std::mem::replace(&mut before, done);
            told(new as f64)
        };
        self.session.feed(&tokens, &mut show).await?;
        self.session.logits().await?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Seconds of `count` passes that each draw a token, after one that is drawn from logits that are there.
    async fn drawing(
        &mut self,
        count: usize,
        told: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<f64> {
        self.session.rewind(0)?;
        let mut go = |_, _| ControlFlow::Continue(());
        self.session.feed(&[1], &mut go).await?;
        self.session.logits().await?;
        let mut start = None;
        let mut each = |_| {
            start.get_or_insert_with(Instant::now);
            told(1.0)
        };
        let greedy = SamplerOptions::greedy();
        let generated = self.session.generate(count + 1, &greedy, &mut each).await;
        match generated? {
            lantern_engine::Generated::Count => {}
            _ => return Err(Error::Aborted.into()),
        }
        Ok(start.expect("a token was drawn").elapsed().as_secs_f64())
    }
}

impl Row {
    fn new(test: String, repetitions: &[f64]) -> Row {
        let count = repetitions.len() as f64;
        let mean = repetitions.iter().sum::<f64>() / count;
        let squares: f64 = repetitions.iter().map(|v| (v - mean) * (v - mean)).sum();
        let deviation = if count > 1.0 {
            (squares / (count - 1.0)).sqrt()
        } else {
            0.0
        };
        Row {
            test,
            tokens_per_second: mean,
            deviation,
            repetitions: repetitions.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn a_row_is_mean_and_deviation() {
        let row = Row::new("tg2".to_owned(), &[1.0, 3.0]);
        assert_eq!((row.tokens_per_second, row.deviation), (2.0, 2f64.sqrt()));
        let single = Row::new("tg2".to_owned(), &[1.5]);
        assert_eq!((single.tokens_per_second, single.deviation), (1.5, 0.0));
    }
}
