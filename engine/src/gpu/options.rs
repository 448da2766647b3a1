//! How a GPU is opened, and what of it is used.

/// Options of a [`Gpu`](crate::Gpu); by default everything that the best adapter has.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, each off in some test"
)]
pub struct GpuOptions {
    /// Name (part of it, in any case) or index of the adapter; none: the first in the order of preference.
    pub adapter: Option<String>,
    /// Lowers the binding size limit, bytes.
    pub max_binding: Option<u64>,
    /// Use 16-bit arithmetic where the adapter has it.
    pub f16: bool,
    /// Use subgroup operations where the adapter has them.
    pub subgroups: bool,
    /// Ask for cooperative matrices where the adapter has them: an experimental feature of wgpu, so off by default.
    pub cooperative: bool,
    /// Keep weights in textures on adapters that run on the CPU, which gather from those far faster.
    pub textures: bool,
    /// Keep wgpu's bounds checks in shaders; off, the planner's own proofs must do.
    pub checked: bool,
    /// Names of kernel variants to prefer, as labels show them. A name that no kernel has, or that the adapter cannot run,
    /// is an error.
    pub variants: Vec<String>,
    /// For tests: `kernel.variant` of those that are to compute nothing, as a broken driver's might. A name of none is an
    /// error.
    pub faults: Vec<String>,
    /// For tests: bytes of buffers and textures, past which the adapter is as one that has no memory left.
    pub memory_max: Option<u64>,
    /// Ask for timestamps where the adapter has them, for profiles.
    pub timestamps: bool,
    /// In a browser: what wgpu does not hand on of the adapter there.
    pub browser: Option<BrowserAdapter>,
}

/// What a page knows of its adapter, and wgpu's browser backend does not say.
#[derive(Debug, Clone)]
pub struct BrowserAdapter {
    /// What the browser calls it.
    pub name: String,
    /// It runs on the CPU.
    pub software: bool,
    /// The device that it hands out has subgroups.
    pub subgroups: bool,
}

impl Default for GpuOptions {
    fn default() -> Self {
        GpuOptions {
            adapter: None,
            max_binding: None,
            f16: true,
            subgroups: true,
            cooperative: false,
            textures: true,
            checked: false,
            variants: vec![],
            faults: vec![],
            memory_max: None,
            timestamps: false,
            browser: None,
        }
    }
}
