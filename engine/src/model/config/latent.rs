//! Numbers of multi-head latent attention (DeepSeek-V2, DeepSeek-AI 2024, section 2.1), which is run absorbed: queries meet
//! latent keys, one for all heads, whose first values are the values.

use serde::Serialize;

use crate::{
    Error, Result, Unsupported,
    model::{
        families::{Family, Unrotated},
        keys::Keys,
        rope::log_multiplier,
    },
};
use lantern_kernels::head_linear::HEADS_MAX;

/// Sizes of latent attention's heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LatentSizes {
    /// Values of a latent key that all its heads share as values: kv_lora_rank.
    pub latent_dim: u32,
    /// Values of a key, and of a query's head, that are rotated.
    pub rotated_dim: u32,
    /// Values of a query's head that are not.
    pub plain_dim: u32,
    /// Values of a value's head.
    pub value_dim: u32,
    /// Values that queries are made of, where those have a norm: q_lora_rank.
    pub query_rank: Option<u32>,
}

impl LatentSizes {
    /// Sizes of a family's latent attention; none where it has another.
    pub(super) fn read(keys: &Keys, family: &Family) -> Result<Option<LatentSizes>> {
        if !family.latent {
            return Ok(None);
        }
        let latent_dim = keys.required("attention.kv_lora_rank")?;
        let rotated_dim = keys.required("rope.dimension_count")?;
        // Files whose matrices are not split have heads' own sizes where others have those of what is cached.
        let size = |kind: &str| match keys.optional(&format!("attention.{kind}_length_mla"))? {
            Some(size) => Ok(size),
            None => keys.required(&format!("attention.{kind}_length")),
        };
        let (key_dim, value_dim) = (size("key")?, size("value")?);
        let dims = [latent_dim, rotated_dim, key_dim, value_dim];
        let odd = dims.iter().any(|dim| !dim.is_multiple_of(4) || *dim > 1024);
        if odd || latent_dim + rotated_dim > 1024 || key_dim <= rotated_dim {
            return Err(Error::unsupported(
                Unsupported::Shape,
                format!(
                    "latent keys of {latent_dim} + {rotated_dim}, heads of {key_dim} and values of {value_dim}: only multiples of 4 up to 1024, heads larger than what rotates, are run here"
                ),
            ));
        }
        Ok(Some(LatentSizes {
            latent_dim,
            rotated_dim,
            plain_dim: key_dim - rotated_dim,
            value_dim,
            query_rank: keys.optional("attention.q_lora_rank")?,
        }))
    }

    /// Values of a query's head.
    pub fn key_dim(&self) -> u32 {
        self.plain_dim + self.rotated_dim
    }

    /// Values of a latent key.
    pub fn cached_dim(&self) -> u32 {
        self.latent_dim + self.rotated_dim
    }

    /// Factor on scores: by a head's size, and by what stretching the context adds.
    pub(super) fn scale(&self, keys: &Keys, family: &Family) -> Result<f32> {
        let stretched = match family.unrotated {
            Unrotated::All => 1.0,
            _ => 1.0 + log_multiplier(keys)?,
        };
        Ok(stretched * stretched / (self.key_dim() as f32).sqrt())
    }

    /// Refuses more query heads than kernels count.
    pub(super) fn check_heads(heads: &[u32]) -> Result<()> {
        match heads.iter().find(|&&heads| heads >= HEADS_MAX) {
            None => Ok(()),
            Some(heads) => Err(Error::unsupported(
                Unsupported::Shape,
                format!("{heads} heads of latent attention: fewer than {HEADS_MAX} are run here"),
            )),
        }
    }
}
