//! What several tests need.
pub mod adapters;
