//! Adapters, and the device that a [`Gpu`] works on. The only file that asks what it was compiled for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, OnceLock, atomic::AtomicU64},
};

use lantern_kernels::{Cooperative, Kernel, Target, Variant};

use super::{
    adapter::{AdapterDescription, describe, rank},
    compiled::Pipeline,
    cooperative,
    counting::{Counters, Counting},
    failure::Failures,
    options::GpuOptions,
};
use crate::{Error, Result};

/// A device, and what has been compiled for it.
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) options: GpuOptions,
    pub(crate) counting: Counting,
    pub(crate) pipelines: Mutex<HashMap<String, Arc<Pipeline>>>,
    pub(super) cache: OnceLock<wgpu::PipelineCache>,
    pub(super) choices: Mutex<BTreeMap<String, String>>,
    /// `kernel.variant parts` of those that were run against their references here, and what was wrong.
    pub(super) trials: Mutex<BTreeMap<String, Option<String>>>,
    /// Counts the changes of choices and of failed trials.
    pub(super) variants_version: AtomicU64,
    description: AdapterDescription,
    pub(super) failures: Failures,
}

/// Which dialect of WGSL the compiler on this side wants.
pub(crate) const TARGET: Target = if cfg!(target_arch = "wasm32") {
    Target::Browser
} else {
    Target::Native
};

/// Work on a thread of its own. A browser has none for it, and is not asked: see [`TARGET`].
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(work)
}

/// See above.
#[cfg(target_arch = "wasm32")]
pub(super) fn on_thread<T>(_: impl FnOnce() -> T) -> std::thread::JoinHandle<T> {
    unreachable!("a browser has no threads")
}

async fn found() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::PRIMARY,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    #[cfg(not(target_arch = "wasm32"))]
    let mut adapters = instance.enumerate_adapters(wgpu::Backends::PRIMARY).await;
    #[cfg(target_arch = "wasm32")]
    let mut adapters: Vec<wgpu::Adapter> = instance
        .request_adapter(&wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..wgpu::RequestAdapterOptions::default()
        })
        .await
        .into_iter()
        .collect();
    adapters.sort_by_key(|a| rank(a.get_info().device_type));
    adapters
}

fn no_adapter() -> Error {
    let advice = if cfg!(target_arch = "wasm32") {
        "this browser offers no WebGPU adapter"
    } else if cfg!(target_os = "linux") {
        "no GPU with a Vulkan driver found; install your GPU's driver, or a software one: apt-get install mesa-vulkan-drivers (Debian, Ubuntu), \
         dnf install mesa-vulkan-drivers (Fedora), pacman -S vulkan-swrast (Arch), apk add mesa-vulkan-swrast (Alpine); \
         where VK_DRIVER_FILES or VK_ICD_FILENAMES is set, only the drivers it names are looked at"
    } else if cfg!(target_os = "macos") {
        "no Metal device found; Lantern needs macOS 11 or later on a machine with a GPU"
    } else {
        "no DX12 or Vulkan device found; update your GPU's driver"
    };
    Error::NoAdapter {
        known: vec![],
        message: advice.to_string(),
    }
}

impl Gpu {
    /// Features of a device that Lantern has a use for; it needs none of them.
    pub const FEATURES: wgpu::Features = wgpu::Features::SHADER_F16
        .union(wgpu::Features::SUBGROUP)
        .union(wgpu::Features::PIPELINE_CACHE)
        .union(wgpu::Features::TIMESTAMP_QUERY);

    /// Counts of the work done so far.
    pub fn counters(&self) -> Counters {
        self.counting.counters()
    }

    /// Every adapter, in the order of preference.
    pub async fn adapters() -> Vec<AdapterDescription> {
        found()
            .await
            .iter()
            .enumerate()
            .map(|(i, a)| describe(i, a))
            .collect()
    }

