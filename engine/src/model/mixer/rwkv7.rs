//! Time mixing of RWKV-7 (Goose, Peng et al. 2025, arXiv 2503.14456): a token shift, what it is turned into by matrices and by
//! pairs of low rank, a matrix a head that goes on from row to row, and a gate.

use crate::{
    Result,
    graph::{
        Activate, Activation, Gate, Graph, Lerp, LerpWeight, MatrixId, StateSpec, Tensor,
        TensorSpec, VectorId, Wkv7,
    },
    model::{
        config::Rwkv7Config,
        tensors::{Affine, Finder},
        token_shift::{FFN_SHIFT, TokenShift},
    },
};

/// Is added to the variance of a head's results.
const EPS: f32 = 64e-5;

impl Rwkv7Config {
    /// The last rows that mixer and MLP have read, and a matrix for each head.
    pub(super) fn states(&self, layer: u32) -> [StateSpec; 3] {
        let matrices = self.dim * self.head_dim;
        let all = [
            ("shift", self.dim),
            ("wkv", matrices),
            (FFN_SHIFT, self.dim),
        ];
        all.map(|(name, floats)| StateSpec::recurrent(name, layer, u64::from(floats)))
    }
}

/// Two matrices one after the other, with an activation between them, and a bias.
#[derive(Debug, Clone, Copy)]
struct LowRank {
    down: MatrixId,
    up: MatrixId,
    bias: Option<VectorId>,
    rank: u32,
}

/// RWKV-7's time mixing in one block.
#[derive(Debug)]
pub struct Rwkv7 {
    sizes: Rwkv7Config,
    shift: TokenShift,
    /// Receptance, key, value.
    rkv: [Affine; 3],
    decay: LowRank,
    rate: LowRank,
    /// The way back to the first layer's values, which that has not.
    values: Option<LowRank>,
    gate: LowRank,
    /// k_k, k_a, r_k, the norm's weight and its bias.
    vectors: VectorId,
    output: Affine,
}

impl Rwkv7 {
    /// The weights of layer `index`.
    pub(super) fn find(finder: &mut Finder<'_>, sizes: Rwkv7Config, index: u32) -> Result<Rwkv7> {
        let name = |part: &str| format!("blk.{index}.time_mix_{part}");
        let dim = sizes.dim;
        let lerp = name("lerp_fused.weight");
        let shift = TokenShift::find(finder, &lerp, &[dim, 1, 1, 6])?;
        let mut affine = |part: &str| finder.affine(&name(part), dim, dim);
        let rkv = [affine("receptance")?, affine("key")?, affine("value")?];
        let output = affine("output")?;
        let parts = [
            "k_k.weight",
            "k_a.weight",
            "r_k.weight",
            "ln.weight",
            "ln.bias",
        ];
        let parts = parts.map(|part| (name(part), dim));
        let [decay, rate, values, gate] = sizes.ranks;
        let letters = [("w", decay), ("a", rate), ("g", gate)];
        let [decay, rate, gate] =
            letters.map(|(letter, rank)| LowRank::find(finder, &name(letter), dim, rank));
        Ok(Rwkv7 {
            sizes,
            shift,
            rkv,
            decay: decay?,
            rate: rate?,
            values: if index > 0 {
                Some(LowRank::find(finder, &name("v"), dim, values)?)
            } else {
                // Files may have those of the first layer, too, of the rank of its rates.
                finder.leave_out_names(&["v0", "v1", "v2"].map(|part| name(part) + ".weight"));
                None
            },
            gate: gate?,
            vectors: finder.vectors_joined(&parts, 1.0)?,
            output,
        })
    }

    /// Writes its ops from the input `h`. Returns what is added to the residual stream.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, layer: u32) -> Tensor {
        let dim = self.sizes.dim;
        let [shift, state, _] = self.sizes.states(layer).map(|state| g.keep(state));
        let names = ["xr", "xw", "xk", "xv", "xa", "xg"];
        let [xr, xw, xk, xv, xa, xg] = self.shift.ops(g, h, shift, names);
        let [receptance, key, value] = &self.rkv;
        let r = receptance.ops(g, xr, ("r", dim));
        let k = key.ops(g, xk, ("k", dim));
        let v = value.ops(g, xv, ("v", dim));
        let tanh = Some(Activation::TANH);
        let sigmoid = Some(Activation::Sigmoid);
        let w = self.decay.ops(g, xw, dim, ("w", tanh, None));
        let a = self.rate.ops(g, xa, dim, ("a", None, sigmoid));
        let gates = self.gate.ops(g, xg, dim, ("gate", sigmoid, None));
        let v = match (&self.values, g.tensor_of(0, "v")) {
            (Some(values), Some(to)) => {
                let share = values.ops(g, xv, dim, ("share", None, sigmoid));
                let weight = LerpWeight::Each(share);
                g.push(Lerp { x: v, to, weight }, TensorSpec::per_row("v", dim))
            }
            _ => v,
        };
        let wkv = Wkv7 {
            r,
            w,
            k,
            v,
            a,
            vectors: self.vectors,
            heads: dim / self.sizes.head_dim,
            head_dim: self.sizes.head_dim,
            eps: EPS,
            state,
        };
        let y = g.push(wkv, TensorSpec::per_row("wkv", dim));
        let gate = Gate {
            x: y,
            gate: gates.from(0),
            dense: false,
            share: 1,
            activation: Activation::Identity,
        };
        let y = g.map(y, gate);
        self.output.ops(g, y, ("y", dim))
    }
}

impl LowRank {
    /// The matrices `stem`1 and `stem`2, and the bias `stem`0 where there is one.
    fn find(finder: &mut Finder<'_>, stem: &str, dim: u32, rank: u32) -> Result<LowRank> {
        let down = finder.tensor(&format!("{stem}1.weight"), &[dim, rank])?;
        let up = finder.tensor(&format!("{stem}2.weight"), &[rank, dim])?;
        Ok(LowRank {
            down: finder.matrix(vec![down], false)?,
            up: finder.matrix(vec![up], false)?,
            bias: finder.vector_if_there(&format!("{stem}0.weight"), dim)?,
            rank,
        })
    }

    /// A tensor called `name`, with an activation between the matrices, and one after both.
    fn ops(
        &self,
        g: &mut Graph,
        x: Tensor,
        dim: u32,
        (name, inner, outer): (&'static str, Option<Activation>, Option<Activation>),
    ) -> Tensor {
        let activated = |g: &mut Graph, x: Tensor, activation: Option<Activation>| match activation
        {
            Some(activation) => g.map(x, Activate { x, activation }),
            None => x,
        };
        let x = g.linear(x, &[(self.down, 0)], None, ("rank", self.rank));
        let x = activated(g, x, inner);
        let x = g.linear(x, &[(self.up, 0)], self.bias, (name, dim));
        activated(g, x, outer)
    }
}
