//! How a GPU is opened, and what of it is used.

/// Options of a [`Gpu`](crate::Gpu); by default everything that the best adapter has.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, each off in some test"
)]
#[non_exhaustive]
pub struct GpuOptions {
    /// Name (part of it, in any case) or index of the adapter; none: the first in the order of preference.
    pub adapter: Option<String>,
    /// Lowers the binding size limit, bytes.
    pub max_binding: Option<u64>,
    /// Use 16-bit arithmetic where the adapter has it.
    pub f16: bool,
    /// Use subgroup operations where the adapter has them.
    pub subgroups: bool,
    /// Use cooperative matrices where the adapter has them: an experimental feature of wgpu. A device that the caller brings
    /// is used without them.
    pub cooperative: bool,
    /// Keep wgpu's bounds checks in shaders; off, the planner's own proofs must do.
    pub checked: bool,
    /// Names of kernel variants to prefer, as labels show them. A name that no kernel has, or that the adapter cannot run,
    /// is an error.
    pub variants: Vec<String>,
    /// For tests: `kernel.variant` of those that are to compute nothing, as a broken driver's might. A name of none is an
    /// error.
    pub faults: Vec<String>,
    /// For tests: bytes of buffers, past which the adapter is as one that has no memory left.
    pub memory_max: Option<u64>,
    /// Ask for timestamps where the adapter has them, for profiles.
    pub timestamps: bool,
    /// In a browser: what wgpu does not hand on of the adapter there.
    pub browser: Option<BrowserAdapter>,
}

/// Facts that a page knows of its adapter, and wgpu's browser backend does not tell.
#[derive(Debug, Clone)]
pub struct BrowserAdapter {
    /// The browser's name for it.
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
            cooperative: true,
            checked: false,
            variants: vec![],
            faults: vec![],
            memory_max: None,
            timestamps: false,
            browser: None,
        }
    }
}

impl GpuOptions {
    /// Opens the adapter of this name, or part of a name, or index; with none the first.
    #[must_use]
    pub fn adapter(mut self, adapter: impl Into<Option<String>>) -> Self {
        self.adapter = adapter.into();
        self
    }

    /// Lowers the binding size limit to so many bytes.
    #[must_use]
    pub fn max_binding(mut self, max_binding: impl Into<Option<u64>>) -> Self {
        self.max_binding = max_binding.into();
        self
    }

    /// Uses 16-bit arithmetic where the adapter has it, or never.
    #[must_use]
    pub fn f16(mut self, f16: bool) -> Self {
        self.f16 = f16;
        self
    }

    /// Uses subgroup operations where the adapter has them, or never.
    #[must_use]
    pub fn subgroups(mut self, subgroups: bool) -> Self {
        self.subgroups = subgroups;
        self
    }

    /// Uses cooperative matrices where the adapter has them, or never.
    #[must_use]
    pub fn cooperative(mut self, cooperative: bool) -> Self {
        self.cooperative = cooperative;
        self
    }

    /// Keeps bounds checks in shaders.
    #[must_use]
    pub fn checked(mut self, checked: bool) -> Self {
        self.checked = checked;
        self
    }

    /// Prefers the kernel variants of these names.
    #[must_use]
    pub fn variants(mut self, variants: Vec<String>) -> Self {
        self.variants = variants;
        self
    }

    /// Has these `kernel.variant` compute nothing, for tests.
    #[must_use]
    pub fn faults(mut self, faults: Vec<String>) -> Self {
        self.faults = faults;
        self
    }

    /// Has memory for so many bytes, for tests.
    #[must_use]
    pub fn memory_max(mut self, memory_max: impl Into<Option<u64>>) -> Self {
        self.memory_max = memory_max.into();
        self
    }

    /// Asks for timestamps where the adapter has them.
    #[must_use]
    pub fn timestamps(mut self, timestamps: bool) -> Self {
        self.timestamps = timestamps;
        self
    }

    /// Tells what a page knows of its adapter.
    #[must_use]
    pub fn browser(mut self, browser: impl Into<Option<BrowserAdapter>>) -> Self {
        self.browser = browser.into();
        self
    }
}
