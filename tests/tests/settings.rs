//! Keys of `config.json`: each is read, refused, or known to be harmless. `transformers` knows them; see `FIELDS`.

use std::{fs, path::Path};

use lantern_engine::{
    ModelFile,
    file::{GENERATION_KEYS, GenerationKey, KeyUse},
};
use safetensors::Dtype;
use serde_json::{Value as Json, json};

use crate::support::{
    hugging_face::{export, folder},
    later_cases,
    later_folders::without_infinity,
    models, newer_cases,
};

/// Fields of the configurations of all architectures that are run from safetensors, in transformers 5.24, with values that no
/// model of ours has.
const FIELDS: &str = r#"{
    "vocab_size": 77, "hidden_size": 20, "intermediate_size": 20, "num_hidden_layers": 2,
    "num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": 12, "max_position_embeddings": 77,
    "rms_norm_eps": 0.25, "rope_theta": 77.0, "partial_rotary_factor": 0.5,
    "rope_scaling": {"rope_type": "linear", "factor": 3.0},
    "rope_parameters": {"rope_type": "linear", "factor": 5.0, "rope_theta": 7.0},
    "tie_word_embeddings": "maybe", "hidden_act": "relu", "hidden_activation": "relu",
    "activation_function": "relu", "attention_bias": "maybe", "mlp_bias": "maybe",
    "quantization_config": {"quant_method": "awq"}, "architectures": ["Other"],
    "sliding_window": 5, "use_sliding_window": true, "max_window_layers": 1,
    "layer_types": ["full_attention"], "sliding_window_pattern": 3, "_sliding_window_pattern": 3,
    "no_rope_layers": [0], "no_rope_layer_interval": 3, "rope_local_base_freq": 77.0,
    "query_pre_attn_scalar": 77.0, "attn_logit_softcapping": 7.0, "final_logit_softcapping": 7.0,
    "use_bidirectional_attention": true, "embedding_multiplier": 7.0, "residual_multiplier": 7.0,
    "attention_multiplier": 7.0, "logits_scaling": 7.0, "num_local_experts": 7, "num_experts": 7,
    "num_experts_per_tok": 1, "moe_intermediate_size": 7, "norm_topk_prob": false,
    "mlp_only_layers": [1], "decoder_sparse_step": 2, "n_layer": 2, "n_embd": 20, "n_head": 3,
    "n_inner": 7, "n_positions": 77, "layer_norm_epsilon": 0.25, "scale_attn_weights": false,
    "scale_attn_by_inverse_layer_idx": true, "add_cross_attention": true,
    "is_encoder_decoder": true, "original_max_position_embeddings": 7, "model_type": "other",
    "dtype": "float16", "torch_dtype": "float16", "transformers_version": "1", "_name_or_path": "x",
    "use_cache": false, "pretraining_tp": 2, "reorder_and_upcast_attn": true,
    "chunk_size_feed_forward": 2, "pad_token_id": 1, "initializer_range": 7.0,
    "attention_dropout": 0.5, "attn_pdrop": 0.5, "embd_pdrop": 0.5, "resid_pdrop": 0.5,
    "router_aux_loss_coef": 7.0, "router_jitter_noise": 7.0, "output_router_logits": true,
    "output_attentions": true, "output_hidden_states": true, "return_dict": false, "id2label": {},
    "label2id": {}, "problem_type": "x", "summary_activation": "x", "summary_first_dropout": 0.5,
    "summary_proj_to_labels": false, "summary_type": "x", "summary_use_proj": false,
    "task_specific_params": {}, "n_ctx": 7, "auto_map": {}, "cache_implementation": "x",
    "n_routed_experts": 7, "moe_num_experts": 7, "moe_k": 1, "n_group": 5, "topk_group": 5, "routed_scaling_factor": 7.5,
    "conv_L_cache": 7, "conv_bias": true, "norm_eps": 0.25, "layer_norm_eps": 0.25, "norm_epsilon": 0.25, "logit_scale": 7.5,
    "attention_out_bias": true, "scoring_func": "softmax", "rotary_dim": 8, "swiglu_limit": 5.0, "theta": 77.0,
    "tie_embedding": "maybe", "block_ff_dim": 720, "block_auto_adjust_ff_dim": false, "block_multiple_of": 7,
    "block_ffn_dim_multiplier": 2.5, "full_attn_idxs": [1], "linear_conv_kernel_dim": 7, "linear_key_head_dim": 4,
    "linear_value_head_dim": 4, "linear_num_key_heads": 1, "linear_num_value_heads": 2, "full_attention_interval": 3,
    "attn_output_gate": false, "global_head_dim": 64, "num_global_key_value_heads": 4, "attention_k_eq_v": false,
    "num_kv_shared_layers": 1, "use_double_wide_mlp": true, "hidden_size_per_layer_input": 4, "top_k_experts": 1,
    "first_k_dense_replace": 7, "num_dense_layers": 7, "moe_layer_start_index": 7, "moe_layer_end_index": 7,
    "moe_layer_interval": 7, "n_shared_experts": 7, "moe_num_shared_experts": 7, "moe_norm_min": 7.0,
    "num_nextn_predict_layers": 7, "use_expert_bias": false, "use_routing_bias": false, "use_bias": false,
    "use_qkv_bias": false, "use_qk_norm": false, "qk_layernorm": false, "use_parallel_residual": false,
    "shared_expert_intermediate_size": 7, "mtp_num_hidden_layers": 7, "enable_moe_block": false,
    "vocab_size_per_layer_input": 7,
    "intermediate_size_mlp": 20, "attention_chunk_size": 5, "attn_temperature_tuning": false, "floor_scale": 5,
    "attn_scale": 0.5, "interleave_moe_layer_step": 7, "moe_layers": [0], "mlp_layer_types": ["sparse"], "swiglu_alpha": 5.0,
    "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 12, "v_head_dim": 12,
    "topk_method": "group_limited_greedy", "rope_interleave": false, "moe_latent_size": 8, "mlp_hidden_act": "relu",
    "mamba_hidden_act": "relu", "layers_block_type": ["mamba"], "hybrid_override_pattern": "M", "mamba_num_heads": 3,
    "mamba_head_dim": 4, "ssm_state_size": 8, "state_size": 8, "n_groups": 1, "conv_kernel": 7, "expand": 3,
    "use_conv_bias": false, "mamba_conv_bias": false, "time_step_limit": [0.125, 1.0], "time_step_rank": 7, "num_heads": 2,
    "mixer_rms_eps": 0.25, "mamba_n_heads": 2, "mamba_n_groups": 5, "mamba_d_state": 8, "mamba_d_conv": 7, "mamba_expand": 3,
    "mamba_d_ssm": 40, "mamba_dt_rank": 7, "mamba_norm_before_gate": true, "mamba_d_head": 7, "mamba_rms_norm": false,
    "lm_head_multiplier": 7.0, "key_multiplier": 7.0, "attention_in_multiplier": 7.0, "attention_out_multiplier": 7.0,
    "ssm_in_multiplier": 7.0, "ssm_out_multiplier": 7.0, "mlp_multipliers": [7.0, 7.0],
    "ssm_multipliers": [7.0, 7.0, 7.0, 7.0, 7.0], "shared_intermediate_size": 7, "position_embedding_type": "rope",
    "expert_layer_period": 7, "expert_layer_offset": 7, "attn_layer_period": 7, "attn_layer_offset": 7,
    "moe_shared_expert_intermediate_size": 7, "moe_shared_expert_overlap": false, "use_mamba_kernels": false,
    "use_mambapy": true, "use_associative_scan": false, "chunk_size": 7, "mamba_chunk_size": 7,
    "mamba_ssm_cache_dtype": "float16", "residual_in_fp32": false, "rescale_prenorm_residual": true, "hidden_dropout": 0.5,
    "time_step_min": 0.5, "time_step_max": 0.5, "time_step_floor": 0.5, "time_step_init_scheme": "x", "time_step_scale": 7.0,
    "num_attention_heads_per_layer": [2], "moe_routed_scaling_factor": 7.5, "moe_router_logit_softcapping": 7.0,
    "moe_apply_router_weight_on_input": true, "gating": "per-element",
    "linear_attn_config": {"head_dim": 8}, "linear_head_dim": 8, "linear_num_heads": 7, "model_max_length": 128,
    "num_experts_per_token": 1, "moe_renormalize": false, "num_expert_group": 5, "num_shared_experts": 7,
    "moe_router_activation_func": "softmax", "mla_use_nope": false,
    "num_logits_to_keep": 7, "mamba_proj_bias": true, "projectors_bias": true, "mtp_layers_block_type": ["moe"]
}"#;

