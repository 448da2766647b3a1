//! The parts that fill sockets, as a list.

use crate::{Cooperative, Part, Socket};

/// Bits of quantised blocks as numbers.
pub static BITS: Part = Part {
    uses: &[&GROUP_TYPES],
    ..Part::new("", include_str!("bits.wgsl"))
};
/// What 32 neighbours of a row are.
pub static GROUP_TYPES: Part = Part::new("", include_str!("group.wgsl"));
/// Rows of a pass, shared by its dispatches.
pub static ROWS: Part = Part::new("", include_str!("rows.wgsl"));
/// Rows of a pass, where a kernel makes the token that it samples the next pass's only row.
pub static ROWS_SAMPLED: Part = Part::new("", include_str!("rows_sampled.wgsl"));

/// The rows of one sequence, one after the other.
pub static NEXT_ROW: Part = Part {
    uses: &[&ROWS],
    ..Part::new("", include_str!("next_row.wgsl"))
};

/// Inputs of `delta_net` that every lane reads by itself; the variant's constant `VALUES` is the number of lanes.
pub static DELTA_ALONE: Part = Part::new("", include_str!("delta_alone.wgsl"));
/// Inputs of `delta_net` that the lanes of a workgroup read together, for `VALUES` columns.
pub static DELTA_SHARED: Part = Part::new("", include_str!("delta_shared.wgsl"));

/// Where weights lie in buffers.
pub static PLACES_ROWS: Part = Part::new("", include_str!("places_rows.wgsl"));
/// Where they lie in textures.
pub static PLACES_STRIPS: Part = Part::new("", include_str!("places_strips.wgsl"));
/// Planes of weights in storage buffers: quants, scales (2, 4 bytes or one for a row), qh.
pub static PLANE_BUFFERS: [Part; 5] = [
    Part::new("", include_str!("quants_buffer.wgsl")),
    Part::new("", include_str!("scales_f16_buffer.wgsl")),
    Part::new("", include_str!("scales_f16x2_buffer.wgsl")),
    Part::new("", include_str!("scales_bytes_buffer.wgsl")),
    Part::new("", include_str!("qh_buffer.wgsl")),
];
/// The same in textures.
pub static PLANE_TEXTURES: [Part; 5] = [
    plane_texture(include_str!("quants_texture.wgsl")),
    plane_texture(include_str!("scales_f16_texture.wgsl")),
    plane_texture(include_str!("scales_f16x2_texture.wgsl")),
    plane_texture(include_str!("scales_bytes_texture.wgsl")),
    plane_texture(include_str!("qh_texture.wgsl")),
];
const fn plane_texture(source: &'static str) -> Part {
    const USES: &[&Part] = &[&PLANE];
    Part {
        uses: USES,
        ..Part::new("", source)
    }
}
/// How a texel of a plane is read.
static PLANE: Part = Part {
    browser: Some(include_str!("plane_sampled.wgsl")),
    ..Part::new("", include_str!("plane_loaded.wgsl"))
};

/// No reduction: each lane has its own rows.
pub static REDUCE_NONE: Part = Part::new("", include_str!("reduce_none.wgsl"));
/// Reduction by a tree in workgroup memory.
pub static REDUCE_WORKGROUP: Part = Part::new("workgroup", include_str!("reduce_workgroup.wgsl"));
/// Reduction by subgroup operations.
pub static REDUCE_SUBGROUP: Part = Part {
    subgroups: true,
    ..Part::new("subgroup", include_str!("reduce_subgroup.wgsl"))
};

/// A workgroup that is one subgroup: for adapters whose subgroups all have `WORKGROUP_SIZE` lanes.
pub static SUBGROUP: Part = Part {
    subgroups: true,
    whole_subgroup: true,
    ..Part::new("", include_str!("subgroup.wgsl"))
};

/// The activations of a group that `matvec` reads, every lane by itself.
pub static GROUP_ALONE: Part = Part::new("", include_str!("group_alone.wgsl"));
/// The same, read by the four lanes of a subgroup together.
pub static GROUP_SHARED: Part = Part {
    uses: &[&LANES_SHARE],
    ..Part::new("", include_str!("group_shared.wgsl"))
};
/// The activations of a group that `matmul_rows` reads, every lane by itself.
pub static XS_ALONE: Part = Part::new("", include_str!("xs_alone.wgsl"));
/// The same, read by the four lanes of a subgroup together.
pub static XS_SHARED: Part = Part {
    uses: &[&LANES_SHARE],
    ..Part::new("", include_str!("xs_shared.wgsl"))
};
/// How the four lanes of a [`SUBGROUP`] read activations together.
static LANES_SHARE: Part = Part::new("", include_str!("lanes_share.wgsl"));

