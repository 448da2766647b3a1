//! Keys and values that attention reads and writes: how they are kept, which cells they lie in, which of them a row sees.

use super::socket;
use crate::{Part, Socket};

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// f32.
    F32,
    /// f16, packed in pairs: needs no `shader-f16`.
    F16,
    /// Bytes that share a scale in blocks of 32.
    Q8_0,
    /// Nibbles that share a scale in blocks of 32.
    Q4_0,
}

socket! { Cache, "cache":
    F32 => CACHE_F32,
    F16 => CACHE_F16,
    Q8_0 => CACHE_Q8_0,
    Q4_0 => CACHE_Q4_0,
}

impl Cache {
    /// The socket of the kernel that writes values as they are.
    pub const STORE: Socket = Socket {
        name: "store",
        parts: &[&STORE_F32, &STORE_F16],
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
            Cache::F32 | Cache::F16 => None,
        }
    }
}

/// How four values are kept: [`READ`] and [`WRITE`] call it.
const F32: &str = "
alias Stored = vec4f;
fn unpacked(v: vec4f) -> vec4f { return v; }
fn packed(v: vec4f) -> vec4f { return v; }
";
const F16: &str = include_str!("cache_f16.wgsl");
/// How blocks of 32 values are kept: [`READ_BLOCKS`] and the kernel that writes them call it.
const Q8_0: &str = include_str!("cache_q8_0.wgsl");
const Q4_0: &str = include_str!("cache_q4_0.wgsl");

static CACHE_F32: Part = part("f32", F32, &[&READ]);
static CACHE_F16: Part = part("f16", F16, &[&READ]);
static CACHE_Q8_0: Part = part("q8_0", Q8_0, &[&READ_BLOCKS]);
static CACHE_Q4_0: Part = part("q4_0", Q4_0, &[&READ_BLOCKS]);

static STORE_F32: Part = part("f32", F32, &[&WRITE]);
static STORE_F16: Part = part("f16", F16, &[&WRITE]);
static BLOCKS_Q8_0: Part = part("q8_0", Q8_0, &[]);
static BLOCKS_Q4_0: Part = part("q4_0", Q4_0, &[]);

const fn part(name: &'static str, source: &'static str, uses: &'static [&'static Part]) -> Part {
    Part {
        uses,
        ..Part::new(name, source)
    }
}

/// Keys and values to read, four at a time.
static READ: Part = part(
    "",
    "
@group(0) @binding(1) var<storage, read> keys: array<Stored>; // (kv_heads, head_cells, head_dim / 4)
@group(0) @binding(2) var<storage, read> values: array<Stored>; // (kv_heads, head_cells, value_cell / 4)
fn key4(i: u32) -> vec4f { return unpacked(keys[i]); }
fn value4(i: u32) -> vec4f { return unpacked(values[i]); }
",
    &[&EIGHT],
);

/// Keys and values to write, four at a time.
static WRITE: Part = Part::new(
    "",
    "
@group(0) @binding(1) var<storage, read_write> keys: array<Stored>; // (kv_heads, head_cells, head_dim / 4)
@group(0) @binding(2) var<storage, read_write> values: array<Stored>; // (kv_heads, head_cells, value_cell / 4)
fn put_key(i: u32, v: vec4f) { keys[i] = packed(v); }
fn put_value(i: u32, v: vec4f) { values[i] = packed(v); }
",
);

/// Blocks to read, four values at a time.
static READ_BLOCKS: Part = part(
    "",
    "
@group(0) @binding(1) var<storage, read> keys: array<u32>; // (kv_heads, head_cells, head_dim / 32, WORDS)
@group(0) @binding(2) var<storage, read> values: array<u32>; // (kv_heads, head_cells, value_cell / 32, WORDS)
fn key4(i: u32) -> vec4f {
    let block = i / 8u * WORDS;
    return unpacked(keys[block + word_of(i % 8u)], i % 8u, keys[block]);
}
fn value4(i: u32) -> vec4f {
    let block = i / 8u * WORDS;
    return unpacked(values[block + word_of(i % 8u)], i % 8u, values[block]);
}
",
    &[&EIGHT],
);

/// Eight neighbouring values of a head, which are read together.
static EIGHT: Part = Part::new(
    "",
    "
struct Eight { a: vec4f, b: vec4f }
fn key8(i: u32) -> Eight { return Eight(key4(2u * i), key4(2u * i + 1u)); }
fn value8(i: u32) -> Eight { return Eight(value4(2u * i), value4(2u * i + 1u)); }
",
);

