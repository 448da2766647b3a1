//! Lowering a graph to dispatches for one adapter: plain data that one can print, compare, time, and bind to a session.

pub mod cost;
pub mod dispatch;
mod emit;
mod lower;
pub(crate) mod lowering;
mod place;
pub(crate) mod plans;
mod rules;
pub(crate) mod run;
mod step;
