//! References with state spaces, latent attention, or experts stored the other way round, and how `transformers` has them: names of
//! tensors, and the whole of a configuration in its own keys.

/// A reference, and how `transformers` has it.
pub struct Case {
    /// Name of the reference.
    pub reference: &'static str,
    /// In `architectures`.
    pub architecture: &'static str,
    /// GGUF's part of a name and that of `transformers`; `E` stands for the number of an expert.
    pub names: &'static [Names],
    /// GGUF permutes the rows of queries and keys.
    pub permuted: bool,
    /// The configuration, as JSON, but for what all have.
    pub config: &'static str,
    /// More of it.
    pub more: &'static str,
}

/// GGUF's part of a name, and that of `transformers`.
pub type Names = &'static [(&'static str, &'static str)];

/// Names in most models.
const LLAMA: Names = &[
    ("token_embd", "model.embed_tokens"),
    ("output_norm", "model.norm"),
    ("output", "lm_head"),
    ("attn_norm", "input_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("ffn_gate_inp", "mlp.gate"),
    ("ffn_gate_exps", "mlp.experts.E.gate_proj"),
    ("ffn_up_exps", "mlp.experts.E.up_proj"),
    ("ffn_down_exps", "mlp.experts.E.down_proj"),
    ("ffn_gate_shexp", "mlp.shared_experts.gate_proj"),
    ("ffn_up_shexp", "mlp.shared_experts.up_proj"),
    ("ffn_down_shexp", "mlp.shared_experts.down_proj"),
    ("exp_probs_b.bias", "mlp.gate.e_score_correction_bias"),
];

const LATENT: Names = &[
    ("attn_q_a", "self_attn.q_a_proj"),
    ("attn_q_a_norm", "self_attn.q_a_layernorm"),
    ("attn_q_b", "self_attn.q_b_proj"),
    ("attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"),
    ("attn_kv_a_norm", "self_attn.kv_a_layernorm"),
    ("attn_kv_b", "self_attn.kv_b_proj"),
];

const KIMI: Names = &[
    ("ssm_conv1d_q", "self_attn.q_conv1d"),
    ("ssm_conv1d_k", "self_attn.k_conv1d"),
    ("ssm_conv1d_v", "self_attn.v_conv1d"),
    ("ssm_f_a", "self_attn.f_a_proj"),
    ("ssm_f_b", "self_attn.f_b_proj"),
    ("ssm_g_a", "self_attn.g_a_proj"),
    ("ssm_g_b", "self_attn.g_b_proj"),
    ("ssm_beta", "self_attn.b_proj"),
    ("ssm_norm", "self_attn.o_norm"),
    ("ssm_a", "self_attn.A_log"),
    ("ssm_dt.bias", "self_attn.dt_bias"),
    ("ffn_gate_inp", "block_sparse_moe.gate"),
    ("ffn_gate_exps", "block_sparse_moe.experts.E.w1"),
    ("ffn_up_exps", "block_sparse_moe.experts.E.w3"),
    ("ffn_down_exps", "block_sparse_moe.experts.E.w2"),
    (
        "ffn_gate_shexp",
        "block_sparse_moe.shared_experts.gate_proj",
    ),
    ("ffn_up_shexp", "block_sparse_moe.shared_experts.up_proj"),
    (
        "ffn_down_shexp",
        "block_sparse_moe.shared_experts.down_proj",
    ),
    (
        "exp_probs_b.bias",
        "block_sparse_moe.gate.e_score_correction_bias",
    ),
];

const LLAMA4: Names = &[
    ("ffn_gate", "feed_forward.gate_proj"),
    ("ffn_up", "feed_forward.up_proj"),
    ("ffn_down", "feed_forward.down_proj"),
    ("ffn_gate_inp", "feed_forward.router"),
    ("ffn_gate_shexp", "feed_forward.shared_expert.gate_proj"),
    ("ffn_up_shexp", "feed_forward.shared_expert.up_proj"),
    ("ffn_down_shexp", "feed_forward.shared_expert.down_proj"),
];

const GPT_OSS: Names = &[
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_gate_inp", "mlp.router"),
    ("attn_sinks.weight", "self_attn.sinks"),
    ("ffn_down_exps.bias", "mlp.experts.down_proj_bias"),
];

const MAMBAS: Names = &[
    ("token_embd", "backbone.embeddings"),
    ("output_norm", "backbone.norm_f"),
    ("attn_norm", "norm"),
    ("ssm_in", "mixer.in_proj"),
    ("ssm_conv1d", "mixer.conv1d"),
    ("ssm_x", "mixer.x_proj"),
    ("ssm_dt.bias", "mixer.dt_bias"),
    ("ssm_a", "mixer.A_log"),
    ("ssm_d", "mixer.D"),
    ("ssm_norm", "mixer.norm"),
    ("ssm_out", "mixer.out_proj"),
];

/// Steps of low rank have a matrix, and their bias with it.
const STEPS: Names = &[
    ("ssm_dt.weight", "mixer.dt_proj.weight"),
    ("ssm_dt.bias", "mixer.dt_proj.bias"),
];

const NEMOTRON: Names = &[
    ("attn_q", "mixer.q_proj"),
    ("attn_k", "mixer.k_proj"),
    ("attn_v", "mixer.v_proj"),
    ("attn_output", "mixer.o_proj"),
    ("ffn_up", "mixer.up_proj"),
    ("ffn_down", "mixer.down_proj"),
    ("ffn_gate_inp", "mixer.gate"),
    ("exp_probs_b.bias", "mixer.gate.e_score_correction_bias"),
    ("ffn_up_exps", "mixer.experts.E.up_proj"),
    ("ffn_down_exps", "mixer.experts.E.down_proj"),
    ("ffn_up_shexp", "mixer.shared_experts.up_proj"),
    ("ffn_down_shexp", "mixer.shared_experts.down_proj"),
    ("ffn_latent_down", "mixer.fc1_latent_proj"),
    ("ffn_latent_up", "mixer.fc2_latent_proj"),
];

const MAMBA: Names = &[
    ("ssm_in", "mamba.in_proj"),
    ("ssm_conv1d", "mamba.conv1d"),
    ("ssm_dt.bias", "mamba.dt_bias"),
    ("ssm_a", "mamba.A_log"),
    ("ssm_d", "mamba.D"),
    ("ssm_norm", "mamba.norm"),
    ("ssm_out", "mamba.out_proj"),
];

const GRANITE: Names = &[
    ("ffn_down", "shared_mlp.output_linear"),
    ("ffn_down_shexp", "shared_mlp.output_linear"),
    ("ffn_gate_inp", "block_sparse_moe.router.layer"),
    ("ffn_down_exps", "block_sparse_moe.output_linear"),
];

const FALCON_H1: Names = &[
    ("output_norm", "model.final_layernorm"),
    ("ffn_norm", "pre_ff_layernorm.weight"),
    ("ffn_gate", "feed_forward.gate_proj"),
    ("ffn_up", "feed_forward.up_proj"),
    ("ffn_down", "feed_forward.down_proj"),
];

const JAMBA: Names = &[
    ("output_norm", "model.final_layernorm"),
    ("ffn_norm", "pre_ff_layernorm"),
    ("ffn_gate", "feed_forward.gate_proj"),
    ("ffn_up", "feed_forward.up_proj"),
    ("ffn_down", "feed_forward.down_proj"),
    ("ffn_gate_inp", "feed_forward.router"),
    ("ffn_gate_exps", "feed_forward.experts.E.gate_proj"),
    ("ffn_up_exps", "feed_forward.experts.E.up_proj"),
    ("ffn_down_exps", "feed_forward.experts.E.down_proj"),
    ("ssm_x", "mamba.x_proj"),
    ("ssm_dt.weight", "mamba.dt_proj.weight"),
    ("ssm_dt.bias", "mamba.dt_proj.bias"),
    ("ssm_dt_norm", "mamba.dt_layernorm"),
    ("ssm_b_norm", "mamba.b_layernorm"),
    ("ssm_c_norm", "mamba.c_layernorm"),
];

const LAGUNA: Names = &[
    ("attn_gate", "self_attn.g_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("exp_probs_b.bias", "mlp.experts.e_score_correction_bias"),
    ("ffn_gate_shexp", "mlp.shared_expert.gate_proj"),
    ("ffn_up_shexp", "mlp.shared_expert.up_proj"),
    ("ffn_down_shexp", "mlp.shared_expert.down_proj"),
];

const LAGUNA_SIZES: &str = r#"{"hidden_size": 64, "intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 16,
    "rms_norm_eps": 1e-6, "hidden_act": "silu", "attention_bias": false, "num_experts": 5, "num_experts_per_tok": 3,
    "moe_intermediate_size": 16, "shared_expert_intermediate_size": 24, "moe_routed_scaling_factor": 2.5,
    "moe_router_logit_softcapping": 0.0, "moe_apply_router_weight_on_input": false, "rope_parameters": {
    "full_attention": {"rope_type": "yarn", "rope_theta": 500000.0, "partial_rotary_factor": 0.5, "factor": 8.0,
    "original_max_position_embeddings": 16, "beta_fast": 32.0, "beta_slow": 1.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0}}}"#;

const fn laguna(reference: &'static str, config: &'static str) -> Case {
    Case {
        more: LAGUNA_SIZES,
        ..case(reference, "LagunaForCausalLM", &[LAGUNA, LLAMA], config)
    }
}

const fn case(
    reference: &'static str,
    architecture: &'static str,
    names: &'static [Names],
    config: &'static str,
) -> Case {
    Case {
        reference,
        architecture,
        names,
        permuted: false,
        config,
        more: "",
    }
}

const fn latent(reference: &'static str, architecture: &'static str, config: &'static str) -> Case {
    case(reference, architecture, &[LATENT, LLAMA], config)
}

const fn granite(reference: &'static str, config: &'static str) -> Case {
    Case {
        permuted: true,
        more: GRANITE_SIZES,
        ..case(
            reference,
            "GraniteMoeHybridForCausalLM",
            &[GRANITE, MAMBA, LLAMA],
            config,
        )
    }
}

const fn falcon(reference: &'static str, more: &'static str) -> Case {
    Case {
        more,
        ..case(
            reference,
            "FalconH1ForCausalLM",
            &[FALCON_H1, MAMBA, LLAMA],
            FALCON,
        )
    }
}

/// The sizes that all of granite's have.
const GRANITE_SIZES: &str = r#"{"num_hidden_layers": 4, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5, "rope_theta": 10000, "hidden_act": "silu", "attention_bias": false, "embedding_multiplier": 6.0,
    "residual_multiplier": 0.6, "attention_multiplier": 0.1, "logits_scaling": 0.5, "mamba_n_heads": 8, "mamba_n_groups": 1,
    "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_d_head": 16, "mamba_expand": 2, "mamba_chunk_size": 256,
    "mamba_conv_bias": true, "mamba_proj_bias": false, "tie_word_embeddings": true}"#;
