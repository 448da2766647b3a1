//! Slots that sessions share: activations of a pass, and RoPE's angles.

use lantern_kernels::padded;

use super::{
    block::{Layout, RopeFactors},
    config::Config,
    options::Precision,
    vector::values,
};
use crate::{
    Error, Gpu, ModelFile, Result,
    gpu::buffer::{Buffer, Upload},
    plan::{dispatch::Slot, integer::packed_bytes, linear::xs_bound},
};

/// Slots that sessions share, for passes of `prefill_batch` tokens.
pub(super) async fn slots(
    gpu: &Gpu,
    config: &Config,
    file: &ModelFile,
    layout: &Layout,
    (precision, context, prefill_batch): (Precision, usize, usize),
    upload: &mut Upload<'_>,
) -> Result<Vec<(Slot, Buffer)>> {
    let angles = angles(config, file, layout, context).await?;
    // Kernels that take eight tokens at a time bind all eight rows, whether there is a token for each or not; and more
    // where a slot with longer rows shares their shader.
    let row = |dim: u32| {
        let bytes = u64::from(padded(dim)) * 4;
        let last = (8 * bytes).max(xs_bound(gpu, config));
        (prefill_batch.next_multiple_of(8) as u64 - 8) * bytes + last
    };
    let widest = (config.heads * config.head_dim)
        .max(config.dim)
        .max(config.ffn_dim);
    let packed = prefill_batch as u64 * packed_bytes(gpu, precision, widest);
    let mut sizes = vec![
        (Slot::Angles, angles[0].len() as u64 * 4),
        (Slot::X, row(config.dim)),
        (Slot::H, row(config.dim)),
        (Slot::Qkv, row(config.qkv_dim())),
        (Slot::Attention, row(config.heads * config.head_dim)),
        (Slot::Gated, row(config.ffn_dim)),
    ];
    sizes.extend((packed > 0).then_some((Slot::Packed, packed)));
    sizes.extend(expert_slots(config, prefill_batch));
    sizes.extend(
        angles
            .get(1)
            .map(|local| (Slot::LocalAngles, local.len() as u64 * 4)),
    );
    let max = gpu.adapter().limits.max_storage_buffer_binding_size;
    let mut slots = Vec::new();
    for (slot, size) in sizes {
        if size > max {
            let advice = if [Slot::Angles, Slot::LocalAngles].contains(&slot) {
                "a smaller context"
            } else {
                "smaller prefill passes"
            };
            return Err(Error::DoesNotFit(format!(
                "{} takes {size} of {max} bytes: try {advice}",
                slot.name()
            )));
        }
        slots.push((slot, gpu.storage_or_uniform(slot.name(), size).await?));
    }
    for (place, angles) in [Slot::Angles, Slot::LocalAngles].into_iter().zip(&angles) {
        let (_, buffer) = slots
            .iter()
            .find(|(slot, _)| *slot == place)
            .expect("made above");
        upload
            .write(buffer, 0, bytemuck::cast_slice(angles))
            .await?;
    }
    Ok(slots)
}

/// Slots of a mixture of experts, and their bytes.
fn expert_slots(config: &Config, prefill_batch: usize) -> Vec<(Slot, u64)> {
    let Some(experts) = config.experts else {
        return vec![];
    };
    let pairs = prefill_batch as u64 * u64::from(experts.top_k) * 4;
    vec![
        (
            Slot::Router,
            prefill_batch.next_multiple_of(8) as u64 * u64::from(padded(experts.n_experts)) * 4,
        ),
        (Slot::Chosen, pairs),
        (Slot::Shares, pairs),
        (Slot::ExpertsUp, pairs * u64::from(padded(config.ffn_dim))),
        (Slot::ExpertsOut, pairs * u64::from(padded(config.dim))),
    ]
}

/// RoPE's angles for `context` positions, and those of layers with a window where they have others.
async fn angles(
    config: &Config,
    file: &ModelFile,
    layout: &Layout,
    context: usize,
) -> Result<Vec<Vec<f32>>> {
    let tensor = match &layout.rope_factors {
        RopeFactors::None => None,
        RopeFactors::Always(tensor) => Some(tensor),
        RopeFactors::ByContext(short, long) => {
            let is_long = context > config.rope.original_context as usize;
            Some(if is_long { long } else { short })
        }
    };
    let factors = match tensor {
        Some(tensor) => Some(values(file, tensor).await?),
        None => None,
    };
    if let Some(v) = factors.iter().flatten().find(|v| **v <= 0.0) {
        let name = tensor.map_or("", |t| &t.name);
        return Err(Error::BadFile(format!("{name} holds {v}")));
    }
    let mut all = vec![config.rope.angles(context, factors.as_deref())];
    all.extend(
        config
            .local_rope
            .as_ref()
            .map(|local| local.angles(context, None)),
    );
    Ok(all)
}
