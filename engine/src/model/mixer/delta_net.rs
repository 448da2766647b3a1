//! Gated delta net (Yang et al. 2024, arXiv 2412.06464) as Qwen 3.5 has it: a causal convolution over queries, keys and
//! values, the gated delta rule over a state of a matrix a head, a gated norm.

use crate::{
    Result,
    file::TensorInfo,
    graph::{
        self, Activation, Conv, ConvForm, Graph, Groups, Norm, NormKind, NormedGate, StateKind,
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
        [("conv", conv), ("delta_net", matrices)].map(|(name, floats)| StateSpec {
            name,
            layer,
            kind: StateKind::Recurrent {
                bytes: u64::from(floats) * 4,
            },
        })
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
    /// Queries, keys and values, then the gate z, then β, then α: joined as far as they are stored alike.
    input: Joined,
    conv: VectorId,
    dt_bias: VectorId,
    a: VectorId,
    norm: VectorId,
    output: Affine,
}

impl DeltaNet {
    /// The weights of layer `index`.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        sizes: DeltaNetConfig,
        index: u32,
    ) -> Result<DeltaNet> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let (dim, heads) = (finder.config.dim, sizes.value_heads);
        let tensors = find_input(finder, &sizes, index)?;
        let kernel = [sizes.conv_kernel, sizes.channels()];
        Ok(DeltaNet {
            sizes,
            dim,
            eps: finder.config.norm_epsilon,
            input: finder.joined(tensors)?,
            conv: finder.flat_vector(&name("ssm_conv1d.weight"), &kernel)?,
            dt_bias: finder.vector(&name("ssm_dt.bias"), heads)?,
            a: finder.vector(&name("ssm_a"), heads)?,
            norm: finder.flat_vector(&name("ssm_norm.weight"), &[sizes.value_dim])?,
            output: finder.affine(&name("ssm_out"), sizes.values(), dim)?,
        })
    }

    /// Writes its ops from the input `h`. Returns what is added to the residual stream.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, layer: u32) -> Tensor {
        let sizes = self.sizes;
        let (channels, values) = (sizes.channels(), sizes.values());
        let (z, beta) = (channels, channels + values);
        let alpha = beta + sizes.value_heads;
        let cols = alpha + sizes.value_heads;
        let input = g.linear(h, &self.input, None, ("qkvz", cols));
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
            beta: input.from(beta),
            alpha: input.from(alpha),
            dt_bias: self.dt_bias,
            a: self.a,
            key_heads: sizes.key_heads,
            value_heads: sizes.value_heads,
            key_dim: sizes.key_dim,
            value_dim: sizes.value_dim,
            sharing: sizes.sharing,
            eps: self.eps,
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
                z: input.from(z),
                activation: Activation::Silu,
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