    /// Opens the adapter that the options name, or the first.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none, or none of that name; [`Error::BadInput`] where the options name a
    /// kernel variant that does not exist or cannot run here; [`Error::Device`] where the adapter refuses.
    pub async fn new(options: &GpuOptions) -> Result<Gpu> {
        options.check_names()?;
        let adapters = found().await;
        let chosen = match &options.adapter {
            None => adapters.first().map(|a| (0, a)).ok_or_else(no_adapter)?,
            Some(wanted) => named(&adapters, wanted)?,
        };
        let (index, adapter) = chosen;
        let mut description = describe(index, adapter);
        description.narrow(options);
        let has = &description.features;
        let mut kinds = Cooperative::ALL.into_iter();
        let cooperative = kinds.any(|kind| has.cooperative(kind));
        let mut features = adapter.features() & Gpu::FEATURES;
        for (feature, wanted) in [
            (wgpu::Features::SHADER_F16, options.f16),
            (wgpu::Features::SUBGROUP, options.subgroups),
            (wgpu::Features::TIMESTAMP_QUERY, options.timestamps),
        ] {
            features.set(feature, wanted && features.contains(feature));
        }
        let experimental = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
        features.set(experimental, cooperative);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("lantern"),
            required_features: features,
            experimental_features: cooperative::leave(cooperative),
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..wgpu::DeviceDescriptor::default()
        };
        let name = description.name.clone();
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|e| Error::Device(format!("{name}: {e}")))?;
        let failures = Failures::of_own(&device);
        Gpu::of(device, queue, options, description, failures)
    }

    /// A GPU of what was opened; `failures` tells whose the device is.
    pub(super) fn of(
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: &GpuOptions,
        description: AdapterDescription,
        failures: Failures,
    ) -> Result<Gpu> {
        let gpu = Gpu {
            device,
            queue,
            options: options.clone(),
            counting: Counting::default(),
            pipelines: Mutex::default(),
            cache: OnceLock::new(),
            choices: Mutex::default(),
            trials: Mutex::default(),
            variants_version: AtomicU64::new(0),
            description,
            failures,
        };
        gpu.check_variants()?;
        Ok(gpu)
    }

    /// The adapter in use; features that were switched off are not among its features.
    pub fn adapter(&self) -> &AdapterDescription {
        &self.description
    }

    /// The variant of `kernel` to use: one that was asked for, else the first made for this kind of adapter that it
    /// can run, else the first that it can run at all.
    pub fn variant(&self, kernel: &'static Kernel) -> &'static Variant {
        self.forced(kernel)
            .or_else(|| self.preferred(kernel).next())
            .or_else(|| self.verified(kernel).next())
            .or_else(|| self.supported(kernel).next()) // none computes right: a trial of the plans says so
            .unwrap_or_else(|| panic!("no variant of {} runs here", kernel.name))
    }

    /// The variant of `kernel` that was asked for by name, if this adapter can run it.
    pub fn forced(&self, kernel: &'static Kernel) -> Option<&'static Variant> {
        let named = |v: &&Variant| self.options.variants.iter().any(|name| name == v.name);
        self.verified(kernel).find(named)
    }

    /// Whether `kernel` has a variant that was made for this kind of adapter, and runs on it.
    pub fn has_variant(&self, kernel: &'static Kernel) -> bool {
        self.preferred(kernel).next().is_some()
    }

    /// The variants of `kernel` that this adapter can run, in their order; those left out that computed wrong.
    pub(crate) fn verified(
        &self,
        kernel: &'static Kernel,
    ) -> impl Iterator<Item = &'static Variant> + use<'_> {
        self.supported(kernel)
            .filter(|v| self.failure(kernel, v).is_none())
    }

    /// The variants of `kernel` that this adapter can run, whatever they compute.
    pub(crate) fn supported(
        &self,
        kernel: &'static Kernel,
    ) -> impl Iterator<Item = &'static Variant> + use<'_> {
        kernel.variants.iter().filter(|v| self.supports(v))
    }

    /// The kernel's variants that run here and were made for this kind of adapter, the default first.
    pub(crate) fn preferred(
        &self,
        kernel: &'static Kernel,
    ) -> impl Iterator<Item = &'static Variant> + use<'_> {
        let software = self.software();
        self.verified(kernel)
            .filter(move |v| v.software == software)
    }

    /// Whether this adapter can run the variant.
    pub fn supports(&self, variant: &Variant) -> bool {
        let has = &self.description.features;
        let parts = variant.parts;
        let limits = &self.description.limits;
        let (min, max) = has.subgroup_size;
        let same = |lanes| (lanes, lanes) == (min, max);
        let among = |lanes| (min..=max).contains(&lanes);
        (has.subgroups || !parts.iter().any(|p| p.subgroups))
            && variant
                .cooperative()
                .is_none_or(|kind| has.cooperative(kind))
            && (has.shader_f16 || !parts.iter().any(|p| p.f16))
            && variant.subgroup_size().is_none_or(same)
            && variant.get("SUBGROUP").is_none_or(among)
            && variant.workgroup_size() <= limits.max_compute_invocations_per_workgroup
            && variant.workgroup_bytes() <= limits.max_compute_workgroup_storage_size
    }

    /// The adapter runs on the CPU.
    pub fn software(&self) -> bool {
        self.description.kind == "software"
    }

    /// The first error that the device reported outside of a call, if there was one.
    pub(crate) fn check(&self) -> Result<()> {
        self.failures.check(&self.description.name)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if self.failures.own() {
            self.device.destroy();
        }
    }
}

fn named<'a>(adapters: &'a [wgpu::Adapter], wanted: &str) -> Result<(usize, &'a wgpu::Adapter)> {
    let by_index = wanted
        .parse::<usize>()
        .ok()
        .and_then(|i| adapters.get(i).map(|a| (i, a)));
    let holds = |text: &str| text.to_lowercase().contains(&wanted.to_lowercase());
    let by_name = || {
        let mut all = adapters.iter().enumerate();
        all.find(|(_, a)| holds(&a.get_info().name) || holds(&a.get_info().driver))
    };
    by_index.or_else(by_name).ok_or_else(|| {
        if adapters.is_empty() {
            return no_adapter();
        }
        let known: Vec<String> = adapters.iter().map(|a| a.get_info().name).collect();
        let numbered = known.iter().enumerate();
        let numbered: Vec<String> = numbered.map(|(i, name)| format!("{i} = {name}")).collect();
        let numbered = numbered.join(", ");
        let message = format!("no adapter is called {wanted:?}; known are {numbered}");
        Error::NoAdapter { known, message }
    })
}