/// f16 as numbers by arithmetic on their bits: exact everywhere.
pub static F16X2_BITS: Part = Part::new("", include_str!("f16x2_bits.wgsl"));
/// f16 as numbers by the built-in function: exact on adapters that run on the CPU.
pub static F16X2_UNPACK: Part = Part::new("", include_str!("f16x2_unpack.wgsl"));

/// Cooperative matrices of f32.
pub static COOPERATIVE_F32: Part = Part {
    subgroups: true,
    cooperative: Some(Cooperative::F32),
    ..Part::new("", include_str!("cooperative_f32.wgsl"))
};
/// Cooperative matrices of f16.
pub static COOPERATIVE_F16: Part = Part {
    f16: true,
    subgroups: true,
    cooperative: Some(Cooperative::F16),
    ..Part::new("", include_str!("cooperative_f16.wgsl"))
};

/// Tiles in workgroup memory of f32.
pub static SCALAR_F32: Part = Part::new("f32", include_str!("scalar_f32.wgsl"));
/// Tiles in workgroup memory of f16.
pub static SCALAR_F16: Part = Part {
    f16: true,
    ..Part::new("f16", include_str!("scalar_f16.wgsl"))
};
/// What tiles are made of.
pub const SCALAR: Socket = Socket {
    name: "scalar",
    parts: &[&SCALAR_F32, &SCALAR_F16],
};

/// Activations as they are.
pub static INPUT_PLAIN: Part = Part::new("", include_str!("input_plain.wgsl"));
/// Activations after RMSNorm, computed on the way; the shader's constant `X_LENGTH` is the length of the norm's weight / 4.
pub static INPUT_NORM: Part = Part {
    uses: &[&NORM_STORAGE],
    ..Part::new("norm", include_str!("input_norm.wgsl"))
};
/// The same with the norm's weight in a uniform buffer.
pub static INPUT_NORM_UNIFORM: Part = Part {
    uses: &[&NORM_UNIFORM],
    ..Part::new("norm_uniform", include_str!("input_norm.wgsl"))
};
static NORM_STORAGE: Part = Part::new("", include_str!("norm_storage.wgsl"));
static NORM_UNIFORM: Part = Part::new("", include_str!("norm_uniform.wgsl"));
/// What happens to activations before they meet the weights.
pub const INPUT: Socket = Socket {
    name: "input",
    parts: &[&INPUT_PLAIN, &INPUT_NORM, &INPUT_NORM_UNIFORM],
};

/// Activations of many tokens, of which the last counts.
pub static X_STORAGE: Part = Part::new("", include_str!("x_storage.wgsl"));
/// Activations of one token; the shader's constant `X_LENGTH` is their number / 4. Its size is known, so that compilers
/// that check every index need not ask for it.
pub static X_SINGLE: Part = Part::new("single", include_str!("x_single.wgsl"));
/// The same in a uniform buffer.
pub static X_UNIFORM: Part = Part::new("uniform", include_str!("x_uniform.wgsl"));
/// Where activations are read from.
pub const X: Socket = Socket {
    name: "x",
    parts: &[&X_STORAGE, &X_SINGLE, &X_UNIFORM],
};

/// Activations of eight tokens; the shader's constant `X_LENGTH` is their number / 4.
pub static XS_STORAGE: Part = Part::new("", include_str!("xs_storage.wgsl"));
/// The same in a uniform buffer.
pub static XS_UNIFORM: Part = Part::new("uniform", include_str!("xs_uniform.wgsl"));
/// Where the activations of eight tokens are read from.
pub const XS: Socket = Socket {
    name: "xs",
    parts: &[&XS_STORAGE, &XS_UNIFORM],
};

