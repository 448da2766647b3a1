//! A mixture of experts: a router, the experts that it picks for each row, and one that all rows share.

use lantern_kernels::padded;

use super::gated::{Gated, Sizes};
use crate::{
    Error, Result, Unsupported,
    graph::{
        Activation, Combine, DType, Experts, Gate, GateUp, Graph, MatrixId, Norm, NormKind, Route,
        Tensor, TensorSpec, VectorId,
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
    /// Whether gates and ups alternate in it; else an expert's gates come before its ups.
    alternating: bool,
    /// A factor on the weight of each expert.
    scale: Option<VectorId>,
    sizes: Sizes,
    shared: Option<Shared>,
    norms: Option<Norms>,
}

/// Norms of a mixture beside an MLP, each with input and result of its own (Gemma 4).
#[derive(Debug, Clone, Copy)]
struct Norms {
    eps: f32,
    /// Weight of the stream's norm for the router.
    router: VectorId,
    /// Weight of the stream's norm for the experts.
    experts: VectorId,
    /// Weight of the norm of the experts' sum.
    after_experts: VectorId,
    /// Weight of the norm of the MLP's result.
    after_shared: VectorId,
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
        let ([gate_up, down], alternating) = find_experts(finder, count, sizes, index)?;
        let bias = |part: &str| format!("blk.{index}.{part}.bias");
        Ok(Mixture {
            experts,
            router: finder.joined(router)?,
            router_bias: finder.vector_if_there(&bias("ffn_gate_inp"), count)?,
            choice_bias: finder.vector_if_there(&bias("exp_probs_b"), count)?,
            gate_up,
            down,
            alternating,
            scale: finder.vector_if_there(&format!("blk.{index}.ffn_down_exps.scale"), count)?,
            sizes,
            shared,
            norms: Norms::find(finder, index)?,
        })
    }

    /// Writes its ops from the input `h`, or from norms of the stream `x`. Returns what the experts add, and the shared one.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, x: Tensor) -> Vec<Tensor> {
        let Some(norms) = self.norms else {
            let (y, logits) = self.expert_ops(g, h, h);
            let shared = self.shared.as_ref();
            let shared = shared.map(|shared| shared.ops(g, h, (logits, self.experts.n_experts)));
            return [y].into_iter().chain(shared).collect();
        };
        let of_router = norms.ops(g, x, norms.router);
        let of_experts = norms.ops(g, x, norms.experts);
        let (y, logits) = self.expert_ops(g, of_router, of_experts);
        let y = norms.ops(g, y, norms.after_experts);
        let shared = self.shared.as_ref().map(|shared| {
            let z = shared.ops(g, h, (logits, self.experts.n_experts));
            norms.ops(g, z, norms.after_shared)
        });
        [y].into_iter().chain(shared).collect()
    }

    /// The sum of the experts that the router picks by `routed`, of the input `h`; and the router's logits.
    fn expert_ops(&self, g: &mut Graph, routed: Tensor, h: Tensor) -> (Tensor, Tensor) {
        let (sizes, n_experts) = (self.sizes, self.experts.n_experts);
        let gated = self.shared.as_ref().is_some_and(|shared| shared.gated);
        let cols = ("router", n_experts + u32::from(gated));
        let logits = g.linear(routed, &self.router, self.router_bias, cols);
        let top_k = self.experts.top_k;
        let weights = g.declare(TensorSpec::per_row("expert_weights", top_k));
        let route = Route {
            logits,
            routing: self.experts.routing,
            bias: self.choice_bias,
            scale: self.scale,
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
        let gate_up = if self.alternating {
            GateUp::Alternating(both)
        } else {
            GateUp::Halves(both)
        };
        let up = sizes.glu(g, gate_up, top_k);
        let results = linear(g, up, true, (self.down, "experts", sizes.dim));
        let combine = Combine {
            results,
            weights,
            top_k,
            bias: None,
        };
        let y = g.push(combine, TensorSpec::per_row("y", sizes.dim));
        (y, logits)
    }

    /// How many experts the rows of `matrix` are for, where it is theirs.
    pub(super) fn experts_of(&self, matrix: MatrixId) -> Option<u32> {
        let own = [self.gate_up, self.down].contains(&matrix);
        own.then_some(self.experts.n_experts)
    }
}

