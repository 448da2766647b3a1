//! Rotary embedding's angles: a table made on the CPU in f64, with the scalings that files ask for.
//! Linear (Chen et al. 2023), YaRN (Peng et al. 2023, as llama.cpp computes it), and Llama 3's factors from a tensor.

use std::f64::consts::PI;

use serde::Serialize;

use super::{
    families::{Family, Temperatures},
    keys::Keys,
};
use crate::{Error, Result, Unsupported};

/// Rotary embedding as a file describes it.
#[derive(Debug, Clone, Serialize)]
pub struct Rope {
    /// Base of the frequencies.
    pub base: f32,
    /// Values of a head that are rotated; two make a pair.
    pub dimensions: u32,
    /// Scaling for contexts longer than trained.
    pub scaling: Scaling,
    /// Factor on the length of what is rotated.
    pub length: f32,
    /// Context before any stretching.
    pub original_context: u32,
    /// Whether the factors that a file has on frequencies are for it.
    pub factored: bool,
    /// Growth of the length with the position, for queries alone.
    pub temperature: Option<Temperature>,
}

/// Growth of queries with the position (Llama 4): 1 + scale · ln(1 + ⌊(position + offset) / length⌋).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Temperature {
    /// The factor on the logarithm.
    pub scale: f32,
    /// Positions after which it grows.
    pub length: u32,
    /// Is added to positions.
    pub offset: u32,
}

impl Temperature {
    /// The factor at a position.
    fn at(self, position: usize) -> f64 {
        let steps = (position as u64 + u64::from(self.offset)) / u64::from(self.length);
        1.0 + f64::from(self.scale) * (1.0 + steps as f64).ln()
    }
}

/// Scaling for contexts longer than trained.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Nothing.
    None,
    /// Nothing is rotated, and only the length changes.
    Still,
    /// Positions are divided by a factor.
    Linear {
        /// The factor.
        factor: f32,
    },
    /// Low frequencies are divided by a factor, high ones kept, with a ramp between.
    Yarn {
        /// The factor.
        factor: f32,
        /// Rotations in the original context from which a frequency is kept.
        beta_fast: f32,
        /// Rotations in the original context up to which it is divided.
        beta_slow: f32,
        /// The ramp begins and ends at whole pairs.
        rounded: bool,
    },
}

/// Key of how the logarithm of YaRN's factor counts.
const LOG_MULTIPLIER: &str = "rope.scaling.yarn_log_multiplier";

/// Logarithm of YaRN's factor, times what the file multiplies it by; 0 where it says nothing.
pub(super) fn log_multiplier(keys: &Keys) -> Result<f32> {
    let multiplier = keys.factor(LOG_MULTIPLIER)?.unwrap_or(0.0);
    let factor = keys.factor("rope.scaling.factor")?.unwrap_or(1.0);
    Ok(multiplier * factor.ln())
}

/// Divisor of the length of what YaRN rotates, in families whose files say how the logarithm of its factor counts. Where
/// attention is latent, scores have it instead.
fn log_length(keys: &Keys, family: &Family, scaling: &Scaling) -> Result<f32> {
    let Some(multiplier) = keys.factor(LOG_MULTIPLIER)? else {
        return Ok(1.0);
    };
    match scaling {
        Scaling::Yarn { factor, .. } if family.latent => Ok(1.0 + 0.1 * factor.ln()),
        Scaling::Yarn { factor, .. } if family.temperature == Temperatures::All => {
            Ok(1.0 + 0.1 * multiplier * factor.ln())
        }
        _ => Err(Error::unsupported(
            Unsupported::Setting,
            format!(
                "metadata {} is {multiplier}, which changes what is computed and is not run here",
                keys.key(LOG_MULTIPLIER)
            ),
        )),
    }
}

/// Values of a head that are rotated, if pairs of them fit it.
///
/// # Errors
/// [`Error::BadFile`] where they do not.
pub(super) fn rotated_values(dimensions: u32, head_dim: u32) -> Result<u32> {
    if dimensions > head_dim || !dimensions.is_multiple_of(2) {
        return Err(Error::bad_file(format!(
            "{dimensions} of a head's {head_dim} values cannot be rotated in pairs"
        )));
    }
    Ok(dimensions)
}

