//! The second half of a block: a gated unit (Shazeer 2020), a plain MLP, or a mixture of experts (Shazeer et al. 2017).

use lantern_kernels::padded;

use super::{
    config::ExpertsConfig,
    tensors::{Affine, Finder},
};
use crate::{
    Error, Result, Unsupported,
    file::TensorInfo,
    graph::{
        Activate, Activation, Combine, DType, Experts, GateUp, Glu, Graph, MatrixId, Route, Tensor,
        TensorSpec,
    },
};

/// The part of a block that follows the mixer.
#[derive(Debug)]
pub enum Ffn {
    /// down(f(gate x) · up x).
    Gated {
        /// Gate and up: one matrix of alternating rows, or two where they are stored differently.
        gate_up: Vec<MatrixId>,
        /// Down.
        down: Affine,
        /// Sizes and activation.
        sizes: Sizes,
    },
    /// down(f(up x)).
    Plain {
        /// Up.
        up: Affine,
        /// Down.
        down: Affine,
        /// Sizes and activation.
        sizes: Sizes,
    },
    /// The gated units of those experts that a router picks, weighed and summed.
    Experts {
        /// How many there are, and how many a row uses.
        experts: ExpertsConfig,
        /// (n_experts, dim).
        router: MatrixId,
        /// Gate and up of all experts, rows alternating, (n_experts · 2 ffn_dim, dim).
        gate_up: MatrixId,
        /// Down of all experts, (n_experts · dim, ffn_dim).
        down: MatrixId,
        /// Sizes and activation.
        sizes: Sizes,
    },
}

/// Sizes of an MLP, and its activation.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    dim: u32,
    ffn_dim: u32,
    activation: Activation,
}

impl Ffn {
    /// The weights of layer `index`.
    pub(super) fn find(finder: &mut Finder<'_>, index: u32) -> Result<Ffn> {
        let config = finder.config;
        let own = config.blocks[index as usize].ffn;
        let sizes = Sizes {
            dim: config.dim,
            ffn_dim: own.ffn_dim,
            activation: config.activation,
        };
        if let Some(experts) = own.experts {
            return find_experts(finder, experts, sizes, index);
        }
        let name = |part: &str| format!("blk.{index}.{part}");
        let weight = |part: &str| format!("blk.{index}.{part}.weight");
        let (dim, ffn_dim) = (sizes.dim, sizes.ffn_dim);
        if finder.has(&weight("ffn_gate")) {
            let gate = finder.tensor(&weight("ffn_gate"), &[dim, ffn_dim])?;
            let up = finder.tensor(&weight("ffn_up"), &[dim, ffn_dim])?;
            return Ok(Ffn::Gated {
                gate_up: gate_up(finder, gate, up)?,
                down: finder.affine(&name("ffn_down"), ffn_dim, dim)?,
                sizes,
            });
        }
        // Gate and up in one tensor, the gate first.
        let up = finder.file.tensor(&weight("ffn_up"));
        if up.is_some_and(|t| t.shape == [u64::from(dim), u64::from(ffn_dim) * 2]) {
            let both = finder.tensor(&weight("ffn_up"), &[dim, 2 * ffn_dim])?;
            let (gate, up) = (both.rows(0, ffn_dim), both.rows(ffn_dim, ffn_dim));
            return Ok(Ffn::Gated {
                gate_up: gate_up(finder, gate, up)?,
                down: finder.affine(&name("ffn_down"), ffn_dim, dim)?,
                sizes,
            });
        }
        // Only GELU's families have an MLP without a gate.
        if sizes.activation != Activation::Gelu {
            let missing = weight("ffn_gate");
            return Err(Error::bad_file(format!("tensor {missing} is missing")));
        }
        Ok(Ffn::Plain {
            up: finder.affine(&name("ffn_up"), dim, ffn_dim)?,
            down: finder.affine(&name("ffn_down"), ffn_dim, dim)?,
            sizes,
        })
    }

