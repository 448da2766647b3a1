//! A mixture of experts: a router, the experts that it picks for each row, and one that all rows share.

use lantern_kernels::padded;

use super::{gated::Sizes, plain::Unit};
use crate::{
    Error, Result, Unsupported,
    graph::{
        Activate, Activation, Combine, DType, Experts, Gate, GateUp, GluBias, Graph, MatrixId,
        Norm, Route, Tensor, TensorSpec, VectorId,
    },
    model::{
        config::ExpertsConfig,
        families::ExpertWeights,
        tensors::{Affine, Finder, Joined},
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
    /// Gate and up of all experts, (n_experts · 2 ffn_dim, dim), or up alone, (n_experts · ffn_dim, dim).
    gate_up: MatrixId,
    /// Down of all experts, (n_experts · dim, ffn_dim).
    down: MatrixId,
    /// How gates and ups lie in it.
    units: Units,
    /// Biases of gates and then ups, (2, n_experts, ffn_dim), and of down, (n_experts, dim).
    biases: Option<[VectorId; 2]>,
    /// Whether weights are on what the experts read, and not on their results.
    weights_first: bool,
    /// A factor on the weight of each expert.
    scale: Option<VectorId>,
    /// Sizes of an expert.
    sizes: Sizes,
    /// From the stream to what experts read, and from what they make to the stream.
    latent: Option<[Affine; 2]>,
    /// Size of the residual stream.
    dim: u32,
    shared: Option<Shared>,
    norms: Option<Norms>,
}

/// Rows of an expert's matrix of gates and ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Units {
    /// They alternate.
    Alternating,
    /// All gates come before all ups.
    Halves,
    /// There are no gates: the activation is of the ups.
    Ungated,
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
    expert: Unit,
    /// Size of its hidden layer.
    ffn_dim: u32,
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
        let latent = find_latent(finder, &experts, sizes.dim, index)?;
        let dim = experts.latent_dim.unwrap_or(sizes.dim);
        let sizes = Sizes { dim, ..sizes };
        let ([gate_up, down], units) = find_experts(finder, count, sizes, index)?;
        sizes.check(units != Units::Ungated)?;
        let bias = |part: &str| format!("blk.{index}.{part}.bias");
        Ok(Mixture {
            experts,
            router: finder.joined(router)?,
            router_bias: finder.vector_if_there(&bias("ffn_gate_inp"), count)?,
            choice_bias: finder.vector_if_there(&bias("exp_probs_b"), count)?,
            gate_up,
            down,
            units,
            biases: find_biases(finder, count, sizes, index)?,
            weights_first: weights_first(finder, &experts)?,
            scale: finder.vector_if_there(&format!("blk.{index}.ffn_down_exps.scale"), count)?,
            sizes,
            latent,
            dim: finder.config.dim,
            shared,
            norms: Norms::find(finder, index)?,
        })
    }

    /// Writes its ops from the input `h`, or from norms of the stream `x`. Returns what the experts add, and the shared one.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, x: Tensor) -> Vec<Tensor> {
        let n_experts = self.experts.n_experts;
        let gated = self.shared.as_ref().is_some_and(|shared| shared.gated);
        let cols = ("router", n_experts + u32::from(gated));
        let routed = self.norms.map_or(h, |norms| norms.ops(g, x, norms.router));
        let logits = g.linear(routed, &self.router, self.router_bias, cols);
        let shared = self.shared.as_ref();
        let shared = shared.map(|shared| shared.ops(g, h, (logits, n_experts)));
        let Some(norms) = self.norms else {
            let y = self.expert_ops(g, logits, h);
            return [y].into_iter().chain(shared).collect();
        };
        let shared = shared.map(|z| norms.ops(g, z, norms.after_shared));
        let h = norms.ops(g, x, norms.experts);
        let y = self.expert_ops(g, logits, h);
        let y = norms.ops(g, y, norms.after_experts);
        [y].into_iter().chain(shared).collect()
    }

    /// The sum of the experts that the router picks by its logits, of the input `h`.
    fn expert_ops(&self, g: &mut Graph, logits: Tensor, h: Tensor) -> Tensor {
        let Some([down, up]) = self.latent else {
            return self.picked_ops(g, logits, h);
        };
        let h = down.ops(g, h, ("latent", self.sizes.dim));
        let y = self.picked_ops(g, logits, h);
        up.ops(g, y, ("y", self.dim))
    }

    /// Sum of the experts that the router picks, of what they read.
    fn picked_ops(&self, g: &mut Graph, logits: Tensor, h: Tensor) -> Tensor {
        let (sizes, n_experts) = (self.sizes, self.experts.n_experts);
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
        let h = if self.weights_first {
            let gate = Gate {
                x: h,
                gate: weights.from(0),
                dense: true,
                share: sizes.dim,
                activation: Activation::Identity,
            };
            g.map(h, gate)
        } else {
            h
        };
        let up = self.unit_ops(g, h, ids);
        let down = (self.down, "experts", sizes.dim);
        let results = self.product(g, (up, true), ids, down);
        if self.weights_first {
            return results;
        }
        let combine = Combine {
            results,
            weights,
            top_k,
            bias: self.biases.map(|[_, down]| (down, ids)),
        };
        g.push(combine, TensorSpec::per_row("y", sizes.dim))
    }

    /// The hidden layer of those experts that each row uses.
    fn unit_ops(&self, g: &mut Graph, h: Tensor, ids: Tensor) -> Tensor {
        let (sizes, n_experts) = (self.sizes, self.experts.n_experts);
        let activation = sizes.activation;
        if self.units == Units::Ungated {
            let up = (self.gate_up, "up", sizes.ffn_dim);
            let x = self.product(g, (h, false), ids, up);
            return g.map(x, Activate { x, activation });
        }
        let gate_up = (self.gate_up, "experts_gate_up", 2 * sizes.ffn_dim);
        let both = self.product(g, (h, false), ids, gate_up);
        let gate_up = if self.units == Units::Alternating {
            GateUp::Alternating(both)
        } else {
            GateUp::Halves(both)
        };
        let bias = self.biases.map(|[vector, _]| GluBias {
            vector,
            n_experts,
            ids,
        });
        sizes.glu(g, gate_up, self.experts.top_k, bias)
    }

    /// A matrix of those experts that each row uses, times `x`, which has a row for each of them where `per_expert` says so.
    fn product(
        &self,
        g: &mut Graph,
        (x, per_expert): (Tensor, bool),
        ids: Tensor,
        (matrix, name, cols): (MatrixId, &'static str, u32),
    ) -> Tensor {
        let top_k = self.experts.top_k;
        let op = Experts {
            x,
            per_expert,
            ids,
            matrix,
            n_experts: self.experts.n_experts,
            top_k,
            cols,
        };
        let all = if top_k == 1 {
            cols
        } else {
            top_k * padded(cols)
        };
        g.push(op, TensorSpec::per_row(name, all))
    }

    /// Whether `matrix` has its gates and ups, and those have biases.
    pub(super) fn has_biased_units(&self, matrix: MatrixId) -> bool {
        self.biases.is_some() && self.gate_up == matrix
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
        let norm = Norm::rms(x, weight, self.eps);
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
            expert: Unit::find(finder, sizes, index, ending)?,
            ffn_dim,
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
                dense: false,
                share: self.ffn_dim,
                activation: Activation::Sigmoid,
            };
            up = g.map(up, gate);
        }
        self.expert.down_ops(g, up)
    }
}

