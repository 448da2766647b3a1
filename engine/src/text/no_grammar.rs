//! Stands in the place of `grammar` where the feature `grammar` is left out: no text can be made to be what a grammar says.

/// Nothing.
pub(super) struct Grammars;
