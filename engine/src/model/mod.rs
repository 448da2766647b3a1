//! Models: what a file's header says of one, where its weights lie on the GPU, and the block that is repeated.

pub mod block;
pub mod config;
pub mod families;
pub mod load;
pub mod lora;
pub mod options;
mod random;
pub mod rope;
mod slots;
pub mod stream;
pub mod vector;
pub mod weights;
