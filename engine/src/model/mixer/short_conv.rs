//! Short convolution (LFM2, Liquid AI 2025): a causal convolution between two gates, over a state of its last rows.

use crate::{
    Result,
    graph::{Conv, ConvForm, Graph, StateSpec, Tensor, TensorSpec, VectorId},
    model::{
        config::ShortConvConfig,
        tensors::{Affine, Finder},
    },
};

impl ShortConvConfig {
    /// The convolution's last rows.
    pub(super) fn states(self, layer: u32) -> [StateSpec; 1] {
        let floats = (self.conv_kernel - 1) * self.dim;
        [StateSpec::recurrent("conv", layer, u64::from(floats))]
    }
}

/// A short convolution's weights in one block.
#[derive(Debug)]
pub struct ShortConv {
    sizes: ShortConvConfig,
    /// The gate on the input, the gate on the result, and the input.
    input: Affine,
    conv: VectorId,
    output: Affine,
}

impl ShortConv {
    /// The weights of layer `index`.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        sizes: ShortConvConfig,
        index: u32,
    ) -> Result<ShortConv> {
        let name = |part: &str| format!("blk.{index}.shortconv.{part}");
        let dim = sizes.dim;
        let kernel = [sizes.conv_kernel, dim];
        Ok(ShortConv {
            sizes,
            input: finder.affine(&name("in_proj"), dim, 3 * dim)?,
            conv: finder.flat_vector(&name("conv.weight"), &kernel)?,
            output: finder.affine(&name("out_proj"), dim, dim)?,
        })
    }

    /// Writes its ops from the input `h`. Returns what is added to the residual stream.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, layer: u32) -> Tensor {
        let dim = self.sizes.dim;
        let [state] = self.sizes.states(layer).map(|state| g.keep(state));
        let x = self.input.ops(g, h, ("bcx", 3 * dim));
        let conv = Conv {
            x: x.from(0),
            form: ConvForm::Gated,
            channels: dim,
            kernel: self.sizes.conv_kernel,
            weight: self.conv,
            state,
        };
        let y = g.push(conv, TensorSpec::per_row("conv", dim));
        self.output.ops(g, y, ("y", dim))
    }
}
