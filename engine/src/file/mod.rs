//! Model files: where bytes come from, and what their headers say, GGUF's or those of a Hugging Face folder. Reads headers
//! only, never the data.

mod foreign;
mod gguf;
mod hugging_face;
mod metadata;
mod model_file;
mod outline;
mod reader;
mod safetensors;
mod source;
mod split;
mod types;
mod values;

pub use gguf::{Header, TensorInfo};
pub use metadata::{Metadata, Value};
pub use model_file::ModelFile;
pub(crate) use model_file::named;
pub use source::{Remote, Source};
pub use types::TensorType;