/// Whether the family has weights on what experts read.
///
/// # Errors
/// [`Error::Unsupported`] where a row has several, which would each read something else.
fn weights_first(finder: &Finder<'_>, experts: &ExpertsConfig) -> Result<bool> {
    let first = finder.config.row.expert_weights == ExpertWeights::OnInput;
    if first && experts.top_k != 1 {
        let (top_k, family) = (experts.top_k, &finder.config.family);
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!("{top_k} experts for a token: {family} is run here with one"),
        ));
    }
    Ok(first)
}

/// The way from the stream to what experts read, and the way back, where that has another size.
fn find_latent(
    finder: &mut Finder<'_>,
    experts: &ExpertsConfig,
    dim: u32,
    index: u32,
) -> Result<Option<[Affine; 2]>> {
    let Some(latent_dim) = experts.latent_dim else {
        return Ok(None);
    };
    let name = |part: &str| format!("blk.{index}.ffn_latent_{part}");
    Ok(Some([
        finder.affine(&name("down"), dim, latent_dim)?,
        finder.affine(&name("up"), latent_dim, dim)?,
    ]))
}

/// Gate and up, and down, of all experts, one expert's rows after the other's; and how gates and ups lie.
fn find_experts(
    finder: &mut Finder<'_>,
    count: u32,
    sizes: Sizes,
    index: u32,
) -> Result<([MatrixId; 2], Units)> {
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
        let down = finder.matrix(vec![down.flat()?], false)?;
        return Ok(([both, down], Units::Halves));
    }
    // SiLU's families have no experts without gates.
    if !finder.has(&weight("ffn_gate_exps")) && sizes.activation != Activation::Silu {
        let up = finder.tensor(&weight("ffn_up_exps"), &[dim, ffn_dim, count])?;
        let up = finder.matrix(vec![up.flat()?], false)?;
        let down = finder.matrix(vec![down.flat()?], false)?;
        return Ok(([up, down], Units::Ungated));
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
    Ok(([gate_up, down], Units::Alternating))
}

/// Biases of gates and ups, and of down, where the experts of layer `index` have any.
fn find_biases(
    finder: &mut Finder<'_>,
    count: u32,
    sizes: Sizes,
    index: u32,
) -> Result<Option<[VectorId; 2]>> {
    let name = |part: &str| format!("blk.{index}.ffn_{part}_exps.bias");
    if !finder.has(&name("gate")) {
        return Ok(None);
    }
    let gate_up = ["gate", "up"].map(|part| (name(part), [sizes.ffn_dim, count]));
    let down = [(name("down"), [sizes.dim, count])];
    Ok(Some([
        finder.flat_vectors(&gate_up)?,
        finder.flat_vectors(&down)?,
    ]))
}