/// 32 activations as bytes, and their products with 32 weights. Browsers may lack these: WGSL's language extension
/// `packed_4x8_integer_dot_product` says whether they have them.
pub static PACKED: Part = Part {
    uses: &[&GROUP_TYPES],
    ..Part::new("", include_str!("packed.wgsl"))
};
/// Packed activations of many tokens.
pub static PACKED_STORAGE: Part = Part::new("", include_str!("packed_storage.wgsl"));
/// Packed activations of one token; the shader's constant `X_LENGTH` is their number / 32.
pub static PACKED_UNIFORM: Part = Part::new("uniform", include_str!("packed_uniform.wgsl"));
/// Where packed activations are read from.
pub const PACKED_X: Socket = Socket {
    name: "x",
    parts: &[&PACKED_STORAGE, &PACKED_UNIFORM],
};

/// y = v
pub static FINISH_STORE: Part = Part::new("", include_str!("finish_store.wgsl"));
/// y += v
pub static FINISH_ADD: Part = Part::new("add", include_str!("finish_add.wgsl"));
/// y = silu(gate) * up, for rows that alternate gate and up.
pub static FINISH_GLU: Part = Part {
    uses: &[&SILU],
    ..Part::new("glu", include_str!("finish_glu.wgsl"))
};
/// y = silu(y) * v, for a gate that was stored before.
pub static FINISH_GATE: Part = Part {
    uses: &[&SILU],
    ..Part::new("gate", include_str!("finish_gate.wgsl"))
};
/// y = gelu(gate) * up, for rows that alternate gate and up.
pub static FINISH_GEGLU: Part = Part {
    uses: &[&GELU],
    ..Part::new("geglu", include_str!("finish_glu.wgsl"))
};
/// y = gelu(y) * v, for a gate that was stored before.
pub static FINISH_GEGATE: Part = Part {
    uses: &[&GELU],
    ..Part::new("gegate", include_str!("finish_gate.wgsl"))
};
/// What happens to a result.
pub const FINISH: Socket = Socket {
    name: "finish",
    parts: &[
        &FINISH_STORE,
        &FINISH_ADD,
        &FINISH_GLU,
        &FINISH_GATE,
        &FINISH_GEGLU,
        &FINISH_GEGATE,
    ],
};

/// What a part of [`FINISH`] does, up to the activation; as a number where a kernel is told by a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// y = v
    Store,
    /// y += v
    Add,
    /// y = activated(gate) * up, of pairs of rows.
    Glu,
    /// y = activated(y) * v
    Gate,
}

impl Finish {
    /// That of a part.
    pub fn of(part: &Part) -> Finish {
        let is = |others: [&Part; 2]| others.iter().any(|other| std::ptr::eq(*other, part));
        if is([&FINISH_GLU, &FINISH_GEGLU]) {
            Finish::Glu
        } else if is([&FINISH_GATE, &FINISH_GEGATE]) {
            Finish::Gate
        } else if std::ptr::eq(&raw const FINISH_ADD, part) {
            Finish::Add
        } else {
            Finish::Store
        }
    }
}

/// SiLU.
pub static SILU: Part = Part::new("silu", include_str!("silu.wgsl"));
/// Logistic function.
pub static SIGMOID: Part = Part::new("sigmoid", include_str!("sigmoid.wgsl"));
/// GELU.
pub static GELU: Part = Part::new("gelu", include_str!("gelu.wgsl"));
/// No activation.
pub static ACTIVATE_NONE: Part = Part::new("", include_str!("activate_none.wgsl"));
/// Soft-capping.
pub static ACTIVATE_CAP: Part = Part::new("cap", include_str!("activate_cap.wgsl"));
/// A factor.
pub static ACTIVATE_SCALE: Part = Part::new("scale", include_str!("activate_scale.wgsl"));
/// What happens to a value.
pub const ACTIVATION: Socket = Socket {
    name: "activation",
    parts: &[&ACTIVATE_NONE, &GELU, &ACTIVATE_CAP, &ACTIVATE_SCALE],
};
/// What happens to a gate.
pub const GATES: Socket = Socket {
    name: "gates",
    parts: &[&SILU, &GELU],
};
/// Activation of an output gate.
pub const OUTPUT_GATES: Socket = Socket {
    name: "gates",
    parts: &[&SILU, &SIGMOID],
};
/// No bias.
pub static SHIFT_NONE: Part = Part::new("", include_str!("shift_none.wgsl"));
/// A bias for each column.
pub static SHIFT_BIAS: Part = Part::new("bias", include_str!("shift_bias.wgsl"));
/// What is added to a value before.
pub const SHIFT: Socket = Socket {
    name: "shift",
    parts: &[&SHIFT_NONE, &SHIFT_BIAS],
};

