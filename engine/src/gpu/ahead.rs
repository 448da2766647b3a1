//! Pipelines before they are needed: compiled on threads while weights are on their way, and kept by the driver's own
//! cache from one start to the next.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use lantern_kernels::{Shader, Target};
use xxhash_rust::xxh3::xxh3_64;

use super::device::{Gpu, TARGET, on_thread};
use crate::{Error, Result};

/// Compilers at work at most.
const THREADS_MAX: usize = 8;

/// Bytes of the checksum before a cache's data.
const SUM: usize = 8;

/// Labels of shaders, each with the compiler's error, if any.
type Outcomes = Vec<(String, Option<String>)>;

/// Compilers at work.
pub(crate) struct Ahead(Vec<JoinHandle<Outcomes>>);

impl Gpu {
    /// Compiles those of `shaders` that are not compiled yet. Natively on threads; what a browser is asked to compile it
    /// compiles in a process of its own, so there nothing is done ahead.
    pub(crate) fn compile_ahead(self: &Arc<Self>, shaders: Vec<Shader>) -> Ahead {
        if TARGET == Target::Browser {
            return Ahead(vec![]);
        }
        let labels = shaders.into_iter().map(|shader| (shader.label(), shader));
        let wanted: BTreeMap<String, Shader> = labels.collect();
        let known = |label: &String| self.known_pipelines().contains_key(label);
        let left: Vec<_> = wanted
            .into_iter()
            .filter(|(label, _)| !known(label))
            .collect();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.min(THREADS_MAX).min(left.len());
        let left = Arc::new(Mutex::new(left));
        let work = |_| {
            let (gpu, left) = (self.clone(), left.clone());
            on_thread(move || {
                let mut outcomes = Vec::new();
                loop {
                    let next = left.lock().expect("not poisoned").pop();
                    let Some((label, shader)) = next else {
                        return outcomes;
                    };
                    outcomes.push((label, gpu.compile_now(&shader)));
                }
            })
        };
        Ahead((0..threads).map(work).collect())
    }

    /// Has the driver begin with what [`Gpu::pipeline_cache`] gave before, if anything. To be called before anything
    /// is compiled; where the adapter has no such cache, or the data is damaged, nothing is begun with.
    pub fn set_pipeline_cache(&self, kept: Option<&[u8]>) {
        let data = kept.and_then(|kept| {
            let (sum, data) = kept.split_at_checked(SUM)?;
            (sum == xxh3_64(data).to_le_bytes()).then_some(data)
        });
        if self
            .device
            .features()
            .contains(wgpu::Features::PIPELINE_CACHE)
        {
            // Where it is set already, that one stays.
            let _ = self.cache.set(self.make_pipeline_cache(data));
        }
    }

    /// Data that the driver would like to have at the next start, with a checksum; none where it has nothing.
    pub fn pipeline_cache(&self) -> Option<Vec<u8>> {
        let data = self.cache.get()?.get_data()?;
        let mut kept = xxh3_64(&data).to_le_bytes().to_vec();
        kept.extend(data);
        Some(kept)
    }
}

impl Ahead {
    /// Waits for them.
    ///
    /// # Errors
    /// [`Error::Device`] where a shader does not compile.
    pub fn finish(self) -> Result<()> {
        for thread in self.0 {
            let outcomes = thread.join().expect("compiling does not panic");
            for (label, error) in outcomes {
                if let Some(error) = error {
                    return Err(Error::Device(format!("{label}: {error}")));
                }
            }
        }
        Ok(())
    }
}
