//! Selective state spaces: Mamba 2 (Dao & Gu 2024, arXiv 2405.21060), whose heads share a step, and Mamba (Gu & Dao 2023, arXiv
//! 2312.00752), whose channels each have a step of low rank: a causal convolution, the scan over a state, a gate.

use crate::{
    Result,
    graph::{
        Columns, Conv, ConvForm, Graph, Groups, MatrixId, Norm, NormKind, Scan, ScanDecay,
        StateSpec, Tensor, TensorSpec, VectorId,
    },
    model::{
        config::MambaConfig,
        tensors::{Affine, Finder},
    },
};

impl MambaConfig {
    /// Channels of all heads.
    fn inner(&self) -> u32 {
        self.heads * self.head_dim
    }

    /// Columns of b and c of all groups.
    fn both(&self) -> u32 {
        2 * self.groups * self.state_dim
    }

    /// Columns that are convolved: b and c among them where the input's matrix makes those.
    fn channels(&self) -> u32 {
        match self.steps {
            Some(_) => self.inner(),
            None => self.inner() + self.both(),
        }
    }

    /// The convolution's last rows, and a state for each channel.
    pub(super) fn states(&self, layer: u32) -> [StateSpec; 2] {
        let conv = u64::from(self.conv_kernel - 1) * u64::from(self.channels());
        let states = u64::from(self.inner()) * u64::from(self.state_dim);
        [("conv", conv), ("scan", states)]
            .map(|(name, floats)| StateSpec::recurrent(name, layer, floats))
    }
}

/// A selective state space's weights in one block.
#[derive(Debug)]
pub struct Mamba {
    sizes: MambaConfig,
    dim: u32,
    eps: f32,
    /// The gate z, x, b, c and dt; x and z where steps are of low rank.
    input: Affine,
    conv: VectorId,
    conv_bias: Option<VectorId>,
    steps: Option<Steps>,
    a_d_bias: VectorId,
    /// The weight of the norm of each group.
    norm: Option<VectorId>,
    output: Affine,
}

/// Weights of steps of low rank, and of b and c, all from what the convolution makes.
#[derive(Debug)]
struct Steps {
    rank: u32,
    low: MatrixId,
    both: MatrixId,
    eps: f32,
    /// Weights of norms: of the low rank, and of b and then c.
    norms: Option<[VectorId; 2]>,
    /// From the low rank to a step a channel.
    high: MatrixId,
}

/// Inputs of the scan beside x.
struct Selected {
    b: Columns,
    c: Columns,
    dt: Columns,
}

impl Mamba {
    /// The weights of layer `index`.
    pub(super) fn find(finder: &mut Finder<'_>, sizes: MambaConfig, index: u32) -> Result<Mamba> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let (dim, inner) = (finder.config.dim, sizes.inner());
        let channels = sizes.channels();
        let cols = match sizes.steps {
            Some(_) => 2 * inner,
            None => inner + channels + sizes.heads,
        };
        let numbers = match sizes.steps {
            Some(_) => [vec![sizes.state_dim, inner], vec![inner], vec![inner]],
            None => [
                vec![1, sizes.heads],
                vec![1, sizes.heads],
                vec![sizes.heads],
            ],
        };
        let names = ["ssm_a", "ssm_d", "ssm_dt.bias"].map(name);
        let a_d_bias: Vec<_> = names.into_iter().zip(numbers).collect();
        let norm = name("ssm_norm.weight");
        let groups = [inner / sizes.groups, sizes.groups];
        Ok(Mamba {
            dim,
            eps: finder.config.norm_epsilon,
            input: finder.affine(&name("ssm_in"), dim, cols)?,
            conv: finder.flat_vector(&name("ssm_conv1d.weight"), &[sizes.conv_kernel, channels])?,
            conv_bias: finder.vector_if_there(&name("ssm_conv1d.bias"), channels)?,
            steps: sizes
                .steps
                .map(|steps| Steps::find(finder, &sizes, (steps.rank, steps.normed), index))
                .transpose()?,
            a_d_bias: finder.flat_vectors(&a_d_bias)?,
            norm: (finder.has(&norm))
                .then(|| finder.flat_vector(&norm, &groups))
                .transpose()?,
            output: finder.affine(&name("ssm_out"), inner, dim)?,
            sizes,
        })
    }

