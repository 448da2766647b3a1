//! Token shift (RWKV, Peng et al. 2023): a row on its way to the row before it, column by column.

use super::tensors::Finder;
use crate::{
    Result,
    graph::{Conv, ConvForm, Graph, Lerp, LerpWeight, StateId, Tensor, TensorSpec, VectorId},
};

/// The state of the shift before an MLP; the mixer before that declares it.
pub const FFN_SHIFT: &str = "ffn_shift";

/// How far rows go towards those before them.
#[derive(Debug, Clone, Copy)]
pub struct TokenShift {
    /// The weight of a convolution that makes the row before, (dim, 2).
    before: VectorId,
    /// Shares of the row before, (results, dim).
    shares: VectorId,
    dim: u32,
}

impl TokenShift {
    /// The shift of a tensor of shares, for so many results.
    pub(super) fn find(finder: &mut Finder<'_>, name: &str, shape: &[u32]) -> Result<TokenShift> {
        let dim = finder.config.dim;
        Ok(TokenShift {
            before: finder.constant(&[1.0, 0.0], dim),
            shares: finder.flat_vector(name, shape)?,
            dim,
        })
    }

    /// As many results as there are names, over a state of the last row.
    pub fn ops<const N: usize>(
        &self,
        g: &mut Graph,
        h: Tensor,
        state: StateId,
        names: [&'static str; N],
    ) -> [Tensor; N] {
        let conv = Conv {
            x: h.from(0),
            form: ConvForm::Plain,
            channels: self.dim,
            kernel: 2,
            weight: self.before,
            state,
        };
        let to = g.push(conv, TensorSpec::per_row("before", self.dim));
        let mut start = 0;
        names.map(|name| {
            let weight = LerpWeight::Columns(self.shares, start);
            start += self.dim;
            g.push(
                Lerp { x: h, to, weight },
                TensorSpec::per_row(name, self.dim),
            )
        })
    }
}
