//! Gated delta net (Yang et al. 2024, arXiv 2412.06464) as Qwen 3.5 has it: a causal convolution over queries, keys and
//! values, the gated delta rule over a state of a matrix a head, a gated norm.

use crate::{
    Result,
    graph::{
        self, Activation, Conv, Graph, Groups, Norm, NormKind, NormedGate, StateKind, StateSpec,
        Tensor, TensorSpec, VectorId,
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
        let parts = [
            ("attn_qkv.weight", sizes.channels()),
            ("attn_gate.weight", sizes.values()),
            ("ssm_beta.weight", heads),
            ("ssm_alpha.weight", heads),
        ];
        let tensors = parts
            .iter()
            .map(|&(part, rows)| finder.tensor(&name(part), &[dim, rows]))
            .collect::<Result<_>>()?;
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
        let output = [(self.output.matrix, 0)];
        g.linear(y, &output, self.output.bias, ("y", self.dim))
    }
}