    /// Writes its ops from the input `h`. Returns what is added to the residual stream.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, layer: u32) -> Tensor {
        let sizes = self.sizes;
        let (inner, channels) = (sizes.inner(), sizes.channels());
        let (x, z, cols) = match sizes.steps {
            Some(_) => (0, inner, 2 * inner),
            None => (inner, 0, inner + channels + sizes.heads),
        };
        let input = self.input.ops(g, h, ("zx", cols));
        let [conv_state, state] = sizes.states(layer).map(|state| g.keep(state));
        let conv = Conv {
            x: input.from(x),
            form: ConvForm::Silu(self.conv_bias),
            channels,
            kernel: sizes.conv_kernel,
            weight: self.conv,
            state: conv_state,
        };
        let x = g.push(conv, TensorSpec::per_row("conv", channels));
        let (decay, selected) = if let Some(steps) = &self.steps {
            (ScanDecay::Channel, steps.ops(g, x, &sizes))
        } else {
            let selected = Selected {
                b: x.from(inner),
                c: x.from(inner + sizes.both() / 2),
                dt: input.from(inner + channels),
            };
            (ScanDecay::Head, selected)
        };
        let scan = Scan {
            x,
            b: selected.b,
            c: selected.c,
            dt: selected.dt,
            gates: input.from(z),
            decay,
            a_d_bias: self.a_d_bias,
            heads: sizes.heads,
            head_dim: sizes.head_dim,
            groups: sizes.groups,
            state_dim: sizes.state_dim,
            state,
        };
        let y = g.push(scan, TensorSpec::per_row("scan", inner));
        let y = match self.norm {
            Some(weight) => {
                let cols = inner / sizes.groups;
                let groups = groups((sizes.groups, cols), 0);
                g.map(y, norm(y, weight, self.eps, groups))
            }
            None => y,
        };
        self.output.ops(g, y, ("y", self.dim))
    }
}

impl Steps {
    fn find(
        finder: &mut Finder<'_>,
        sizes: &MambaConfig,
        (rank, normed): (u32, bool),
        index: u32,
    ) -> Result<Steps> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let (inner, state_dim) = (sizes.inner(), sizes.state_dim);
        let both = sizes.both();
        let all = finder.tensor(&name("ssm_x"), &[inner, rank + both])?;
        let high = finder.tensor(&name("ssm_dt"), &[rank, inner])?;
        let parts = [("ssm_b_norm", state_dim), ("ssm_c_norm", state_dim)];
        let norms = if finder.has(&name("ssm_dt_norm")) {
            let of_both = parts.map(|(part, cols)| (name(part), cols));
            Some([
                finder.vector(&name("ssm_dt_norm"), rank)?,
                finder.vectors_joined(&of_both, 1.0)?,
            ])
        } else {
            normed.then(|| [finder.ones(rank), finder.ones(both)])
        };
        Ok(Steps {
            rank,
            low: finder.matrix(vec![all.rows(0, rank)], false)?,
            both: finder.matrix(vec![all.rows(rank, both)], false)?,
            eps: finder.inner_epsilon,
            norms,
            high: finder.matrix(vec![high], false)?,
        })
    }

    fn ops(&self, g: &mut Graph, x: Tensor, sizes: &MambaConfig) -> Selected {
        let eps = self.eps;
        let (state_dim, both) = (sizes.state_dim, sizes.both());
        let low = g.linear(x, &[(self.low, 0)], None, ("dt", self.rank));
        let both = g.linear(x, &[(self.both, 0)], None, ("bc", both));
        let (low, both) = match self.norms {
            Some([of_low, of_both]) => {
                let low = g.norm(Norm::rms(low, of_low, eps), "dt");
                let groups = groups((2, state_dim), 1);
                (low, g.map(both, norm(both, of_both, eps, groups)))
            }
            None => (low, both),
        };
        let dt = g.linear(low, &[(self.high, 0)], None, ("dt", sizes.inner()));
        Selected {
            b: both.from(0),
            c: both.from(state_dim),
            dt: dt.from(0),
        }
    }
}

/// Groups of a row from its first column on; those from `split` on have the second half of the weight, or each its own.
fn groups((count, cols): (u32, u32), split: u32) -> Groups {
    Groups {
        alone: false,
        start: 0,
        count,
        cols,
        split,
    }
}

fn norm(x: Tensor, weight: VectorId, eps: f32, groups: Groups) -> Norm {
    Norm {
        x,
        kind: NormKind::Rms,
        weight,
        bias: None,
        eps,
        groups: Some(groups),
        gate: None,
    }
}
