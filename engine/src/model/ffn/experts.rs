//! A mixture of experts: a router, the experts that it picks for each row, and one that all rows share.

use lantern_kernels::padded;

use super::gated::{Gated, Sizes};
use crate::{
    Error, Result, Unsupported,
    graph::{
        Activation, Combine, DType, Experts, Gate, GateUp, Graph, MatrixId, Route, Tensor,
        TensorSpec, VectorId,
    },
    model::{
        config::ExpertsConfig,
        tensors::{Finder, Joined},
    },
};

/// Weights of a mixture of experts.
#[derive(Debug)]
pub struct Mixture {
    experts: ExpertsConfig,
    /// Logits of experts, (n_experts, dim), and behind them of the shared expert's gate where it has one.
    router: Joined,
    /// The bias on the router's logits.
    router_bias: Option<VectorId>,
    /// The bias on probabilities, for the choice alone.
    choice_bias: Option<VectorId>,
    /// Gate and up of all experts, rows alternating, (n_experts · 2 ffn_dim, dim).
    gate_up: MatrixId,
    /// Down of all experts, (n_experts · dim, ffn_dim).
    down: MatrixId,
    sizes: Sizes,
    shared: Option<Shared>,
}

/// An expert that every row uses.
#[derive(Debug)]
struct Shared {
    expert: Gated,
    /// Whether it counts by the sigmoid of a gate.
    gated: bool,
}

impl Mixture {
    /// The weights of layer `index`.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        experts: ExpertsConfig,
        sizes: Sizes,
        index: u32,
    ) -> Result<Mixture> {
        let weight = |part: &str| format!("blk.{index}.{part}.weight");
        let count = experts.n_experts;
        let shared = Shared::find(finder, sizes, index)?;
        let mut router = vec![finder.tensor(&weight("ffn_gate_inp"), &[sizes.dim, count])?];
        if shared.as_ref().is_some_and(|shared| shared.gated) {
            let gate = finder.tensor(&weight("ffn_gate_inp_shexp"), &[sizes.dim])?;
            router.push(gate.flat()?);
        }
        let [gate_up, down] = find_experts(finder, count, sizes, index)?;
        let bias = |part: &str| format!("blk.{index}.{part}.bias");
        Ok(Mixture {
            experts,
            router: finder.joined(router)?,
            router_bias: finder.vector_if_there(&bias("ffn_gate_inp"), count)?,
            choice_bias: finder.vector_if_there(&bias("exp_probs_b"), count)?,
            gate_up,
            down,
            sizes,
            shared,
        })
    }

    /// Writes its ops from the input `h`. Returns what the experts add, and the shared one.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor) -> Vec<Tensor> {
        let (sizes, n_experts) = (self.sizes, self.experts.n_experts);
        let gated = self.shared.as_ref().is_some_and(|shared| shared.gated);
        let cols = ("router", n_experts + u32::from(gated));
        let logits = g.linear(h, &self.router, self.router_bias, cols);
        let top_k = self.experts.top_k;
        let weights = g.declare(TensorSpec::per_row("expert_weights", top_k));
        let route = Route {
            logits,
            routing: self.experts.routing,
            bias: self.choice_bias,
            n_experts,
            top_k,
            weights,
        };
        let ids = TensorSpec {
            dtype: DType::U32,
            ..TensorSpec::per_row("expert_ids", top_k)
        };
        let ids = g.push(route, ids);
        let linear = |g: &mut Graph, x, per_expert, (matrix, name, cols)| {
            let op = Experts {
                x,
                per_expert,
                ids,
                matrix,
                n_experts,
                top_k,
                cols,
            };
            g.push(op, TensorSpec::per_row(name, top_k * padded(cols)))
        };
        let gate_up = (self.gate_up, "experts_gate_up", 2 * sizes.ffn_dim);
        let both = linear(g, h, false, gate_up);
        let up = sizes.glu(g, GateUp::Alternating(both), top_k);
        let results = linear(g, up, true, (self.down, "experts", sizes.dim));
        let combine = Combine {
            results,
            weights,
            top_k,
        };
        let y = g.push(combine, TensorSpec::per_row("y", sizes.dim));
        let shared = self.shared.as_ref();
        let shared = shared.map(|shared| shared.ops(g, h, (logits, n_experts)));
        [y].into_iter().chain(shared).collect()
    }

    /// How many experts the rows of `matrix` are for, where it is theirs.
    pub(super) fn experts_of(&self, matrix: MatrixId) -> Option<u32> {
        let own = [self.gate_up, self.down].contains(&matrix);
        own.then_some(self.experts.n_experts)
    }
}

impl Shared {
    fn find(finder: &mut Finder<'_>, sizes: Sizes, index: u32) -> Result<Option<Shared>> {
        let weight = |part: &str| format!("blk.{index}.{part}.weight");
        let Some(up) = finder.file.tensor(&weight("ffn_up_shexp")) else {
            return Ok(None);
        };
        let rows = up.shape.get(1).copied().unwrap_or(0);
        let ffn_dim = u32::try_from(rows).unwrap_or(u32::MAX);
        let sizes = Sizes { ffn_dim, ..sizes };
        Ok(Some(Shared {
            expert: Gated::find(finder, sizes, index, "_shexp")?,
            gated: finder.has(&weight("ffn_gate_inp_shexp")),
        }))
    }

    /// Its result for all rows; the gate's logit lies in a column of `logits`.
    fn ops(&self, g: &mut Graph, h: Tensor, (logits, column): (Tensor, u32)) -> Tensor {
        let mut up = self.expert.up_ops(g, h);
        if self.gated {
            // A factor on a row passes through the matrix after it.
            let gate = Gate {
                x: up,
                gate: logits.from(column),
                share: self.expert.sizes.ffn_dim,
                activation: Activation::Sigmoid,
            };
            up = g.map(up, gate);
        }
        self.expert.down_ops(g, up)
    }
}

/// Gate and up, and down, of all experts, one expert's rows after the other's, gate and up alternating.
fn find_experts(
    finder: &mut Finder<'_>,
    count: u32,
    sizes: Sizes,
    index: u32,
) -> Result<[MatrixId; 2]> {
    let weight = |part: &str| format!("blk.{index}.{part}.weight");
    let (dim, ffn_dim) = (sizes.dim, sizes.ffn_dim);
    if !dim.is_multiple_of(4) || !ffn_dim.is_multiple_of(4) {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!("experts of {dim} and {ffn_dim}: only multiples of 4 are run here"),
        ));
    }
    let gate = finder.tensor(&weight("ffn_gate_exps"), &[dim, ffn_dim, count])?;
    let up = finder.tensor(&weight("ffn_up_exps"), &[dim, ffn_dim, count])?;
    let down = finder.tensor(&weight("ffn_down_exps"), &[ffn_dim, dim, count])?;
    if gate.kind != up.kind {
        let (gate, up) = (gate.kind.name(), up.kind.name());
        return Err(Error::unsupported(
            Unsupported::StoredType,
            format!(
                "blk.{index}: experts' gates are stored as {gate} and ups as {up}; only alike are run here"
            ),
        ));
    }
    let gate_up = finder.matrix(vec![gate.flat()?, up.flat()?], true)?;
    Ok([gate_up, finder.matrix(vec![down.flat()?], false)?])
}
