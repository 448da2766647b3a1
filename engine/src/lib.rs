//! Lantern's engine: from the bytes of a model file to tokens, on any GPU that wgpu reaches.
//!
//! ```no_run
//! # fn main() -> lantern_engine::Result<()> {
//! let model = lantern_engine::open("model.gguf")?;
//! for text in model.chat().user("Why is the sky blue?")? {
//!     print!("{}", text?);
//! }
//! # Ok(())
//! # }
//! ```
//! [`open`] tries every kernel that the model uses against its CPU reference, and finds the fastest; [`OpenOptions`] has what
//! can be chosen. [`LanguageModel`] chats and completes texts, [`Session`] has tokens and logits. [`open`], [`Chat::user`]
//! and [`LanguageModel::complete`] block; what is `async` runs everywhere, in a browser too, without a runtime. Natively what
//! is `async` waits for the device where it is polled: give it a thread of its own where others must go on.
//!
//! Natively [`Gpu`], [`Model`] and [`LanguageModel`] are `Send` and `Sync`, [`Session`] and [`Chat`] are `Send`; the futures
//! that take a callback are not, for a callback need not be.
//!
//! Features, all on unless they are left out: `blocking` (calls that block), `templates` (chats), `safetensors` (models in
//! the folders of Hugging Face), `bench` ([`mod@bench`]: measuring and estimates). What a program meets of one that is left out
//! is [`Error::Unsupported`] and names it.
//!
//! The way of the data, one direction: Source → Header → Family row and Config → Weights → Plan → Session → Sampler → TextStream.

#[cfg(feature = "bench")]
pub mod bench;
mod error;
pub mod file;
mod generate;
mod gpu;
mod graph;
mod model;
mod plan;
mod resident;
mod session;
pub mod text;

#[cfg(feature = "bench")]
pub use bench::{BenchOptions, estimate::Estimate};
pub use error::{Error, Limit, Result, Unsupported};
pub use file::ModelFile;
#[cfg(feature = "blocking")]
pub use generate::{
    BUCKETS, Histogram, Reply, Request, Service, ServiceEvent, ServiceOptions, ServiceStats, open,
    open_with,
};
pub use generate::{
    Chat, Completion, CompletionEvent, CompletionOptions, EmbedOptions, Embedder, Fitted,
    LanguageModel, Message, OpenEvent, OpenOptions, Perplexity, PrepareOptions, Prompt,
    TUNING_SECONDS, Timings, Trial, Usage, answer_room, conversation, fit_conversation, ranking,
    template_input,
};
pub use gpu::adapter::{AdapterDescription, AdapterFeatures, AdapterLimits};
pub use gpu::ceiling::Ceilings;
pub use gpu::counting::Counters;
pub use gpu::device::Gpu;
pub use gpu::options::{BrowserAdapter, GpuOptions};
pub use gpu::selftest::{SelfTest, SelfTestRow};
pub use gpu::times::KernelTime;
pub use gpu::tuning::Tuning;
pub use graph::Graph;
pub use model::{
    config::{
        AttentionConfig, BlockConfig, Config, DeltaNetConfig, ExpertsConfig, FfnConfig,
        MambaConfig, MixerConfig, Pooling, PoolingConfig, Rwkv7Config, StepsConfig,
    },
    options::{CONTEXT_DEFAULT_MAX, CacheType, LoadOptions, Precision},
};
pub use plan::{cost::Load, dispatch::Plan};
pub use resident::{load::Model, lora::Lora, stream::Streaming};
pub use session::{
    Session,
    batch::{Batch, BatchOptions},
    check::CheckedDispatch,
    decode::FinishReason,
    drafts::{Drafted, Drafts},
    profile::ProfileRow,
    rows::{Row, Sequences},
    sampler::SamplerOptions,
    saved::Saved,
    texts::Embedding,
    trial::{Replaced, TRIAL_SECONDS},
    tune::{HeadSeconds, TunedRow},
};
pub use text::{
    ChatPrompt, ChatTemplate, Constraint, Grammar, Next, RankPrompt, Reasoning, TextStream,
    Tokenizer, ToolCall, ToolChoice, Tools,
};
/// Version of wgpu that [`Gpu::from_device`] takes a device of.
pub use wgpu;

/// Door for Lantern's own tests: no part of the library, and free to change.
#[doc(hidden)]
pub mod internals {
    pub use crate::model::{encoders::ENCODERS, families::FAMILIES, state_spaces::STATE_SPACES};
}
