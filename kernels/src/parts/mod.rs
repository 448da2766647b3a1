//! The parts that fill sockets, and the sockets: enums whose choices are parts. Here are those that hardware and stored
//! weights decide; `values` has what happens to activations, `cache` what attention reads and writes.

mod cache;
mod convolved;
mod rowwise;
mod values;

pub use cache::{Cache, Cells, Ending, HeadNorm, RopeStyle, SEEN, Scores};
pub use convolved::{ConvForm, Values};
pub use rowwise::{
    ExpertBias, ExpertScale, GluBias, Lookup, NormResult, Pooling, ScanDecay, Selected, Shift,
    Statistics, SumInto, Unit,
};
pub use values::{
    Act, Activation, Epilogue, Input, Orientation, OutputGate, PACKED, PackedX, Tokens, X, Xs,
};

use crate::{Cooperative, Part, Socket, argmax::RING, matmul_rows::TOKENS};

/// Makes an enum a socket: the part of each of its choices stands here once.
macro_rules! socket {
    ($kind:ident, $name:literal: $($choice:ident $(($act:ident))? => $part:ident,)*) => {
        impl $kind {
            /// Every choice, in the order of the socket's parts.
            pub const ALL: &'static [$kind] = &[$($kind::$choice $((Act::$act))?),*];

            /// The socket.
            pub const SOCKET: Socket = Socket { name: $name, parts: &[$(&$part),*] };

            /// The part that fills the socket.
            pub const fn part(self) -> &'static Part {
                match self {
                    $($kind::$choice $((Act::$act))? => &$part,)*
                }
            }

            /// The choice that one of these parts is; the first of them.
            pub fn of(parts: &[&Part]) -> Option<$kind> {
                let all = || $kind::ALL.iter().copied();
                parts.iter().find_map(|part| all().find(|choice| choice.part() == *part))
            }
        }
    };
}
pub(crate) use socket;

/// Bits of quantised blocks as numbers.
pub static BITS: Part = Part {
    uses: &[&GROUP_TYPES],
    ..Part::new("", include_str!("bits.wgsl"))
};
/// Types of 32 neighbours of a row.
pub static GROUP_TYPES: Part = Part::new("", include_str!("group.wgsl"));
/// Rows of a pass, shared by its dispatches.
pub static ROWS: Part = Part {
    uses: &[&ROW_TYPES],
    ..Part::new("", "@group(0) @binding(7) var<storage, read> rows: Rows;")
};
/// Rows of a pass, where a kernel makes the token that it samples the next pass's only row.
pub static ROWS_SAMPLED: Part = Part {
    uses: &[&ROW_TYPES],
    consts: &[("RING", RING)],
    ..Part::new("", include_str!("rows_sampled.wgsl"))
};
/// Types of the rows of a pass.
static ROW_TYPES: Part = Part::new("", include_str!("rows.wgsl"));

/// The rows of one sequence, one after the other.
pub static NEXT_ROW: Part = Part {
    uses: &[&ROWS],
    ..Part::new(
        "",
        "
fn next_row(start: u32, sequence: u32) -> u32 {
    var row = start;
    while row < rows.count && rows.row[row].sequence != sequence { row++; }
    return row;
}
",
    )
};

/// Places of queries and keys of the gated delta rule.
pub static DELTA_KEYS: Part = Part::new("", include_str!("delta_keys.wgsl"));
/// Access to the state of the gated delta rule.
pub static DELTA_STATE: Part = Part::new("", include_str!("delta_state.wgsl"));
/// Four rows of the gated delta rule at once.
pub static DELTA_FOURS: Part = Part {
    uses: &[&DELTA_KEYS],
    ..Part::new("", include_str!("delta_fours.wgsl"))
};

/// Sigmoid, softplus and the exponential to about one ULP.
pub static EXPONENTIALS: Part = Part::new("", include_str!("exponentials.wgsl"));

/// Share of a delta net's state that a row leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// One for a head.
    Head,
    /// One for each key of a head.
    Channel,
}

socket! { Decay, "decay":
    Head => DECAY_HEAD,
    Channel => DECAY_CHANNEL,
}

/// One decay for a head, for kernels that bind `gates`.
pub static DECAY_HEAD: Part = Part {
    uses: &[&EXPONENTIALS],
    ..Part::new("", include_str!("decay_head.wgsl"))
};
static DECAY_CHANNEL: Part = Part {
    uses: &[&EXPONENTIALS],
    ..Part::new("channel", include_str!("decay_channel.wgsl"))
};

