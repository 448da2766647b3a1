//! Names of kernel variants that [`GpuOptions`] gives: one that no kernel has, or that cannot run here, is refused.

use lantern_kernels::{ALL, Kernel};

use super::{device::Gpu, options::GpuOptions};
use crate::{Error, Result};

impl GpuOptions {
    /// Refuses options that name a variant or a fault that no kernel has, before any device is opened.
    ///
    /// # Errors
    /// [`Error::BadInput`], which names it and lists what there is.
    pub(super) fn check_names(&self) -> Result<()> {
        let variants = || ALL.iter().flat_map(|kernel| kernel.variants);
        for name in &self.variants {
            if !variants().any(|variant| variant.name == name) {
                let all = listed(variants().map(|variant| variant.name));
                return Err(bad(format!(
                    "no kernel has a variant {name:?}; there are {all}"
                )));
            }
        }
        for name in &self.faults {
            let (kernel, variant) = name.split_once('.').unwrap_or((name, ""));
            let Some(kernel) = ALL.iter().find(|known| known.name == kernel) else {
                let all = listed(ALL.iter().map(|kernel| kernel.name));
                return Err(bad(format!(
                    "the fault {name:?} names no kernel; there are {all}"
                )));
            };
            if !kernel.variants.iter().any(|known| known.name == variant) {
                let all = listed(kernel.variants.iter().map(|variant| variant.name));
                return Err(bad(format!(
                    "the fault {name:?} names no variant of {}; there are {all}",
                    kernel.name
                )));
            }
        }
        Ok(())
    }
}

impl Gpu {
    /// Refuses variants asked for that this adapter cannot run in any kernel.
    ///
    /// # Errors
    /// [`Error::BadInput`], which names the first and lists what runs here.
    pub(super) fn check_variants(&self) -> Result<()> {
        let supported = || {
            ALL.iter()
                .flat_map(|kernel: &&'static Kernel| self.supported(kernel))
        };
        let mut names = self.options.variants.iter();
        match names.find(|name| !supported().any(|variant| variant.name == **name)) {
            None => Ok(()),
            Some(name) => Err(bad(format!(
                "{} cannot run the variant {name:?} of any kernel; it runs {}",
                self.adapter().name,
                listed(supported().map(|variant| variant.name))
            ))),
        }
    }
}

/// Names in the order of the alphabet, each once.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn bad(message: String) -> Error {
    Error::BadInput(message)
}
