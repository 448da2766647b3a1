//! What attention reads and writes: how keys and values are kept, which cells they lie in, which of them a row sees.

use super::socket;
use crate::{Part, Socket};

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// f32.
    F32,
    /// f16, packed in pairs: needs no `shader-f16`.
    F16,
    /// f16 in textures.
    F16Texture,
    /// Bytes that share a scale in blocks of 32.
    Q8_0,
    /// Nibbles that share a scale in blocks of 32.
    Q4_0,
}

socket! { Cache, "cache":
    F32 => CACHE_F32,
    F16 => CACHE_F16,
    F16Texture => CACHE_F16_TEXTURE,
    Q8_0 => CACHE_Q8_0,
    Q4_0 => CACHE_Q4_0,
}

impl Cache {
    /// The socket of the kernel that writes values as they are.
    pub const STORE: Socket = Socket {
        name: "store",
        parts: &[&STORE_F32, &STORE_F16, &STORE_F16_TEXTURE],
    };

    /// The socket of the kernel that writes blocks.
    pub const BLOCKS: Socket = Socket {
        name: "blocks",
        parts: &[&BLOCKS_Q8_0, &BLOCKS_Q4_0],
    };

    /// The part that fills the socket [`Cache::STORE`] or [`Cache::BLOCKS`]: how the cache is written.
    pub const fn store(self) -> &'static Part {
        match self {
            Cache::F32 => &STORE_F32,
            Cache::F16 => &STORE_F16,
            Cache::F16Texture => &STORE_F16_TEXTURE,
            Cache::Q8_0 => &BLOCKS_Q8_0,
            Cache::Q4_0 => &BLOCKS_Q4_0,
        }
    }

    /// The cache that one of these parts reads or writes.
    pub fn touched_by(parts: &[&Part]) -> Option<Cache> {
        let all = || Cache::ALL.iter().copied();
        let by = |part| all().find(|cache| cache.store() == part);
        Cache::of(parts).or_else(|| parts.iter().find_map(|part| by(*part)))
    }

    /// Words of a block of 32 keys or values: a scale, and the values; none where values stand by themselves.
    pub const fn block_words(self) -> Option<usize> {
        match self {
            Cache::Q8_0 => Some(9),
            Cache::Q4_0 => Some(5),
            Cache::F32 | Cache::F16 | Cache::F16Texture => None,
        }
    }

    /// Values are of f16, in a buffer or in textures.
    pub const fn is_f16(self) -> bool {
        matches!(self, Cache::F16 | Cache::F16Texture)
    }
}

static CACHE_F32: Part = Part {
    uses: &[&EIGHT_FOURS],
    ..Part::new("f32", include_str!("cache_f32.wgsl"))
};
static CACHE_F16: Part = Part {
    uses: &[&EIGHT_FOURS],
    ..Part::new("f16", include_str!("cache_f16.wgsl"))
};
static CACHE_F16_TEXTURE: Part = Part {
    uses: &[&EIGHT],
    ..Part::new("f16.texture", include_str!("cache_f16_texture.wgsl"))
};
static CACHE_Q8_0: Part = Part {
    uses: &[&EIGHT_FOURS],
    ..Part::new("q8_0", include_str!("cache_q8_0.wgsl"))
};
static CACHE_Q4_0: Part = Part {
    uses: &[&EIGHT_FOURS],
    ..Part::new("q4_0", include_str!("cache_q4_0.wgsl"))
};
/// Eight values of a cache that is read in fours.
static EIGHT_FOURS: Part = Part {
    uses: &[&EIGHT],
    ..Part::new(
        "",
        "
fn key8(i: u32) -> Eight { return Eight(key4(2u * i), key4(2u * i + 1u)); }
fn value8(i: u32) -> Eight { return Eight(value4(2u * i), value4(2u * i + 1u)); }
",
    )
};
/// Values that are read together.
static EIGHT: Part = Part::new(
    "",
    "
struct Eight { a: vec4f, b: vec4f }
",
);

