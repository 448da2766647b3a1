//! What is known of drivers that compute wrong: data, so that a failure can be told from news.

use super::device::AdapterDescription;

/// A failure that was seen.
struct Known {
    /// Part of the adapter's or the driver's name, in any case.
    driver: &'static str,
    /// The kernel that it shows in; none: any.
    kernel: Option<&'static str>,
    /// What goes wrong, and what helps.
    what: &'static str,
}

/// Failures that were seen, by us or as their sources say.
const KNOWN: &[Known] = &[Known {
    driver: "llvmpipe",
    kernel: Some("attention"),
    what: "llvmpipe ends a shader's loops, silently, after 65,535 turns (seen with Mesa 22.3): contexts over 16,384 \
           tokens are refused on it",
}];

/// What is known of a failure of `kernel` on this adapter.
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
