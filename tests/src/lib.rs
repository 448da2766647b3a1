//! What crosses crates; the tests themselves are in `tests/`.
