//! Lowering: a graph to dispatches for one adapter. Rules fuse ops, each step then becomes the dispatches of its kernel, and
//! tensors are laid into few buffers by how long each is read.

use lantern_kernels::{
    Kernel, Part, Shader, padded,
    parts::{SCALAR_F16, SCALAR_F32},
};

use super::{
    dispatch::{Dispatch, Plan},
    emit::{Emitter, xs_bytes},
    place::{Placement, place},
    plans::splits,
    rules::RULES,
    step::{Step, steps},
};
use crate::{
    Gpu, Precision,
    graph::{Graph, MatrixId, Op, RowCount, StateSpec, Tensor, TensorSpec},
    model::{
        layout::Layout,
        lora::{LoraLayout, Pair},
        options::CacheType,
        weights::Matrix,
    },
};

/// What a pass is for.
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

/// Lowers graphs of one model, for one width.
pub(crate) struct Lowering<'a> {
    /// Picks variants.
    pub gpu: &'a Gpu,
    /// The model's weights.
    pub layout: &'a Layout,
    /// What is computed beside them, and the factor on each.
    pub loras: &'a [(&'a LoraLayout, f32)],
    /// Exact or mixed arithmetic.
    pub precision: Precision,
    /// How keys and values are kept.
    pub cache: CacheType,
    /// Positions of a sequence.
    pub context: u32,
    /// Sequences that a session keeps state of.
    pub sequences: u32,
    /// What the pass is for.
    pub width: Width,
}

impl Lowering<'_> {
    /// The plan of a graph.
    pub fn lower(&self, graph: &Graph) -> Plan {
        let mut steps = steps(graph);
        for (name, rule) in RULES {
            rule(self, &mut steps, name);
        }
        let aliases = aliases(&steps);
        let mut emitter = Emitter::new(self, graph, xs_bound(self.gpu, graph));
        for step in &steps {
            emitter.step(step);
        }
        let Emitter {
            tensors,
            dispatches,
            xs_bound,
            ..
        } = emitter;
        let placement = place(&dispatches, &tensors, &aliases, graph, |spec| {
            spec_bytes(spec, self.width, xs_bound)
        });
        self.plan(dispatches, placement, graph)
    }

    fn plan(&self, mut dispatches: Vec<Dispatch>, placement: Placement, graph: &Graph) -> Plan {
        for (_, binding) in dispatches.iter_mut().flat_map(|d| &mut d.binds) {
            *binding = placement.resolve(*binding);
        }
        Plan {
            embedded: graph
                .embedded
                .and_then(|tensor| placement.buffer_of(tensor)),
            buffers: placement.sizes,
            dispatches,
            rows: self.width.rows(),
        }
    }

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
    pub(super) fn scalar(&self) -> &'static Part {
        let f16 = self.gpu.adapter().features.shader_f16 && !self.gpu.software();
        if f16 && !self.exact() {
            &SCALAR_F16
        } else {
            &SCALAR_F32
        }
    }

    /// A matrix of the model, or of LoRA: those have the numbers after its own.
    pub(super) fn matrix(&self, id: MatrixId) -> &Matrix {
        let loras = self.loras.iter();
        let more = loras.flat_map(|(lora, _)| &lora.matrices);
        let mut all = self.layout.matrices.iter().chain(more);
        all.nth(id).expect("a matrix of the model or of LoRA")
    }

    /// What LoRA has beside the matrix `target`: the number of A, the factor, and the pair.
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

    /// Whether a state is kept in textures.
    pub fn textured(&self, state: &StateSpec) -> bool {
        state.texels
            && self.gpu.textures()
            && self.gpu.cache_texture_holds(state.bytes(self.sequences))
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
    let variant = gpu.variant_for(kernel, &first.shape());
    Shader { variant, ..first }
}

/// Pairs of tensors of which the first lies in the memory of the second.
///
/// # Panics
/// Where a tensor would be overwritten that a later step still reads: a mistake of a rule.
fn aliases(steps: &[Step]) -> Vec<(Tensor, Tensor)> {
    let mut all = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let (Some(output), Some(over)) = (step.output, step.in_place_of()) else {
            continue;
        };
        let later = steps[index + 1..].iter().any(|step| step.read(over));
        assert!(!later, "{} overwrites what is read later", step.op.name());
        all.push((output, over));
    }
    all
}

/// Bytes that kernels for eight rows at a time bind of each tensor whose eight rows fit a uniform buffer: as many as the
/// widest of these has, for a shader has their number as a constant, and so one serves all. 0 where uniform buffers do not
/// pay.
fn xs_bound(gpu: &Gpu, graph: &Graph) -> u64 {
    let max = gpu.max_uniform_bytes();
    let read = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::Linear(linear) => Some(xs_bytes(graph.spec(linear.x).cols)),
        _ => None,
    });
    read.filter(|&bytes| bytes <= max).max().unwrap_or(0)
}

/// Bytes of a tensor. Kernels that take eight rows at a time bind all eight, whether there is a row for each or not; and `xs_bound` where a tensor with longer rows shares their shader.
fn spec_bytes(spec: &TensorSpec, width: Width, xs_bound: u64) -> u64 {
    let row = u64::from(padded(spec.cols)) * 4;
    match spec.rows {
        RowCount::Fixed(rows) => u64::from(rows) * row,
        RowCount::PerRow if width.is_decode() => row,
        RowCount::PerRow => {
            let before_last = u64::from(width.rows().next_multiple_of(8)) - 8;
            before_last * row + (8 * row).max(xs_bound)
        }
    }
}
