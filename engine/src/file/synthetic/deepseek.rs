//! Shapes of latent attention as DeepSeek 2 has it.

use super::{
    super::Value,
    outline::{Outline, Shape},
};

/// GLM 4.7 Flash, without its draft block.
pub const SHAPES: &[Shape] = &[Shape {
    name: "glm-4.7-flash",
    family: "deepseek2",
    vocab_size: 154_880,
    tied: false,
    keys: &[
        ("block_count", 47),
        ("embedding_length", 2048),
        ("attention.head_count", 20),
        ("attention.head_count_kv", 1),
        ("attention.q_lora_rank", 768),
        ("attention.kv_lora_rank", 512),
        ("attention.key_length", 576),
        ("attention.value_length", 512),
        ("attention.key_length_mla", 256),
        ("attention.value_length_mla", 256),
        ("rope.dimension_count", 64),
        ("feed_forward_length", 10240),
        ("context_length", 202_752),
        ("leading_dense_block_count", 1),
        ("expert_count", 64),
        ("expert_used_count", 4),
        ("expert_shared_count", 1),
        ("expert_feed_forward_length", 1536),
        ("expert_gating_func", 2),
    ],
    rest: blocks,
}];

fn blocks(outline: &mut Outline) {
    outline.put("attention.layer_norm_rms_epsilon", Value::Float(1e-5));
    outline.put("rope.freq_base", Value::Float(1e6));
    outline.put("expert_weights_scale", Value::Float(1.8));
    outline.put("expert_weights_norm", Value::Bool(true));
    let dim = outline.dim();
    outline.vector("output_norm", dim);
    for layer in outline.layers() {
        let name = |part: &str| format!("blk.{layer}.{part}");
        outline.vector(&name("attn_norm"), dim);
        outline.vector(&name("ffn_norm"), dim);
        attention(outline, layer);
        if layer == 0 {
            outline.mlp(layer, outline.number("feed_forward_length"));
            continue;
        }
        outline.mixture(layer);
        let experts = outline.number("expert_count");
        outline.floats(&name("exp_probs_b.bias"), vec![experts]);
        outline.shared_expert(layer, outline.number("expert_feed_forward_length"));
    }
}

fn attention(outline: &mut Outline, layer: u64) {
    let (dim, name) = (outline.dim(), |part: &str| format!("blk.{layer}.{part}"));
    let number = |outline: &Outline, key: &str| outline.number(&format!("attention.{key}"));
    let heads = number(outline, "head_count");
    let (query_rank, rank) = (
        number(outline, "q_lora_rank"),
        number(outline, "kv_lora_rank"),
    );
    let (key_dim, value_dim) = (
        number(outline, "key_length_mla"),
        number(outline, "value_length_mla"),
    );
    let rotated = outline.number("rope.dimension_count");
    outline.matrix(&name("attn_q_a"), dim, query_rank);
    outline.vector(&name("attn_q_a_norm"), query_rank);
    outline.matrix(&name("attn_q_b"), query_rank, heads * key_dim);
    outline.matrix(&name("attn_kv_a_mqa"), dim, rank + rotated);
    outline.vector(&name("attn_kv_a_norm"), rank);
    outline.narrow(&name("attn_k_b"), vec![key_dim - rotated, rank, heads]);
    outline.narrow(&name("attn_v_b"), vec![rank, value_dim, heads]);
    outline.matrix(&name("attn_output"), heads * value_dim, dim);
}
