//! References of 2025 and 2026 and the architectures of `transformers` that they are written as: names of tensors, and what a
//! configuration says beyond Llama's.

/// A reference, and how `transformers` has it.
pub struct Case {
    /// Name of the reference.
    pub reference: &'static str,
    /// In `architectures`.
    pub architecture: &'static str,
    /// GGUF's part of a name, and that of `transformers`, where it is not Llama's.
    pub names: Names,
    /// GGUF permutes the rows of queries and keys.
    pub permuted: bool,
    /// Keys of the configuration beyond Llama's, as JSON.
    pub config: &'static str,
}

const fn case(reference: &'static str, architecture: &'static str) -> Case {
    Case {
        reference,
        architecture,
        names: &[],
        permuted: false,
        config: "{}",
    }
}

/// GGUF's part of a name, and that of `transformers`.
pub type Names = &'static [(&'static str, &'static str)];

const AFTER: Names = &[
    ("post_attention_norm", "post_attention_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];
const GLM4: Names = &[
    ("post_attention_norm", "post_self_attn_layernorm"),
    ("post_ffw_norm", "post_mlp_layernorm"),
    ("ffn_up", "mlp.gate_up_proj"),
];
const HUNYUAN: Names = &[
    ("attn_q_norm", "self_attn.query_layernorm"),
    ("attn_k_norm", "self_attn.key_layernorm"),
];
const ERNIE: Names = &[("exp_probs_b", "mlp.moe_statics.e_score_correction_bias")];
const STARCODER2: Names = &[("ffn_up", "mlp.c_fc"), ("ffn_down", "mlp.c_proj")];
const STABLELM: Names = &[
    ("attn_q_norm", "self_attn.q_layernorm.norms.E"),
    ("attn_k_norm", "self_attn.k_layernorm.norms.E"),
];
const PHI: Names = &[("ffn_up", "mlp.gate_up_proj")];
const MINIMAX: Names = &[
    ("ffn_gate_inp", "block_sparse_moe.gate"),
    ("exp_probs_b", "block_sparse_moe.e_score_correction_bias"),
    ("ffn_gate_exps", "block_sparse_moe.experts.E.w1"),
    ("ffn_up_exps", "block_sparse_moe.experts.E.w3"),
    ("ffn_down_exps", "block_sparse_moe.experts.E.w2"),
];
const APERTUS: Names = &[
    ("attn_norm", "attention_layernorm"),
    ("ffn_norm", "feedforward_layernorm"),
];
const LFM2: Names = &[
    ("token_embd_norm", "model.embedding_norm"),
    ("attn_norm", "operator_norm"),
    ("ffn_norm", "ffn_norm"),
    ("shortconv.in_proj", "conv.in_proj"),
    ("shortconv.conv", "conv.conv"),
    ("shortconv.out_proj", "conv.out_proj"),
    ("attn_output", "self_attn.out_proj"),
    ("attn_q_norm", "self_attn.q_layernorm"),
    ("attn_k_norm", "self_attn.k_layernorm"),
    ("ffn_gate", "feed_forward.w1"),
    ("ffn_up", "feed_forward.w3"),
    ("ffn_down", "feed_forward.w2"),
    ("ffn_gate_inp", "feed_forward.gate"),
    ("exp_probs_b", "feed_forward.expert_bias"),
    ("ffn_gate_exps", "feed_forward.experts.E.w1"),
    ("ffn_up_exps", "feed_forward.experts.E.w3"),
    ("ffn_down_exps", "feed_forward.experts.E.w2"),
];

pub const QWEN: Names = &[
    ("post_attention_norm", "post_attention_layernorm"),
    ("attn_qkv", "linear_attn.in_proj_qkv"),
    ("attn_gate", "linear_attn.in_proj_z"),
    ("ssm_beta", "linear_attn.in_proj_b"),
    ("ssm_alpha", "linear_attn.in_proj_a"),
    ("ssm_in", "linear_attn.in_proj_qkvz"),
    ("ssm_ba", "linear_attn.in_proj_ba"),
    ("ssm_conv1d", "linear_attn.conv1d"),
    ("ssm_norm", "linear_attn.norm"),
    ("ssm_out", "linear_attn.out_proj"),
    ("ffn_gate_shexp", "mlp.shared_expert.gate_proj"),
    ("ffn_up_shexp", "mlp.shared_expert.up_proj"),
    ("ffn_down_shexp", "mlp.shared_expert.down_proj"),
    ("ffn_gate_inp_shexp", "mlp.shared_expert_gate"),
];
pub const GEMMA4: Names = &[
    ("per_layer_token_embd", "model.embed_tokens_per_layer"),
    ("per_layer_model_proj", "model.per_layer_model_projection"),
    ("per_layer_proj_norm", "model.per_layer_projection_norm"),
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
    ("inp_gate", "per_layer_input_gate"),
    ("proj", "per_layer_projection"),
    ("post_norm", "post_per_layer_input_norm"),
    ("ffn_gate_inp", "router.proj"),
    ("pre_ffw_norm_2", "pre_feedforward_layernorm_2"),
    ("post_ffw_norm_1", "post_feedforward_layernorm_1"),
    ("post_ffw_norm_2", "post_feedforward_layernorm_2"),
];

pub const GPT_OSS: Names = &[
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_gate_inp", "mlp.router"),
];

/// Names of whole parts, which have no ending.
pub const WHOLE: Names = &[
    ("ssm_dt.bias", "linear_attn.dt_bias"),
    ("ssm_a", "linear_attn.A_log"),
    ("attn_sinks.weight", "self_attn.sinks"),
    ("ffn_down_exps.bias", "mlp.experts.down_proj_bias"),
    ("layer_output_scale.weight", "layer_scalar"),
    ("ffn_gate_inp.scale", "router.scale"),
    ("ffn_down_exps.scale", "router.per_expert_scale"),
];

const DELTA_NETS: &str = r#"{"layer_types": "LLLFL", "linear_conv_kernel_dim": 4, "linear_key_head_dim": 16,
    "linear_value_head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 6, "norm_topk_prob": true,
    "attn_output_gate": true, "partial_rotary_factor": 0.8, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6,
    "partial_rotary_factor": 0.8, "mrope_section": [3, 3, 2], "mrope_interleaved": true}}"#;
