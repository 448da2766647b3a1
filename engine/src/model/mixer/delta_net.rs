//! Gated delta net (Yang et al. 2024, arXiv 2412.06464) as Qwen 3.5 has it: a causal convolution over queries, keys and
//! values, the gated delta rule over a state of a matrix a head, a gated norm.

use crate::{
    Result,
    file::TensorInfo,
    graph::{
        self, Activation, Columns, Conv, ConvForm, Graph, Groups, Norm, NormKind, NormedGate,
        StateSpec, Tensor, TensorSpec, VectorId,
    },
    model::{
        config::DeltaNetConfig,
        tensors::{Affine, Finder, Joined},
    },
};

impl DeltaNetConfig {
    /// Columns of queries, keys and values.
    fn channels(&self) -> u32 {
        2 * self.key_heads * self.key_dim + self.values()
    }

    /// The convolution's last rows, and a matrix for each value head.
    pub(super) fn states(&self, layer: u32) -> [StateSpec; 2] {
        let conv = (self.conv_kernel - 1) * self.channels();
        let matrices = self.value_heads * self.key_dim * self.value_dim;
        [("conv", conv), ("delta_net", matrices)]
            .map(|(name, floats)| StateSpec::recurrent(name, layer, u64::from(floats)))
    }

    /// Columns of values.
    fn values(&self) -> u32 {
        self.value_heads * self.value_dim
    }
}

/// A gated delta net's weights in one block.
#[derive(Debug)]
pub struct DeltaNet {
    sizes: DeltaNetConfig,
    dim: u32,
    eps: f32,
    /// Is added to the sum of squares of a query, and of a key.
    key_eps: f32,
    /// Queries, keys and values, then what makes gates: joined as far as they are stored alike.
    input: Joined,
    gates: Gates,
    conv: VectorId,
    dt_bias: VectorId,
    a: VectorId,
    norm: VectorId,
    output: Affine,
}

/// Source of gates.
#[derive(Debug)]
enum Gates {
    /// Behind the values lie z, β and α.
    Joined,
    /// Behind the values lies β; z and α, one for each key, are made by way of a few values (Kimi Linear).
    LowRank { z: [Affine; 2], alpha: [Affine; 2] },
}

/// Gates of a row, by their columns.
struct GateColumns {
    z: Columns,
    z_activation: Activation,
    beta: Columns,
    alpha: Columns,
}

