//! Models: what a file's header says of one, which tensors it has, and the graph that they make.

pub mod block;
pub mod config;
pub mod draft;
pub mod encoders;
pub mod families;
pub mod ffn;
pub mod forward;
mod gguf_keys;
mod key_uses;
mod keys;
mod known;
mod layer_embedding;
pub mod layout;
pub mod lora;
pub mod mixer;
pub mod options;
pub mod pooling;
pub mod rope;
pub mod rope_table;
pub mod state_spaces;
mod stated;
mod synthetic;
pub mod tensors;
pub mod token_shift;
pub mod vector;
pub mod weights;
