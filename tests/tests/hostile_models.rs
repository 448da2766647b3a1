//! Model files whose header is sound and whose model is not: each is an error that names what is wrong, before weights are
//! uploaded. Made from a reference file, by writing over the bytes behind a name.

use std::{fs, ops::ControlFlow, sync::Arc, time::Instant};

use lantern_engine::{Error, Gpu, GpuOptions, LoadOptions, Model, ModelFile, file::Source};
use pollster::block_on;

use crate::support::{adapters, models::folder};

/// Metadata whose 4-byte value is written over, and a piece of the message.
#[rustfmt::skip] // a table
const METADATA: &[(&str, &str, u32, &str)] = &[
    ("llama", "llama.block_count", 0, "block_count is 0"),
    ("llama", "llama.block_count", 9, "is missing"),
    ("llama", "llama.block_count", u32::MAX, "block_count is 4294967295"),
    ("llama", "llama.embedding_length", 0, "embedding_length is 0"),
    ("llama", "llama.embedding_length", 96, "has the shape"),
    ("llama", "llama.attention.head_count", 0, "head_count is 0"),
    ("llama", "llama.attention.head_count", 3, "do not share"),
    ("llama", "llama.attention.head_count_kv", 3, "do not share"),
    ("llama", "llama.feed_forward_length", 4096, "has the shape"),
    ("llama", "llama.context_length", 0, "context_length is 0"),
    ("llama", "llama.context_length", u32::MAX, "context_length is"),
    ("llama", "llama.vocab_size", 999, "vocab_size is 999"),
    ("llama", "llama.rope.dimension_count", 4096, "cannot be rotated in pairs"),
    ("llama", "llama.rope.freq_base", 0x7fc0_0000, "NaN"),
    ("llama", "llama.rope.freq_base", 0xBF80_0000, "freq_base is -1"),
    ("llama", "llama.attention.layer_norm_rms_epsilon", 0x7fc0_0000, "NaN"),
    ("llama", "llama.attention.layer_norm_rms_epsilon", 0xbf80_0000, "epsilon is -1"),
    ("mixtral", "llama.expert_count", 7, "has the shape"),
    ("mixtral", "llama.expert_count", 0, "ffn_gate"),
    ("mixtral", "llama.expert_used_count", 9, "9 of 8 experts"),
    ("mixtral", "llama.expert_used_count", 0, "expert_used_count is 0"),
    ("qwen3moe", "qwen3moe.expert_feed_forward_length", 50, "only multiples of 4"),
    ("qwen3", "qwen3.attention.key_length", 28, "28 keys"),
    ("gemma2", "gemma2.attn_logit_softcapping", 0xBF80_0000, "softcapping is -1"),
    ("gemma2", "gemma2.attention.sliding_window", 0, "it was loaded"),
    ("gemma2", "gemma2.final_logit_softcapping", 0x7f80_0000, "softcapping is inf"),
    ("granite", "granite.residual_scale", 0xBF80_0000, "residual_scale is -1"),
    ("granite", "granite.logit_scale", 0x7fc0_0000, "NaN"),
    ("gpt2", "gpt2.context_length", 512, "learned 256 positions"),
    ("mamba2", "mamba2.ssm.state_size", 20, "has the shape"),
    ("mamba2", "mamba2.ssm.state_size", 1024, "states of 1024"),
    ("mamba2", "mamba2.ssm.group_count", 3, "in 3 groups"),
    ("mamba2", "mamba2.ssm.conv_kernel", 4096, "convolved by 4096"),
    ("mamba", "mamba.ssm.inner_size", 130, "130 channels"),
    ("jamba", "jamba.ssm.time_step_rank", 1 << 23, "has the shape"),
    ("granitehybrid", "granitehybrid.attention.head_count", 0, "head_count is 0"),
    ("nemotron-h-moe-latent", "nemotron_h_moe.moe_latent_size", 0, "has the shape"),
    ("deepseek2-v3", "deepseek2.attention.kv_lora_rank", 1 << 23, "latent keys of 8388608"),
    ("deepseek2-v3", "deepseek2.attention.kv_lora_rank", 0, "kv_lora_rank is 0"),
    ("deepseek2-v3", "deepseek2.attention.q_lora_rank", 0, "q_lora_rank is missing"),
    ("deepseek2-v3", "deepseek2.attention.head_count", 2000, "2000 heads of latent attention"),
    ("deepseek2-v3", "deepseek2.attention.key_length_mla", 8, "heads of 8"),
    ("deepseek2-temp", "deepseek2.attention.temperature_length", 0, "temperature_length is 0"),
    ("kimi-linear", "kimi-linear.kda.head_dim", 6, "only multiples of 4"),
];