/// Inputs of `delta_net` that every lane reads by itself; the variant's constant `VALUES` is the number of lanes.
pub static DELTA_ALONE: Part = Part::new("", include_str!("delta_alone.wgsl"));
/// Inputs of `delta_net` that the lanes of a workgroup read together, for `VALUES` columns.
pub static DELTA_SHARED: Part = Part::new("", include_str!("delta_shared.wgsl"));

/// Inputs of `scan` that every lane reads by itself; the variant's constant `CHANNELS` is the number of lanes.
pub static SCAN_ALONE: Part = Part::new("", include_str!("scan_alone.wgsl"));
/// Inputs of `scan` that the lanes of a workgroup read together, for `CHANNELS` channels.
pub static SCAN_SHARED: Part = Part::new("", include_str!("scan_shared.wgsl"));

/// Plane of quants.
pub static PLANE_QUANTS: Part = Part::new(
    "",
    "
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>;
fn quants4(i: u32) -> vec4u { return w_quants[i]; }
",
);
/// Plane of scales of four rows together, 2 bytes for a row.
pub static PLANE_SCALES_2: Part = Part::new(
    "",
    "
@group(0) @binding(1) var<storage, read> w_scales: array<vec2u>;
fn scale_words(four: u32) -> vec2u { return w_scales[four]; }
",
);
/// Plane of scales of four rows together, 4 bytes for a row.
pub static PLANE_SCALES_4: Part = Part::new(
    "",
    "
@group(0) @binding(1) var<storage, read> w_scales: array<vec4u>;
fn scale_words(four: u32) -> vec4u { return w_scales[four]; }
",
);
/// Plane of scales of four rows together, a byte for a row.
pub static PLANE_SCALES_1: Part = Part::new(
    "",
    "
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;
fn scale_bytes(four: u32) -> u32 { return w_scales[four]; }
",
);
/// Plane of qh, bits that quants have no room for.
pub static PLANE_QH: Part = Part::new(
    "",
    "
@group(0) @binding(2) var<storage, read> w_qh: array<u32>;
fn qh_word(i: u32) -> u32 { return w_qh[i]; }
",
);

/// No reduction: each lane has its own rows.
pub static REDUCE_NONE: Part = Part::new(
    "",
    "
struct Workgroup {
    @builtin(workgroup_id) id: vec3u,
    @builtin(num_workgroups) count: vec3u,
}
struct Invocation {
    @builtin(local_invocation_index) lane: u32,
}
fn reduce_sum(v: f32, at: Invocation, wg: Workgroup) -> f32 { return v; }
fn reduce_sum4(v: vec4f, at: Invocation, wg: Workgroup) -> vec4f { return v; }
",
);
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
    ..Part::new(
        "",
        "
struct Workgroup {
    @builtin(workgroup_id) id: vec3u,
    @builtin(num_workgroups) count: vec3u,
}
struct Invocation {
    @builtin(subgroup_invocation_id) lane: u32,
}
",
    )
};

