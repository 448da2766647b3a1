//! Model files: where bytes come from, and what their headers say. Reads headers only, never the data.

pub mod metadata;

pub use metadata::{Metadata, Value};