/// Where positions lie in the cache: parameters `cells` and `head_cells`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cells {
    /// Each position of a sequence in a cell of its own.
    All,
    /// The last positions of a sequence in a ring of `cells`.
    Ring,
    /// Positions in blocks of `head_cells`, the shader's constant `BLOCK_CELLS`; `cells` says how many blocks a sequence has
    /// at most.
    Paged,
    /// The last positions in blocks, likewise.
    PagedWindow,
}

socket! { Cells, "cells":
    All => CELLS_ALL,
    Ring => CELLS_RING,
    Paged => CELLS_PAGED,
    PagedWindow => CELLS_PAGED_WINDOW,
}

impl Cells {
    /// Whether they lie in blocks.
    pub const fn paged(self) -> bool {
        matches!(self, Cells::Paged | Cells::PagedWindow)
    }
}

/// Parameters of the attention kernels, and which positions a row sees.
pub static SEEN: Part = Part {
    uses: &[&super::ROWS],
    ..Part::new("", include_str!("seen.wgsl"))
};

static CELLS_ALL: Part = Part {
    consts: &[("RING", 0)],
    ..Part::new("", include_str!("cell.wgsl"))
};
static CELLS_RING: Part = Part {
    consts: &[("RING", 1)],
    ..Part::new("ring", include_str!("cell.wgsl"))
};
static CELLS_PAGED: Part = Part {
    consts: &[("WINDOWED", 0)],
    ..Part::new("paged", include_str!("cell_paged.wgsl"))
};
static CELLS_PAGED_WINDOW: Part = Part {
    consts: &[("WINDOWED", 1)],
    ..Part::new("paged window", include_str!("cell_paged.wgsl"))
};

/// Treatment of a score, and where the running maximum and sum of softmax begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores {
    /// Nothing.
    Plain,
    /// Soft-capping; the shader's parameter `cap` is the cap.
    Capped,
    /// A learned score of each head that has no value: it counts in the sum alone.
    Sinks,
    /// Less by the distance times a slope of the head; the shader's parameter `max_bias` says how steep slopes are.
    Alibi,
}

socket! { Scores, "scores":
    Plain => SCORES_PLAIN,
    Capped => SCORES_CAPPED,
    Sinks => SCORES_SINKS,
    Alibi => SCORES_ALIBI,
}

static SCORES_PLAIN: Part = part(
    "",
    "
fn scored(v: f32, head: u32, position: u32, key: u32) -> f32 { return v; }
",
    &[&NO_SINKS],
);
// Soft-capping (Gemma 2 report, section 2). Past 15 tanh is 1, and some drivers overflow.
static SCORES_CAPPED: Part = part(
    "capped",
    "
fn scored(v: f32, head: u32, position: u32, key: u32) -> f32 { return params.cap * tanh(clamp(v / params.cap, -15.0, 15.0)); }
",
    &[&NO_SINKS],
);
// Attention sinks (gpt-oss model card, section 2.2). One share of the positions begins with the sink, so that it counts once.
static SCORES_SINKS: Part = Part::new(
    "sinks",
    "
@group(0) @binding(6) var<storage, read> sinks: array<f32>; // (heads)
fn scored(v: f32, head: u32, position: u32, key: u32) -> f32 { return v; }
fn first_ml(head: u32, split: u32) -> vec2f { return select(vec2f(MIN, 0.0), vec2f(sinks[head], 1.0), split == 0u); }
",
);
static SCORES_ALIBI: Part = part("alibi", include_str!("alibi.wgsl"), &[&NO_SINKS]);
/// Softmax before any position: its maximum and its sum.
static NO_SINKS: Part = Part::new(
    "",
    "
fn first_ml(head: u32, split: u32) -> vec2f { return vec2f(MIN, 0.0); }
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

/// Norm of a head before it is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadNorm {
    /// None.
    None,
    /// RMSNorm; every lane sums all of its head, which suits few rows.
    Rms,
}

socket! { HeadNorm, "head_norm":
    None => HEAD_NORM_NONE,
    Rms => HEAD_NORM_RMS,
}

static HEAD_NORM_NONE: Part = Part::new(
    "",
    "
fn head_scale(first: u32) -> f32 { return 1.0; }
fn head_weighed(v: vec4f, four: u32) -> vec4f { return v; }
",
);
static HEAD_NORM_RMS: Part = Part::new("norm", include_str!("head_norm.wgsl"));

static ROPE_INTERLEAVED: Part = Part::new("", include_str!("rope_interleaved.wgsl"));
static ROPE_NEOX: Part = Part::new("neox", include_str!("rope_neox.wgsl"));
