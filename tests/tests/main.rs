//! Every test that crosses crates, in one program: linking wgpu once is enough.

mod cache_types;
mod gguf_files;
mod gguf_properties;
mod hostile_gguf;
mod hostile_models;
mod hostile_safetensors;
mod hugging_face;
mod invariants;
mod kernels;
mod lora;
mod quantise;
mod readme;
mod recurrent;
mod references;
mod results;
mod rows;
mod sessions;
mod smollm2;
mod sources;
mod starts;
mod streaming;
mod support;
mod templates;
mod tokenizers;
mod tuning;
mod windows;
