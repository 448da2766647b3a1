//! Stands in the place of `hugging_face` where the feature `safetensors` is left out: there are no such tokenizers.

use std::collections::BTreeMap;

use super::vocabulary::Vocabulary;
use crate::{
    Error, Result, Unsupported,
    file::{KeyUse, Metadata},
};

/// The metadata that holds a folder's `tokenizer.json`.
pub(super) const JSON: &str = "lantern.tokenizer.json";

/// None: it has no values.
#[derive(Debug)]
pub(super) enum HuggingFace {}

impl HuggingFace {
    pub fn new(_: &Metadata) -> Result<(Vocabulary, HuggingFace)> {
        Err(Error::unsupported(
            Unsupported::Feature,
            "the tokenizer is a tokenizer.json, and this program was built without the feature `safetensors` of lantern-engine",
        ))
    }

    pub fn encode(&self, _: &str, _: bool, _: bool) -> Result<Vec<u32>> {
        match *self {}
    }

    pub fn encode_pair(&self, _: &str, _: &str) -> Result<Vec<u32>> {
        match *self {}
    }

    pub fn before(&self) -> Result<Vec<u32>> {
        match *self {}
    }

    pub fn named(&self) -> &BTreeMap<String, String> {
        match *self {}
    }

    pub fn bytes(&self, _: u32) -> Vec<u8> {
        match *self {}
    }
}

/// No keys: no folder was read.
pub(crate) fn uses(_: &Metadata) -> Vec<KeyUse> {
    Vec::new()
}