/// Kimi Linear's layers, without sizes, which then stand beside them.
const KDA_LAYERS: &str = r#"{"full_attn_layers": [3], "kda_layers": [1, 2, 4]}"#;

/// Keys that change something only beside another: key, the other, its value as JSON.
const BESIDE: &[(&str, &str, &str)] = &[
    ("sliding_window", "use_sliding_window", "true"),
    ("sliding_window", "max_window_layers", "0"),
    ("use_sliding_window", "sliding_window", "9"),
    ("use_sliding_window", "max_window_layers", "0"),
    ("max_window_layers", "use_sliding_window", "true"),
    ("num_local_experts", "num_experts", "null"),
    ("no_rope_layer_interval", "no_rope_layers", "null"),
    ("max_window_layers", "sliding_window", "9"),
    (
        "num_attention_heads",
        "num_attention_heads_per_layer",
        "null",
    ),
    ("intermediate_size", "num_local_experts", "4"),
    ("intermediate_size", "num_experts_per_tok", "2"),
    ("num_experts_per_tok", "num_experts_per_tok", "2"),
    ("num_hidden_layers", "num_hidden_layers", "1"),
    ("max_position_embeddings", "model_max_length", "null"),
    ("num_experts_per_tok", "num_experts_per_token", "null"),
    ("norm_topk_prob", "moe_renormalize", "null"),
    ("n_group", "num_expert_group", "null"),
    ("linear_head_dim", "linear_attn_config", KDA_LAYERS),
    ("linear_head_dim", "linear_num_heads", "4"),
    ("linear_conv_kernel_dim", "linear_attn_config", KDA_LAYERS),
    ("linear_conv_kernel_dim", "linear_num_heads", "4"),
    ("linear_num_heads", "linear_attn_config", KDA_LAYERS),
    ("linear_num_heads", "linear_num_heads", "4"),
    ("mamba_expand", "mamba_n_heads", "4"),
    ("mamba_expand", "mamba_d_ssm", "null"),
    ("mamba_norm_before_gate", "mamba_rms_norm", "true"),
    ("_sliding_window_pattern", "sliding_window_pattern", "null"),
    ("full_attn_idxs", "layer_types", "null"),
    ("intermediate_size", "block_ff_dim", "null"),
    ("rope_theta", "theta", "null"),
    ("rope_theta", "rope_parameters", "null"),
    ("rope_scaling", "rope_parameters", "null"),
    ("partial_rotary_factor", "rope_parameters", "null"),
    ("partial_rotary_factor", "rotary_dim", "null"),
    (
        "original_max_position_embeddings",
        "rope_parameters",
        "null",
    ),
    (
        "original_max_position_embeddings",
        "rope_scaling",
        r#"{"rope_type": "yarn", "factor": 2}"#,
    ),
];

