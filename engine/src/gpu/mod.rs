//! The GPU: adapters and devices, compiled pipelines, buffers and their way back. The only room that calls wgpu.

pub mod adapter;
mod ahead;
pub mod buffer;
mod caller;
pub mod case;
pub mod ceiling;
pub mod commands;
mod compiled;
mod cooperative;
pub mod counting;
pub mod device;
mod failure;
mod forced;
mod known;
mod oneshot;
pub mod options;
pub mod pipeline;
pub mod selftest;
pub(crate) mod system;
pub mod times;
pub mod tuning;
pub mod upload;
