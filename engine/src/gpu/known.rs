//! Drivers that are known to compute wrong: data, so that a failure can be told from news.

use super::adapter::AdapterDescription;

/// A failure that was seen.
struct Known {
    /// Part of the adapter's or the driver's name, in any case.
    driver: &'static str,
    /// The kernel that it shows in; none: any.
    kernel: Option<&'static str>,
    /// Text for users: what goes wrong, and what helps.
    what: &'static str,
}

/// Failures that were seen: by us, or by whom the row names.
const KNOWN: &[Known] = &[
    Known {
        driver: "llvmpipe",
        kernel: Some("attention"),
        what: "llvmpipe ends a shader's loops, silently, after 65,535 turns (seen with Mesa 22.3): contexts over 16,384 \
               tokens are refused on it",
    },
    Known {
        driver: "amd proprietary",
        kernel: Some("matvec_integer"),
        what: "AMD's driver for Windows was seen to compute q8_0 in integers wrong on RDNA 1 and 2 \
               (github.com/ggml-org/llama.cpp/issues/10710)",
    },
    Known {
        driver: "qualcomm technologies",
        kernel: None,
        what: "Qualcomm's Vulkan driver fails on shaders that are valid; Mesa's Turnip runs them \
               (github.com/ggml-org/llama.cpp/issues/12421 and 28891)",
    },
    Known {
        driver: "turnip",
        kernel: Some("mat"),
        what: "Turnip was seen to multiply matrices wrong on Adreno 702 (github.com/ggml-org/llama.cpp/issues/25906)",
    },
    Known {
        driver: "uhd graphics 770",
        kernel: None,
        what: "Intel's driver for D3D12 was seen to run subgroups of 8 where it reports 16 at least \
               (github.com/gpuweb/cts/pull/4035)",
    },
];

/// Looks up a failure of `kernel` that is known on this adapter.
pub(super) fn of(adapter: &AdapterDescription, kernel: &str) -> Option<&'static str> {
    let names = format!(
        "{} {} {}",
        adapter.name, adapter.driver, adapter.driver_info
    )
    .to_lowercase();
    let fits = |known: &&Known| {
        names.contains(known.driver) && known.kernel.is_none_or(|k| kernel.starts_with(k))
    };
    KNOWN.iter().find(fits).map(|known| known.what)
}
