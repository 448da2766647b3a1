//! Tables of RoPE's angles on their way to the GPU, with the factors that a file has on its frequencies.

use super::{rope::Rope, tensors::Finder, vector::values};
use crate::{Error, ModelFile, Result, file::TensorInfo};

/// Table of angles that blocks name by its number: of the model's RoPE, or of that of layers with a window.
#[derive(Debug)]
pub struct RopeTable {
    rope: Rope,
    factors: RopeFactors,
}

/// Factors that RoPE's frequencies are divided by.
#[derive(Debug, Clone)]
enum RopeFactors {
    /// None.
    None,
    /// Always these.
    Always(TensorInfo),
    /// The first up to the original context, the second for a longer one.
    ByContext(TensorInfo, TensorInfo),
}

impl RopeTable {
    /// The tables of a model: of each of its rotary embeddings.
    pub(super) fn find(finder: &mut Finder<'_>) -> Result<Vec<RopeTable>> {
        let config = finder.config;
        let Some(rope) = config.ropes.first() else {
            return Ok(vec![]);
        };
        let factors = find_factors(finder, rope)?;
        let table = |rope: &Rope| RopeTable {
            rope: rope.clone(),
            factors: if rope.factored {
                factors.clone()
            } else {
                RopeFactors::None
            },
        };
        Ok(config.ropes.iter().map(table).collect())
    }

    /// Cosine and sine for `context` positions, (context, pairs, 2).
    ///
    /// # Errors
    /// [`Error::BadFile`] for factors that are not above 0.
    pub(crate) async fn angles(&self, file: &ModelFile, context: usize) -> Result<Vec<f32>> {
        let tensor = match &self.factors {
            RopeFactors::None => None,
            RopeFactors::Always(tensor) => Some(tensor),
            RopeFactors::ByContext(short, long) => {
                let is_long = context > self.rope.original_context as usize;
                Some(if is_long { long } else { short })
            }
        };
        let Some(tensor) = tensor else {
            return Ok(self.rope.angles(context, None));
        };
        let factors = values(file, tensor).await?;
        match factors.iter().find(|v| **v <= 0.0) {
            Some(v) => Err(Error::bad_file(format!("{} holds {v}", tensor.name))),
            None => Ok(self.rope.angles(context, Some(&factors))),
        }
    }
}

fn find_factors(finder: &mut Finder<'_>, rope: &Rope) -> Result<RopeFactors> {
    let pairs = [rope.dimensions / 2];
    let (short, long) = ("rope_factors_short.weight", "rope_factors_long.weight");
    if finder.has(short) || finder.has(long) {
        let (short, long) = (finder.tensor(short, &pairs)?, finder.tensor(long, &pairs)?);
        return Ok(RopeFactors::ByContext(short, long));
    }
    let always = "rope_freqs.weight";
    Ok(if finder.has(always) {
        RopeFactors::Always(finder.tensor(always, &pairs)?)
    } else {
        RopeFactors::None
    })
}