/// The model of a folder as far as its settings decide it, or the error, and the keys that are passed over.
fn outcome(folder: &Path) -> (Result<Json, String>, Vec<KeyUse>) {
    let read = || {
        let file = ModelFile::open(folder)?;
        let config = file.config()?;
        let factors = file.tensors().iter();
        let factors = factors.filter(|tensor| tensor.name.split('.').nth(3) == Some("scale"));
        let factors = factors.map(|tensor| pollster::block_on(file.data(tensor, 0..tensor.bytes)));
        let factors: Vec<_> = factors.map(|bytes| bytes.unwrap().into_owned()).collect();
        Ok((
            json!([file.metadata(), config, file.tensors(), factors]),
            file.key_uses(),
        ))
    };
    match read() {
        Ok((model, uses)) => (Ok(model), uses),
        Err(error) => (Err(lantern_engine::Error::to_string(&error)), vec![]),
    }
}

#[test]
fn every_key_is_read_or_refused_or_known_to_be_harmless() {
    let fields: serde_json::Map<String, Json> = serde_json::from_str(FIELDS).unwrap();
    let mut silent = Vec::new();
    let mut known: Vec<&str> = Vec::new();
    for case in newer_cases::CASES {
        // Its layers with a window have values where the configuration cannot say so.
        if known.contains(&case.architecture) || case.reference == "gemma4-e" {
            continue;
        }
        known.push(case.architecture);
        let path = models::folder("families-2026").join(format!("{}.gguf", case.reference));
        let folder = folder(&format!("settings-{}", case.reference));
        case.export(&ModelFile::open(&path).unwrap(), &folder);
        silent.extend(silent_keys(case.architecture, &folder, &fields));
    }
    for case in later_cases::CASES {
        if known.contains(&case.architecture) {
            continue;
        }
        known.push(case.architecture);
        let path = models::folder("families-2026").join(format!("{}.gguf", case.reference));
        let folder = folder(&format!("settings-{}", case.reference));
        case.export(&ModelFile::open(&path).unwrap(), &folder, Dtype::F32);
        let config = without_infinity(&case.description());
        fs::write(folder.join("config.json"), config).unwrap();
        silent.extend(silent_keys(case.architecture, &folder, &fields));
    }
    for name in [
        "llama", "mixtral", "qwen2", "qwen3", "qwen3moe", "gemma2", "gemma3", "phi3", "smollm3",
        "granite", "olmo2", "gpt2",
    ] {
        let file =
            ModelFile::open(&models::folder("families").join(format!("{name}.gguf"))).unwrap();
        let folder = folder(&format!("settings-{name}"));
        export(&file, &folder, Dtype::F16, 1);
        silent.extend(silent_keys(name, &folder, &fields));
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

/// Keys that do not do what is said of them.
fn silent_keys(name: &str, folder: &Path, fields: &serde_json::Map<String, Json>) -> Vec<String> {
    let mut silent = Vec::new();
    let path = folder.join("config.json");
    let sound: Json = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (key, value) in fields {
        let mut whole = sound.clone();
        let within = whole.get("text_config").is_some();
        let set = |whole: &mut Json, key: &str, value: Json| {
            // What both say of, the whole says.
            let outer = ["architectures", "tie_word_embeddings"].contains(&key);
            let config = if within && !outer {
                &mut whole["text_config"]
            } else {
                whole
            };
            config[key] = value;
        };
        for (_, other, beside) in BESIDE.iter().filter(|(name, ..)| name == key) {
            set(&mut whole, other, serde_json::from_str(beside).unwrap());
        }
        fs::write(&path, whole.to_string()).unwrap();
        // What is beside it may not be left out of every architecture's configuration.
        let before = outcome(folder).0.unwrap_or_else(|_| {
            whole = sound.clone();
            fs::write(&path, whole.to_string()).unwrap();
            outcome(folder).0.unwrap()
        });
        set(&mut whole, key, value.clone());
        fs::write(&path, whole.to_string()).unwrap();
        let (after, uses) = outcome(folder);
        let used = uses
            .iter()
            .find(|used| used.key == format!("config.json: {key}"));
        let same = after.as_ref() == Ok(&before);
        match used.map(|used| used.passed_over.as_deref()) {
            // Refused.
            None => assert!(after.is_err(), "{name}: {key} is in no list"),
            Some(None) if same => {
                silent.push(format!("{name}: {key} is read, and changes nothing"));
            }
            Some(Some(why)) if !same => {
                silent.push(format!(
                    "{name}: {key} is passed over ({why}), and changes something"
                ));
            }
            Some(_) => {}
        }
    }
    silent
}

/// A value for a key of `generation_config.json` that should count.
fn advice(key: &str) -> Json {
    match key {
        "eos_token_id" => json!([1, 5]),
        "do_sample" | "token_healing" => json!(true),
        "temperature" | "top_p" | "min_p" | "typical_p" | "repetition_penalty" => json!(0.25),
        "stop_strings" => json!(["END", "STOP"]),
        "suppress_tokens" => json!([2, 7]),
        key if key.ends_with("_token_id") => json!(0),
        key if key.ends_with("_ids") || key.ends_with("_tokens") => json!([[3]]),
        _ => json!(3),
    }
}

#[test]
fn every_key_of_generation_has_its_say_or_a_reason() {
    let path = models::folder("families").join("llama.gguf");
    let folder = folder("generation");
    export(&ModelFile::open(&path).unwrap(), &folder, Dtype::F16, 1);
    let tokenizer = json!({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}});
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let path = folder.join("generation_config.json");
    // Options of a completion and tokens that end a text, or the error; and why the key is passed over.
    let outcome = |config: Json| {
        fs::write(&path, config.to_string()).unwrap();
        let file = ModelFile::open(&folder).unwrap();
        let ends = file.metadata().integers("lantern.tokenizer.ends").unwrap();
        let options = file.completion_options().map_err(|error| error.to_string());
        let uses = file.key_uses().into_iter();
        let uses: Vec<KeyUse> = uses
            .filter(|used| used.key.starts_with("generation_config.json"))
            .collect();
        (options.map(|options| format!("{options:?} {ends:?}")), uses)
    };
    let before = outcome(json!({})).0;
    let foreign = [("foreign", GenerationKey::Harmless(""))];
    for (key, how) in GENERATION_KEYS.iter().chain(&foreign) {
        let (after, uses) = outcome(json!({*key: advice(key)}));
        assert_eq!(uses[0].key, format!("generation_config.json: {key}"));
        let passed_over = uses[0].passed_over.is_some();
        assert_eq!(
            passed_over,
            matches!(how, GenerationKey::Harmless(_)),
            "{key}"
        );
        match how {
            GenerationKey::Read => assert_ne!(after, before, "{key}"),
            GenerationKey::Harmless(_) => assert_eq!(after, before, "{key}"),
            GenerationKey::Only(neutral) => {
                assert!(after.unwrap_err().contains(key), "{key}");
                for nothing in [json!(null), json!(false), json!([]), json!(neutral)] {
                    // Ids of tokens count from 0.
                    if !(key.ends_with("_token_id") && nothing.is_number()) {
                        assert_eq!(outcome(json!({*key: nothing})).0, before, "{key}");
                    }
                }
            }
        }
    }
}

/// As transformers would sample where the file says so, and as Lantern does where it is silent.
#[test]
fn advice_of_a_folder_is_that_of_transformers() {
    let path = models::folder("families").join("llama.gguf");
    let folder = folder("advice");
    export(&ModelFile::open(&path).unwrap(), &folder, Dtype::F16, 1);
    let sampler = |config: Json| {
        fs::write(folder.join("generation_config.json"), config.to_string()).unwrap();
        let options = ModelFile::open(&folder).unwrap().completion_options();
        let sampler = options.unwrap().sampler;
        (
            sampler.temperature,
            sampler.top_k,
            sampler.top_p,
            sampler.min_p,
        )
    };
    assert_eq!(sampler(json!({})), (0.8, 40, 0.95, 0.05));
    assert_eq!(sampler(json!({"do_sample": true})), (1.0, 50, 1.0, 0.0));
    let qwen = json!({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95});
    assert_eq!(sampler(qwen), (0.6, 20, 0.95, 0.0));
    assert_eq!(sampler(json!({"temperature": 0.5})), (0.5, 40, 0.95, 0.05));
    let greedy = json!({"do_sample": false, "temperature": 0.5});
    assert_eq!(sampler(greedy), (0.0, 40, 0.95, 0.05));
    let config = json!({"suppress_tokens": [3, 1 << 20, 1]});
    fs::write(folder.join("generation_config.json"), config.to_string()).unwrap();
    let options = ModelFile::open(&folder).unwrap().completion_options();
    let never = f32::NEG_INFINITY;
    assert_eq!(
        options.unwrap().sampler.logit_bias,
        [(3, never), (1, never)]
    );
    for wrong in [json!([-1]), json!([1.5]), json!(3), json!(["a"])] {
        let config = json!({"suppress_tokens": wrong});
        fs::write(folder.join("generation_config.json"), config.to_string()).unwrap();
        let error = ModelFile::open(&folder).unwrap_err().to_string();
        assert!(error.contains("a list of tokens' ids is needed"), "{error}");
    }
    let wrong = json!({"top_p": 1.5});
    fs::write(folder.join("generation_config.json"), wrong.to_string()).unwrap();
    let error = ModelFile::open(&folder).unwrap_err().to_string();
    assert!(
        error.contains("top_p is 1.5, where a number from 0 to 1 is needed"),
        "{error}"
    );
}
