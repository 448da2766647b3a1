//! Cooperative matrices: which an adapter has, and leave to use them, which wgpu gives only to who asks for what is
//! experimental.
//!
//! Not in a browser. Dawn has the same matrices behind a flag (`chromium-experimental-subgroup-matrix`; 8 × 8 of f16
//! on lavapipe 26), but wgpu 30's backend for the web maps no feature to it and lists no kinds, and a kernel would need
//! more than other names: there `+` of two matrices does not compile, nor does a pointer to an element in place of an
//! array and an offset.

use lantern_kernels::Cooperative;
use wgpu::CooperativeScalarType::{F16, F32};

/// Whether the adapter multiplies matrices of this kind.
pub(super) fn has(adapter: &wgpu::Adapter, kind: Cooperative) -> bool {
    let (side, factors) = (kind.side(), if kind.f16() { F16 } else { F32 });
    let feature = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
    let all = adapter.cooperative_matrix_properties();
    adapter.features().contains(feature)
        && all.iter().any(|own| {
            (own.m_size, own.n_size, own.k_size) == (side, side, side)
                && own.ab_type == factors
                && own.cr_type == F32
        })
}

/// wgpu's token for experimental features, where one is asked for.
#[expect(
    unsafe_code,
    reason = "wgpu wants to be told that its experimental features may have faults"
)]
pub(super) fn leave(asked: bool) -> wgpu::ExperimentalFeatures {
    if !asked {
        return wgpu::ExperimentalFeatures::disabled();
    }
    // SAFETY: nothing but cooperative matrices is asked for, and kernels with those are tried before they are used.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}
