//! Token shift (RWKV, Peng et al. 2023): a row on its way to the row before it, column by column.

use super::tensors::Finder;
use crate::{
    Result,
    graph::{Columns, Graph, StateId, Tensor, TensorSpec, TokenShift as Op, VectorId},
};

/// The state of the shift before an MLP; the mixer before that declares it.
pub const FFN_SHIFT: &str = "ffn_shift";

/// How far rows go towards those before them.
#[derive(Debug, Clone, Copy)]
pub struct TokenShift {
    /// Shares of the row before, (results, dim).
    shares: VectorId,
    dim: u32,
}

impl TokenShift {
    /// The shift of a tensor of shares, for so many results.
    pub(super) fn find(finder: &mut Finder<'_>, name: &str, shape: &[u32]) -> Result<TokenShift> {
        let dim = finder.config.dim;
        Ok(TokenShift {
            shares: finder.flat_vector(name, shape)?,
            dim,
        })
    }

    /// So many results, side by side in a tensor called `name`, over a state of the last row.
    pub fn ops<const N: usize>(
        &self,
        g: &mut Graph,
        h: Tensor,
        state: StateId,
        name: &'static str,
    ) -> [Columns; N] {
        let shift = Op {
            x: h,
            shares: self.shares,
            results: N as u32,
            channels: self.dim,
            state,
        };
        let step = shift.step();
        let starts = (0..N as u32).map(|result| result * step);
        let gaps = starts.map(|start| start + self.dim..start + step);
        let spec = TensorSpec {
            gaps: gaps.filter(|gap| !gap.is_empty()).collect(),
            ..TensorSpec::per_row(name, N as u32 * step)
        };
        let all = g.push(shift, spec);
        std::array::from_fn(|result| all.from(result as u32 * step))
    }
}
