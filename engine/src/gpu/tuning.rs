//! Which variant of a kernel serves which shape best on one adapter, and which compute right: found by measurement, kept by
//! whoever runs the GPU; and one rule that is not measured.

use std::{collections::BTreeMap, sync::MutexGuard, sync::atomic::Ordering::Relaxed};

use lantern_kernels::{Kernel, Shader, Variant};
use serde::{Deserialize, Serialize};

use super::device::Gpu;

/// Results of measuring variants on an adapter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuning {
    /// For what they hold: adapter, driver and version of Lantern.
    pub of: String,
    /// The variant for a shape: a shader's label without its variant.
    pub choices: BTreeMap<String, String>,
    /// Results of variants that were run against their references, by `kernel.variant part`: nothing, or what was wrong.
    #[serde(default)]
    pub trials: BTreeMap<String, Option<String>>,
}

impl Gpu {
    /// [`Tuning::of`] of a tuning that holds here.
    pub fn tuning_of(&self) -> String {
        let adapter = self.adapter();
        format!(
            "{}, {}, {} {}, Lantern {}",
            adapter.name,
            adapter.backend,
            adapter.driver,
            adapter.driver_info,
            env!("CARGO_PKG_VERSION")
        )
    }

    /// The choices in use.
    pub fn tuning(&self) -> Tuning {
        Tuning {
            of: self.tuning_of(),
            choices: self.choices().clone(),
            trials: self.trials().clone(),
        }
    }

    /// Uses choices for sessions made from now on, beside those in use. False, and nothing changes, where they are of
    /// another adapter, driver or version. Variants that this adapter cannot run are passed over.
    pub fn set_tuning(&self, tuning: &Tuning) -> bool {
        if tuning.of != self.tuning_of() {
            return false;
        }
        self.choices().extend(tuning.choices.clone());
        self.trials().extend(tuning.trials.clone());
        self.variants_version.fetch_add(1, Relaxed);
        true
    }

    /// Changes whenever the variants that plans are made of may have: plans of another version are made again.
    pub(crate) fn variants_version(&self) -> u64 {
        self.variants_version.load(Relaxed)
    }

    /// Keeps what became of a variant that was run against its reference: nothing, or what was wrong.
    pub(crate) fn record_trial(&self, name: String, wrong: Option<String>) {
        if wrong.is_some() {
            self.variants_version.fetch_add(1, Relaxed);
        }
        self.trials().insert(name, wrong);
    }

    /// The variant of a shader's kernel for its shape: one that was asked for, else the one that was tuned for, else the
    /// default for rows of this length.
    pub(crate) fn variant_for(&self, shader: &Shader) -> &'static Variant {
        let kernel = shader.kernel;
        let choice = || self.choices().get(&shader.shape()).cloned();
        let tuned = || choice().and_then(|name| self.verified(kernel).find(|v| v.name == name));
        let long = |min| shader.constant("X_LENGTH") >= min;
        let wide = |v: &&Variant| v.get("X_LENGTH_MIN").is_none_or(long);
        self.forced(kernel)
            .or_else(tuned)
            .or_else(|| self.preferred(kernel).find(wide))
            .unwrap_or_else(|| self.variant(kernel))
    }

    /// The variants that were tuned for, by shape.
    fn choices(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.choices.lock().expect("not poisoned")
    }

    /// Results of variants that were run against their references, by `kernel.variant part`.
    pub(crate) fn trials(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.trials.lock().expect("not poisoned")
    }

    /// Error of a variant on this adapter, if it was tried and found wrong.
    pub(crate) fn failure(&self, kernel: &Kernel, variant: &Variant) -> Option<String> {
        let name = format!("{}.{}", kernel.name, variant.name);
        let trials = self.trials();
        let mut same = trials
            .iter()
            .filter(|(trial, _)| trial.split(' ').next() == Some(&name));
        same.find_map(|(_, wrong)| wrong.clone())
    }

    /// Bytes that are best read from a uniform buffer at most; none where those do not pay. An adapter on the CPU reads
    /// them at an index that all lanes share faster than storage: llvmpipe does, by far. For `SwiftShader` they are the
    /// same, but what browsers compile shaders with computes such an index by divisions.
    pub(crate) fn max_uniform_bytes(&self) -> u64 {
        let adapter = self.adapter();
        if self.software() && adapter.backend != "browser" {
            adapter.limits.max_uniform_buffer_binding_size
        } else {
            0
        }
    }
}
