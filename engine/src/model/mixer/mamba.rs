//! Selective state spaces: Mamba 2 (Dao & Gu 2024, arXiv 2405.21060), whose heads share a step, and Mamba (Gu & Dao 2023, arXiv
//! 2312.00752), whose channels each have a step of low rank: a causal convolution, the scan over a state, a gate.

use lantern_kernels::padded;

use crate::{
    Result,
    graph::{
        Columns, Conv, ConvForm, Graph, Groups, Linear, MatrixId, Norm, NormKind, Scan, ScanDecay,
        StateSpec, Tensor, TensorSpec, VectorId, Which,
    },
    model::{
        config::{MambaConfig, StepsConfig},
        mixer::attention::Shared,
        tensors::{Affine, Finder},
    },
};

impl MambaConfig {
    /// Channels of all heads.
    pub(super) fn inner(&self) -> u32 {
        self.heads * self.head_dim
    }

    /// Columns of what the input's matrix makes.
    pub(super) fn input_cols(&self) -> u32 {
        match self.steps {
            Some(_) => 2 * self.inner(),
            None => self.inner() + self.channels() + self.heads,
        }
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
    /// The gate z, x, b, c and dt; x and z where steps are of low rank. None: attention's matrix makes those, too.
    input: Option<Affine>,
    conv: VectorId,
    conv_bias: Option<VectorId>,
    steps: Option<Steps>,
    a_d_bias: VectorId,
    /// The weight of the norm of each group.
    norm: Option<VectorId>,
    /// From the channels to the residual stream; none: attention's matrix does that, too.
    output: Option<Affine>,
}

/// Weights of steps of low rank, and of b and c, all from what the convolution makes.
#[derive(Debug)]
struct Steps {
    rank: u32,
    /// Makes the low rank, zeros up to a whole group, b and c.
    selecting: MatrixId,
    eps: f32,
    /// The weight of the norm of the low rank, where that, b and c are normed.
    norm: Option<VectorId>,
    /// From the low rank to a step a channel.
    high: MatrixId,
}

/// Inputs of the scan beside x.
struct Selected {
    b: Columns,
    c: Columns,
    dt: Columns,
    normed: Option<f32>,
}

impl Mamba {
    /// The weights of layer `index`.
    pub(super) fn find(finder: &mut Finder<'_>, sizes: MambaConfig, index: u32) -> Result<Mamba> {
        Mamba::find_beside(finder, sizes, index, &Shared::default())
    }

    /// The weights of layer `index`, beside those of attention.
    pub(super) fn find_beside(
        finder: &mut Finder<'_>,
        sizes: MambaConfig,
        index: u32,
        shared: &Shared,
    ) -> Result<Mamba> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let (dim, inner) = (finder.config.dim, sizes.inner());
        let channels = sizes.channels();
        let norm = name("ssm_norm.weight");
        let groups = [inner / sizes.groups, sizes.groups];
        let input = match shared.input {
            Some(_) => None,
            None => Some(finder.affine(&name("ssm_in"), dim, sizes.input_cols())?),
        };
        Ok(Mamba {
            dim,
            eps: finder.config.norm_epsilon,
            input,
            conv: finder.flat_vector(&name("ssm_conv1d.weight"), &[sizes.conv_kernel, channels])?,
            conv_bias: finder.vector_if_there(&name("ssm_conv1d.bias"), channels)?,
            steps: sizes
                .steps
                .map(|steps| Steps::find(finder, &sizes, steps, index))
                .transpose()?,
            a_d_bias: find_numbers(finder, &sizes, index)?,
            norm: (finder.has(&norm))
                .then(|| finder.flat_vector(&norm, &groups))
                .transpose()?,
            output: if shared.output {
                None
            } else {
                Some(finder.affine(&name("ssm_out"), inner, dim)?)
            },
            sizes,
        })
    }

