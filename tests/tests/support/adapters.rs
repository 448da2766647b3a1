//! The adapters that tests run on: all that this machine has, in one process each test.

use std::sync::Arc;

use lantern_engine::{AdapterDescription, Gpu, GpuOptions};

/// Every adapter. Under CI both software adapters must be there; elsewhere there must be one.
pub fn all() -> Vec<AdapterDescription> {
    let adapters = pollster::block_on(Gpu::adapters());
    assert!(
        !adapters.is_empty(),
        "no adapter: run `cargo verify`, which installs a software driver"
    );
    if std::env::var_os("CI").is_some() {
        for wanted in ["llvmpipe", "SwiftShader"] {
            let there = adapters.iter().any(|a| a.name.contains(wanted));
            assert!(
                there,
                "{wanted} is missing: `cargo verify` installs it and names it in VK_DRIVER_FILES"
            );
        }
    }
    adapters
}

/// The adapter that is quick enough for long tests: the first that is not SwiftShader.
pub fn main() -> AdapterDescription {
    let adapters = all();
    let quick = adapters.iter().find(|a| !a.name.contains("SwiftShader"));
    quick.unwrap_or(&adapters[0]).clone()
}

/// A GPU of `adapter`, with the other options given.
pub fn gpu(adapter: &AdapterDescription, options: GpuOptions) -> Gpu {
    let options = options.adapter(adapter.index.to_string());
    pollster::block_on(Gpu::new(&options)).unwrap_or_else(|e| panic!("{}: {e}", adapter.name))
}

/// A GPU of `adapter` as users have it.
pub fn open(adapter: &AdapterDescription) -> Arc<Gpu> {
    Arc::new(gpu(adapter, GpuOptions::default()))
}
