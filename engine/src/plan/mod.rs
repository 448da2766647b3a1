//! Forward passes as data: a list of dispatches that one can print, compare, time, and run on the CPU.

mod attention;
mod block;
pub mod build;
pub mod cost;
pub mod dispatch;
mod experts;
pub(crate) mod integer;
pub(crate) mod linear;
mod lora;
pub mod run;