const NEMOTRON_H: &str = r#"{"num_hidden_layers": 6, "hidden_size": 64, "vocab_size": 128, "max_position_embeddings": 256,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 20, "intermediate_size": 72, "layer_norm_epsilon": 1e-5,
    "hybrid_override_pattern": "M-*-M-", "mamba_num_heads": 6, "mamba_head_dim": 16, "ssm_state_size": 16, "n_groups": 2,
    "conv_kernel": 4, "mlp_hidden_act": "relu2", "mamba_hidden_act": "silu", "time_step_limit": [0.0, Infinity],
    "time_step_min": 0.001, "use_bias": false, "mlp_bias": false, "attention_bias": false, "use_conv_bias": true}"#;
const NEMOTRON_H_MOE: &str = r#"{"layers_block_type": ["mamba", "moe", "attention", "moe", "mamba", "moe"], "hidden_size": 64,
    "vocab_size": 128, "max_position_embeddings": 256, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 20,
    "intermediate_size": 72, "layer_norm_epsilon": 1e-5, "mamba_num_heads": 6, "mamba_head_dim": 16, "ssm_state_size": 16,
    "n_groups": 2, "conv_kernel": 4, "n_routed_experts": 5, "num_experts_per_tok": 3, "moe_intermediate_size": 20,
    "n_shared_experts": 1, "moe_shared_expert_intermediate_size": 32, "norm_topk_prob": true, "routed_scaling_factor": 2.5,
    "n_group": 1, "topk_group": 1, "moe_latent_size": null, "time_step_limit": [0.0, {"__float__": "Infinity"}]}"#;
