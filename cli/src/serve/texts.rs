//! Embeddings and scores: one request at a time computes, on a thread of its own; the others wait, as many as may.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use lantern_engine::{EmbedOptions, Embedder, Embedding, Error, LanguageModel};
use pollster::block_on;

use super::error::ApiError;

/// A model's embedder, and who waits for it.
pub struct Texts {
    embedder: Arc<Mutex<Embedder>>,
    /// Requests that wait or compute.
    asked: AtomicUsize,
    queue: usize,
    /// Tokens that were computed.
    pub tokens: AtomicU64,
}

/// A request that waits or computes, until it is dropped: then nobody wants what it computes.
struct Place<'a> {
    texts: &'a Texts,
    gone: Arc<AtomicBool>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.texts.asked.fetch_sub(1, Relaxed);
        self.gone.store(true, Relaxed);
    }
}

impl Texts {
    /// An embedder that computes nothing yet; `queue` requests may wait for it.
    pub fn new(model: &LanguageModel, queue: usize) -> Texts {
        Texts {
            embedder: Arc::new(Mutex::new(model.model().embedder())),
            asked: AtomicUsize::new(0),
            queue,
            tokens: AtomicU64::new(0),
        }
    }

    /// Embeddings of texts, each as its tokens.
    pub async fn embed(
        &self,
        texts: Vec<Vec<u32>>,
        options: EmbedOptions,
    ) -> Result<Vec<Embedding>, ApiError> {
        self.compute(texts, move |embedder, texts, each| {
            block_on(embedder.embed(texts, &options, each))
        })
        .await
    }

    /// Outputs of the model's classifier for texts, each as its tokens.
    pub async fn scores(&self, texts: Vec<Vec<u32>>) -> Result<Vec<Vec<f32>>, ApiError> {
        self.compute(texts, |embedder, texts, each| {
            block_on(embedder.scores(texts, each))
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        &self,
        texts: Vec<Vec<u32>>,
        work: impl FnOnce(&mut Embedder, &[Vec<u32>], &mut Each) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, ApiError> {
        let tokens: u64 = texts.iter().map(|text| text.len() as u64).sum();
        let waiting = self.asked.fetch_add(1, Relaxed);
        let gone = Arc::new(AtomicBool::new(false));
        let place = Place {
            texts: self,
            gone: gone.clone(),
        };
        if waiting > self.queue {
            return Err(Error::Busy { waiting }.into());
        }
        let embedder = self.embedder.clone();
        let computed = tokio::task::spawn_blocking(move || {
            let mut embedder = embedder.lock().unwrap_or_else(PoisonError::into_inner);
            let mut each = move |_, _| {
                if gone.load(Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            match each(0, 0) {
                ControlFlow::Continue(()) => work(&mut embedder, &texts, &mut each),
                ControlFlow::Break(()) => Err(Error::Aborted),
            }
        });
        let computed = computed.await;
        drop(place);
        let failed = |_| Error::Device("the thread that computes texts has ended".into());
        let computed = computed.map_err(failed)??;
        self.tokens.fetch_add(tokens, Relaxed);
        Ok(computed)
    }
}

type Each = dyn FnMut(usize, usize) -> ControlFlow<()>;
