//! gpt-oss's shapes: experts and biases everywhere, a window on every second layer.

use super::{
    super::Value,
    outline::{Outline, Shape},
};

macro_rules! shapes {
    ($($name:literal $layers:literal $experts:literal;)*) => {
        &[$(Shape {
            name: $name,
            family: "gpt-oss",
            vocab_size: 201_088,
            tied: false,
            keys: &[
                ("block_count", $layers),
                ("embedding_length", 2880),
                ("attention.head_count", 64),
                ("attention.head_count_kv", 8),
                ("attention.key_length", 64),
                ("attention.value_length", 64),
                ("attention.sliding_window", 128),
                ("feed_forward_length", 2880),
                ("context_length", 131_072),
                ("rope.scaling.original_context_length", 4096),
                ("expert_count", $experts),
                ("expert_used_count", 4),
                ("expert_feed_forward_length", 2880),
            ],
            rest: blocks,
        }),*]
    };
}

/// Layers, experts.
pub const SHAPES: &[Shape] = shapes! {
    "gpt-oss-20b" 24 32;
    "gpt-oss-120b" 36 128;
};

fn blocks(outline: &mut Outline) {
    outline.put("attention.layer_norm_rms_epsilon", Value::Float(1e-5));
    outline.put("rope.freq_base", Value::Float(150_000.0));
    outline.put("rope.scaling.type", Value::Text("yarn".to_owned()));
    outline.put("rope.scaling.factor", Value::Float(32.0));
    let (dim, heads, keys) = (outline.dim(), 64 * 64, 8 * 64);
    let (ffn_dim, experts) = (
        outline.number("expert_feed_forward_length"),
        outline.number("expert_count"),
    );
    outline.vector("output_norm", dim);
    for layer in outline.layers() {
        let name = |part: &str| format!("blk.{layer}.{part}");
        outline.vector(&name("attn_norm"), dim);
        outline.vector(&name("post_attention_norm"), dim);
        outline.attention(layer, 64);
        outline.vector(&name("attn_sinks"), 64);
        outline.mixture(layer);
        for (part, shape) in [
            ("attn_q", vec![heads]),
            ("attn_k", vec![keys]),
            ("attn_v", vec![keys]),
            ("attn_output", vec![dim]),
            ("ffn_gate_inp", vec![experts]),
            ("ffn_gate_exps", vec![ffn_dim, experts]),
            ("ffn_up_exps", vec![ffn_dim, experts]),
            ("ffn_down_exps", vec![dim, experts]),
        ] {
            outline.floats(&name(&format!("{part}.bias")), shape);
        }
    }
}
