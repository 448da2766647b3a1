//! Memory as Linux tells of it, in its files of text.

use super::device::Gpu;

impl Gpu {
    /// Bytes that there are for models: of an adapter that is a CPU, the memory that the system has left (Linux). None
    /// where nothing tells.
    pub fn memory_bytes(&self) -> Option<u64> {
        if !self.software() {
            return None;
        }
        bytes_in("/proc/meminfo", "MemAvailable:")
    }
}

/// Value of `key` in one of Linux's files of sizes.
pub(crate) fn bytes_in(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let size = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kilobytes: u64 = size.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
