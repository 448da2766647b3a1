//! A compiled shader.

use lantern_kernels::Binding;

/// A compiled shader and what it binds.
pub(crate) struct Pipeline {
    pub compiled: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    pub bindings: Vec<Binding>,
}