impl Norms {
    /// The norms of layer `index`, where it has them.
    fn find(finder: &mut Finder<'_>, index: u32) -> Result<Option<Norms>> {
        let name = |part: &str| format!("blk.{index}.{part}");
        if !finder.has(&name("pre_ffw_norm_2.weight")) {
            return Ok(None);
        }
        let dim = finder.config.dim;
        let router = (name("ffn_gate_inp.scale"), dim);
        Ok(Some(Norms {
            eps: finder.config.norm_epsilon,
            router: finder.vectors_joined(&[router], 1.0 / (dim as f32).sqrt())?,
            experts: finder.vector(&name("pre_ffw_norm_2.weight"), dim)?,
            after_experts: finder.vector(&name("post_ffw_norm_2.weight"), dim)?,
            after_shared: finder.vector(&name("post_ffw_norm_1.weight"), dim)?,
        }))
    }

    fn ops(&self, g: &mut Graph, x: Tensor, weight: VectorId) -> Tensor {
        let norm = Norm {
            x,
            kind: NormKind::Rms,
            weight,
            bias: None,
            eps: self.eps,
            groups: None,
            gate: None,
        };
        g.norm(norm, "h")
    }
}

impl Shared {
    fn find(finder: &mut Finder<'_>, sizes: Sizes, index: u32) -> Result<Option<Shared>> {
        let weight = |part: &str| format!("blk.{index}.{part}.weight");
        // An MLP beside experts is one, too.
        let endings = ["_shexp", ""].into_iter();
        let mut found = endings.filter_map(|ending| {
            let up = finder.file.tensor(&weight(&format!("ffn_up{ending}")))?;
            Some((ending, up.shape.get(1).copied().unwrap_or(0)))
        });
        let Some((ending, rows)) = found.next() else {
            return Ok(None);
        };
        let ffn_dim = u32::try_from(rows).unwrap_or(u32::MAX);
        let sizes = Sizes { ffn_dim, ..sizes };
        Ok(Some(Shared {
            expert: Gated::find(finder, sizes, index, ending)?,
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

/// Gate and up, and down, of all experts, one expert's rows after the other's; and whether gates and ups alternate.
fn find_experts(
    finder: &mut Finder<'_>,
    count: u32,
    sizes: Sizes,
    index: u32,
) -> Result<([MatrixId; 2], bool)> {
    let weight = |part: &str| format!("blk.{index}.{part}.weight");
    let (dim, ffn_dim) = (sizes.dim, sizes.ffn_dim);
    if !dim.is_multiple_of(4) || !ffn_dim.is_multiple_of(4) {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!("experts of {dim} and {ffn_dim}: only multiples of 4 are run here"),
        ));
    }
    let down = finder.tensor(&weight("ffn_down_exps"), &[ffn_dim, dim, count])?;
    let fused = weight("ffn_gate_up_exps");
    if finder.has(&fused) {
        let both = finder.tensor(&fused, &[dim, 2 * ffn_dim, count])?;
        let both = finder.matrix(vec![both.flat()?], false)?;
        return Ok(([both, finder.matrix(vec![down.flat()?], false)?], false));
    }
    let gate = finder.tensor(&weight("ffn_gate_exps"), &[dim, ffn_dim, count])?;
    let up = finder.tensor(&weight("ffn_up_exps"), &[dim, ffn_dim, count])?;
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
    let down = finder.matrix(vec![down.flat()?], false)?;
    Ok(([gate_up, down], true))
}
