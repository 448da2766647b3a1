//! Buffers that activations of a pass take turns in.

use std::sync::Arc;

use crate::{Error, Gpu, Limit, Result, gpu::buffer::Buffer};

/// Buffers that activations take turns in, by their number in a plan.
pub(crate) type Activations = Vec<Arc<Buffer>>;

/// Buffers of at least these sizes: those of `there` where they are large enough.
pub(crate) async fn activations(
    gpu: &Gpu,
    sizes: &[u64],
    there: &Activations,
) -> Result<Activations> {
    let max = gpu.adapter().limits.max_storage_buffer_binding_size;
    let mut all = Vec::new();
    for (index, &size) in sizes.iter().enumerate() {
        if size > max {
            return Err(Error::DoesNotFit {
                limit: Limit::Binding,
                needed: size,
                available: Some(max),
                message: format!(
                    "activations take {size} of {max} bytes: try smaller prefill passes"
                ),
            });
        }
        all.push(match there.get(index) {
            Some(buffer) if buffer.size >= size => buffer.clone(),
            _ => Arc::new(gpu.storage_or_uniform("activations", size).await?),
        });
    }
    Ok(all)
}
