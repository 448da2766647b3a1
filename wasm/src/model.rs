//! A model on the GPU, with the one session that answers are sampled in.

use std::ops::ControlFlow;

use js_sys::Function;
use lantern_engine::{
    CacheType, ChatTemplate, CompletionOptions, Config, Embedder, Error, LoadOptions, Model,
    ModelFile, OpenEvent, Pooling, Precision, PrepareOptions, RankPrompt, Reasoning, Saved,
    Session, TRIAL_SECONDS, Tokenizer, Trial, Unsupported, answer_room, fit_conversation,
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use web_time::Instant;

use crate::{ByteSource, Gpu, error::Result, source::source};

#[derive(Deserialize)]
struct Options {
    context: Option<usize>,
    #[serde(default)]
    precision: Precision,
    kv_cache: Option<CacheType>,
    /// Seconds to look for the fastest kernels, where that was not done on this adapter.
    #[serde(default)]
    tuning_seconds: f64,
}

/// Description of a loaded model; `ModelInfo` of the package.
#[derive(Serialize)]
struct Info {
    name: String,
    architecture: String,
    size: u64,
    context: usize,
    context_trained: u32,
    layers: u32,
    vocab_size: u32,
    chat: bool,
    precision: Precision,
    weight_bytes: u64,
    cache_bytes: u64,
}

/// Description of a model whose header was read; `ModelHeader` of the package.
#[derive(Serialize)]
struct Header {
    name: String,
    architecture: String,
    size: u64,
    context_trained: u32,
}

/// Reads the header of a model, as JSON. An error where there is none, or none that runs here.
#[wasm_bindgen]
pub async fn header(sources: Vec<ByteSource>) -> Result<String> {
    let file = ModelFile::read(sources.into_iter().map(source).collect()).await?;
    let config = Config::of(&file)?;
    let header = Header {
        name: config.name,
        architecture: config.family,
        size: file.len(),
        context_trained: config.context,
    };
    Ok(serde_json::to_string(&header)?)
}

/// A conversation as the model gets it.
#[wasm_bindgen(getter_with_clone)]
pub struct ConversationTokens {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Messages that were left out.
    pub left_out: usize,
    /// Whether the template refused the system message, and its text stands before the first user message.
    pub system_moved: bool,
}

/// A model, its tokenizer and its session.
#[wasm_bindgen]
pub struct LoadedModel {
    info: Info,
    tokenizer: lantern_engine::Result<Tokenizer>,
    template: lantern_engine::Result<Option<ChatTemplate>>,
    advised: lantern_engine::Result<CompletionOptions>,
    rank_prompt: lantern_engine::Result<RankPrompt>,
    pub(crate) embedder: Embedder,
    pooling: Pooling,
    pub(crate) session: Session,
    pub(crate) load_seconds: f64,
}

#[wasm_bindgen]
impl LoadedModel {
    /// Brings the files of a model to the GPU. `progress(done, total)` counts bytes, `tuning(done, total)` shapes of
    /// kernels; both stop by returning true. `notice(text)` hears of kernels that compute wrong.
    pub async fn load(
        gpu: &Gpu,
        sources: Vec<ByteSource>,
        options: String,
        progress: Function,
        tuning: Function,
        notice: Function,
    ) -> Result<LoadedModel> {
        let start = Instant::now();
        let options: Options = serde_json::from_str(&options)?;
        let tuning_seconds = options.tuning_seconds;
        let options = LoadOptions::default()
            .context(options.context)
            .precision(options.precision)
            .cache(options.kv_cache);
        let sources = sources.into_iter().map(source).collect();
        let file = ModelFile::read(sources).await?;
        let mut told = |done: u64, total: u64| asked(&progress, done as f64, total as f64);
        let model = Model::load(&gpu.inner, &file, &options, &mut told).await?;
        prepare(&model, tuning_seconds, &tuning, &notice).await?;
        let session = model.session().await?;
        let (tokenizer, template) = (file.tokenizer(), file.chat_template());
        let config = model.config();
        if let Some(told) = model.beyond_training() {
            let _ = notice.call1(&JsValue::NULL, &told.into()); // as of kernels: whoever listens may throw
        }
        let info = Info {
            name: config.name.clone(),
            architecture: config.family.clone(),
            size: file.len(),
            context: model.context(),
            context_trained: config.context,
            layers: config.layers,
            vocab_size: config.vocab_size,
            chat: matches!(template, Ok(Some(_))) && tokenizer.is_ok(),
            precision: model.precision(),
            weight_bytes: model.weight_bytes(),
            cache_bytes: model.cache_bytes(),
        };
        Ok(LoadedModel {
            info,
            tokenizer,
            template,
            advised: file.completion_options(),
            rank_prompt: file.rank_prompt(),
            embedder: model.embedder(),
            pooling: model.pooling(),
            session,
            load_seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Description of the model, as JSON.
    pub fn info(&self) -> Result<String> {
        Ok(serde_json::to_string(&self.info)?)
    }

    /// The tokens of a text; `special`: texts of special tokens are those tokens.
    pub fn tokenize(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let tokenizer = self.tokenizer()?;
        let tokens = if special {
            tokenizer.encode_rendered(text)
        } else {
            tokenizer.encode(text, false)
        };
        Ok(tokens?)
    }

    /// The tokens of a text that is to be completed, with those that the model wants before any; `special`: texts of
    /// special tokens are those tokens.
    pub fn prompt(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        Ok(self.tokenizer()?.encode_prompt(text, special)?)
    }

    /// The text of tokens.
    pub fn detokenize(&self, tokens: &[u32]) -> Result<String> {
        Ok(self.tokenizer()?.decode(tokens))
    }

    /// The tokens of a conversation: `input` is what the model's chat template gets, as JSON; `special`: texts of special
    /// tokens in it are those tokens.
    pub fn conversation(&self, input: &str, special: bool) -> Result<ConversationTokens> {
        let input = serde_json::from_str(input)?;
        let prompt = self.template()?.prompt(input, self.tokenizer()?, special)?;
        Ok(ConversationTokens {
            tokens: prompt.tokens,
            left_out: 0,
            system_moved: prompt.system_moved,
        })
    }

    /// As `conversation`, with the oldest turns left out where they leave no room for an answer in the context.
    pub fn fitting(
        &self,
        input: &str,
        special: bool,
        max_tokens: Option<usize>,
    ) -> Result<ConversationTokens> {
        let input = serde_json::from_str(input)?;
        let (template, tokenizer) = (self.template()?, self.tokenizer()?);
        let context = self.session.context();
        let room = answer_room(context, max_tokens);
        let fitted = fit_conversation(template, tokenizer, &input, special, context, room)?;
        Ok(ConversationTokens {
            tokens: fitted.tokens,
            left_out: fitted.left_out,
            system_moved: fitted.system_moved,
        })
    }

    /// Logits after the last of `tokens`, from an empty session. `progress(done, total)` counts tokens, and stops by
    /// returning true.
    pub async fn logits(&mut self, tokens: Vec<u32>, progress: Function) -> Result<Vec<f32>> {
        self.session.rewind(0)?;
        let mut told = |done: usize, total: usize| asked(&progress, done as f64, total as f64);
        self.session.prefill(&tokens, &mut told).await?;
        Ok(self.session.logits().await?)
    }

    /// Record of the session that is to be kept beside its pieces, as JSON; an error where it has read nothing.
    pub fn save(&self) -> Result<String> {
        if self.session.tokens().is_empty() {
            let message = "the session has read nothing yet: there is nothing to save";
            return Err(Error::BadInput(message.to_owned()).into());
        }
        Ok(serde_json::to_string(&self.session.save()?)?)
    }

    /// Pieces of the session's cache.
    pub fn pieces(&self) -> usize {
        self.session.pieces()
    }

    /// Bytes of piece `index`.
    pub fn piece_bytes(&self, index: usize) -> usize {
        self.session.piece_bytes(index)
    }

    /// Piece `index`.
    pub async fn read_piece(&self, index: usize) -> Result<Vec<u8>> {
        Ok(self.session.read_piece(index).await?)
    }

    /// Makes the session the one that was saved; its pieces follow.
    pub fn restore(&mut self, saved: &str) -> Result<()> {
        let damaged = |error| Error::bad_file(format!("the saved session is damaged: {error}"));
        let saved: Saved = serde_json::from_str(saved).map_err(damaged)?;
        Ok(self.session.restore(&saved)?)
    }

    /// Writes piece `index` of a session that is being restored.
    pub fn write_piece(&mut self, index: usize, bytes: &[u8]) -> Result<()> {
        Ok(self.session.write_piece(index, bytes)?)
    }

    /// Forgets the session.
    pub fn reset(&mut self) -> Result<()> {
        self.session.rewind(0)?;
        Ok(())
    }
}

impl LoadedModel {
    fn template(&self) -> Result<&ChatTemplate> {
        let missing = || {
            Error::unsupported(
                Unsupported::Template,
                "this model has no chat template; use complete() with it",
            )
        };
        let template = self.template.as_ref().map_err(again)?;
        Ok(template.as_ref().ok_or_else(missing)?)
    }

    /// How the model marks thoughts in its answer to a prompt that its template made.
    pub(crate) fn reasoning(&self, prompt: &[u32]) -> Result<Option<Reasoning>> {
        Ok(self.template()?.reasoning(self.tokenizer()?, prompt))
    }

    pub(crate) fn tokenizer(&self) -> Result<&Tokenizer> {
        Ok(self.tokenizer.as_ref().map_err(again)?)
    }

    /// How the model wants a query and a text that it scores.
    pub(crate) fn rank_prompt(&self) -> Result<RankPrompt> {
        Ok(self.rank_prompt.as_ref().map_err(again)?.clone())
    }

    /// The pooling of the model's file.
    pub(crate) fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// Options of an answer as the model's authors advise.
    pub(crate) fn advised(&self) -> Result<CompletionOptions> {
        Ok(self.advised.as_ref().map_err(again)?.clone())
    }

    /// The tokenizer beside the session, for both at once.
    pub(crate) fn speaking(&mut self) -> Result<(&Tokenizer, &mut Session)> {
        let tokenizer = self.tokenizer.as_ref().map_err(again)?;
        Ok((tokenizer, &mut self.session))
    }

    /// Bytes of its file, or files.
    pub(crate) fn size(&self) -> u64 {
        self.info.size
    }
}

/// Tries the variants that the model is about to use, and finds the fastest.
async fn prepare(model: &Model, seconds: f64, tuning: &Function, notice: &Function) -> Result<()> {
    let options = PrepareOptions::default()
        .trial(Trial::Seconds(TRIAL_SECONDS))
        .tuning_seconds(seconds);
    let mut each = |event: OpenEvent<'_>| match event {
        OpenEvent::Replaced(replaced) => {
            // What a listener throws is no reason not to go on.
            let _ = notice.call1(&JsValue::NULL, &replaced.to_string().into());
            ControlFlow::Continue(())
        }
        OpenEvent::Tuning { done, total } if total > 0 => asked(tuning, done as f64, total as f64),
        _ => ControlFlow::Continue(()),
    };
    Ok(model.prepare(&options, &mut each).await?)
}

/// The error once more: it was met at load time, where it did not matter yet.
fn again(error: &Error) -> Error {
    Error::unsupported(Unsupported::Template, error.to_string())
}

/// Calls `function(a, b)`; true, or throwing, means stop.
pub(crate) fn asked(function: &Function, a: f64, b: f64) -> ControlFlow<()> {
    match function.call2(&JsValue::NULL, &a.into(), &b.into()) {
        Ok(answer) if !answer.is_truthy() => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}