impl DeltaNet {
    /// The weights of layer `index`.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        sizes: DeltaNetConfig,
        index: u32,
    ) -> Result<DeltaNet> {
        if sizes.by_channel {
            return DeltaNet::find_by_channel(finder, sizes, index);
        }
        let name = |part: &str| format!("blk.{index}.{part}");
        let (dim, heads) = (finder.config.dim, sizes.value_heads);
        let tensors = find_input(finder, &sizes, index)?;
        let kernel = [sizes.conv_kernel, sizes.channels()];
        Ok(DeltaNet {
            sizes,
            dim,
            eps: finder.config.norm_epsilon,
            key_eps: finder.config.norm_epsilon,
            input: finder.joined(tensors)?,
            gates: Gates::Joined,
            conv: finder.flat_vector(&name("ssm_conv1d.weight"), &kernel)?,
            dt_bias: finder.vector(&name("ssm_dt.bias"), heads)?,
            a: finder.vector(&name("ssm_a"), heads)?,
            norm: finder.flat_vector(&name("ssm_norm.weight"), &[sizes.value_dim])?,
            output: finder.affine(&name("ssm_out"), sizes.values(), dim)?,
        })
    }

    /// The weights of layer `index`, whose keys decay each by its own.
    fn find_by_channel(
        finder: &mut Finder<'_>,
        sizes: DeltaNetConfig,
        index: u32,
    ) -> Result<DeltaNet> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let (dim, heads, values) = (finder.config.dim, sizes.value_heads, sizes.values());
        let mut tensors = Vec::new();
        for (part, rows) in [("attn_q", values), ("attn_k", values), ("attn_v", values)] {
            tensors.push(finder.tensor(&name(&format!("{part}.weight")), &[dim, rows])?);
        }
        tensors.push(finder.tensor(&name("ssm_beta.weight"), &[dim, heads])?);
        let rank = sizes.key_dim;
        let mut low_rank = |gate: &str| -> Result<[Affine; 2]> {
            let [down, up] = ["a", "b"].map(|half| name(&format!("ssm_{gate}_{half}")));
            Ok([
                finder.affine(&down, dim, rank)?,
                finder.affine(&up, rank, values)?,
            ])
        };
        let gates = Gates::LowRank {
            z: low_rank("g")?,
            alpha: low_rank("f")?,
        };
        let convs = ["q", "k", "v"].map(|part| name(&format!("ssm_conv1d_{part}.weight")));
        Ok(DeltaNet {
            sizes,
            dim,
            eps: finder.config.norm_epsilon,
            key_eps: finder.inner_epsilon,
            input: finder.joined(tensors)?,
            gates,
            conv: finder.padded_vectors(&convs, &[sizes.conv_kernel, 1, values, 1])?,
            dt_bias: finder.vector(&name("ssm_dt.bias"), values)?,
            a: finder.padded_vectors(&[name("ssm_a")], &[1, heads, 1, 1])?,
            norm: finder.flat_vector(&name("ssm_norm.weight"), &[sizes.value_dim])?,
            output: finder.affine(&name("attn_output"), values, dim)?,
        })
    }

    /// Gates of the input `h`, of which `input` was made.
    fn gate_columns(&self, g: &mut Graph, h: Tensor, input: Tensor) -> GateColumns {
        let sizes = self.sizes;
        let (channels, values) = (sizes.channels(), sizes.values());
        match &self.gates {
            Gates::Joined => GateColumns {
                z: input.from(channels),
                z_activation: Activation::Silu,
                beta: input.from(channels + values),
                alpha: input.from(channels + values + sizes.value_heads),
            },
            Gates::LowRank { z, alpha } => {
                let mut made = |[down, up]: &[Affine; 2], name| {
                    let low = down.ops(g, h, ("rank", sizes.key_dim));
                    up.ops(g, low, (name, values)).from(0)
                };
                GateColumns {
                    z: made(z, "z"),
                    z_activation: Activation::Sigmoid,
                    beta: input.from(channels),
                    alpha: made(alpha, "alpha"),
                }
            }
        }
    }

    /// Writes its ops from the input `h`. Returns what is added to the residual stream.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, layer: u32) -> Tensor {
        let sizes = self.sizes;
        let (channels, values) = (sizes.channels(), sizes.values());
        let behind = match self.gates {
            Gates::Joined => values + 2 * sizes.value_heads,
            Gates::LowRank { .. } => sizes.value_heads,
        };
        let input = g.linear(h, &self.input, None, ("qkvz", channels + behind));
        let gates = self.gate_columns(g, h, input);
        let [conv_state, state] = sizes.states(layer).map(|state| g.keep(state));
        let conv = Conv {
            x: input.from(0),
            form: ConvForm::Silu(None),
            channels,
            kernel: sizes.conv_kernel,
            weight: self.conv,
            state: conv_state,
        };
        let qkv = g.push(conv, TensorSpec::per_row("conv", channels));
        let delta_net = graph::DeltaNet {
            qkv,
            beta: gates.beta,
            alpha: gates.alpha,
            by_channel: sizes.by_channel,
            dt_bias: self.dt_bias,
            a: self.a,
            key_heads: sizes.key_heads,
            value_heads: sizes.value_heads,
            key_dim: sizes.key_dim,
            value_dim: sizes.value_dim,
            sharing: sizes.sharing,
            eps: self.key_eps,
            state,
        };
        let y = g.push(delta_net, TensorSpec::per_row("delta", values));
        let heads = Groups {
            alone: false,
            start: 0,
            count: sizes.value_heads,
            cols: sizes.value_dim,
            split: sizes.value_heads,
        };
        let norm = Norm {
            x: y,
            kind: NormKind::Rms,
            weight: self.norm,
            bias: None,
            eps: self.eps,
            groups: Some(heads),
            gate: Some(NormedGate {
                z: gates.z,
                activation: gates.z_activation,
            }),
        };
        let y = g.map(y, norm);
        self.output.ops(g, y, ("y", self.dim))
    }
}

/// Rows of queries, keys, values, z, β and α, in that order, from tensors by kind or by key head.
fn find_input(
    finder: &mut Finder<'_>,
    sizes: &DeltaNetConfig,
    index: u32,
) -> Result<Vec<TensorInfo>> {
    let name = |part: &str| format!("blk.{index}.{part}.weight");
    let (dim, heads) = (finder.config.dim, sizes.value_heads);
    let share = heads / sizes.key_heads;
    let values = share * sizes.value_dim;
    let mut all = if finder.has(&name("ssm_in")) {
        let rows = sizes.channels() + sizes.values();
        let fused = finder.tensor(&name("ssm_in"), &[dim, rows])?;
        by_key_head(
            &fused,
            sizes,
            &[sizes.key_dim, sizes.key_dim, values, values],
        )
    } else {
        let qkv = finder.tensor(&name("attn_qkv"), &[dim, sizes.channels()])?;
        vec![
            qkv,
            finder.tensor(&name("attn_gate"), &[dim, sizes.values()])?,
        ]
    };
    if finder.has(&name("ssm_ba")) {
        let fused = finder.tensor(&name("ssm_ba"), &[dim, 2 * heads])?;
        all.extend(by_key_head(&fused, sizes, &[share, share]));
    } else {
        all.push(finder.tensor(&name("ssm_beta"), &[dim, heads])?);
        all.push(finder.tensor(&name("ssm_alpha"), &[dim, heads])?);
    }
    Ok(all)
}

/// Rows of a tensor that has for each key head so many of each kind: all of the first kind, then of the next.
fn by_key_head(fused: &TensorInfo, sizes: &DeltaNetConfig, kinds: &[u32]) -> Vec<TensorInfo> {
    let group: u32 = kinds.iter().sum();
    let mut start = 0;
    let mut all = Vec::new();
    for &rows in kinds {
        all.extend((0..sizes.key_heads).map(|head| fused.rows(head * group + start, rows)));
        start += rows;
    }
    all
}
