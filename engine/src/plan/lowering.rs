//! Target that a graph is lowered for: an adapter, a model's weights, a width of passes.

use lantern_kernels::{Kernel, Part, Shader, attention_combine, parts::Scalar};

use crate::{
    Gpu, Precision,
    graph::MatrixId,
    model::{
        layout::Layout,
        lora::{LoraLayout, Pair},
        options::CacheType,
        weights::Matrix,
    },
};

/// Kind of a pass, by its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// One row.
    Decode,
    /// One row, [`LONG`] positions or more into the context.
    DecodeLong,
    /// Up to so many rows.
    Prefill(u32),
}

impl Width {
    /// Whether it is for decoding, and not for a prompt that happens to have one token.
    pub fn is_decode(self) -> bool {
        matches!(self, Width::Decode | Width::DecodeLong)
    }

    /// Rows of a pass at most.
    pub fn rows(self) -> u32 {
        match self {
            Width::Decode | Width::DecodeLong => 1,
            Width::Prefill(rows) => rows,
        }
    }
}

/// Positions from which on a row's attention is worth splitting.
pub const LONG: u32 = 512;

/// Rows whose logits are computed at once where those of all are wanted.
pub const ALL_LOGITS_ROWS: u32 = 16;

/// Rows of a small batch at most, which has a plan of its own. On a GPU tiles of 64 rows cost more up to about so many; an
/// adapter on the CPU takes rows in eights, or in fours where there are no more.
pub fn small_rows(gpu: &Gpu) -> u32 {
    if gpu.software() { 4 } else { 16 }
}

/// Lowers graphs of one model, for one width.
pub(crate) struct Lowering<'a> {
    /// Picks variants.
    pub gpu: &'a Gpu,
    /// The model's weights.
    pub layout: &'a Layout,
    /// LoRAs that are computed beside them, and the factor on each.
    pub loras: &'a [(&'a LoraLayout, f32)],
    /// Exact or mixed arithmetic.
    pub precision: Precision,
    /// How keys and values are kept.
    pub cache: CacheType,
    /// Positions of a sequence.
    pub context: u32,
    /// Sequences that a session keeps state of.
    pub sequences: u32,
    /// Positions of a block of the cache, where it is paged.
    pub block: Option<u32>,
    /// Kind of the pass.
    pub width: Width,
}

impl Lowering<'_> {
    /// A kernel with these parts and constants, in the variant that suits the adapter.
    pub(super) fn shader(
        &self,
        kernel: &'static Kernel,
        parts: &[&'static Part],
        consts: &[(&'static str, u32)],
    ) -> Shader {
        shader(self.gpu, kernel, parts, consts)
    }

    pub(super) fn exact(&self) -> bool {
        self.precision == Precision::Exact
    }

    /// Tiles of f16 where the adapter gains by them.
    pub(super) fn scalar(&self) -> Scalar {
        let f16 = self.gpu.adapter().features.shader_f16 && !self.gpu.software();
        if f16 && !self.exact() {
            Scalar::F16
        } else {
            Scalar::F32
        }
    }

    /// A matrix of the model, or of LoRA: those have the numbers after its own.
    pub(super) fn matrix(&self, id: MatrixId) -> &Matrix {
        let loras = self.loras.iter();
        let more = loras.flat_map(|(lora, _)| &lora.matrices);
        let mut all = self.layout.matrices.iter().chain(more);
        all.nth(id).expect("a matrix of the model or of LoRA")
    }

    /// LoRA's pairs beside the matrix `target`: the number of A, the factor, and the pair.
    pub(super) fn pairs(&self, target: MatrixId) -> Vec<(MatrixId, f32, &Pair)> {
        let mut found = Vec::new();
        let mut first = self.layout.matrices.len();
        for (lora, factor) in self.loras {
            let pairs = lora.pairs.iter().filter(|pair| pair.target == target);
            found.extend(pairs.map(|pair| (first + pair.a, factor * pair.scale, pair)));
            first += lora.matrices.len();
        }
        found
    }

    /// Whether LoRA has something beside `target`.
    pub(super) fn is_adapted(&self, target: MatrixId) -> bool {
        !self.pairs(target).is_empty()
    }

    /// Whether attention far into the context is split while decoding.
    pub(super) fn splits(&self) -> bool {
        splits(self.gpu, self.context)
    }

    /// Whether this adapter reads `bytes` of activations best from a uniform buffer, and they fit one.
    pub(super) fn uniform(&self, bytes: u64) -> bool {
        bytes <= self.gpu.max_uniform_bytes()
    }
}

/// A kernel with these parts and constants, in the variant that suits the adapter.
pub(super) fn shader(
    gpu: &Gpu,
    kernel: &'static Kernel,
    parts: &[&'static Part],
    consts: &[(&'static str, u32)],
) -> Shader {
    let first = Shader::new(kernel, gpu.variant(kernel), parts, consts);
    let variant = gpu.variant_for(&first);
    Shader { variant, ..first }
}

/// Whether an adapter splits attention far into contexts of this length while decoding.
pub(super) fn splits(gpu: &Gpu, context: u32) -> bool {
    let combine = &attention_combine::ATTENTION_COMBINE;
    context >= LONG && gpu.verified(combine).next().is_some()
}