const NEMOTRON_H_LATENT: &str = r#"{"layers_block_type": ["linear_attention", "moe", "full_attention", "moe", "linear_attention",
    "moe"], "hidden_size": 64, "vocab_size": 128, "max_position_embeddings": 256, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 20, "intermediate_size": 72, "layer_norm_epsilon": 1e-5, "mamba_num_heads": 6,
    "mamba_head_dim": 16, "ssm_state_size": 16, "n_groups": 2, "conv_kernel": 4, "n_routed_experts": 5,
    "num_experts_per_tok": 3, "moe_intermediate_size": 20, "moe_latent_size": 32, "routed_scaling_factor": 2.5}"#;
const MAMBA_1: &str = r#"{"num_hidden_layers": 3, "hidden_size": 64, "vocab_size": 128, "layer_norm_epsilon": 1e-5, "state_size": 16,
    "conv_kernel": 4, "expand": 2, "intermediate_size": 128, "time_step_rank": 6, "use_bias": false, "use_conv_bias": true,
    "hidden_act": "silu", "residual_in_fp32": true, "time_step_min": 0.001}"#;
const FALCON: &str = r#"{"num_hidden_layers": 3, "hidden_size": 64, "vocab_size": 128, "max_position_embeddings": 256,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 20, "intermediate_size": 48, "rms_norm_eps": 1e-5,
    "rope_theta": 99999997952.0, "hidden_act": "silu", "tie_word_embeddings": false, "mamba_d_ssm": 80, "mamba_n_heads": 5,
    "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2,
    "mamba_conv_bias": true, "mamba_proj_bias": false, "mamba_norm_before_gate": false,
    "embedding_multiplier": 5.5, "lm_head_multiplier": 0.04, "key_multiplier": 0.39, "attention_in_multiplier": 1.1,
    "attention_out_multiplier": 0.94, "ssm_in_multiplier": 1.25, "ssm_out_multiplier": 0.24, "mlp_multipliers": [0.88, 0.3],
    "ssm_multipliers": [0.35, 0.25, 0.18, 0.5, 0.32]}"#;