/// RMSNorm.
pub static NORM_RMS: Part = Part::new("", include_str!("norm_rms.wgsl"));
/// LayerNorm.
pub static NORM_LAYER: Part = Part::new("layer", include_str!("norm_layer.wgsl"));
/// What rows are normed by.
pub const STATISTICS: Socket = Socket {
    name: "statistics",
    parts: &[&NORM_RMS, &NORM_LAYER],
};
/// y = norm(x)
pub static NORM_STORE: Part = Part::new("", include_str!("norm_store.wgsl"));
/// y += norm(x)
pub static NORM_ADD: Part = Part::new("add", include_str!("norm_add.wgsl"));
/// y = norm(y)
pub static NORM_IN_PLACE: Part = Part::new("in_place", include_str!("norm_in_place.wgsl"));
/// What is normed, and where to.
pub const RESULT: Socket = Socket {
    name: "result",
    parts: &[&NORM_STORE, &NORM_ADD, &NORM_IN_PLACE],
};
/// What is normed, and where to, without a residual stream.
pub const OVERWRITE: Socket = Socket {
    name: "result",
    parts: &[&NORM_STORE, &NORM_IN_PLACE],
};

/// Rows of the tokens, stored.
pub static OF_TOKENS: Part = Part::new("", include_str!("of_tokens.wgsl"));
/// Rows of the positions, added.
pub static OF_POSITIONS: Part = Part::new("positions", include_str!("of_positions.wgsl"));
/// Which rows of an embedding are looked up.
pub const LOOKUP: Socket = Socket {
    name: "lookup",
    parts: &[&OF_TOKENS, &OF_POSITIONS],
};

/// RoPE that rotates neighbouring values together, as Llama's GGUF files have them.
pub static ROPE_INTERLEAVED: Part = Part::new("", include_str!("rope_interleaved.wgsl"));
/// RoPE that rotates a value of the first half with one of the second, as GPT-NeoX does.
pub static ROPE_NEOX: Part = Part::new("neox", include_str!("rope_neox.wgsl"));
/// Which values of a head RoPE rotates together.
pub const ROPE_STYLE: Socket = Socket {
    name: "style",
    parts: &[&ROPE_INTERLEAVED, &ROPE_NEOX],
};

/// Scores as they are.
pub static SCORES_PLAIN: Part = Part::new("", include_str!("scores_plain.wgsl"));
/// Soft-capped scores; the shader's parameter `cap` is the cap.
pub static SCORES_CAPPED: Part = Part::new("capped", include_str!("scores_capped.wgsl"));
/// What happens to a score.
pub const SCORES: Socket = Socket {
    name: "scores",
    parts: &[&SCORES_PLAIN, &SCORES_CAPPED],
};
/// Each position of a sequence in a cell of its own.
pub static CELLS_ALL: Part = Part {
    consts: &[("RING", 0)],
    ..Part::new("", include_str!("cell.wgsl"))
};
/// The last positions of a sequence in a ring of `cells`.
pub static CELLS_RING: Part = Part {
    consts: &[("RING", 1)],
    ..Part::new("ring", include_str!("cell.wgsl"))
};
/// Where positions lie in the cache: parameters `cells` and `head_cells`.
pub const CELLS: Socket = Socket {
    name: "cells",
    parts: &[&CELLS_ALL, &CELLS_RING],
};

/// Positions up to a row's own, all in cells of their own.
pub static MASK_CAUSAL: Part = Part {
    consts: &[("MASK", 0)],
    uses: &[&CELLS_ALL],
    ..Part::new("", include_str!("mask.wgsl"))
};
/// The last `window` positions up to a row's own, in a ring of `cells`.
pub static MASK_WINDOW: Part = Part {
    consts: &[("MASK", 1)],
    uses: &[&CELLS_RING],
    ..Part::new("window", include_str!("mask.wgsl"))
};
/// Positions up to the last that the pass has of a row's sequence, all in cells of their own.
pub static MASK_NONE: Part = Part {
    consts: &[("MASK", 2)],
    uses: &[&CELLS_ALL],
    ..Part::new("unmasked", include_str!("mask.wgsl"))
};
/// Which positions of its sequence a row sees.
pub const MASK: Socket = Socket {
    name: "mask",
    parts: &[&MASK_CAUSAL, &MASK_WINDOW, &MASK_NONE],
};

