//! A model with its tokenizer and chat template, ready to answer.

use std::{ops::ControlFlow, sync::Arc};

use super::{
    completion::CompletionOptions,
    prepare::{OpenEvent, PrepareOptions, Trial},
};
use crate::{
    CacheType, ChatTemplate, Error, Gpu, GpuOptions, LoadOptions, Model, ModelFile, Precision,
    RankPrompt, Result, Session, Tokenizer, Tuning, Unsupported,
};

/// Options of opening a model; by default the best adapter, with every kernel tried and the fastest found.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The GPU to use; none: one is opened.
    pub gpu: Option<Arc<Gpu>>,
    /// Name (part of it, in any case) or index of the adapter, where no GPU is given.
    pub adapter: Option<String>,
    /// How the model is loaded.
    pub load: LoadOptions,
    /// How its kernels are tried and chosen.
    pub prepare: PrepareOptions,
    /// Result of [`Gpu::tuning`] at an earlier start, so that nothing is tried and measured again.
    pub tuning: Option<Tuning>,
}

impl OpenOptions {
    /// Uses this GPU, which several models can share.
    #[must_use]
    pub fn gpu(mut self, gpu: Arc<Gpu>) -> Self {
        self.gpu = Some(gpu);
        self
    }

    /// Opens the adapter of this name, or part of a name, or index.
    #[must_use]
    pub fn adapter(mut self, name: impl Into<String>) -> Self {
        self.adapter = Some(name.into());
        self
    }

    /// Gives sessions room for so many tokens, prompt and answer together.
    #[must_use]
    pub fn context(mut self, tokens: usize) -> Self {
        self.load.context = Some(tokens);
        self
    }

    /// Computes this exactly.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.load.precision = precision;
        self
    }

    /// Keeps keys and values in this type.
    #[must_use]
    pub fn cache(mut self, cache: CacheType) -> Self {
        self.load.cache = Some(cache);
        self
    }

    /// Takes at most so many bytes on the GPU; layers that do not fit are read from the file whenever they are needed.
    #[must_use]
    pub fn gpu_memory(mut self, bytes: u64) -> Self {
        self.load.gpu_memory = Some(bytes);
        self
    }

    /// Tries kernels in this way. With [`Trial::Off`] shaders run with bounds checks.
    #[must_use]
    pub fn trial(mut self, trial: Trial) -> Self {
        self.prepare.trial = trial;
        self
    }

    /// Looks for the fastest kernels for so many seconds, or not at all.
    #[must_use]
    pub fn tuning_seconds(mut self, seconds: impl Into<Option<f64>>) -> Self {
        self.prepare.tuning_seconds = seconds.into();
        self
    }

    /// Begins with what was found at an earlier start; it is passed over where it is of another adapter, driver or version.
    #[must_use]
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = Some(tuning);
        self
    }
}

/// A model that is ready to answer: its weights are on the GPU, its kernels are tried. Cheap to clone.
#[derive(Clone)]
pub struct LanguageModel(Arc<Parts>);

struct Parts {
    model: Model,
    texts: Texts,
}

/// Tokenizer, templates and advice of a model, as its file has them.
struct Texts {
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    options: CompletionOptions,
    rank_prompt: RankPrompt,
}

impl Texts {
    fn of(file: &ModelFile) -> Result<Texts> {
        Ok(Texts {
            tokenizer: file.tokenizer()?,
            template: file.chat_template()?,
            options: file.completion_options()?,
            rank_prompt: file.rank_prompt()?,
        })
    }
}

impl LanguageModel {
    /// Loads a model and prepares it. `each` hears of the progress; breaking it ends in [`Error::Aborted`].
    ///
    /// # Errors
    /// [`Error::NoAdapter`], [`Error::Unsupported`] and [`Error::DoesNotFit`] above all.
    pub async fn load(
        file: &ModelFile,
        options: &OpenOptions,
        each: &mut dyn FnMut(OpenEvent<'_>) -> ControlFlow<()>,
    ) -> Result<LanguageModel> {
        // What cannot be read is said before anything long begins.
        let texts = Texts::of(file)?;
        let gpu = if let Some(gpu) = &options.gpu {
            gpu.clone()
        } else {
            let gpu = GpuOptions::default()
                .adapter(options.adapter.clone())
                .checked(options.prepare.trial == Trial::Off);
            Arc::new(Gpu::new(&gpu).await?)
        };
        if let Some(kept) = &options.tuning {
            gpu.set_tuning(kept);
        }
        let mut loading = |done, total| each(OpenEvent::Loading { done, total });
        let model = Model::load(&gpu, file, &options.load, &mut loading).await?;
        model.prepare(&options.prepare, each).await?;
        Ok(LanguageModel(Arc::new(Parts { model, texts })))
    }

    /// A model that is loaded already, from this file.
    ///
    /// # Errors
    /// [`Error::Unsupported`] and [`Error::BadFile`] for a tokenizer or a chat template that cannot be used.
    pub fn with_model(file: &ModelFile, model: Model) -> Result<LanguageModel> {
        let texts = Texts::of(file)?;
        Ok(LanguageModel(Arc::new(Parts { model, texts })))
    }

    /// The model below: its numbers, its GPU, its sessions.
    pub fn model(&self) -> &Model {
        &self.0.model
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.0.texts.tokenizer
    }

    /// The model's chat template.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where it has none: it completes texts, and does not chat.
    pub fn template(&self) -> Result<&ChatTemplate> {
        let missing = || {
            let message = "this model has no chat template; it completes texts, and does not chat";
            Error::unsupported(Unsupported::Template, message.to_owned())
        };
        self.0.texts.template.as_ref().ok_or_else(missing)
    }

    /// How the model wants a query and a text that it scores.
    pub fn rank_prompt(&self) -> &RankPrompt {
        &self.0.texts.rank_prompt
    }

    /// Options of a completion as the model's authors advise, to change and give to [`LanguageModel::complete`]; a
    /// [`Chat`](crate::Chat) begins with them.
    pub fn completion_options(&self) -> CompletionOptions {
        self.0.texts.options.clone()
    }

    /// A session with an empty cache.
    pub async fn session(&self) -> Result<Session> {
        self.model().session().await
    }
}
