//! Llama's shapes, and Qwen 3's with experts.

use super::{
    super::Value,
    outline::{Outline, Shape},
};

macro_rules! shapes {
    ($($name:literal $family:literal $layers:literal $dim:literal $heads:literal / $kv_heads:literal x $head_dim:literal $ffn:literal $vocab_size:literal $context:literal $tied:literal $experts:expr;)*) => {
        &[$(Shape {
            name: $name,
            family: $family,
            vocab_size: $vocab_size,
            tied: $tied,
            keys: &[
                ("block_count", $layers),
                ("embedding_length", $dim),
                ("attention.head_count", $heads),
                ("attention.head_count_kv", $kv_heads),
                ("attention.key_length", $head_dim),
                ("attention.value_length", $head_dim),
                ("feed_forward_length", $ffn),
                ("context_length", $context),
                ("rope.dimension_count", $head_dim),
            ],
            rest: $experts,
        }),*]
    };
}

/// Layers, dim, heads / key heads x head_dim, MLP, vocab_size, context, tied.
pub const SHAPES: &[Shape] = shapes! {
    "smollm2-135m"   "llama" 30 576   9 / 3  x 64  1536  49152  8192   true  dense;
    "smollm2-360m"   "llama" 32 960  15 / 5  x 64  2560  49152  8192   true  dense;
    "tinyllama-1.1b" "llama" 22 2048 32 / 4  x 64  5632  32000  2048   false dense;
    "llama-1b"       "llama" 16 2048 32 / 8  x 64  8192  128256 131072 true  dense;
    "smollm2-1.7b"   "llama" 24 2048 32 / 32 x 64  8192  49152  8192   true  dense;
    "llama-3b"       "llama" 28 3072 24 / 8  x 128 8192  128256 131072 true  dense;
    "mistral-7b"     "llama" 32 4096 32 / 8  x 128 14336 32768  32768  false dense;
    "llama-8b"       "llama" 32 4096 32 / 8  x 128 14336 128256 131072 false dense;
    "llama-13b"      "llama" 40 5120 40 / 40 x 128 13824 32000  4096   false dense;
    "llama-70b"      "llama" 80 8192 64 / 8  x 128 28672 128256 131072 false dense;
    "qwen3-30b-a3b"  "qwen3moe" 48 2048 32 / 4 x 128 768 151936 40960 false eight_of_128;
};

fn numbers(outline: &mut Outline) {
    outline.put("attention.layer_norm_rms_epsilon", Value::Float(1e-5));
    outline.put("rope.freq_base", Value::Float(1e4));
    outline.vector("output_norm", outline.dim());
}

fn dense(outline: &mut Outline) {
    numbers(outline);
    let (dim, ffn_dim) = (outline.dim(), outline.number("feed_forward_length"));
    let head_dim = outline.number("attention.key_length");
    for layer in outline.layers() {
        outline.vector(&format!("blk.{layer}.attn_norm"), dim);
        outline.attention(layer, head_dim);
        outline.vector(&format!("blk.{layer}.ffn_norm"), dim);
        outline.mlp(layer, ffn_dim);
    }
}

fn eight_of_128(outline: &mut Outline) {
    numbers(outline);
    let (dim, ffn_dim) = (outline.dim(), outline.number("feed_forward_length"));
    outline.put("expert_used_count", Value::Unsigned(8));
    outline.put("expert_count", Value::Unsigned(128));
    outline.put("expert_feed_forward_length", Value::Unsigned(ffn_dim));
    let head_dim = outline.number("attention.key_length");
    for layer in outline.layers() {
        outline.vector(&format!("blk.{layer}.attn_norm"), dim);
        outline.attention(layer, head_dim);
        outline.head_norms(layer, head_dim);
        outline.vector(&format!("blk.{layer}.ffn_norm"), dim);
        outline.mixture(layer);
    }
}