/// All of them.
pub const CASES: &[Case] = &[
    latent(
        "deepseek2-lite",
        "DeepseekV2ForCausalLM",
        r#"{"num_hidden_layers": 27, "hidden_size": 32, "intermediate_size": 24, "num_attention_heads": 2,
        "num_key_value_heads": 2, "q_lora_rank": null, "kv_lora_rank": 16, "qk_nope_head_dim": 12, "qk_rope_head_dim": 4,
        "v_head_dim": 8, "rms_norm_eps": 1e-6, "rope_theta": 10000, "rope_scaling": {"type": "yarn", "factor": 40,
        "original_max_position_embeddings": 16, "beta_fast": 32, "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707},
        "n_routed_experts": 3, "num_experts_per_tok": 2, "n_shared_experts": 2, "moe_intermediate_size": 8,
        "first_k_dense_replace": 1, "routed_scaling_factor": 1.0, "topk_method": "greedy", "norm_topk_prob": false}"#,
    ),
    latent(
        "deepseek2-v3",
        "DeepseekV3ForCausalLM",
        r#"{"num_hidden_layers": 3, "hidden_size": 64, "intermediate_size": 48, "num_attention_heads": 4,
        "num_key_value_heads": 4, "q_lora_rank": 24, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8,
        "v_head_dim": 20, "rms_norm_eps": 1e-6, "rope_theta": 10000, "rope_scaling": {"type": "yarn", "factor": 40,
        "original_max_position_embeddings": 16, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0},
        "n_routed_experts": 8, "num_experts_per_tok": 3, "n_shared_experts": 1, "moe_intermediate_size": 16,
        "first_k_dense_replace": 1, "routed_scaling_factor": 2.5, "norm_topk_prob": true, "n_group": 4, "topk_group": 2,
        "scoring_func": "sigmoid", "topk_method": "noaux_tc", "rope_interleave": true, "num_nextn_predict_layers": 1}"#,
    ),
    latent(
        "deepseek2-plain",
        "DeepseekV2ForCausalLM",
        r#"{"num_hidden_layers": 3, "hidden_size": 64, "intermediate_size": 48, "num_attention_heads": 4, "q_lora_rank": 20,
        "kv_lora_rank": 24, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8, "v_head_dim": 16, "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}, "n_routed_experts": 5, "num_experts_per_tok": 3,
        "n_shared_experts": 2, "moe_intermediate_size": 16, "routed_scaling_factor": 1.7999999523162842}"#,
    ),
    latent(
        "deepseek2-kvb",
        "DeepseekV2ForCausalLM",
        r#"{"num_hidden_layers": 3, "hidden_size": 64, "intermediate_size": 48, "num_attention_heads": 4, "q_lora_rank": 20,
        "kv_lora_rank": 24, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8, "v_head_dim": 16, "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 40.0, "mscale": 1.0, "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 16}, "n_routed_experts": 5, "num_experts_per_tok": 3, "n_shared_experts": 1,
        "moe_intermediate_size": 16}"#,
    ),
    latent(
        "deepseek2-flash-mtp",
        "Glm4MoeLiteForCausalLM",
        r#"{"num_hidden_layers": 3, "hidden_size": 64, "intermediate_size": 48, "num_attention_heads": 5,
        "num_key_value_heads": 5, "q_lora_rank": 24, "kv_lora_rank": 32, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8,
        "v_head_dim": 16, "rms_norm_eps": 1e-6, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "n_routed_experts": 5, "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 16, "n_group": 1,
        "topk_group": 1, "mlp_layer_types": ["dense", "sparse", "sparse"], "routed_scaling_factor": 1.7999999523162842,
        "num_nextn_predict_layers": 1}"#,
    ),
    // Its temperature starts where YaRN's original context ends; that of 8 has the same ramp as the file's 16.
    latent(
        "deepseek2-temp",
        "Mistral4ForCausalLM",
        r#"{"num_hidden_layers": 3, "hidden_size": 64, "intermediate_size": 48, "num_attention_heads": 4, "q_lora_rank": 24,
        "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "rms_norm_eps": 1e-6,
        "rope_parameters": {"type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "mscale": 1.0, "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 8, "beta_fast": 32.0, "beta_slow": 1.0, "llama_4_scaling_beta": 0.1},
        "n_routed_experts": 5, "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 16, "n_group": 1,
        "topk_group": 1, "first_k_dense_replace": 1, "norm_topk_prob": true}"#,
    ),
    // Lengths of 1 of queries and keys have an epsilon of 1e-6 here, and llama.cpp's are those of norms, 1e-5.
    case(
        "kimi-linear",
        "KimiLinearForCausalLM",
        &[KIMI, LATENT, LLAMA],
        r#"{"num_hidden_layers": 4, "hidden_size": 64, "intermediate_size": 48, "num_attention_heads": 4,
        "num_key_value_heads": 4, "head_dim": 24, "q_lora_rank": null, "kv_lora_rank": 32, "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 8, "v_head_dim": 20, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": null,
        "mla_use_nope": true, "hidden_act": "silu", "num_experts": 5, "num_experts_per_token": 3, "num_shared_experts": 1,
        "moe_intermediate_size": 16, "moe_renormalize": true, "moe_router_activation_func": "sigmoid", "num_expert_group": 1,
        "topk_group": 1, "use_grouped_topk": true, "routed_scaling_factor": 2.446000099182129, "first_k_dense_replace": 1,
        "moe_layer_freq": 1, "num_nextn_predict_layers": 0, "model_max_length": 256, "tie_word_embeddings": false,
        "linear_attn_config": {"full_attn_layers": [3], "head_dim": 16, "kda_layers": [1, 2, 4], "num_heads": 4,
        "short_conv_kernel_size": 4}}"#,
    ),
    case(
        "llama4",
        "Llama4ForConditionalGeneration",
        &[LLAMA4, LLAMA],
        r#"{"num_hidden_layers": 4, "hidden_size": 64, "intermediate_size": 24, "intermediate_size_mlp": 48,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 16384,
        "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "hidden_act": "silu", "num_local_experts": 4, "num_experts_per_tok": 1,
        "rope_scaling": {"rope_type": "longrope", "original_max_position_embeddings": 16384, "attention_factor": 1.0,
        "short_factor": [1.0, 1.1428572, 1.5714285, 2.2857144, 3.2857144, 4.5714288, 6.142857, 8.0],
        "long_factor": [1.0, 1.1428572, 1.5714285, 2.2857144, 3.2857144, 4.5714288, 6.142857, 8.0]}, "interleave_moe_layer_step": 2, "use_qk_norm": true, "no_rope_layers": [1, 1, 1, 0], "attention_chunk_size": 8192,
        "attn_temperature_tuning": 4, "floor_scale": 8192, "attn_scale": 0.1, "for_llm_compressor": false,
        "layer_types": ["chunked_attention", "chunked_attention", "chunked_attention", "full_attention"]}"#,
    ),
    case(
        "gpt-oss",
        "GptOssForCausalLM",
        &[GPT_OSS, LLAMA],
        r#"{"num_hidden_layers": 4, "hidden_size": 64, "intermediate_size": 32, "num_attention_heads": 6,
        "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-5, "rope_theta": 150000, "hidden_act": "silu",
        "attention_bias": true, "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "beta_fast": 32.0, "beta_slow": 1.0,
        "original_max_position_embeddings": 32, "truncate": true}, "sliding_window": 8, "num_local_experts": 4,
        "num_experts_per_tok": 3, "swiglu_limit": 7.0, "swiglu_alpha": 1.702, "layer_types": ["sliding_attention",
        "full_attention", "sliding_attention", "full_attention"]}"#,
    ),
    laguna(
        "laguna",
        r#"{"num_hidden_layers": 5, "num_attention_heads": 4, "num_attention_heads_per_layer": [4, 6, 6, 6, 4],
        "gating": true, "sliding_window": 8, "layer_types": ["full_attention", "sliding_attention", "sliding_attention",
        "sliding_attention", "full_attention"], "mlp_layer_types": ["dense", "sparse", "sparse", "sparse", "sparse"]}"#,
    ),
    laguna(
        "laguna-m",
        r#"{"num_hidden_layers": 3, "num_attention_heads": 6, "gating": "per-element", "sliding_window": 512,
        "layer_types": ["full_attention", "full_attention", "full_attention"]}"#,
    ),
    case(
        "nemotron-h",
        "NemotronHForCausalLM",
        &[NEMOTRON, MAMBAS, LLAMA],
        NEMOTRON_H,
    ),
    case(
        "nemotron-h-moe",
        "NemotronHForCausalLM",
        &[NEMOTRON, MAMBAS, LLAMA],
        NEMOTRON_H_MOE,
    ),
    case(
        "nemotron-h-moe-latent",
        "NemotronHForCausalLM",
        &[NEMOTRON, MAMBAS, LLAMA],
        NEMOTRON_H_LATENT,
    ),
    granite(
        "granitehybrid",
        r#"{"layer_types": ["mamba", "mamba", "attention", "mamba"], "intermediate_size": 24, "num_local_experts": 0,
        "num_experts_per_tok": 0, "shared_intermediate_size": 48, "position_embedding_type": "nope"}"#,
    ),
    granite(
        "granitehybrid-rope",
        r#"{"layers_block_type": ["mamba", "mamba", "attention", "mamba"], "intermediate_size": 24, "num_local_experts": 0,
        "num_experts_per_tok": 0, "shared_intermediate_size": 48, "position_embedding_type": "rope"}"#,
    ),
    granite(
        "granitehybrid-moe",
        r#"{"layer_types": ["linear_attention", "linear_attention", "full_attention", "linear_attention"],
        "intermediate_size": 24, "num_local_experts": 4, "num_experts_per_tok": 2, "shared_intermediate_size": 32,
        "position_embedding_type": null}"#,
    ),
    falcon("falcon-h1", r#"{"mamba_rms_norm": false}"#),
    falcon("falcon-h1-norm", r#"{"mamba_rms_norm": true}"#),
    case(
        "mamba2",
        "Mamba2ForCausalLM",
        &[MAMBAS, LLAMA],
        r#"{"num_hidden_layers": 3, "hidden_size": 64, "vocab_size": 128, "layer_norm_epsilon": 1e-5, "state_size": 16,
        "conv_kernel": 4, "expand": 2, "num_heads": 8, "head_dim": 16, "n_groups": 2, "use_bias": false,
        "use_conv_bias": true, "hidden_act": "silu", "chunk_size": 256, "time_step_rank": 4,
        "time_step_limit": [0.0, Infinity], "tie_word_embeddings": true}"#,
    ),
    case(
        "mamba",
        "MambaForCausalLM",
        &[STEPS, MAMBAS, LLAMA],
        MAMBA_1,
    ),
    case(
        "mamba-falcon",
        "FalconMambaForCausalLM",
        &[STEPS, MAMBAS, LLAMA],
        r#"{"num_hidden_layers": 2, "hidden_size": 64, "vocab_size": 128, "layer_norm_epsilon": 1e-5, "state_size": 16,
        "conv_kernel": 4, "expand": 2, "time_step_rank": 6, "use_conv_bias": true, "hidden_act": "silu",
        "mixer_rms_eps": 1e-5}"#,
    ),
    case(
        "jamba",
        "JambaForCausalLM",
        &[JAMBA, MAMBA, LLAMA],
        r#"{"num_hidden_layers": 4, "hidden_size": 64, "vocab_size": 128, "max_position_embeddings": 256,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 32, "rms_norm_eps": 1e-6,
        "hidden_act": "silu", "num_experts": 4, "num_experts_per_tok": 2, "expert_layer_period": 2, "expert_layer_offset": 1,
        "attn_layer_period": 4, "attn_layer_offset": 2, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2,
        "mamba_dt_rank": 6, "mamba_conv_bias": true, "mamba_proj_bias": false, "use_mamba_kernels": true}"#,
    ),
];