static STORE_F32: Part = Part::new("f32", include_str!("store_f32.wgsl"));
static STORE_F16: Part = Part {
    uses: &[&F16_BITS],
    ..Part::new("f16", include_str!("store_f16.wgsl"))
};
static STORE_F16_TEXTURE: Part = Part {
    uses: &[&F16_BITS],
    ..Part::new("f16.texture", include_str!("store_f16_texture.wgsl"))
};
/// Numbers as f16.
static F16_BITS: Part = Part::new("", include_str!("f16_bits.wgsl"));
static BLOCKS_Q8_0: Part = Part::new("q8_0", include_str!("blocks_q8_0.wgsl"));
static BLOCKS_Q4_0: Part = Part::new("q4_0", include_str!("blocks_q4_0.wgsl"));

/// Where positions lie in the cache: parameters `cells` and `head_cells`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cells {
    /// Each position of a sequence in a cell of its own.
    All,
    /// The last positions of a sequence in a ring of `cells`.
    Ring,
}

socket! { Cells, "cells":
    All => CELLS_ALL,
    Ring => CELLS_RING,
}

static CELLS_ALL: Part = Part {
    consts: &[("RING", 0)],
    ..Part::new("", include_str!("cell.wgsl"))
};
static CELLS_RING: Part = Part {
    consts: &[("RING", 1)],
    ..Part::new("ring", include_str!("cell.wgsl"))
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

socket! { Mask, "mask":
    Causal => MASK_CAUSAL,
    Window => MASK_WINDOW,
    None => MASK_NONE,
}

impl Mask {
    /// The cells that the kernels which write the cache put positions in.
    pub const fn cells(self) -> Cells {
        match self {
            Mask::Window => Cells::Ring,
            Mask::Causal | Mask::None => Cells::All,
        }
    }
}

static MASK_CAUSAL: Part = Part {
    consts: &[("MASK", 0)],
    uses: &[&CELLS_ALL],
    ..Part::new("", include_str!("mask.wgsl"))
};
static MASK_WINDOW: Part = Part {
    consts: &[("MASK", 1)],
    uses: &[&CELLS_RING],
    ..Part::new("window", include_str!("mask.wgsl"))
};
static MASK_NONE: Part = Part {
    consts: &[("MASK", 2)],
    uses: &[&CELLS_ALL],
    ..Part::new("unmasked", include_str!("mask.wgsl"))
};

/// What happens to a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores {
    /// Nothing.
    Plain,
    /// Soft-capping; the shader's parameter `cap` is the cap.
    Capped,
}

socket! { Scores, "scores":
    Plain => SCORES_PLAIN,
    Capped => SCORES_CAPPED,
}

static SCORES_PLAIN: Part = Part::new(
    "",
    "
fn scored(v: f32) -> f32 { return v; }
",
);
// Soft-capping (Gemma 2 report, section 2). Past 15 tanh is 1, and some drivers overflow.
static SCORES_CAPPED: Part = Part::new(
    "capped",
    "
fn scored(v: f32) -> f32 { return params.cap * tanh(clamp(v / params.cap, -15.0, 15.0)); }
",
);

/// Which positions a workgroup of attention has, and where its results go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All.
    Whole,
    /// A share; the shader's constant `KV_SPLITS` says how many there are.
    Split,
}

socket! { Ending, "ending":
    Whole => END_WHOLE,
    Split => END_SPLIT,
}

static END_WHOLE: Part = Part::new("", include_str!("end_whole.wgsl"));
static END_SPLIT: Part = Part::new("split", include_str!("end_split.wgsl"));

/// Which values of a head RoPE (Su et al. 2021) rotates together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeStyle {
    /// Neighbours, as Llama's GGUF files have them.
    Interleaved,
    /// A value of the first half with one of the second, as GPT-NeoX has them.
    NeoX,
}

socket! { RopeStyle, "style":
    Interleaved => ROPE_INTERLEAVED,
    NeoX => ROPE_NEOX,
}

static ROPE_INTERLEAVED: Part = Part::new("", include_str!("rope_interleaved.wgsl"));
static ROPE_NEOX: Part = Part::new("neox", include_str!("rope_neox.wgsl"));
