//! A model's bytes on a GPU: loaded, split where a binding limit asks for it, streamed or left in the file where they do not fit, LoRA beside.

pub mod about;
pub mod activations;
pub mod load;
pub mod lora;
mod random;
pub mod stream;
mod tables;
mod weights;
