//! Gemma 4's shapes: windows, heads of two sizes, embeddings of layers, experts beside an MLP.

use super::{
    super::Value,
    outline::{Outline, Shape},
};

macro_rules! shapes {
    ($($name:literal $layers:literal $dim:literal $heads:literal / $kv_heads:literal $ffn:literal $window:literal $context:literal $own:literal $shared:literal $rest:expr;)*) => {
        &[$(Shape {
            name: $name,
            family: "gemma4",
            vocab_size: 262_144,
            tied: true,
            keys: &[
                ("block_count", $layers),
                ("embedding_length", $dim),
                ("attention.head_count", $heads),
                ("attention.head_count_kv", $kv_heads),
                ("attention.key_length", 512),
                ("attention.value_length", 512),
                ("attention.key_length_swa", 256),
                ("attention.value_length_swa", 256),
                ("attention.sliding_window", $window),
                ("attention.shared_kv_layers", $shared),
                ("embedding_length_per_layer_input", $own),
                ("feed_forward_length", $ffn),
                ("context_length", $context),
                ("rope.dimension_count", 512),
                ("rope.dimension_count_swa", 256),
            ],
            rest: $rest,
        }),*]
    };
}

/// Layers, dim, heads / key heads, MLP, window, context, embeddings of layers, layers that read others' keys.
pub const SHAPES: &[Shape] = shapes! {
    "gemma4-e2b"     35 1536 8  / 1  6144  512  131_072 256 20 e2b;
    "gemma4-e4b"     42 2560 8  / 2  10240 512  131_072 256 18 e4b;
    "gemma4-26b-a4b" 30 2816 16 / 8  2112  1024 262_144 0   0  a4b;
    "gemma4-31b"     60 5376 32 / 16 21504 1024 262_144 0   0  large;
};

fn e2b(outline: &mut Outline) {
    let layers = outline.layers();
    // Layers that read others' keys have MLPs of twice the size.
    let wide = layers
        .map(|layer| if layer < 15 { 6144 } else { 12288 })
        .collect();
    outline.put("feed_forward_length", Value::Integers(wide));
    blocks(outline, 5, None);
}

fn e4b(outline: &mut Outline) {
    blocks(outline, 6, None);
}

fn a4b(outline: &mut Outline) {
    for (key, number) in [
        ("expert_count", 128),
        ("expert_used_count", 8),
        ("expert_feed_forward_length", 704),
    ] {
        outline.put(key, Value::Unsigned(number));
    }
    blocks(outline, 6, Some(2));
}

fn large(outline: &mut Outline) {
    blocks(outline, 6, Some(4));
}

/// Blocks, every so many of which sees all positions: those have so many key heads, which are values, too, if any are said.
fn blocks(outline: &mut Outline, interval: u64, full_kv_heads: Option<u64>) {
    let local = |layer: u64| !(layer + 1).is_multiple_of(interval);
    let windows = outline.layers().map(|layer| i64::from(local(layer)));
    let windows = Value::Integers(windows.collect());
    outline.put("attention.sliding_window_pattern", windows);
    if let Some(full) = full_kv_heads {
        let usual = outline.number("attention.head_count_kv");
        let heads = |layer| if local(layer) { usual } else { full };
        let heads = outline.layers().map(|layer| heads(layer) as i64).collect();
        outline.put("attention.head_count_kv", Value::Integers(heads));
    }
    outline.put("attention.layer_norm_rms_epsilon", Value::Float(1e-6));
    outline.put("rope.freq_base", Value::Float(1e6));
    outline.put("rope.freq_base_swa", Value::Float(1e4));
    outline.put("final_logit_softcapping", Value::Float(30.0));
    let (dim, own) = (
        outline.dim(),
        outline.number("embedding_length_per_layer_input"),
    );
    outline.vector("output_norm", dim);
    if own > 0 {
        let all = own * outline.number("block_count");
        outline.matrix("per_layer_token_embd", all, 262_144);
        outline.matrix("per_layer_model_proj", dim, all);
        outline.vector("per_layer_proj_norm", own);
    }
    for layer in outline.layers() {
        block(outline, layer, local(layer));
        if own > 0 {
            outline.matrix(&format!("blk.{layer}.inp_gate"), dim, own);
            outline.matrix(&format!("blk.{layer}.proj"), own, dim);
            outline.vector(&format!("blk.{layer}.post_norm"), dim);
        }
    }
}

fn block(outline: &mut Outline, layer: u64, local: bool) {
    let (dim, name) = (outline.dim(), |part: &str| format!("blk.{layer}.{part}"));
    for norm in [
        "attn_norm",
        "post_attention_norm",
        "ffn_norm",
        "post_ffw_norm",
    ] {
        outline.vector(&name(norm), dim);
    }
    let head_dim = if local { 256 } else { 512 };
    let heads = outline.number("attention.head_count") * head_dim;
    let keys = outline.number_of("attention.head_count_kv", layer) * head_dim;
    let own = outline.number("block_count") - outline.number("attention.shared_kv_layers");
    outline.matrix(&name("attn_q"), dim, heads);
    outline.vector(&name("attn_q_norm"), head_dim);
    if layer < own {
        outline.matrix(&name("attn_k"), dim, keys);
        outline.vector(&name("attn_k_norm"), head_dim);
        // Where layers have key heads of their own number, keys are values in those that see all positions.
        if local || outline.number("attention.head_count_kv") > 0 {
            outline.matrix(&name("attn_v"), dim, keys);
        }
    }
    outline.matrix(&name("attn_output"), heads, dim);
    outline.mlp(layer, outline.number_of("feed_forward_length", layer));
    if outline.number("expert_count") > 0 {
        experts(outline, layer);
    }
    outline.vector(&name("layer_output_scale"), 1);
}

/// Experts beside the MLP, each gate with its up in one matrix.
fn experts(outline: &mut Outline, layer: u64) {
    let (dim, name) = (outline.dim(), |part: &str| format!("blk.{layer}.{part}"));
    let (ffn_dim, count) = (
        outline.number("expert_feed_forward_length"),
        outline.number("expert_count"),
    );
    outline.floats(&name("ffn_gate_inp.weight"), vec![dim, count]);
    outline.floats(&name("ffn_gate_inp.scale"), vec![dim]);
    outline.experts(&name("ffn_gate_up_exps"), dim, 2 * ffn_dim);
    outline.experts(&name("ffn_down_exps"), ffn_dim, dim);
    outline.floats(&name("ffn_down_exps.scale"), vec![count]);
    for norm in ["pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"] {
        outline.vector(&name(norm), dim);
    }
}
