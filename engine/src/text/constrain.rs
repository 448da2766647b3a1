//! Constraints of a tokenizer's texts: grammars, where the feature `grammar` is there.

use super::{
    Tokenizer, Tools,
    constraint::{Constraint, Grammar},
};
use crate::Result;

#[cfg(feature = "grammar")]
impl Tokenizer {
    /// The tokens that may follow, for a text that is to be what a grammar says.
    ///
    /// # Errors
    /// [`Error::BadInput`](crate::Error::BadInput) where the grammar is none, or asks for what cannot be expressed: the message
    /// has the place in it.
    pub fn constraint(&self, grammar: &Grammar) -> Result<Box<dyn Constraint>> {
        use std::sync::Arc;

        use super::grammar::Grammars;

        if let Some(known) = self.grammars.get() {
            return known.constraint(grammar);
        }
        let made = Arc::new(Grammars::new(self.words())?);
        self.grammars.get_or_init(|| made).constraint(grammar)
    }

    /// The tokens that may follow, for calls of tools: from the first mark on, or from behind it (`open`: it is there already).
    ///
    /// # Errors
    /// As [`Tokenizer::constraint`].
    pub(super) fn calls(&self, tools: &Tools, open: bool) -> Result<Box<dyn Constraint>> {
        self.constraint(&Grammar::Lark(tools.lark(self, open)))
    }

    /// The tokens, for grammars.
    fn words(&self) -> super::grammar::Words {
        let all = 0..self.vocab_size() as u32;
        let own = self.for_grammars();
        super::grammar::Words {
            bytes: all.clone().map(|token| self.bytes(token)).collect(),
            special: all
                .filter(|&token| self.is_special(token) || self.is_end(token))
                .collect(),
            ends: self.ends().collect(),
            encode: Box::new(move |text| own.encode_within(text).unwrap_or_default()),
        }
    }
}

#[cfg(not(feature = "grammar"))]
impl Tokenizer {
    /// Refuses, as [`Tokenizer::constraint`].
    pub(super) fn calls(&self, _: &Tools, _: bool) -> Result<Box<dyn Constraint>> {
        self.constraint(&Grammar::Lark(String::new()))
    }

    /// Refuses.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported), always.
    pub fn constraint(&self, _: &Grammar) -> Result<Box<dyn Constraint>> {
        Err(crate::Error::unsupported(
            crate::Unsupported::Feature,
            "this program was built without the feature `grammar` of lantern-engine",
        ))
    }
}
