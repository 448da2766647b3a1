//! Time mixing of RWKV-7 (Goose, Peng et al. 2025, arXiv 2503.14456): a token shift, what it is turned into by matrices and by
//! pairs of low rank, a matrix a head that goes on from row to row, and a gate.

use crate::{
    Result,
    graph::{
        Activate, Activation, Columns, Graph, Linear, MatrixId, StateSpec, Tensor, TensorSpec,
        VectorId, Which, Wkv7,
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

/// Two matrices one after the other, with an activation between them.
#[derive(Debug, Clone, Copy)]
struct LowRank {
    down: MatrixId,
    activation: Option<Activation>,
    up: MatrixId,
    rank: u32,
}

/// RWKV-7's time mixing in one block.
#[derive(Debug)]
pub struct Rwkv7 {
    sizes: Rwkv7Config,
    shift: TokenShift,
    /// Receptance, key, value.
    rkv: [MatrixId; 3],
    /// Decays, rates and gates; the way back to the first layer's values, which that has not.
    made: Vec<LowRank>,
    /// k_k, k_a, r_k, the norm's weight and its bias, those of what is made of low rank, but for gates.
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
        let parts = ["receptance", "key", "value"];
        let [receptance, key, value] = parts.map(|part| {
            let tensor = finder.tensor(&(name(part) + ".weight"), &[dim, dim])?;
            finder.matrix(vec![tensor], false)
        });
        let rkv = [receptance?, key?, value?];
        let output = finder.affine(&name("output"), dim, dim)?;
        let mut vectors = ["k_k", "k_a", "r_k", "ln"]
            .map(|part| format!("{part}.weight"))
            .to_vec();
        vectors.extend(["ln.bias", "w0.weight", "a0.weight"].map(str::to_owned));
        let [decay, rate, values, gate] = sizes.ranks;
        let sigmoid = Some(Activation::Sigmoid);
        let mut pairs = vec![
            ("w", decay, Some(Activation::TANH)),
            ("a", rate, None),
            ("g", gate, sigmoid),
        ];
        if index > 0 {
            pairs.push(("v", values, None));
            vectors.push("v0.weight".to_owned());
        } else {
            // Files may have those of the first layer, too, of the rank of its rates.
            finder.leave_out_names(&["v0", "v1", "v2"].map(|part| name(part) + ".weight"));
        }
        let vectors: Vec<_> = vectors.iter().map(|part| (name(part), dim)).collect();
        let pairs = pairs.into_iter();
        let made = pairs.map(|(letter, rank, activation)| {
            LowRank::find(finder, &name(letter), (dim, rank), activation)
        });
        Ok(Rwkv7 {
            sizes,
            shift,
            rkv,
            made: made.collect::<Result<_>>()?,
            vectors: finder.vectors_joined(&vectors, 1.0)?,
            output,
        })
    }

    /// Writes its ops from the input `h`. Returns what is added to the residual stream.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, layer: u32) -> Tensor {
        let dim = self.sizes.dim;
        let [shift, state, _] = self.sizes.states(layer).map(|state| g.keep(state));
        let [xr, xw, xk, xv, xa, xg] = self.shift.ops(g, h, shift, "shifted");
        let inputs = [xr, xk, xv].into_iter().zip(self.rkv);
        let rkv = beside(g, inputs.collect(), ("rkv", dim));
        let inputs = [xw, xa, xg, xv].into_iter().zip(&self.made);
        let low: Vec<_> = inputs
            .map(|(x, pair)| (pair.low(g, x).from(0), pair.up))
            .collect();
        let made = beside(g, low, ("made", dim));
        // Values of the first layer are not mixed.
        let first_values = (self.made.len() > 3)
            .then(|| g.tensor_of(0, "rkv"))
            .flatten();
        let wkv = Wkv7 {
            rkv,
            made,
            first_values: first_values.map(|rkv| rkv.from(2 * dim)),
            vectors: self.vectors,
            heads: dim / self.sizes.head_dim,
            head_dim: self.sizes.head_dim,
            eps: EPS,
            state,
        };
        let y = g.push(wkv, TensorSpec::per_row("wkv", dim));
        self.output.ops(g, y, ("y", dim))
    }
}

/// Results of matrices, `dim` columns each, side by side in one tensor, each matrix of an input of its own.
fn beside(
    g: &mut Graph,
    inputs: Vec<(Columns, MatrixId)>,
    (name, dim): (&'static str, u32),
) -> Tensor {
    let spec = TensorSpec::per_row(name, inputs.len() as u32 * dim);
    let numbered = (0..).zip(inputs);
    let all = numbered.fold(None, |into, (number, (x, matrix))| {
        let linear = Linear {
            x,
            weights: vec![(matrix, number * dim)],
            bias: None,
            which: Which::All,
            into,
        };
        Some(g.push(linear, spec.clone()))
    });
    all.expect("there are inputs")
}

impl LowRank {
    /// The matrices `stem`1 and `stem`2.
    fn find(
        finder: &mut Finder<'_>,
        stem: &str,
        (dim, rank): (u32, u32),
        activation: Option<Activation>,
    ) -> Result<LowRank> {
        let down = finder.tensor(&format!("{stem}1.weight"), &[dim, rank])?;
        let up = finder.tensor(&format!("{stem}2.weight"), &[rank, dim])?;
        Ok(LowRank {
            down: finder.matrix(vec![down], false)?,
            activation,
            up: finder.matrix(vec![up], false)?,
            rank,
        })
    }

    /// Input of the second matrix.
    fn low(&self, g: &mut Graph, x: Columns) -> Tensor {
        let linear = Linear {
            x,
            weights: vec![(self.down, 0)],
            bias: None,
            which: Which::All,
            into: None,
        };
        let x = g.push(linear, TensorSpec::per_row("rank", self.rank));
        match self.activation {
            Some(activation) => g.map(x, Activate { x, activation }),
            None => x,
        }
    }
}
