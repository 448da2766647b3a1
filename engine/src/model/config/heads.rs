//! Heads of attention: how many each layer has, and their sizes.

use super::{kinds::attending_layers, latent::LatentSizes};
use crate::{
    Error, Result, Unsupported,
    model::{
        families::{Family, Recurrent},
        keys::Keys,
    },
};

/// Heads of attention as the header has them.
#[derive(Debug, Clone)]
pub(super) struct Heads {
    /// Query heads of each layer.
    pub queries: Vec<u32>,
    /// Key and value heads of each layer; 0 where a layer has another mixer.
    pub keys: Vec<u32>,
    /// Values of a head.
    pub head_dim: u32,
    /// Values of a head in layers with a window.
    pub local_head_dim: u32,
    /// Sizes of heads where attention is latent.
    pub latent: Option<LatentSizes>,
}

impl Heads {
    /// Heads of a model without attention.
    fn none(layers: u32) -> Heads {
        Heads {
            queries: vec![0; layers as usize],
            keys: vec![0; layers as usize],
            head_dim: 0,
            local_head_dim: 0,
            latent: None,
        }
    }

    /// Heads of a model whose layers have these windows, and whose residual stream has `dim` values.
    pub fn read(keys: &Keys, family: &Family, dim: u32, windows: &[Option<u32>]) -> Result<Heads> {
        let layers = windows.len() as u32;
        let attending = attending_layers(keys, family, layers);
        if !attending.contains(&true) {
            return Ok(Heads::none(layers));
        }
        let heads = keys.per_layer("attention.head_count", layers)?;
        let usual = heads.iter().flatten().copied().find(|&heads| heads > 0);
        let filled = |(heads, attends): (u32, &bool)| match usual {
            Some(usual) if heads == 0 && !attends => usual,
            _ => heads,
        };
        let heads = heads.map(|heads| heads.into_iter().zip(&attending).map(filled).collect());
        let heads = match heads.filter(|heads: &Vec<u32>| !heads.contains(&0)) {
            Some(heads) => heads,
            None => vec![keys.required("attention.head_count")?; windows.len()],
        };
        let kv_heads = keys.per_layer("attention.head_count_kv", layers)?;
        let kv_heads = kv_heads.unwrap_or_else(|| heads.clone());
        let alone = matches!(family.recurrent, Recurrent::None | Recurrent::Mamba);
        let lacks = |(&heads, &attends): (&u32, &bool)| heads == 0 && attends && alone;
        if kv_heads.iter().zip(&attending).any(lacks) {
            return Err(Error::bad_file(format!(
                "metadata {} is 0 in a layer, which has no other mixer",
                keys.key("attention.head_count_kv")
            )));
        }
        let uneven = |&(heads, kv_heads): &(&u32, &u32)| *kv_heads > 0 && heads % kv_heads != 0;
        if let Some((heads, kv_heads)) = heads.iter().zip(&kv_heads).find(uneven) {
            return Err(Error::bad_file(format!(
                "{heads} query heads do not share {kv_heads} key heads evenly"
            )));
        }
        let latent = LatentSizes::read(keys, family)?;
        let head_dim = match &latent {
            Some(sizes) => sizes.cached_dim(),
            None => head_dim_of(keys, "", dim / heads[0])?,
        };
        if latent.is_some() {
            LatentSizes::check_heads(&heads)?;
        }
        let local_head_dim = if windows.iter().any(Option::is_some) {
            head_dim_of(keys, "_swa", head_dim)?
        } else {
            head_dim
        };
        Ok(Heads {
            queries: heads,
            keys: kv_heads,
            head_dim,
            local_head_dim,
            latent,
        })
    }

    /// Values of a query's head.
    pub fn query_dim(&self) -> u32 {
        self.latent.map_or(self.head_dim, |sizes| sizes.key_dim())
    }

    /// Whether any layer has attention.
    pub fn any(&self) -> bool {
        self.head_dim > 0
    }
}

/// Values of a head under the keys with this ending.
fn head_dim_of(keys: &Keys, ending: &str, usual: u32) -> Result<u32> {
    let head_dim = keys.optional(&format!("attention.key_length{ending}"))?;
    let head_dim = head_dim.unwrap_or(usual);
    let value_dim = keys.optional(&format!("attention.value_length{ending}"))?;
    let value_dim = value_dim.unwrap_or(head_dim);
    if head_dim % 4 != 0 || head_dim == 0 || head_dim > 1024 || value_dim != head_dim {
        let sizes = format!("heads of {head_dim} keys and {value_dim} values");
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!("{sizes}: only equal multiples of 4 up to 1024 are run here"),
        ));
    }
    Ok(head_dim)
}
