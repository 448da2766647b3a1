//! Embeddings of texts, and scores of texts by a query.

use js_sys::Function;
use lantern_engine::{EmbedOptions, Pooling, RankPrompt, Tokenizer, ranking};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use crate::{
    error::Result,
    model::{LoadedModel, asked},
};

#[derive(Default, Deserialize)]
struct Options {
    pooling: Option<Pooling>,
    normalize: Option<bool>,
    dimensions: Option<usize>,
}

/// A text, or its tokens, which nothing is put around.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Tokens(Vec<u32>),
}

/// Rows of texts, one after the other.
#[wasm_bindgen(getter_with_clone)]
pub struct TextRows {
    /// The rows, (rows, dim).
    pub values: Vec<f32>,
    /// Columns of a row.
    pub dim: usize,
    /// How many rows each text has.
    pub rows: Vec<u32>,
    /// How many tokens each text has.
    pub tokens: Vec<u32>,
    /// Row that each text got.
    pub pooling: String,
}

/// Scores of texts, the best first.
#[wasm_bindgen(getter_with_clone)]
pub struct TextScores {
    /// Numbers of the texts.
    pub order: Vec<usize>,
    /// Their scores, (texts, outputs).
    pub values: Vec<f32>,
}

#[wasm_bindgen]
impl LoadedModel {
    /// Embeddings of texts, as JSON, in their order. `progress(done, total)` counts tokens, and stops by returning true.
    pub async fn embed(
        &mut self,
        texts: &str,
        options: &str,
        progress: Function,
    ) -> Result<TextRows> {
        let options: Options = serde_json::from_str(options)?;
        let texts = self.tokens(texts, Tokenizer::encode_text)?;
        let pooling = options.pooling.unwrap_or(self.pooling());
        let options = EmbedOptions::default()
            .pooling(pooling)
            .normalize(options.normalize.unwrap_or(true))
            .dimensions(options.dimensions);
        let mut told = |done: usize, total: usize| asked(&progress, done as f64, total as f64);
        let all = self.embedder.embed(&texts, &options, &mut told).await?;
        Ok(TextRows {
            dim: all.first().map_or(0, |embedding| embedding.dim),
            rows: all.iter().map(|e| e.rows().count() as u32).collect(),
            tokens: all.iter().map(|e| e.tokens as u32).collect(),
            values: all.into_iter().flat_map(|e| e.values).collect(),
            pooling: pooling.name().to_owned(),
        })
    }

    /// Scores of texts, as JSON, by a query. `progress(done, total)` counts tokens, and stops by returning true.
    pub async fn rerank(
        &mut self,
        query: &str,
        texts: &str,
        progress: Function,
    ) -> Result<TextScores> {
        let prompt: RankPrompt = self.rank_prompt()?;
        let texts = self.tokens(texts, |tokenizer, text| {
            prompt.encode(tokenizer, query, text)
        })?;
        let mut told = |done: usize, total: usize| asked(&progress, done as f64, total as f64);
        let scores = self.embedder.scores(&texts, &mut told).await?;
        let order = ranking(&scores);
        Ok(TextScores {
            values: order
                .iter()
                .flat_map(|&text| scores[text].clone())
                .collect(),
            order,
        })
    }
}

impl LoadedModel {
    fn tokens(
        &self,
        texts: &str,
        encode: impl Fn(&Tokenizer, &str) -> lantern_engine::Result<Vec<u32>>,
    ) -> Result<Vec<Vec<u32>>> {
        let texts: Vec<Text> = serde_json::from_str(texts)?;
        let tokens = texts.into_iter().map(|text| match text {
            Text::Tokens(tokens) => Ok(tokens),
            Text::Text(text) => Ok(encode(self.tokenizer()?, &text)?),
        });
        tokens.collect()
    }
}
