//! Helpers of tests that cross crates, which are in `tests/`. No dependencies here: the set-up program builds with it.

pub mod imports;
pub mod scan;
