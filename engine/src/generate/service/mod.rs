//! A model for many: completions of several prompts at once, in the same passes, on a thread of their own. Prompts are read
//! in slices between tokens of the others, in the order in which they came; what sequences hold of a prompt already is not
//! read again.

mod request;
mod stats;
mod work;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread::JoinHandle,
};

use pollster::block_on;

use super::language_model::LanguageModel;
use crate::{BatchOptions, Error, Result};

pub use request::{Request, ServiceEvent};
use stats::Shared;
pub use stats::{BUCKETS, Histogram, ServiceStats};
use work::Work;

/// Options of a service.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// Completions that go on at once: 16 at most.
    pub sequences: u32,
    /// Requests that wait for one of those; more are refused.
    pub queue: usize,
    /// Positions that the cache has for all of them together; none: as many contexts as there are sequences, or what memory
    /// there is.
    pub positions: Option<usize>,
    /// Folder for what was computed of prompts, where those of another start find it, and bytes that it may take; none: it is
    /// forgotten.
    pub cache_dir: Option<(PathBuf, u64)>,
    /// Hears what goes wrong beside requests: files of that folder that cannot be written, or not be read again.
    pub note: fn(&str),
}

impl Default for ServiceOptions {
    fn default() -> Self {
        ServiceOptions {
            sequences: 4,
            queue: 64,
            positions: None,
            cache_dir: None,
            note: |note| log::warn!("{note}"),
        }
    }
}

impl ServiceOptions {
    /// Lets so many completions go on at once.
    #[must_use]
    pub fn sequences(mut self, sequences: u32) -> Self {
        self.sequences = sequences;
        self
    }

    /// Lets so many requests wait.
    #[must_use]
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// Has so many positions in the cache for all sequences together.
    #[must_use]
    pub fn positions(mut self, positions: usize) -> Self {
        self.positions = Some(positions);
        self
    }

    /// Keeps what was computed of prompts in a folder, in so many bytes at most.
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>, bytes_max: u64) -> Self {
        self.cache_dir = Some((folder.into(), bytes_max));
        self
    }

    /// Says what goes wrong beside requests.
    #[must_use]
    pub fn note(mut self, note: fn(&str)) -> Self {
        self.note = note;
        self
    }
}

/// A model that completes several prompts at once. Dropped, it ends what goes on.
pub struct Service {
    model: LanguageModel,
    requests: Option<Sender<Box<Request>>>,
    worker: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    queue: usize,
    context: usize,
}

impl Service {
    /// Makes room for the sequences and starts the thread. Blocks.
    ///
    /// # Errors
    /// As [`Model::batch_with`](crate::Model::batch_with) and [`Batch::keep_in`](crate::Batch::keep_in).
    pub fn start(model: &LanguageModel, options: ServiceOptions) -> Result<Service> {
        let ServiceOptions {
            sequences,
            queue,
            positions,
            cache_dir,
            note,
        } = options;
        let room = BatchOptions {
            sequences,
            positions,
            ..BatchOptions::default()
        };
        let mut batch = block_on(model.model().batch_with(&room))?;
        if let Some((folder, bytes_max)) = cache_dir {
            block_on(batch.keep_in(&folder, bytes_max))?;
        }
        let (requests, waiting) = channel();
        let shared = Arc::new(Shared::new(sequences, batch.context()));
        let context = batch.context();
        let worker = {
            let (tokenizer, shared) = (model.tokenizer().clone(), shared.clone());
            std::thread::spawn(move || {
                Work::new(batch, &tokenizer, &shared, note).run(&waiting);
            })
        };
        Ok(Service {
            model: model.clone(),
            requests: Some(requests),
            worker: Some(worker),
            shared,
            queue,
            context,
        })
    }

    /// The model.
    pub fn model(&self) -> &LanguageModel {
        &self.model
    }

    /// Tokens that prompt and answer may have together.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Asks for a completion.
    ///
    /// # Errors
    /// [`Error::Busy`] where as many requests wait as may, [`Error::ContextFull`] and [`Error::BadInput`] for one that cannot
    /// be completed.
    pub fn submit(&self, request: Request) -> Result<()> {
        request.options.sampler.validate()?;
        let (tokens, context) = (request.tokens.len(), self.context);
        if tokens >= context {
            return Err(Error::ContextFull { tokens, context });
        }
        if tokens == 0 {
            return Err(Error::BadInput("the prompt has no tokens".into()));
        }
        self.shared.admit(self.queue)?;
        let gone = || Error::Device("the thread that computes has ended".into());
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        let sent = requests.send(Box::new(request));
        sent.map_err(|_| gone())
    }

    /// Numbers of what it has done, and does.
    pub fn stats(&self) -> ServiceStats {
        self.shared.stats()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.close();
        self.requests = None;
        if let Some(worker) = self.worker.take() {
            let _ = worker.join(); // a panic of its own has been said
        }
    }
}
