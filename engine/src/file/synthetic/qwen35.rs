//! Qwen 3.5's shapes: gated delta nets, every fourth layer gated attention.

use super::{
    super::Value,
    outline::{Outline, Shape},
};

macro_rules! shapes {
    ($($name:literal $family:literal $layers:literal $dim:literal $heads:literal / $kv_heads:literal $value_heads:literal x 128 = $inner:literal $ffn:literal $tied:literal $rest:expr;)*) => {
        &[$(Shape {
            name: $name,
            family: $family,
            vocab_size: 248_320,
            tied: $tied,
            keys: &[
                ("block_count", $layers),
                ("embedding_length", $dim),
                ("attention.head_count", $heads),
                ("attention.head_count_kv", $kv_heads),
                ("attention.key_length", 256),
                ("attention.value_length", 256),
                ("feed_forward_length", $ffn),
                ("context_length", 262_144),
                ("rope.dimension_count", 64),
                ("full_attention_interval", 4),
                ("ssm.conv_kernel", 4),
                ("ssm.state_size", 128),
                ("ssm.group_count", 16),
                ("ssm.time_step_rank", $value_heads),
                ("ssm.inner_size", $inner),
            ],
            rest: $rest,
        }),*]
    };
}

/// Layers, dim, heads / key heads, value heads of delta nets and their values, MLP, tied.
pub const SHAPES: &[Shape] = shapes! {
    "qwen3.5-0.8b"    "qwen35" 24 1024 8  / 2 16 x 128 = 2048 3584  true  dense;
    "qwen3.5-2b"      "qwen35" 24 2048 8  / 2 16 x 128 = 2048 6144  true  dense;
    "qwen3.5-4b"      "qwen35" 32 2560 16 / 4 32 x 128 = 4096 9216  true  dense;
    "qwen3.5-9b"      "qwen35" 32 4096 16 / 4 32 x 128 = 4096 12288 false dense;
    "qwen3.5-27b"     "qwen35" 64 5120 24 / 4 48 x 128 = 6144 17408 false dense;
    "qwen3.5-35b-a3b" "qwen35moe" 40 2048 16 / 2 32 x 128 = 4096 512 false mixed;
};

fn dense(outline: &mut Outline) {
    let ffn_dim = outline.number("feed_forward_length");
    blocks(outline, |outline, layer| outline.mlp(layer, ffn_dim));
}

fn mixed(outline: &mut Outline) {
    let ffn_dim = outline.number("feed_forward_length");
    outline.put("expert_count", Value::Unsigned(256));
    outline.put("expert_used_count", Value::Unsigned(8));
    for key in [
        "expert_feed_forward_length",
        "expert_shared_feed_forward_length",
    ] {
        outline.put(key, Value::Unsigned(ffn_dim));
    }
    blocks(outline, |outline, layer| {
        outline.mixture(layer);
        outline.shared_expert(layer, ffn_dim);
        let dim = outline.dim();
        outline.vector(&format!("blk.{layer}.ffn_gate_inp_shexp"), dim);
    });
}

fn blocks(outline: &mut Outline, mlp: impl Fn(&mut Outline, u64)) {
    outline.put("attention.layer_norm_rms_epsilon", Value::Float(1e-6));
    outline.put("rope.freq_base", Value::Float(1e7));
    let sections = Value::Integers(vec![11, 11, 10, 0]);
    outline.put("rope.dimension_sections", sections);
    let dim = outline.dim();
    outline.vector("output_norm", dim);
    for layer in outline.layers() {
        for norm in ["attn_norm", "post_attention_norm"] {
            outline.vector(&format!("blk.{layer}.{norm}"), dim);
        }
        if layer % 4 == 3 {
            attention(outline, layer);
        } else {
            delta_net(outline, layer);
        }
        mlp(outline, layer);
    }
}

/// Attention whose queries' matrix makes their gates, too.
fn attention(outline: &mut Outline, layer: u64) {
    let (dim, name) = (outline.dim(), |part: &str| format!("blk.{layer}.{part}"));
    let head_dim = outline.number("attention.key_length");
    let heads = outline.number("attention.head_count") * head_dim;
    let keys = outline.number("attention.head_count_kv") * head_dim;
    outline.matrix(&name("attn_q"), dim, 2 * heads);
    outline.matrix(&name("attn_k"), dim, keys);
    outline.matrix(&name("attn_v"), dim, keys);
    outline.matrix(&name("attn_output"), heads, dim);
    outline.head_norms(layer, head_dim);
}

fn delta_net(outline: &mut Outline, layer: u64) {
    let (dim, name) = (outline.dim(), |part: &str| format!("blk.{layer}.{part}"));
    let (heads, values) = (
        outline.number("ssm.time_step_rank"),
        outline.number("ssm.inner_size"),
    );
    let head_dim = outline.number("ssm.state_size");
    let channels = 2 * outline.number("ssm.group_count") * head_dim + values;
    outline.matrix(&name("attn_qkv"), dim, channels);
    outline.matrix(&name("attn_gate"), dim, values);
    outline.matrix(&name("ssm_alpha"), dim, heads);
    outline.matrix(&name("ssm_beta"), dim, heads);
    outline.floats(&name("ssm_conv1d.weight"), vec![4, channels]);
    outline.floats(&name("ssm_dt.bias"), vec![heads]);
    outline.floats(&name("ssm_a"), vec![heads]);
    outline.vector(&name("ssm_norm"), head_dim);
    outline.matrix(&name("ssm_out"), values, dim);
}
