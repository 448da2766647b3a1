//! Embeddings of texts, and scores of texts by a query.

use std::ops::ControlFlow;

use crate::{
    Error, LanguageModel, Model, Result,
    model::config::Pooling,
    session::texts::{Embedding, Texts},
};

/// Options of embeddings; by default the model's own pooling, and vectors of length 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbedOptions {
    /// Row that a text gets; none: as the model's file says, or the mean.
    pub pooling: Option<Pooling>,
    /// Leaves vectors as they are; else each has a length of 1.
    pub raw: bool,
    /// Columns of a vector that are kept, the first, for models that are trained for it (Matryoshka, Kusupati et al. 2022).
    pub dimensions: Option<usize>,
}

impl EmbedOptions {
    /// Makes this of a text's rows; with none what the model's file says.
    #[must_use]
    pub fn pooling(mut self, pooling: impl Into<Option<Pooling>>) -> Self {
        self.pooling = pooling.into();
        self
    }

    /// Gives each vector a length of 1, or leaves it as it is.
    #[must_use]
    pub fn normalize(mut self, normalize: bool) -> Self {
        self.raw = !normalize;
        self
    }

    /// Keeps so many columns; with none all.
    #[must_use]
    pub fn dimensions(mut self, dimensions: impl Into<Option<usize>>) -> Self {
        self.dimensions = dimensions.into();
        self
    }
}

/// Computes texts with a model, many in a pass. It keeps what it needs on the GPU from one call to the next.
pub struct Embedder {
    model: Model,
    texts: Option<Texts>,
}

impl Model {
    /// Computes texts with this model.
    pub fn embedder(&self) -> Embedder {
        Embedder {
            model: self.clone(),
            texts: None,
        }
    }

    /// The pooling of the model's file; the mean where it says none.
    pub fn pooling(&self) -> Pooling {
        self.config().usual_pooling()
    }
}

impl Embedder {
    /// Embeddings of texts, each as its tokens, in their order. `each(done, total)` counts tokens; breaking it ends in
    /// [`Error::Aborted`].
    ///
    /// # Errors
    /// [`Error::BadInput`] for a text without tokens or with too many, and for more dimensions than there are;
    /// [`Error::Unsupported`] for a pooling that the model has nothing for.
    pub async fn embed(
        &mut self,
        texts: &[Vec<u32>],
        options: &EmbedOptions,
        each: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Vec<Embedding>> {
        let pooling = options.pooling.unwrap_or(self.model.pooling());
        let mut all = self.compute(texts, pooling, each).await?;
        for embedding in &mut all {
            if let Some(count) = options.dimensions {
                embedding.keep(count)?;
            }
            if !options.raw && pooling != Pooling::Rank {
                embedding.normalize();
            }
        }
        Ok(all)
    }

    /// Outputs of the model's classifier for texts, each as its tokens, in their order.
    ///
    /// # Errors
    /// As [`Embedder::embed`]; [`Error::Unsupported`] for a model without a classifier.
    pub async fn scores(
        &mut self,
        texts: &[Vec<u32>],
        each: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<f32>>> {
        let all = self.compute(texts, Pooling::Rank, each).await?;
        Ok(all.into_iter().map(|scores| scores.values).collect())
    }

    async fn compute(
        &mut self,
        texts: &[Vec<u32>],
        pooling: Pooling,
        each: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Vec<Embedding>> {
        let context = self.model.context();
        for (index, tokens) in texts.iter().enumerate() {
            self.admit(index + 1, tokens)?;
        }
        let Some(longest) = texts.iter().map(Vec::len).max() else {
            return Ok(vec![]);
        };
        let room = self.texts.as_ref().map(Texts::room);
        if room.is_none_or(|(of, room)| of != pooling || room < longest) {
            self.texts = None;
            let room = longest.next_power_of_two().min(context);
            self.texts = Some(Texts::new(&self.model, pooling, room).await?);
        }
        let computing = self.texts.as_mut().expect("just made");
        computing.compute(texts, each).await
    }

    /// Refuses text number `number` where it has no tokens, too many, or some that there are none of.
    fn admit(&self, number: usize, tokens: &[u32]) -> Result<()> {
        let (config, context) = (self.model.config(), self.model.context());
        if tokens.is_empty() {
            return Err(Error::BadInput(format!("text {number} has no tokens")));
        }
        if let Some(token) = tokens.iter().find(|&&token| token >= config.vocab_size) {
            return Err(Error::BadInput(format!(
                "text {number}: there is no token {token}: the vocabulary has {}",
                config.vocab_size
            )));
        }
        if tokens.len() <= context {
            return Ok(());
        }
        let larger = if context < config.context as usize {
            ", or load the model with a larger context"
        } else {
            ""
        };
        Err(Error::BadInput(format!(
            "text {number} has {} tokens, and the context holds {context}: cut it into parts{larger}",
            tokens.len()
        )))
    }
}

impl Embedding {
    /// The rows, each of `dim` values.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim)
    }

    /// Keeps the first columns of each row.
    fn keep(&mut self, count: usize) -> Result<()> {
        if count == 0 || count > self.dim {
            return Err(Error::BadInput(format!(
                "{count} dimensions are not 1 to the {} that an embedding of this model has",
                self.dim
            )));
        }
        let kept = self.rows().flat_map(|row| row[..count].to_vec()).collect();
        (self.values, self.dim) = (kept, count);
        Ok(())
    }

    /// Gives each row a length of 1; rows of zeros stay.
    fn normalize(&mut self) {
        for row in self.values.chunks_exact_mut(self.dim) {
            let squares = row.iter().map(|&v| f64::from(v) * f64::from(v));
            let length = squares.sum::<f64>().sqrt();
            if length > 0.0 {
                for v in row.iter_mut() {
                    *v = (f64::from(*v) / length) as f32;
                }
            }
        }
    }
}

impl LanguageModel {
    /// Embeddings of texts, in their order, with what the tokenizer puts around each.
    ///
    /// # Errors
    /// As [`Embedder::embed`], and those of the tokenizer.
    pub async fn embed(&self, texts: &[&str], options: &EmbedOptions) -> Result<Vec<Embedding>> {
        let tokens = texts.iter().map(|text| self.tokenizer().encode_text(text));
        let tokens: Vec<Vec<u32>> = tokens.collect::<Result<_>>()?;
        let go_on = &mut |_, _| ControlFlow::Continue(());
        self.model().embedder().embed(&tokens, options, go_on).await
    }

    /// Outputs of the model's classifier for each text beside a query, in their order: the higher the first, the better the
    /// text answers.
    ///
    /// # Errors
    /// As [`Embedder::scores`], and those of the tokenizer.
    pub async fn rerank(&self, query: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let pair = |text: &&str| self.rank_prompt().encode(self.tokenizer(), query, text);
        let tokens: Vec<Vec<u32>> = texts.iter().map(pair).collect::<Result<_>>()?;
        let go_on = &mut |_, _| ControlFlow::Continue(());
        self.model().embedder().scores(&tokens, go_on).await
    }
}

/// Numbers of texts, the best first: by the first of their scores, the first of equals before.
pub fn ranking(scores: &[Vec<f32>]) -> Vec<usize> {
    let first = |index: &usize| scores[*index].first().copied().unwrap_or(f32::NEG_INFINITY);
    let mut all: Vec<usize> = (0..scores.len()).collect();
    all.sort_by(|a, b| first(b).total_cmp(&first(a)));
    all
}