/// The activations of a group that `matvec` reads, every lane by itself.
pub static GROUP_ALONE: Part = Part {
    uses: &[&X_OF],
    ..Part::new("", include_str!("group_alone.wgsl"))
};
/// The activations of a group that `matvec` reads, by the four lanes of a subgroup together.
pub static GROUP_SHARED: Part = Part {
    uses: &[&LANES_SHARE],
    ..Part::new("", include_str!("group_shared.wgsl"))
};
/// The activations of a group that `matvec` reads, by the lanes of a workgroup together, which have one set of rows.
pub static GROUP_STAGED: Part = Part {
    consts: &[("STAGED_TOKENS", 1)],
    uses: &[&STAGE],
    ..Part::new("", include_str!("group_staged.wgsl"))
};
/// The activations of a group that `matmul_rows` reads, every lane by itself.
pub static XS_ALONE: Part = Part {
    uses: &[&X_OF, &XS_DIRECT],
    ..Part::new(
        "",
        "
fn x_group(token: u32, group: u32, groups: u32, tile: Tile, at: Invocation) -> Group {
    return x_of(x_row(token, tile) * groups + group);
}
",
    )
};
/// The activations of a group that `matmul_rows` reads, by the four lanes of a subgroup together.
pub static XS_SHARED: Part = Part {
    uses: &[&LANES_SHARE, &XS_DIRECT],
    ..Part::new(
        "",
        "
fn x_group(token: u32, group: u32, groups: u32, tile: Tile, at: Invocation) -> Group {
    return all_lanes(x_of_lane(x_row(token, tile) * groups + group, at.lane));
}
",
    )
};
/// The activations that `matmul_rows` reads, by the lanes of a workgroup together.
pub static XS_STAGED: Part = Part {
    consts: &[("STAGED_TOKENS", TOKENS)],
    uses: &[&STAGE],
    ..Part::new("", include_str!("xs_staged.wgsl"))
};
/// Activations of `matmul_rows` that stay where they are, for lanes with rows of their own; all tokens are computed,
/// for a branch would cost more.
static XS_DIRECT: Part = Part::new(
    "",
    "
fn x_begin(first: u32, groups: u32, count: u32, tile: Tile, at: Invocation) {}
fn tokens_computed(tile: Tile) -> u32 { return TOKENS; }
fn row_sum4(v: vec4f, at: Invocation) -> vec4f { return v; }
",
);
/// Activations of a group, read by one lane.
static X_OF: Part = Part::new(
    "",
    "
fn x_of(place: u32) -> Group {
    return Group(x[place][0], x[place][1], x[place][2], x[place][3], x[place][4], x[place][5], x[place][6], x[place][7]);
}
",
);
/// Workgroup memory by which lanes hand activations to each other.
static STAGE: Part = Part::new("", include_str!("stage.wgsl"));
/// How the four lanes of a [`SUBGROUP`] read activations together.
static LANES_SHARE: Part = Part::new("", include_str!("lanes_share.wgsl"));

/// f16 as numbers by arithmetic on their bits: exact everywhere.
pub static F16X2_BITS: Part = Part::new("", include_str!("f16x2_bits.wgsl"));
/// f16 as numbers by the built-in function: exact on adapters that run on the CPU.
pub static F16X2_UNPACK: Part = Part::new("", include_str!("f16x2_unpack.wgsl"));

/// WGSL of matrices of a type and a size. Weights are stored W_SCALE times as large and activations as much smaller: as f16,
/// activations up to a million fit, and products stay what they are.
#[rustfmt::skip] // a text
macro_rules! matrices {
    ($matrix:literal of $factor:literal, side $side:literal, scale $scale:literal, max $max:literal) => {
        concat!(
            "\nalias tile = ", $factor, ";\n",
            "alias Weights = ", $matrix, "<", $factor, ", A>; // of W: (rows, columns)\n",
            "alias Tokens = ", $matrix, "<", $factor, ", B>;  // of X: (columns, tokens)\n",
            "alias Results = ", $matrix, "<f32, C>; // (rows, tokens)\n",
            "const SIDE = ", $side, "u;\n",
            "const W_SCALE = ", $scale, ";\n",
            "const TILE_MAX = ", $max, ";\n",
        )
    };
}

/// Cooperative matrices of 8 × 8 f32.
pub static COOPERATIVE_F32: Part = cooperative(
    Cooperative::F32,
    matrices!("coop_mat8x8" of "f32", side 8, scale "1.0", max "3.0e38"),
);
/// Cooperative matrices of 8 × 8 f16, summed in f32.
pub static COOPERATIVE_F16_8: Part = cooperative(
    Cooperative::F16Side8,
    matrices!("coop_mat8x8" of "f16", side 8, scale "16.0", max "65504.0"),
);
/// Cooperative matrices of 16 × 16 f16, summed in f32.
pub static COOPERATIVE_F16: Part = cooperative(
    Cooperative::F16,
    matrices!("coop_mat16x16" of "f16", side 16, scale "16.0", max "65504.0"),
);

const fn cooperative(kind: Cooperative, source: &'static str) -> Part {
    Part {
        f16: kind.f16(),
        subgroups: true,
        cooperative: Some(kind),
        ..Part::new("", source)
    }
}

/// Type of the numbers in tiles in workgroup memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// f32.
    F32,
    /// f16.
    F16,
}

socket! { Scalar, "scalar":
    F32 => SCALAR_F32,
    F16 => SCALAR_F16,
}

static SCALAR_F32: Part = Part::new(
    "f32",
    "
alias scalar = f32;
alias scalar4 = vec4<f32>;
",
);
// Tiles hold f16: half the workgroup memory; sums stay f32.
static SCALAR_F16: Part = Part {
    f16: true,
    ..Part::new(
        "f16",
        "
alias scalar = f16;
alias scalar4 = vec4<f16>;
",
    )
};
