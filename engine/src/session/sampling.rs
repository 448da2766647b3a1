//! Memory that sampling binds beside logits and rows: a ring of sampled tokens and scores for each row sampled after;
//! settings, biases, what a grammar allows and what was seen for each sequence.

use lantern_kernels::{
    argmax::RING,
    padded,
    sampler::{IN_PROMPT, Sampler},
};

use super::sampler::SamplerOptions;
use crate::{
    Error, Gpu, Result,
    gpu::buffer::Buffer,
    plan::{dispatch::SamplerMemory, lowering::ALL_LOGITS_ROWS},
    text::Next,
};

/// Memory of sampling on the GPU.
pub(super) struct SamplingMemory {
    /// The tokens sampled last, (rows, [`RING`]).
    pub sampled: Buffer,
    /// Logits after penalties, (rows, padded vocab_size).
    scores: Buffer,
    /// How often each token was seen, (sequences, padded vocab_size).
    seen: Buffer,
    /// A bit for each token that a grammar allows, (sequences, padded vocab_size / 32).
    allowed: Buffer,
    /// Added to logits, (sequences, padded vocab_size).
    bias: Buffer,
    /// How tokens are sampled, (sequences).
    settings: Buffer,
    vocab_size: u32,
}

impl SamplingMemory {
    /// Memory for so many sequences, and as many rows of a pass as can be sampled after; of nothing where there are no
    /// logits.
    pub async fn new(gpu: &Gpu, vocab_size: u32, sequences: u32) -> Result<SamplingMemory> {
        let row = u64::from(padded(vocab_size)) * 4;
        let rows = u64::from(sequences.min(ALL_LOGITS_ROWS));
        let sequences = u64::from(sequences);
        let settings = size_of::<Sampler>() as u64;
        Ok(SamplingMemory {
            sampled: gpu
                .storage("sampled tokens", rows * u64::from(RING) * 4)
                .await?,
            scores: gpu.storage("scores", rows * row).await?,
            seen: gpu.storage("seen tokens", sequences * row).await?,
            allowed: gpu.storage("allowed tokens", sequences * row / 32).await?,
            bias: gpu.storage("bias", sequences * row).await?,
            settings: gpu.storage("samplers", sequences * settings).await?,
            vocab_size,
        })
    }

    /// The buffer that a kernel binds.
    pub fn buffer(&self, memory: SamplerMemory) -> &Buffer {
        match memory {
            SamplerMemory::Sampled => &self.sampled,
            SamplerMemory::Scores => &self.scores,
            SamplerMemory::Seen => &self.seen,
            SamplerMemory::Allowed => &self.allowed,
            SamplerMemory::Bias => &self.bias,
            SamplerMemory::Settings => &self.settings,
        }
    }

    /// Writes how a sequence is sampled from now on. `held`: its tokens, and whether each was sampled.
    ///
    /// # Errors
    /// [`Error::BadInput`] where a bias is for a token that there is not.
    pub fn write(
        &self,
        gpu: &Gpu,
        sequence: u32,
        (options, has_grammar): (&SamplerOptions, bool),
        held: impl Iterator<Item = (u32, bool)>,
    ) -> Result<()> {
        let place = u64::from(sequence);
        let row = u64::from(padded(self.vocab_size)) * 4;
        if !options.logit_bias.is_empty() {
            let mut bias = vec![0f32; self.vocab_size as usize];
            for &(token, value) in &options.logit_bias {
                let place = bias.get_mut(token as usize).ok_or_else(|| {
                    Error::BadInput(format!(
                        "there is no token {token} to have a bias: the vocabulary has {}",
                        self.vocab_size
                    ))
                })?;
                *place = value.clamp(-1e30, 1e30);
            }
            gpu.write(&self.bias, place * row, bytemuck::cast_slice(&bias));
        }
        let sampler = options.sampler(has_grammar);
        let start = place * size_of::<Sampler>() as u64;
        gpu.write(&self.settings, start, bytemuck::bytes_of(&sampler));
        self.write_seen(gpu, sequence, held);
        Ok(())
    }

    /// Writes how often a sequence's penalties count each token. `held`: its tokens, and whether each was sampled.
    pub fn write_seen(&self, gpu: &Gpu, sequence: u32, held: impl Iterator<Item = (u32, bool)>) {
        let mut seen = vec![0u32; self.vocab_size as usize];
        for (token, sampled) in held {
            let Some(times) = seen.get_mut(token as usize) else {
                continue; // a row was given in its place
            };
            *times = if sampled {
                *times + 1
            } else {
                *times | IN_PROMPT
            };
        }
        let row = u64::from(padded(self.vocab_size)) * 4;
        gpu.write(
            &self.seen,
            u64::from(sequence) * row,
            bytemuck::cast_slice(&seen),
        );
    }

    /// Writes which tokens a sequence may have next, a bit each: those of [`Next::Among`], else all.
    pub fn allow(&self, gpu: &Gpu, sequence: u32, next: &Next<'_>) {
        let words = padded(self.vocab_size) as usize / 32;
        let mut all = match next {
            Next::Among(allowed) => allowed[..allowed.len().min(words)].to_vec(),
            _ => vec![u32::MAX; words],
        };
        all.resize(words, 0);
        let start = u64::from(sequence) * words as u64 * 4;
        gpu.write(&self.allowed, start, bytemuck::cast_slice(&all));
    }
}