    /// Writes its ops from the input `h`. Returns what is added to the residual stream.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, layer: u32) -> Tensor {
        let input = self.input(g, h);
        let y = self.scanned(g, input, layer, None);
        self.output(g, y)
    }

    /// Channels, gates and steps.
    pub(super) fn input(&self, g: &mut Graph, h: Tensor) -> Columns {
        let input = self.input.as_ref().expect("a matrix of its own");
        input.ops(g, h, ("zx", self.sizes.input_cols())).from(0)
    }

    /// Results of all channels on their way back to the residual stream.
    pub(super) fn output(&self, g: &mut Graph, y: Tensor) -> Tensor {
        let output = self.output.as_ref().expect("a matrix of its own");
        output.ops(g, y, ("y", self.dim))
    }

    /// Results of all channels, in a tensor of their own, or behind what there is in another.
    pub(super) fn scanned(
        &self,
        g: &mut Graph,
        input: Columns,
        layer: u32,
        into: Option<Columns>,
    ) -> Tensor {
        let sizes = self.sizes;
        let (inner, channels) = (sizes.inner(), sizes.channels());
        let (x, z) = match sizes.steps {
            Some(_) => (0, inner),
            None => (inner, 0),
        };
        let input_from = |start| input.tensor.from(input.start + start);
        let [conv_state, state] = sizes.states(layer).map(|state| g.keep(state));
        let conv = Conv {
            x: input_from(x),
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
                dt: input_from(inner + channels),
                normed: None,
            };
            (ScanDecay::Head, selected)
        };
        let scan = Scan {
            x,
            b: selected.b,
            c: selected.c,
            dt: selected.dt,
            gates: input_from(z),
            into,
            decay,
            normed: selected.normed,
            a_d_bias: self.a_d_bias,
            heads: sizes.heads,
            head_dim: sizes.head_dim,
            groups: sizes.groups,
            state_dim: sizes.state_dim,
            state,
        };
        let y = match into {
            Some(into) => g.map(into.tensor, scan),
            None => g.push(scan, TensorSpec::per_row("scan", inner)),
        };
        let Some(weight) = self.norm else {
            return y;
        };
        let groups = Groups {
            start: into.map_or(0, |into| into.start),
            ..groups((sizes.groups, inner / sizes.groups), 0)
        };
        g.map(y, norm(y, weight, self.eps, groups))
    }
}

/// Whether the file has weights for norms of the low rank, of b and of c.
fn has_norms(finder: &Finder<'_>, index: u32) -> bool {
    finder.has(&format!("blk.{index}.ssm_dt_norm.weight"))
}

/// Numbers of channels, or of heads: a, d and the bias of steps; behind them the weights of norms of b and c, where those are
/// normed.
fn find_numbers(finder: &mut Finder<'_>, sizes: &MambaConfig, index: u32) -> Result<VectorId> {
    let name = |part: &str| format!("blk.{index}.{part}");
    let (inner, heads, state_dim) = (sizes.inner(), sizes.heads, sizes.state_dim);
    let shapes = match sizes.steps {
        Some(_) => [vec![state_dim, inner], vec![inner], vec![inner]],
        None => [vec![1, heads], vec![1, heads], vec![heads]],
    };
    let names = ["ssm_a", "ssm_d", "ssm_dt.bias"].map(name);
    let mut parts: Vec<_> = names.into_iter().zip(shapes).collect();
    if has_norms(finder, index) {
        let norms = ["ssm_b_norm.weight", "ssm_c_norm.weight"].map(name);
        parts.extend(norms.map(|name| (name, vec![state_dim])));
        return finder.flat_vectors(&parts);
    }
    let id = finder.flat_vectors(&parts)?;
    if sizes.steps.is_some_and(|steps| steps.normed) {
        finder.vectors[id].constant = vec![1.0; 2 * state_dim as usize];
    }
    Ok(id)
}

impl Steps {
    fn find(
        finder: &mut Finder<'_>,
        sizes: &MambaConfig,
        StepsConfig { rank, normed }: StepsConfig,
        index: u32,
    ) -> Result<Steps> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let (inner, both) = (sizes.inner(), sizes.both());
        let all = finder.tensor(&name("ssm_x"), &[inner, rank + both])?;
        let high = finder.tensor(&name("ssm_dt"), &[rank, inner])?;
        let norm = if has_norms(finder, index) {
            Some(finder.vector(&name("ssm_dt_norm"), rank)?)
        } else {
            normed.then(|| finder.ones(rank))
        };
        let mut selecting = vec![all.rows(0, rank), all.rows(rank, both)];
        let zeros = padded(rank) - rank;
        if zeros > 0 {
            selecting.insert(1, all.zeros(zeros));
        }
        Ok(Steps {
            rank,
            selecting: finder.matrix(selecting, false)?,
            eps: finder.inner_epsilon,
            norm,
            high: finder.matrix(vec![high], false)?,
        })
    }

    fn ops(&self, g: &mut Graph, x: Tensor, sizes: &MambaConfig) -> Selected {
        let b = padded(self.rank);
        let all = g.linear(x, &[(self.selecting, 0)], None, ("dtbc", b + sizes.both()));
        let low = match self.norm {
            Some(weight) => {
                let groups = Groups {
                    alone: true,
                    ..groups((1, self.rank), 1)
                };
                let norm = norm(all, weight, self.eps, groups);
                g.push(norm, TensorSpec::per_row("dt", self.rank))
            }
            None => all,
        };
        let high = Linear {
            x: low.from(0),
            weights: vec![(self.high, 0)],
            bias: None,
            which: Which::All,
            into: None,
        };
        let dt = g.push(high, TensorSpec::per_row("dt", sizes.inner()));
        Selected {
            b: all.from(b),
            c: all.from(b + sizes.state_dim),
            dt: dt.from(0),
            normed: self.norm.map(|_| self.eps),
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
