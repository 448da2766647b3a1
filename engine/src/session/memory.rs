//! A session's memory on the GPU, and where its plans find what they bind.

use std::sync::Arc;

use lantern_kernels::{call::rows_bytes, padded};

use super::{sampling::SamplingMemory, states::States};
use crate::{
    Result,
    gpu::{buffer::Buffer, pipeline::BindingResource},
    graph::{MatrixId, Paging, Section},
    plan::{
        dispatch::{Binding, Plan},
        lowering::ALL_LOGITS_ROWS,
        plans::Plans,
        run::{CompiledPlan, Lookup},
    },
    resident::{
        activations::{Activations, activations},
        load::Loaded,
        lora::Lora,
    },
};

/// Memory of one session on the GPU.
pub(super) struct Memory {
    pub states: States,
    /// Rows of a pass: tokens, positions, sequences; behind the most that there can be, tables of a paged cache.
    pub rows: Buffer,
    /// Rows of a pass, of each table that stays in the file.
    pub looked_up: Vec<Buffer>,
    /// Logits of the last row, (vocab_size).
    pub logits: Buffer,
    /// Logits of up to [`ALL_LOGITS_ROWS`] rows.
    pub all_logits: Buffer,
    /// Memory that tokens are sampled with.
    pub sampling: SamplingMemory,
    /// Sampled tokens, or the last logits, on their way to the CPU.
    pub readback: Buffer,
    /// The logits of many rows, or what else a pass ends in, on their way there.
    pub all_readback: Buffer,
}

impl Memory {
    pub async fn new(
        model: &Loaded,
        plans: &Plans,
        (sequences, paging): (u32, Option<Paging>),
    ) -> Result<Memory> {
        let gpu = &model.gpu;
        let logits = u64::from(padded(model.config.vocab_size)) * 4;
        let (row, vocab_size) = if plans.has_logits() {
            (logits, model.config.vocab_size)
        } else {
            (0, 0)
        };
        let pass = u64::from(plans.prefill.rows);
        let many = pass.min(u64::from(ALL_LOGITS_ROWS));
        let result = plans
            .prefill
            .result
            .map_or(0, |(at, _)| plans.prefill.buffers[at]);
        let tables = paging.map_or(0, |paging| {
            let blocks = (model.context as u64).div_ceil(u64::from(paging.block));
            u64::from(sequences) * blocks
        });
        let rows = rows_bytes(pass + tables);
        let mut looked_up = vec![];
        for table in model.looked_up() {
            looked_up.push(gpu.storage(&table.name, table.stored_bytes()).await?);
        }
        Ok(Memory {
            looked_up,
            states: States::new(gpu, &plans.states, (sequences, paging), row).await?,
            rows: gpu.storage("rows", rows).await?,
            logits: gpu.storage("logits", row).await?,
            all_logits: gpu.storage("all logits", many * row).await?,
            sampling: SamplingMemory::new(gpu, vocab_size, sequences).await?,
            readback: gpu.readback("readback", row).await?,
            all_readback: gpu
                .readback("rows of a pass", result.max(many * row))
                .await?,
        })
    }
}

/// A session's plans, bound to its memory.
pub(super) struct Compiled {
    /// Buffers that activations take turns in; shared with the model and its other sessions as far as sizes allow.
    pub activations: Activations,
    /// Tokens one by one; none where passes do not end in logits.
    pub tokens: Option<CompiledTokens>,
    /// Many rows.
    pub prefill: CompiledPlan,
    /// A small batch, where that is another plan.
    pub small: Option<CompiledPlan>,
}

/// Plans that bring tokens one by one, bound likewise.
pub(super) struct CompiledTokens {
    /// One row, with its logits.
    pub decode: CompiledPlan,
    /// One row far into the context, where that is another plan.
    pub decode_long: Option<CompiledPlan>,
    /// The likeliest token.
    pub greedy: CompiledPlan,
    /// A token by chance.
    pub sample: CompiledPlan,
    /// The likeliest token after each row of a pass.
    pub greedy_rows: Option<CompiledPlan>,
    /// A token by chance after each of them.
    pub sample_rows: Option<CompiledPlan>,
}

impl Compiled {
    pub async fn new(
        model: &Loaded,
        memory: &Memory,
        loras: &[(Lora, f32)],
        plans: &Plans,
    ) -> Result<Compiled> {
        let gpu = &model.gpu;
        let activations = activations(gpu, &plans.buffers(), &model.activations).await?;
        let bound = Bound {
            model,
            memory,
            activations: &activations,
            loras,
        };
        let compile = async |plan: &Arc<Plan>| CompiledPlan::new(gpu, plan.clone(), &bound).await;
        let maybe = async |plan: &Option<Arc<Plan>>| match plan {
            Some(plan) => compile(plan).await.map(Some),
            None => Ok(None),
        };
        let tokens = match &plans.tokens {
            None => None,
            Some(plans) => Some(CompiledTokens {
                decode: compile(&plans.decode).await?,
                decode_long: maybe(&plans.decode_long).await?,
                greedy: compile(&plans.greedy).await?,
                sample: compile(&plans.sample).await?,
                greedy_rows: maybe(&plans.greedy_rows).await?,
                sample_rows: maybe(&plans.sample_rows).await?,
            }),
        };
        Ok(Compiled {
            tokens,
            prefill: compile(&plans.prefill).await?,
            small: maybe(&plans.small).await?,
            activations,
        })
    }
}

/// A session's memory together with the model's, and with LoRA's.
pub(super) struct Bound<'s> {
    pub model: &'s Loaded,
    pub memory: &'s Memory,
    pub activations: &'s Activations,
    pub loras: &'s [(Lora, f32)],
}

impl Bound<'_> {
    /// A plane of a piece of a matrix; those of LoRA have the numbers after the model's own.
    fn weights(&self, id: MatrixId, piece: usize, name: &str) -> BindingResource<'_> {
        let layout = &self.model.layout;
        let own = layout.matrices.len();
        let Some(mut left) = id.checked_sub(own) else {
            let Some(table) = id.checked_sub(layout.stored) else {
                return self.model.weights(id, piece, name);
            };
            let rows = &layout.matrices[id];
            return rows.range(piece, rows.plane(name), &self.memory.looked_up[table]);
        };
        for (lora, _) in self.loras {
            let count = lora.layout().matrices.len();
            if left < count {
                return lora.weights(left, piece, name);
            }
            left -= count;
        }
        panic!("there is no matrix {id}")
    }
}

impl Lookup for Bound<'_> {
    fn find(&self, binding: Binding, name: &str) -> BindingResource<'_> {
        let memory = self.memory;
        match binding {
            Binding::Tensor(_) => unreachable!("lowering has given each a buffer"),
            Binding::Activations(index) => (&*self.activations[index]).into(),
            Binding::Logits(Section::AllLogits) => (&memory.all_logits).into(),
            Binding::Logits(_) => (&memory.logits).into(),
            Binding::Rows => (&memory.rows).into(),
            Binding::Sampler(which) => memory.sampling.buffer(which).into(),
            Binding::Weights(matrix, piece) => self.weights(matrix, piece, name),
            Binding::Vector(index) => self.model.vector(index),
            Binding::RopeTable(index) => self.model.rope_table(index),
            Binding::State(state) => memory.states.memory(state.0).into(),
        }
    }
}