/// Names that become another, and a piece of the message.
#[rustfmt::skip] // a table
const NAMES: &[(&str, &str, &str, &str)] = &[
    ("llama", "token_embd.weight", "token_embx.weight", "token_embd.weight is missing"),
    ("llama", "blk.1.attn_q.weight", "blk.1.attn_x.weight", "blk.1.attn_q.weight is missing"),
    ("llama", "output_norm.weight", "output_nurm.weight", "output_norm.weight is missing"),
    ("llama", "output.weight", "unused.weight", "has no place"),
    ("llama", "blk.1.ffn_gate.weight", "blk.1.ffn_gaxe.weight", "ffn_gate.weight is missing"),
    ("llama", "blk.1.attn_norm.weight", "blk.1.attn_nurm.weight", "attn_norm.weight is missing"),
    ("qwen2", "blk.1.attn_k.bias", "blk.1.attn_x.bias", "attn_k.bias is missing"),
    ("qwen3", "blk.1.attn_k_norm.weight", "blk.1.attn_x_norm.weight", "attn_k_norm.weight is missing"),
    ("gemma3", "blk.1.post_ffw_norm.weight", "blk.1.post_fxw_norm.weight", "has no place"),
    ("olmo2", "blk.1.post_ffw_norm.weight", "blk.1.post_fxw_norm.weight", "ffn_norm.weight is missing"),
    ("gpt2", "blk.1.attn_norm.bias", "blk.1.attn_nurm.bias", "attn_norm.bias is missing"),
    ("gpt2", "position_embd.weight", "positiox_embd.weight", "has no place"),
    ("mixtral", "blk.1.ffn_gate_exps.weight", "blk.1.ffn_gate_exxs.weight", "ffn_gate_exps.weight is missing"),
    ("mixtral", "blk.1.ffn_norm.weight", "blk.1.ffn_nurm.weight", "ffn_norm.weight is missing"),
    ("llama3-rope-factors", "rope_freqs.weight", "rope_fraqs.weight", "has no place"),
    ("mamba2", "blk.1.ssm_in.weight", "blk.1.ssm_on.weight", "neither a mixer's nor an MLP's"),
    ("mamba", "blk.1.ssm_x.weight", "blk.1.ssm_y.weight", "group_count is missing"),
    ("nemotron-h", "blk.2.attn_q.weight", "blk.2.attn_x.weight", "neither a mixer's nor an MLP's"),
    ("granitehybrid", "blk.1.ffn_up.weight", "blk.1.ffn_op.weight", "has no place"),
    ("falcon-h1", "blk.1.ssm_out.weight", "blk.1.ssm_oat.weight", "ssm_out.weight is missing"),
    ("falcon-h1", "blk.1.ffn_norm", "blk.1.ffn_nurm", "ffn_norm.weight is missing"),
];

fn place(bytes: &[u8], name: &str) -> Option<usize> {
    // The length before it tells `output.weight` from the end of `attn_output.weight`.
    let mut wanted = (name.len() as u64).to_le_bytes().to_vec();
    wanted.extend_from_slice(name.as_bytes());
    let at = bytes.windows(wanted.len()).position(|w| w == wanted);
    at.map(|at| at + 8)
}

fn refusal(gpu: &Arc<Gpu>, bytes: Vec<u8>) -> String {
    let start = Instant::now();
    let load = || -> Result<Model, Error> {
        let file = ModelFile::from_source(Source::from_bytes(bytes))?;
        let progress = &mut |_, _| ControlFlow::Continue(());
        block_on(Model::load(gpu, &file, &LoadOptions::default(), progress))
    };
    let message = load().map_or_else(|e| e.to_string(), |_| "it was loaded".into());
    assert!(start.elapsed().as_secs() < 30, "{message}: too slow");
    message
}

#[test]
fn gpu_what_disagrees_with_itself_is_refused() {
    let gpu = Arc::new(adapters::gpu(&adapters::main(), GpuOptions::default()));
    let read = |family| {
        let files = ["families", "families-2026"].map(|f| folder(f).join(format!("{family}.gguf")));
        let file = files.iter().find(|file| file.exists());
        fs::read(file.unwrap()).unwrap()
    };
    assert_eq!(refusal(&gpu, read("llama")), "it was loaded");
    let mut wrong = Vec::new();
    for &(family, key, value, piece) in METADATA {
        let sound = read(family);
        let Some(at) = place(&sound, key) else {
            wrong.push(format!("{family} has no {key}"));
            continue;
        };
        let mut bytes = sound.clone();
        let value_at = at + key.len() + 4; // behind the type's number
        bytes[value_at..value_at + 4].copy_from_slice(&value.to_le_bytes());
        let message = refusal(&gpu, bytes);
        if !message.contains(piece) {
            wrong.push(format!("{key} = {value}: {message:?} instead of {piece:?}"));
        }
    }
    for &(family, name, other, piece) in NAMES {
        let sound = read(family);
        let at = place(&sound, name).unwrap();
        let mut bytes = sound.clone();
        bytes[at..at + name.len()].copy_from_slice(other.as_bytes());
        let file = ModelFile::from_source(Source::from_bytes(bytes.clone()));
        let told = file.and_then(|file| file.check_tensors());
        let message = refusal(&gpu, bytes);
        assert_eq!(told.unwrap_err().to_string(), message); // and needs no GPU
        if !message.contains(piece) {
            wrong.push(format!("{name}: {message:?} instead of {piece:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