/// Mask of attention: which positions of its own sequence a row sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// All positions up to its own.
    Causal,
    /// The last `window` positions up to its own; the cache is a ring.
    Window,
    /// All positions up to the last that the pass has of its sequence, as encoders want.
    None,
}

impl Mask {
    /// The part that fills the socket [`MASK`].
    pub fn part(self) -> &'static Part {
        match self {
            Mask::Causal => &MASK_CAUSAL,
            Mask::Window => &MASK_WINDOW,
            Mask::None => &MASK_NONE,
        }
    }

    /// The part that fills the socket [`CELLS`] of the kernels that write the cache.
    pub fn cells(self) -> &'static Part {
        match self {
            Mask::Window => &CELLS_RING,
            Mask::Causal | Mask::None => &CELLS_ALL,
        }
    }
}

/// Keys and values of f32, to read.
pub static CACHE_F32: Part = Part {
    uses: &[&EIGHT_FOURS],
    ..Part::new("f32", include_str!("cache_f32.wgsl"))
};
/// Keys and values of f16, packed in pairs: needs no `shader-f16`.
pub static CACHE_F16: Part = Part {
    uses: &[&EIGHT_FOURS],
    ..Part::new("f16", include_str!("cache_f16.wgsl"))
};
/// The same in textures.
pub static CACHE_F16_TEXTURE: Part = Part {
    uses: &[&EIGHT],
    ..Part::new("f16.texture", include_str!("cache_f16_texture.wgsl"))
};
/// Keys and values as bytes.
pub static CACHE_Q8_0: Part = Part {
    uses: &[&EIGHT_FOURS],
    ..Part::new("q8_0", include_str!("cache_q8_0.wgsl"))
};
/// Keys and values as nibbles.
pub static CACHE_Q4_0: Part = Part {
    uses: &[&EIGHT_FOURS],
    ..Part::new("q4_0", include_str!("cache_q4_0.wgsl"))
};
/// Eight values of a cache that is read in fours.
pub static EIGHT_FOURS: Part = Part {
    uses: &[&EIGHT],
    ..Part::new("", include_str!("eight_fours.wgsl"))
};
/// Values that are read together.
pub static EIGHT: Part = Part::new("", include_str!("eight.wgsl"));
/// How the cache is read.
pub const CACHE: Socket = Socket {
    name: "cache",
    parts: &[
        &CACHE_F32,
        &CACHE_F16,
        &CACHE_F16_TEXTURE,
        &CACHE_Q8_0,
        &CACHE_Q4_0,
    ],
};

/// Blocks of bytes.
pub static BLOCKS_Q8_0: Part = Part::new("q8_0", include_str!("blocks_q8_0.wgsl"));
/// Blocks of nibbles.
pub static BLOCKS_Q4_0: Part = Part::new("q4_0", include_str!("blocks_q4_0.wgsl"));
/// How a quantised cache is written.
pub const BLOCKS: Socket = Socket {
    name: "blocks",
    parts: &[&BLOCKS_Q8_0, &BLOCKS_Q4_0],
};

/// One workgroup has all positions.
pub static END_WHOLE: Part = Part::new("", include_str!("end_whole.wgsl"));
/// Workgroups have a share of the positions each; the shader's constant `KV_SPLITS` says how many there are.
pub static END_SPLIT: Part = Part::new("split", include_str!("end_split.wgsl"));
/// Which positions a workgroup of attention has, and where its results go.
pub const ENDING: Socket = Socket {
    name: "ending",
    parts: &[&END_WHOLE, &END_SPLIT],
};

/// Keys and values of f32, to write.
pub static STORE_F32: Part = Part::new("f32", include_str!("store_f32.wgsl"));
/// Keys and values of f16, to write.
pub static STORE_F16: Part = Part {
    uses: &[&F16_BITS],
    ..Part::new("f16", include_str!("store_f16.wgsl"))
};
/// The same in textures.
pub static STORE_F16_TEXTURE: Part = Part {
    uses: &[&F16_BITS],
    ..Part::new("f16.texture", include_str!("store_f16_texture.wgsl"))
};
/// Numbers as f16.
pub static F16_BITS: Part = Part::new("", include_str!("f16_bits.wgsl"));
/// How the cache is written.
pub const STORE: Socket = Socket {
    name: "store",
    parts: &[&STORE_F32, &STORE_F16, &STORE_F16_TEXTURE],
};