    /// Writes its ops from the input `h`. Returns what is added to the residual stream.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor) -> Tensor {
        match self {
            Ffn::Gated {
                gate_up,
                down,
                sizes,
            } => {
                let gate_up = if let [both] = gate_up[..] {
                    let cols = ("gate_up", 2 * sizes.ffn_dim);
                    GateUp::Alternating(g.linear(h, &[(both, 0)], None, cols))
                } else {
                    let parts = [("gate", gate_up[0]), ("up", gate_up[1])];
                    let [gate, up] = parts.map(|(name, matrix)| {
                        g.linear(h, &[(matrix, 0)], None, (name, sizes.ffn_dim))
                    });
                    GateUp::Apart(gate, up)
                };
                let up = sizes.glu(g, gate_up, 1);
                g.linear(up, &[(down.matrix, 0)], down.bias, ("y", sizes.dim))
            }
            Ffn::Plain { up, down, sizes } => {
                let x = g.linear(h, &[(up.matrix, 0)], up.bias, ("up", sizes.ffn_dim));
                let activation = sizes.activation;
                let x = g.map(x, Activate { x, activation });
                g.linear(x, &[(down.matrix, 0)], down.bias, ("y", sizes.dim))
            }
            Ffn::Experts {
                experts,
                router,
                gate_up,
                down,
                sizes,
            } => experts_ops(g, h, (*experts, *sizes), [*router, *gate_up, *down]),
        }
    }

    /// How many experts the rows of `matrix` are for, where it is theirs.
    pub(crate) fn experts_of(&self, matrix: MatrixId) -> Option<u32> {
        match self {
            Ffn::Experts {
                experts,
                gate_up,
                down,
                ..
            } => [gate_up, down]
                .contains(&&matrix)
                .then_some(experts.n_experts),
            _ => None,
        }
    }
}

impl Sizes {
    /// f(gate) · up, in each of so many groups of a row.
    fn glu(&self, g: &mut Graph, gate_up: GateUp, groups: u32) -> Tensor {
        let glu = Glu {
            gate_up,
            activation: self.activation,
            cols: self.ffn_dim,
            groups,
        };
        let cols = if groups == 1 {
            self.ffn_dim
        } else {
            groups * padded(self.ffn_dim)
        };
        g.push(glu, TensorSpec::per_row("up", cols))
    }
}

fn experts_ops(
    g: &mut Graph,
    h: Tensor,
    (experts, sizes): (ExpertsConfig, Sizes),
    [router, gate_up, down]: [MatrixId; 3],
) -> Tensor {
    let ExpertsConfig { n_experts, top_k } = experts;
    let logits = g.linear(h, &[(router, 0)], None, ("router", n_experts));
    let weights = g.declare(TensorSpec::per_row("expert_weights", top_k));
    let route = Route {
        logits,
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
    let both = linear(g, h, false, (gate_up, "experts_gate_up", 2 * sizes.ffn_dim));
    let up = sizes.glu(g, GateUp::Alternating(both), top_k);
    let results = linear(g, up, true, (down, "experts", sizes.dim));
    let combine = Combine {
        results,
        weights,
        top_k,
    };
    g.push(combine, TensorSpec::per_row("y", sizes.dim))
}

/// Gate and up as one matrix of alternating rows, or two where they are stored differently.
fn gate_up(finder: &mut Finder<'_>, gate: TensorInfo, up: TensorInfo) -> Result<Vec<MatrixId>> {
    Ok(if gate.kind == up.kind {
        vec![finder.matrix(vec![gate, up], true)?]
    } else {
        vec![
            finder.matrix(vec![gate], false)?,
            finder.matrix(vec![up], false)?,
        ]
    })
}

/// The rows of all experts one after the other, gate and up alternating.
fn find_experts(
    finder: &mut Finder<'_>,
    experts: ExpertsConfig,
    sizes: Sizes,
    index: u32,
) -> Result<Ffn> {
    let weight = |part: &str| format!("blk.{index}.{part}.weight");
    let (dim, ffn_dim, count) = (sizes.dim, sizes.ffn_dim, experts.n_experts);
    if !dim.is_multiple_of(4) || !ffn_dim.is_multiple_of(4) {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!("experts of {dim} and {ffn_dim}: only multiples of 4 are run here"),
        ));
    }
    let router = finder.tensor(&weight("ffn_gate_inp"), &[dim, count])?;
    let router = finder.matrix(vec![router], false)?;
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
    let down = finder.matrix(vec![down.flat()?], false)?;
    Ok(Ffn::Experts {
        experts,
        router,
        gate_up,
        down,
        sizes,
    })
}
