//! A model's numbers, from the header's metadata and checked: sizes are sane before anything is allocated by them.

use serde::Serialize;

use super::{families, rope::Rope};
use crate::{Error, ModelFile, Result};

/// A model's numbers, in the terms of the Llama paper.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The family's row.
    pub family: String,
    /// `general.name`, or the family's.
    pub name: String,
    /// Blocks.
    pub layers: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Values of a head.
    pub head_size: u32,
    /// Width of the gated MLP.
    pub ffn_width: u32,
    /// Tokens that there are.
    pub vocabulary: u32,
    /// Positions that the model was trained for.
    pub context: u32,
    /// Rotary embedding.
    pub rope: Rope,
    /// RMSNorm's epsilon.
    pub norm_epsilon: f32,
}

/// Larger numbers than any model has; products of two stay far from overflow.
const LARGEST: u32 = 1 << 24;

struct Keys<'f> {
    file: &'f ModelFile,
    family: &'static str,
}

impl Keys<'_> {
    fn optional(&self, key: &str) -> Result<Option<u32>> {
        let key = format!("{}.{key}", self.family);
        match self.file.metadata().u32(&key)? {
            Some(v) if v == 0 || v > LARGEST => {
                Err(Error::BadFile(format!("metadata {key} is {v}")))
            }
            other => Ok(other),
        }
    }

    fn required(&self, key: &str) -> Result<u32> {
        let missing = || Error::BadFile(format!("metadata {}.{key} is missing", self.family));
        self.optional(key)?.ok_or_else(missing)
    }
}

impl Config {
    /// The configuration of a model file.
    pub fn of(file: &ModelFile) -> Result<Config> {
        let family = families::family(file.metadata())?;
        let keys = Keys {
            file,
            family: family.name,
        };
        let (width, heads) = (
            keys.required("embedding_length")?,
            keys.required("attention.head_count")?,
        );
        let kv_heads = keys.optional("attention.head_count_kv")?.unwrap_or(heads);
        let head_size = keys
            .optional("attention.key_length")?
            .unwrap_or(width / heads);
        let value_size = keys
            .optional("attention.value_length")?
            .unwrap_or(head_size);
        let norm_epsilon = norm_epsilon(file, family.name)?;
        if heads % kv_heads != 0 {
            return Err(Error::BadFile(format!(
                "{heads} query heads do not share {kv_heads} key heads evenly"
            )));
        }
        if head_size % 4 != 0 || head_size == 0 || head_size > 1024 || value_size != head_size {
            let sizes = format!("heads of {head_size} keys and {value_size} values");
            return Err(Error::Unsupported(format!(
                "{sizes}: only equal multiples of 4 up to 1024 are run here"
            )));
        }
        let vocabulary = vocabulary(file, family.name)?;
        let name = file.metadata().text("general.name")?.unwrap_or(family.name);
        Ok(Config {
            family: family.name.to_string(),
            name: name.to_string(),
            layers: keys.required("block_count")?,
            width,
            heads,
            kv_heads,
            head_size,
            ffn_width: keys.required("feed_forward_length")?,
            vocabulary,
            context: keys.required("context_length")?,
            rope: Rope::of(file, family.name, head_size)?,
            norm_epsilon,
        })
    }

    /// Width of the queries, keys and values of a token together.
    pub(crate) fn qkv_width(&self) -> u32 {
        (self.heads + 2 * self.kv_heads) * self.head_size
    }
}

/// RMSNorm's epsilon.
fn norm_epsilon(file: &ModelFile, family: &str) -> Result<f32> {
    let epsilon = format!("{family}.attention.layer_norm_rms_epsilon");
    let missing = || Error::BadFile(format!("metadata {epsilon} is missing"));
    let norm_epsilon = file.metadata().f32(&epsilon)?.ok_or_else(missing)?;
    if !(norm_epsilon.is_finite() && norm_epsilon >= 0.0) {
        return Err(Error::BadFile(format!(
            "metadata {epsilon} is {norm_epsilon}"
        )));
    }
    Ok(norm_epsilon)
}

/// Rows of the embedding, which the metadata and the tokenizer must not contradict.
fn vocabulary(file: &ModelFile, family: &str) -> Result<u32> {
    let embedding = file.tensor("token_embd.weight");
    let embedding =
        embedding.ok_or_else(|| Error::BadFile("tensor token_embd.weight is missing".into()))?;
    let rows = embedding.shape.get(1).copied().unwrap_or(0);
    let vocabulary = u32::try_from(rows).ok().filter(|&v| v > 0 && v <= LARGEST);
    let vocabulary =
        vocabulary.ok_or_else(|| Error::BadFile(format!("token_embd.weight has {rows} rows")))?;
    let claimed = file.metadata().u32(&format!("{family}.vocab_size"))?;
    if let Some(claimed) = claimed.filter(|&claimed| claimed != vocabulary) {
        return Err(Error::BadFile(format!(
            "metadata {family}.vocab_size is {claimed}, but token_embd.weight has {rows} rows"
        )));
    }
    let tokens = file.metadata().texts("tokenizer.ggml.tokens")?;
    let tokens = tokens.map_or(0, <[String]>::len);
    if tokens > vocabulary as usize {
        return Err(Error::BadFile(format!(
            "the tokenizer has {tokens} tokens, but token_embd.weight has {rows} rows"
        )));
    }
    Ok(vocabulary)
}
