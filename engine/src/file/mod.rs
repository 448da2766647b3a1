//! Model files: where bytes come from, what their headers say, GGUF's or those of a Hugging Face folder, and files of other
//! stored types made of them.

mod foreign;
mod gguf;
mod hugging_face;
mod metadata;
mod model_file;
mod quantise;
mod reader;
mod safetensors;
mod source;
mod split;
mod synthetic;
mod types;
mod values;
mod write;

pub use gguf::{Header, TensorInfo};
pub use metadata::{Metadata, Value};
pub use model_file::ModelFile;
pub(crate) use model_file::named;
pub use quantise::Quantised;
pub use source::{Remote, Source};
pub(crate) use synthetic::Noise;
pub use types::TensorType;