impl Rope {
    /// Reads the metadata under the architecture's `rope.`. `context`: positions that the model was trained for.
    pub(super) fn of(keys: &Keys, family: &Family, head_dim: u32, context: u32) -> Result<Rope> {
        let number = |name: &str| keys.factor(&format!("rope.{name}"));
        let dimensions = keys.optional("rope.dimension_count")?.unwrap_or(head_dim);
        let dimensions = rotated_values(dimensions, head_dim)?;
        let factor = || number("scaling.factor");
        let kind = keys.key("rope.scaling.type");
        let scaling = match keys.metadata().text(&kind)? {
            Some("none") => Scaling::None,
            // The factors of LongRoPE on single frequencies are tensors.
            None | Some("linear" | "longrope") => {
                let factor = match factor()? {
                    None => number("scale_linear")?,
                    some => some,
                };
                factor.map_or(Scaling::None, |factor| Scaling::Linear { factor })
            }
            Some("yarn") => Scaling::Yarn {
                factor: factor()?.unwrap_or(1.0),
                beta_fast: number("scaling.yarn_beta_fast")?.unwrap_or(32.0),
                beta_slow: number("scaling.yarn_beta_slow")?.unwrap_or(1.0),
                rounded: keys.metadata().bool("lantern.yarn_unrounded")? != Some(true),
            },
            Some(other) => {
                return Err(Error::unsupported(
                    Unsupported::Setting,
                    format!(
                        "metadata {kind} is {other:?}; known are none, linear, yarn and longrope"
                    ),
                ));
            }
        };
        let mut base = number("freq_base")?.unwrap_or(10000.0);
        // Hunyuan's, by the neural tangent kernel.
        if let Some(alpha) = number("scaling.alpha")?.filter(|_| dimensions > 2) {
            let dimensions = dimensions as f32;
            base *= alpha.powf(dimensions / (dimensions - 2.0));
        }
        if matches!(scaling, Scaling::Yarn { .. }) && base <= 1.0 {
            return Err(Error::bad_file(format!(
                "metadata {} is {base}; YaRN needs more than 1",
                keys.key("rope.freq_base")
            )));
        }
        let original = keys.optional("rope.scaling.original_context_length")?;
        let length = number("scaling.attn_factor")?.unwrap_or(1.0);
        Ok(Rope {
            base,
            dimensions,
            length: length / log_length(keys, family, &scaling)?,
            scaling,
            original_context: original.unwrap_or(context),
            factored: true,
            temperature: None,
        })
    }

    /// Cosine and sine, (context, pairs, 2). `factors`, where there are any, divide the frequencies, (pairs).
    pub(crate) fn angles(&self, context: usize, factors: Option<&[f32]>) -> Vec<f32> {
        let pairs = (self.dimensions / 2) as usize;
        let rotations: Vec<(f64, f64)> = (0..pairs)
            .map(|pair| self.rotation(pair, factors.map(|f| f[pair])))
            .collect();
        let mut table = Vec::with_capacity(context * pairs * 2);
        for position in 0..context {
            let growth = self.temperature.map_or(1.0, |growth| growth.at(position));
            for &(frequency, length) in &rotations {
                let (angle, length) = (position as f64 * frequency, length * growth);
                table.extend([(angle.cos() * length) as f32, (angle.sin() * length) as f32]);
            }
        }
        table
    }

    /// Radians a position, and the factor on the length, of one pair.
    fn rotation(&self, pair: usize, factor: Option<f32>) -> (f64, f64) {
        let dimensions = f64::from(self.dimensions);
        let (base, length) = (f64::from(self.base), f64::from(self.length));
        let plain = base.powf(-2.0 * pair as f64 / dimensions) / f64::from(factor.unwrap_or(1.0));
        match self.scaling {
            Scaling::None => (plain, length),
            Scaling::Still => (0.0, length),
            Scaling::Linear { factor } => (plain / f64::from(factor), length),
            Scaling::Yarn {
                factor,
                beta_fast,
                beta_slow,
                rounded,
            } => {
                let factor = f64::from(factor);
                // The pair that turns `rotations` times within the original context.
                let pair_of = |rotations: f32| {
                    let wave = f64::from(self.original_context) / (f64::from(rotations) * 2.0 * PI);
                    dimensions * wave.ln() / (2.0 * base.ln())
                };
                let (mut low, mut high) = (pair_of(beta_fast), pair_of(beta_slow));
                if rounded {
                    (low, high) = (low.floor(), high.ceil());
                }
                let (low, high) = (low.max(0.0), high.min(dimensions - 1.0));
                let kept = 1.0 - ((pair as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
                let frequency = plain / factor * (1.0 - kept) + plain * kept;
                (frequency, length * (1.0 + 0.1 * factor.ln()))
            }
        }
    }
}
