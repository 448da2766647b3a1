//! Decoders of `tokenizer.json`, a token at a time: each token's bytes as they are appended to a running text. So a text is the same
//! whether its tokens come one by one or at once, and no byte of an unfinished character is lost. What a decoder does to the start
//! of a text alone, take a space away, is left out: whether a token is at the start, only the caller knows.

use tokenizers::{Decoder, DecoderWrapper, decoders::strip::Strip};

use super::{
    super::{byte_pairs, sentencepiece},
    keys::unsupported,
};
use crate::Result;

/// Steps that make a token its bytes.
#[derive(Debug)]
pub(super) struct Pieces {
    steps: Vec<Step>,
    /// There is a decoder; without one, tokens are written with spaces between.
    there: bool,
}

/// A step of a decoder.
#[derive(Debug)]
enum Step {
    /// Letters that stand for bytes. The last.
    ByteLevel,
    /// `<0x0A>` is that byte.
    ByteFallback,
    /// So many of a letter are taken from each end; the crate panics at a token of nothing else.
    Strip(Strip),
    /// The crate's own step, on a token between two others.
    Between(DecoderWrapper),
}

impl Pieces {
    /// The steps of a decoder.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) for what cannot be done to one token after the other.
    pub fn of(decoder: Option<&DecoderWrapper>) -> Result<Pieces> {
        let mut all = Vec::new();
        if let Some(decoder) = decoder {
            flatten(decoder, &mut all);
        }
        let (mut steps, mut fused) = (Vec::new(), None);
        for decoder in all {
            let step = match decoder {
                DecoderWrapper::Fuse(_) => {
                    fused = fused.or(Some("Fuse"));
                    continue;
                }
                // Of the whole text, its start.
                DecoderWrapper::Strip(strip) if fused.is_some() && strip.stop == 0 => continue,
                DecoderWrapper::ByteLevel(_) if fused.is_none() => {
                    fused = Some("ByteLevel");
                    Step::ByteLevel
                }
                DecoderWrapper::ByteFallback(_) if fused.is_none() => Step::ByteFallback,
                DecoderWrapper::CTC(_) => {
                    return Err(unsupported(
                        "decoder.type is CTC, which drops tokens".into(),
                    ));
                }
                DecoderWrapper::Strip(strip) if fused.is_none() => Step::Strip(strip.clone()),
                other if fused.is_none() => Step::Between(other.clone()),
                other => {
                    let (first, other) = (fused.unwrap_or_default(), name(other));
                    return Err(unsupported(format!(
                        "decoder.Sequence has {other} after {first}; that is run here before it only"
                    )));
                }
            };
            steps.push(step);
        }
        let there = decoder.is_some();
        Ok(Pieces { steps, there })
    }

    /// Bytes of a token that the vocabulary writes so.
    pub fn bytes(&self, mut text: String) -> Vec<u8> {
        if !self.there {
            return format!(" {text}").into_bytes();
        }
        for step in &self.steps {
            match step {
                Step::ByteLevel => return byte_pairs::unescape(&text),
                Step::ByteFallback => {
                    if let Some(byte) = sentencepiece::byte_value(&text) {
                        return vec![byte];
                    }
                }
                Step::Strip(strip) => text = String::from(stripped(&text, strip)),
                Step::Between(decoder) => {
                    let around = || "x".to_owned();
                    let three = decoder.decode_chain(vec![around(), text, around()]);
                    text = three.map_or_else(|_| String::new(), |mut three| three.swap_remove(1));
                }
            }
        }
        text.into_bytes()
    }
}

fn stripped<'t>(mut text: &'t str, strip: &Strip) -> &'t str {
    for _ in 0..strip.start {
        let Some(rest) = text.strip_prefix(strip.content) else {
            break;
        };
        text = rest;
    }
    for _ in 0..strip.stop {
        let Some(rest) = text.strip_suffix(strip.content) else {
            break;
        };
        text = rest;
    }
    text
}

fn flatten<'d>(decoder: &'d DecoderWrapper, all: &mut Vec<&'d DecoderWrapper>) {
    match decoder {
        DecoderWrapper::Sequence(steps) => {
            for step in steps.get_decoders() {
                flatten(step, all);
            }
        }
        one => all.push(one),
    }
}

/// The decoder's `type`.
fn name(decoder: &DecoderWrapper) -> String {
    let value = serde_json::to_value(decoder).unwrap_or_default();
    value["type"].as_str().unwrap_or("another").to_owned()
}
