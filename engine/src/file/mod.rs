//! Model files: where bytes come from, and what their headers say. Reads headers only, never the
//! data.

mod foreign;
mod gguf;
mod metadata;
mod model_file;
mod outline;
mod reader;
mod source;
mod split;
mod types;
mod values;

pub use gguf::{Header, TensorInfo};
pub use metadata::{Metadata, Value};
pub use model_file::ModelFile;
pub use source::{Remote, Source};
pub use types::TensorType;
