//! Lantern's kernels: WGSL and its truth. No wgpu, no I/O, no async.
//!
//! A kernel is a `.wgsl` file with a `.rs` file of the same name beside it, which holds its parameters, its grid,
//! its variants and its CPU reference. Plain WGSL parts fill the sockets that a kernel leaves open ([`link`]); the choice
//! of parts is the shader's label, its cache key, its profile row and its error title.
//!
//! Activations are rows of f32 whose stride is the width rounded up to [`GROUP`]. The padding is zero, always: buffers
//! start as zeros, [`embed`] writes zeros there (rows of weights are padded with them) and nothing else writes there.

pub mod call;
pub mod formats;
pub mod kernel;
pub mod link;
pub mod parts;
pub mod random;
pub mod tolerance;
mod unroll;

pub mod add;
pub mod argmax;
pub mod attention;
mod attention_cases;
pub mod attention_combine;
pub mod attention_positions;
pub mod attention_tiles;
pub mod attention_tokens;
pub mod conv;
pub mod copy;
pub mod decay;
pub mod delta_net;
pub mod delta_net_chunks;
pub mod delta_net_weights;
pub mod embed;
pub mod experts;
pub mod gate;
pub mod gated_norm;
pub mod glu;
pub mod head_linear;
pub mod matmul;
pub mod matmul_cooperative;
pub mod matmul_integer;
pub mod matmul_rows;
pub mod matvec;
pub mod matvec_integer;
pub mod moe_combine;
pub mod moe_route;
pub mod moe_sort;
pub mod multiply_add;
pub mod multiply_matrices;
pub mod noise;
pub mod norm;
pub mod pointwise;
pub mod pool;
pub mod quantise;
pub mod read;
pub mod rope;
pub mod sample;
pub mod sampler;
pub mod scan;
pub mod store;
pub mod token_shift;
pub mod wkv7;

pub use call::{Call, Case, CaseWeights, Cases};
pub use formats::{FORMATS, Format};
pub use kernel::{Cooperative, Kernel, Part, Shader, Socket, Variant};
pub use link::{Binding, BindingKind, Linked, Target};
pub use tolerance::Tolerance;

/// Weights that are decoded together, and the unit to which every row is padded.
pub const GROUP: u32 = 32;

/// Every kernel.
pub const ALL: &[&Kernel] = &[
    &embed::EMBED,
    &norm::NORM,
    &pointwise::POINTWISE,
    &glu::GLU,
    &matvec::MATVEC,
    &matmul::MATMUL,
    &matmul_rows::MATMUL_ROWS,
    &quantise::QUANTISE,
    &matvec_integer::MATVEC_INTEGER,
    &matmul_integer::MATMUL_INTEGER,
    &matmul_cooperative::MATMUL_COOPERATIVE,
    &rope::ROPE,
    &store::STORE,
    &attention::ATTENTION,
    &attention_positions::ATTENTION_POSITIONS,
    &attention_tokens::ATTENTION_TOKENS,
    &attention_tiles::ATTENTION_TILES,
    &attention_combine::ATTENTION_COMBINE,
    &moe_route::MOE_ROUTE,
    &moe_sort::MOE_SORT,
    &experts::EXPERTS,
    &head_linear::HEAD_LINEAR,
    &conv::CONV,
    &decay::DECAY,
    &delta_net::DELTA_NET,
    &delta_net_weights::DELTA_NET_WEIGHTS,
    &delta_net_chunks::DELTA_NET_CHUNKS,
    &token_shift::TOKEN_SHIFT,
    &wkv7::WKV7,
    &scan::SCAN,
    &gated_norm::GATED_NORM,
    &gate::GATE,
    &moe_combine::MOE_COMBINE,
    &add::ADD,
    &copy::COPY,
    &pool::POOL,
    &argmax::ARGMAX,
    &sample::SAMPLE,
    &read::READ,
    &multiply_add::MULTIPLY_ADD,
    &multiply_matrices::MULTIPLY_MATRICES,
    &noise::NOISE,
];

/// `width` rounded up to whole groups: the stride of a row of activations, in f32.
pub const fn padded(width: u32) -> u32 {
    width.div_ceil(GROUP) * GROUP
}

/// The bytes of a parameter struct.
pub fn bytes_of_params<P: bytemuck::Pod>(params: &P) -> Vec<u8> {
    bytemuck::bytes_of(params).to_vec()
}
