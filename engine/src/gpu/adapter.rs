//! Names, features and limits of an adapter: read off an adapter, or off a device that somebody else opened.

use lantern_kernels::Cooperative;
use serde::{Deserialize, Serialize};

use super::{cooperative, options::GpuOptions};

/// One adapter, as `lantern devices` lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "bench", derive(schemars::JsonSchema))]
pub struct AdapterDescription {
    /// Its place in the order of preference: discrete, integrated, virtual, other, software.
    pub index: usize,
    /// The driver's name for it.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `browser`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: String,
    /// The driver's name.
    pub driver: String,
    /// The driver's version.
    pub driver_info: String,
    /// Limits that matter here.
    pub limits: AdapterLimits,
    /// Features that matter here.
    pub features: AdapterFeatures,
}

/// Limits of an adapter that decide what runs on it and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "bench", derive(schemars::JsonSchema))]
pub struct AdapterLimits {
    /// Bytes of a buffer that a shader can see at once.
    pub max_storage_buffer_binding_size: u64,
    /// Bytes of a uniform buffer that a shader can see at once.
    pub max_uniform_buffer_binding_size: u64,
    /// Bytes of a buffer.
    pub max_buffer_size: u64,
    /// Lanes of a workgroup.
    pub max_compute_invocations_per_workgroup: u32,
    /// Bytes of workgroup memory.
    pub max_compute_workgroup_storage_size: u32,
    /// Storage buffers that a shader can bind.
    pub max_storage_buffers_per_shader_stage: u32,
}

/// Features of an adapter that decide which kernel variants it can run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "bench", derive(schemars::JsonSchema))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "an adapter has each or has it not"
)]
pub struct AdapterFeatures {
    /// 16-bit arithmetic in shaders.
    pub shader_f16: bool,
    /// Reductions across the lanes of a subgroup.
    pub subgroups: bool,
    /// Least and largest subgroup.
    pub subgroup_size: (u32, u32),
    /// Cooperative matrices of 8 × 8 f32: wgpu's experimental feature.
    pub cooperative_f32: bool,
    /// Cooperative matrices of 16 × 16 f16, summed in f32.
    pub cooperative_f16: bool,
    /// Cooperative matrices of 8 × 8 f16, summed in f32.
    #[serde(default)]
    pub cooperative_f16_8: bool,
    /// Timestamp queries, for profiles.
    pub timestamps: bool,
}

impl AdapterFeatures {
    /// Tells whether the adapter multiplies matrices of this kind.
    pub(crate) fn cooperative(&self, kind: Cooperative) -> bool {
        match kind {
            Cooperative::F32 => self.cooperative_f32,
            Cooperative::F16Side8 => self.cooperative_f16_8,
            Cooperative::F16 => self.cooperative_f16,
        }
    }

    fn cooperative_mut(&mut self, kind: Cooperative) -> &mut bool {
        match kind {
            Cooperative::F32 => &mut self.cooperative_f32,
            Cooperative::F16Side8 => &mut self.cooperative_f16_8,
            Cooperative::F16 => &mut self.cooperative_f16,
        }
    }
}

/// Place of a kind of adapter in the order of preference.
pub(super) fn rank(kind: wgpu::DeviceType) -> usize {
    use wgpu::DeviceType as T;
    [
        T::DiscreteGpu,
        T::IntegratedGpu,
        T::VirtualGpu,
        T::Other,
        T::Cpu,
    ]
    .iter()
    .position(|&k| k == kind)
    .unwrap_or(9)
}

/// Describes an adapter, the `index`th in the order of preference.
pub(super) fn describe(index: usize, adapter: &wgpu::Adapter) -> AdapterDescription {
    let mut described =
        AdapterDescription::of(adapter.get_info(), &adapter.limits(), adapter.features());
    described.index = index;
    let has = &mut described.features;
    for kind in Cooperative::ALL {
        *has.cooperative_mut(kind) = cooperative::has(adapter, kind);
    }
    described
}

impl AdapterDescription {
    /// Describes an adapter or a device without cooperative matrices, of which only an adapter tells the sizes.
    pub(super) fn of(
        info: wgpu::AdapterInfo,
        limits: &wgpu::Limits,
        features: wgpu::Features,
    ) -> AdapterDescription {
        let backend = match info.backend {
            wgpu::Backend::BrowserWebGpu => "browser".to_string(),
            other => other.to_string().to_lowercase(),
        };
        AdapterDescription {
            index: 0,
            name: info.name,
            backend,
            kind: ["discrete", "integrated", "virtual", "other", "software"]
                [rank(info.device_type).min(4)]
            .to_string(),
            driver: info.driver,
            driver_info: info.driver_info,
            limits: AdapterLimits {
                max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
                max_uniform_buffer_binding_size: limits.max_uniform_buffer_binding_size,
                max_buffer_size: limits.max_buffer_size,
                max_compute_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
                max_compute_workgroup_storage_size: limits.max_compute_workgroup_storage_size,
                max_storage_buffers_per_shader_stage: limits.max_storage_buffers_per_shader_stage,
            },
            features: AdapterFeatures {
                shader_f16: features.contains(wgpu::Features::SHADER_F16),
                subgroups: features.contains(wgpu::Features::SUBGROUP),
                subgroup_size: (info.subgroup_min_size, info.subgroup_max_size),
                cooperative_f32: false,
                cooperative_f16: false,
                cooperative_f16_8: false,
                timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            },
        }
    }

    /// Leaves out what the options switch off or lower, and puts in what a page knows better than wgpu.
    pub(super) fn narrow(&mut self, options: &GpuOptions) {
        let has = &mut self.features;
        has.shader_f16 &= options.f16;
        has.subgroups &= options.subgroups;
        for kind in Cooperative::ALL {
            *has.cooperative_mut(kind) &= options.cooperative;
        }
        if let Some(browser) = &options.browser {
            has.subgroups = browser.subgroups && options.subgroups;
            self.name.clone_from(&browser.name);
            let kind = if browser.software {
                "software"
            } else {
                "other"
            };
            kind.clone_into(&mut self.kind);
        }
        let binding = &mut self.limits.max_storage_buffer_binding_size;
        *binding = (*binding).min(options.max_binding.unwrap_or(u64::MAX));
    }
}
