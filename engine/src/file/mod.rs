//! Model files: where bytes come from, what their headers say, GGUF's or those of a Hugging Face folder, and files of other
//! stored types made of them.

mod choice;
mod foreign;
mod formats;
mod gguf;
#[cfg(feature = "safetensors")]
mod hugging_face;
#[cfg(not(feature = "safetensors"))]
#[path = "no_safetensors.rs"]
mod hugging_face;
mod key_uses;
mod metadata;
mod model_file;
mod noise;
mod packed;
mod quantise;
mod reader;
#[cfg(feature = "safetensors")]
mod safetensors;
mod short;
mod source;
mod split;
mod strided;
mod synthetic;
mod threads;
mod types;
mod values;
mod write;

pub use choice::{BESIDE_WEIGHTS, preferred_file};
pub(crate) use formats::format_of;
pub use gguf::{Header, TensorInfo};
#[cfg(feature = "safetensors")]
pub use hugging_face::{GENERATION_KEYS, GenerationKey, KeyRole, TOKENIZER_SETTINGS};
pub use key_uses::KeyUse;
pub use metadata::{Metadata, Value};
pub use model_file::ModelFile;
pub(crate) use noise::Noise;
pub use quantise::Quantised;
pub(crate) use short::short;
pub use source::{Remote, Source};
pub use split::{part_of, parts};
pub(crate) use synthetic::with_random_weights;
pub use threads::Threads;
pub use types::TensorType;
