//! LFM2's shapes, and LFM2.5's: short convolutions and some attention, with an MLP or experts.

use super::{
    super::Value,
    outline::{Outline, Shape},
};

macro_rules! shapes {
    ($($name:literal $family:literal $layers:literal $dim:literal $heads:literal $ffn:literal $rest:expr;)*) => {
        &[$(Shape {
            name: $name,
            family: $family,
            vocab_size: 65_536,
            tied: true,
            keys: &[
                ("block_count", $layers),
                ("embedding_length", $dim),
                ("attention.head_count", $heads),
                ("feed_forward_length", $ffn),
                ("context_length", 128_000),
                ("shortconv.l_cache", 3),
            ],
            rest: $rest,
        }),*]
    };
}

/// Layers, dim, heads, MLP.
pub const SHAPES: &[Shape] = shapes! {
    "lfm2.5-350m" "lfm2" 16 1024 16 4608 dense;
    "lfm2.5-1.2b" "lfm2" 16 2048 32 8192 dense;
    "lfm2-8b-a1b" "lfm2moe" 24 2048 32 7168 mixed;
};

fn dense(outline: &mut Outline) {
    blocks(outline, &[2, 5, 8, 10, 12, 14]);
}

fn mixed(outline: &mut Outline) {
    for (key, number) in [
        ("expert_count", 32),
        ("expert_used_count", 4),
        ("expert_feed_forward_length", 1792),
        ("leading_dense_block_count", 2),
        ("expert_gating_func", 2),
    ] {
        outline.put(key, Value::Unsigned(number));
    }
    blocks(outline, &[2, 6, 10, 14, 18, 21]);
}

/// Blocks, of which these have attention.
fn blocks(outline: &mut Outline, attending: &[u64]) {
    let of = |layer| if attending.contains(&layer) { 8 } else { 0 };
    let key_heads = outline.layers().map(of);
    let key_heads = Value::Integers(key_heads.collect());
    outline.put("attention.head_count_kv", key_heads);
    outline.put("attention.layer_norm_rms_epsilon", Value::Float(1e-5));
    outline.put("rope.freq_base", Value::Float(1e6));
    let (dim, ffn_dim) = (outline.dim(), outline.number("feed_forward_length"));
    let head_dim = dim / outline.number("attention.head_count");
    outline.vector("token_embd_norm", dim);
    for layer in outline.layers() {
        let name = |part: &str| format!("blk.{layer}.{part}");
        outline.vector(&name("attn_norm"), dim);
        outline.vector(&name("ffn_norm"), dim);
        if attending.contains(&layer) {
            outline.attention(layer, head_dim);
            outline.head_norms(layer, head_dim);
        } else {
            outline.matrix(&name("shortconv.in_proj"), dim, 3 * dim);
            outline.matrix(&name("shortconv.out_proj"), dim, dim);
            outline.floats(&name("shortconv.conv.weight"), vec![3, dim]);
        }
        if outline.number("expert_count") > 0 && layer >= 2 {
            outline.mixture(layer);
            let experts = outline.number("expert_count");
            outline.floats(&name("exp_probs_b.bias"), vec![experts]);
        } else {
            outline.mlp(layer, ffn_dim);
        }
    }
}