const DELTA_NETS_4: &str = r#"{"full_attention_interval": 4, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 16,
    "linear_value_head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 6, "norm_topk_prob": true,
    "partial_rotary_factor": 0.8}"#;

const fn qwen(reference: &'static str, architecture: &'static str, config: &'static str) -> Case {
    Case {
        names: QWEN,
        config,
        ..case(reference, architecture)
    }
}

const fn gemma4(reference: &'static str, architecture: &'static str) -> Case {
    Case {
        names: GEMMA4,
        ..case(reference, architecture)
    }
}

/// All of them.
pub const CASES: &[Case] = &[
    Case {
        config: r#"{"hidden_activation": "gelu_pytorch_tanh", "hidden_act": null}"#,
        ..case("gemma", "GemmaForCausalLM")
    },
    Case {
        permuted: true,
        config: r#"{"rope_scaling": {"rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 8,
            "beta_fast": 4.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1}}"#,
        ..case("mistral3", "Ministral3ForCausalLM")
    },
    Case {
        permuted: true,
        config: r#"{"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
            "mscale": 1.0, "mscale_all_dim": 0.5}}"#,
        ..case("mistral3-plain", "Mistral3ForConditionalGeneration")
    },
    Case {
        names: AFTER,
        config: r#"{"sliding_window": null, "layer_types": "FFF"}"#,
        ..case("exaone4", "Exaone4ForCausalLM")
    },
    Case {
        names: AFTER,
        config: r#"{"sliding_window": 8, "sliding_window_pattern": "LLLG"}"#,
        ..case("exaone4-32b", "Exaone4ForCausalLM")
    },
    Case {
        names: AFTER,
        config: r#"{"sliding_window": 8, "layer_types": "SSSFS"}"#,
        ..case("olmo3", "Olmo3ForCausalLM")
    },
    Case {
        names: AFTER,
        config: r#"{"sliding_window": 8}"#,
        ..case("olmo3-plain", "Olmo3ForCausalLM")
    },
    Case {
        names: GLM4,
        config: r#"{"partial_rotary_factor": 0.6, "attention_bias": true}"#,
        ..case("glm4", "Glm4ForCausalLM")
    },
    Case {
        names: AFTER,
        config: r#"{"partial_rotary_factor": 0.6, "attention_bias": true, "n_routed_experts": 5, "num_experts_per_tok": 2,
            "moe_intermediate_size": 16, "norm_topk_prob": true, "routed_scaling_factor": 1.7, "n_group": 1, "topk_group": 1,
            "n_shared_experts": 1, "first_k_dense_replace": 1, "num_nextn_predict_layers": 1}"#,
        ..case("glm4moe", "Glm4MoeForCausalLM")
    },
    Case {
        names: AFTER,
        config: r#"{"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "partial_rotary_factor": 0.6},
            "attention_bias": true, "n_routed_experts": 5, "num_experts_per_tok": 2, "use_qk_norm": true,
            "moe_intermediate_size": 16, "routed_scaling_factor": 1.7}"#,
        ..case("glm4moe-qk", "Glm4MoeForCausalLM")
    },
    Case {
        names: HUNYUAN,
        ..case("hunyuan-dense", "HunYuanDenseV1ForCausalLM")
    },
    Case {
        names: HUNYUAN,
        config: r#"{"rope_theta": 10000.0, "rope_scaling": {"type": "dynamic", "alpha": 1000.0, "factor": 1.0, "mscale": 1.0}}"#,
        ..case("hunyuan-dense-alpha", "HunYuanDenseV1ForCausalLM")
    },
    case("ernie4-5", "Ernie4_5ForCausalLM"),
    Case {
        config: r#"{"use_bias": true}"#,
        ..case("ernie4-5-bias", "Ernie4_5ForCausalLM")
    },
    Case {
        names: ERNIE,
        config: r#"{"moe_num_experts": 6, "moe_k": 3, "moe_intermediate_size": 16, "moe_num_shared_experts": 2}"#,
        ..case("ernie4-5-moe", "Ernie4_5_MoeForCausalLM")
    },
    Case {
        names: AFTER,
        config: r#"{"attention_bias": true, "attention_out_bias": false}"#,
        ..case("seed-oss", "SeedOssForCausalLM")
    },
    Case {
        names: APERTUS,
        config: r#"{"hidden_act": "xielu"}"#,
        ..case("apertus", "ApertusForCausalLM")
    },
    Case {
        config: r#"{"layer_norm_eps": 1e-5, "logit_scale": 0.25}"#,
        ..case("command-r", "CohereForCausalLM")
    },
    Case {
        config: r#"{"layer_norm_eps": 1e-5, "logit_scale": 0.25, "sliding_window": 8, "sliding_window_pattern": 4}"#,
        ..case("cohere2", "Cohere2ForCausalLM")
    },
    Case {
        names: STARCODER2,
        config: r#"{"norm_epsilon": 1e-5, "hidden_act": "gelu_pytorch_tanh", "use_bias": true, "sliding_window": null}"#,
        ..case("starcoder2", "Starcoder2ForCausalLM")
    },
    Case {
        config: r#"{"layer_norm_eps": 1e-5, "use_qkv_bias": true}"#,
        ..case("stablelm", "StableLmForCausalLM")
    },
    Case {
        names: STABLELM,
        config: r#"{"layer_norm_eps": 1e-5, "partial_rotary_factor": 0.25, "qk_layernorm": true, "use_parallel_residual": true}"#,
        ..case("stablelm-parallel", "StableLmForCausalLM")
    },
    Case {
        names: PHI,
        config: r#"{"partial_rotary_factor": 0.75, "attention_bias": false}"#,
        ..case("phi4-mini", "Phi3ForCausalLM")
    },
    Case {
        names: PHI,
        config: r#"{"partial_rotary_factor": 0.75, "attention_bias": false}"#,
        ..case("phi4-mini-long", "Phi3ForCausalLM")
    },
    Case {
        permuted: true,
        config: r#"{"hidden_act": "relu2", "mlp_bias": false}"#,
        ..case("arcee", "ArceeForCausalLM")
    },
    Case {
        names: MINIMAX,
        config: r#"{"rotary_dim": 12, "scoring_func": "sigmoid", "use_routing_bias": true}"#,
        ..case("minimax-m2", "MiniMaxM2ForCausalLM")
    },
    Case {
        config: r#"{"n_routed_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 20, "n_shared_experts": 2,
            "norm_topk_prob": true, "routed_scaling_factor": 2.5, "sliding_window": null}"#,
        ..case("dots1", "Dots1ForCausalLM")
    },
    Case {
        names: LFM2,
        config: r#"{"norm_eps": 1e-5, "conv_L_cache": 3, "conv_bias": false, "layer_types": "CCFCF", "theta": 1e6,
            "block_ff_dim": 72, "block_auto_adjust_ff_dim": true, "block_multiple_of": 16, "block_ffn_dim_multiplier": 1.0}"#,
        ..case("lfm2", "Lfm2ForCausalLM")
    },
    Case {
        names: LFM2,
        config: r#"{"norm_eps": 1e-5, "conv_L_cache": 3, "layer_types": "CCFCF", "num_experts": 6, "num_experts_per_tok": 3,
            "moe_intermediate_size": 24, "norm_topk_prob": true, "use_expert_bias": true, "num_dense_layers": 2}"#,
        ..case("lfm2moe", "Lfm2MoeForCausalLM")
    },
    qwen("qwen35", "Qwen3_5ForConditionalGeneration", DELTA_NETS),
    qwen(
        "qwen35moe",
        "Qwen3_5MoeForConditionalGeneration",
        DELTA_NETS,
    ),
    qwen("qwen3next-ssm-in", "Qwen3NextForCausalLM", DELTA_NETS_4),
    Case {
        names: GPT_OSS,
        config: r#"{"sliding_window": 8, "swiglu_limit": 7.0, "quantization_config": {"quant_method": "mxfp4"}}"#,
        ..case("gpt-oss-mxfp4", "GptOssForCausalLM")
    },
    gemma4("gemma4-e", "Gemma4ForConditionalGeneration"),
    gemma4("gemma4-moe", "Gemma4ForCausalLM"),
    gemma4("gemma4-dense", "Gemma4ForCausalLM"),
    gemma4("gemma4-plain", "Gemma4ForCausalLM"),
];
