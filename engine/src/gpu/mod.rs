//! The GPU: adapters and devices, compiled pipelines, buffers and their way back. The only room that calls wgpu.

pub mod buffer;
pub mod case;
pub mod device;
pub mod pipeline;
mod signal;
pub mod texture;
