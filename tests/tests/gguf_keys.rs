//! Keys of a GGUF file: each changes what is computed or said, is refused, or is listed with the reason why nothing reads it.

use std::fmt::Write as _;

use lantern_engine::{
    ModelFile,
    file::{Source, Value},
};

use crate::references;
use crate::support::{
    copies::{Entries, entry, metadata_of, with_metadata},
    gguf::Gguf,
    models::folder,
};

/// Keys of whole numbers behind the family's name, by llama.cpp's `gguf-py` and older files.
#[rustfmt::skip] // a table
const NUMBERS: &[&str] = &[
    "vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length", "expert_count",
    "expert_used_count", "expert_feed_forward_length", "expert_shared_count", "expert_shared_feed_forward_length",
    "expert_chunk_feed_forward_length", "expert_group_count", "expert_group_used_count", "expert_gating_func",
    "experts_per_group", "moe_every_n_layers", "moe_latent_size", "interleave_moe_layer_step",
    "leading_dense_block_count", "nextn_predict_layers", "n_deepstack_layers", "full_attention_interval",
    "embedding_length_per_layer_input", "embedding_length_out", "rescale_every_n_layers", "pooling_type",
    "attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length",
    "attention.key_length_mla", "attention.value_length_mla", "attention.key_length_swa",
    "attention.value_length_swa", "attention.q_lora_rank", "attention.kv_lora_rank", "attention.sliding_window",
    "attention.sliding_window_pattern", "attention.shared_kv_layers", "attention.relative_buckets_count",
    "attention.temperature_length", "rope.dimension_count", "rope.dimension_count_swa",
    "rope.scaling.original_context_length", "ssm.conv_kernel", "ssm.inner_size", "ssm.state_size",
    "ssm.time_step_rank", "ssm.group_count", "wkv.head_size", "shortconv.l_cache", "kda.head_dim",
    "dense_2_feat_in", "dense_2_feat_out", "dense_3_feat_in", "dense_3_feat_out",
    "decoder_block_count", "altup.num_inputs", "token_shift_count",
];

/// Keys of other numbers.
#[rustfmt::skip] // a table
const FACTORS: &[&str] = &[
    "attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon", "attention.scale", "attention.max_alibi_bias",
    "attention.clamp_kqv", "attention.output_scale", "attention.temperature_scale", "attn_logit_softcapping",
    "final_logit_softcapping", "router_logit_softcapping", "logit_scale", "residual_scale", "embedding_scale",
    "expert_weights_scale", "expert_group_scale", "activation_sparsity_scale", "swiglu_clamp_exp",
    "swiglu_clamp_shexp", "rope.freq_base", "rope.freq_base_swa", "rope.scale_linear", "rope.scaling.factor",
    "rope.scaling.attn_factor", "rope.scaling.alpha", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_log_multiplier", "rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor",
];

/// Keys of yes and no.
#[rustfmt::skip] // a table
const FLAGS: &[&str] = &[
    "use_parallel_residual", "swin_norm", "rope.scaling.finetuned", "ssm.dt_b_c_rms",
];

/// All keys behind the family's name, with values that no model of ours has.
fn of_models() -> Vec<(&'static str, Value)> {
    let mut all = vec![
        ("hidden_activation", text("odd")),
        ("tensor_data_layout", text("Meta AI original pth")),
        ("rope.scaling.type", text("odd")),
        ("rope.dimension_sections", Value::Integers(vec![1, 1, 2, 0])),
        ("attention.recurrent_layers", Value::Integers(vec![0; 16])),
        ("expert_weights_norm", text("odd")),
        ("foreign", Value::Bool(true)),
        (
            "classifier.output_labels",
            Value::Texts(vec!["odd".to_owned()]),
        ),
    ];
    all.extend(NUMBERS.iter().map(|&name| (name, Value::Unsigned(52))));
    all.extend(FACTORS.iter().map(|&name| (name, Value::Float(0.375))));
    all.extend(FLAGS.iter().map(|&name| (name, Value::Bool(true))));
    all
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A file with one key more, or another value for it.
fn with(metadata: &Entries, key: &str, value: &Value) -> Entries {
    let mut all = metadata.clone();
    all.retain(|(name, _)| name != key.as_bytes());
    all.push(entry(key, value));
    all
}

fn read(bytes: Vec<u8>) -> ModelFile {
    ModelFile::from_source(Source::from_bytes(bytes)).unwrap()
}

/// Says what is wrong where a key does not do what is said of it.
fn judge(changed: &ModelFile, key: &str, before: &str, after: &str) -> Option<String> {
    let uses = changed.key_uses();
    let used = uses.iter().find(|used| used.key == key).unwrap();
    match &used.passed_over {
        None if before == after => Some(format!("{key} is read, and changes nothing")),
        Some(why) if before != after && why != "the model is not run" => Some(format!(
            "{key} is passed over ({why}), and changes something: {after}"
        )),
        _ => None,
    }
}

#[test]
fn every_key_of_a_model_has_its_say_or_a_reason() {
    let config = |file: &ModelFile| match file.config() {
        Ok(config) => format!("{config:?}"),
        Err(error) => error.to_string(),
    };
    let paths = |kind: &'static str, names: &'static [&str]| {
        names
            .iter()
            .map(move |name| folder(kind).join(format!("{name}.gguf")))
    };
    let old = paths("families", references::FAMILIES);
    let mut wrong = Vec::new();
    let new = paths("families-2026", references::FAMILIES_2026);
    let encoders = paths("families-2026", references::ENCODERS);
    for path in old.chain(new).chain(encoders) {
        let file = ModelFile::open(&path).unwrap();
        let metadata = metadata_of(&file);
        let architecture = file
            .metadata()
            .text("general.architecture")
            .unwrap()
            .unwrap();
        let before = config(&read(with_metadata(&file, metadata.clone())));
        let causal = file
            .metadata()
            .get(&format!("{architecture}.attention.causal"));
        let other = Value::Bool(causal == Some(&Value::Bool(false)));
        for (name, value) in of_models().into_iter().chain([("attention.causal", other)]) {
            let key = format!("{architecture}.{name}");
            // The other of yes and no where a file has one, and both where it has none.
            let tried = match (file.metadata().get(&key), value) {
                (Some(Value::Bool(own)), _) => vec![Value::Bool(!own)],
                (None, Value::Bool(_)) => [true, false].map(Value::Bool).to_vec(),
                (_, value) => vec![value],
            };
            let problems = tried.iter().map(|value| {
                let changed = read(with_metadata(&file, with(&metadata, &key, value)));
                judge(&changed, &key, &before, &config(&changed))
            });
            let problems: Option<Vec<String>> = problems.collect();
            wrong.extend(problems.iter().flatten().next().cloned());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Everything that a file says of text and of sampling.
fn spoken(file: &ModelFile) -> String {
    let mut all = format!(
        "{:?} ",
        file.completion_options().map_err(|error| error.to_string())
    );
    let template = file
        .chat_template()
        .map(|one| one.map(|one| one.source().to_owned()));
    let _ = write!(all, "{:?} ", template.map_err(|error| error.to_string()));
    match file.tokenizer() {
        Err(error) => all + &error.to_string(),
        Ok(tokenizer) => {
            let ends: Vec<bool> = (0..8).map(|token| tokenizer.is_end(token)).collect();
            let pair = tokenizer.encode_pair("a", "b").ok();
            let encoded = ["a b", "aa", "b  a", "z", "<s>a", "\u{e1}"].map(|text| {
                let tokens = [tokenizer.encode(text, true), tokenizer.encode(text, false)];
                let back = tokens
                    .each_ref()
                    .map(|one| one.as_ref().map(|ids| tokenizer.decode(ids)).ok());
                format!(
                    "{:?} {back:?}",
                    tokens.map(|one| one.map_err(|error| error.to_string()))
                )
            });
            let _ = write!(all, "{ends:?} {encoded:?} {pair:?} {:?}", tokenizer.bos());
            all
        }
    }
}

/// Tokenizers of the kinds that GGUF files have here, with eight tokens each.
fn tokenizers() -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
    let texts = |all: &[&str]| Value::Texts(all.iter().map(|&text| text.to_owned()).collect());
    let merges = |all: &[&str]| ("tokenizer.ggml.merges", texts(all));
    let bos = ("tokenizer.ggml.bos_token_id", Value::Unsigned(1));
    let cls = ("tokenizer.ggml.cls_token_id", Value::Unsigned(1));
    let scores = Value::Floats(vec![0., 0., 0., -1., -2., -3., -4., -5.]);
    let scores = ("tokenizer.ggml.scores", scores);
    let kinds: [(_, &str, Vec<_>); 6] = [
        ("llama", "\u{2581}", vec![scores.clone()]),
        (
            "gpt2",
            "\u{120}",
            vec![bos.clone(), merges(&["a a", "\u{120} a"])],
        ),
        (
            "gemma4",
            "\u{2581}",
            vec![bos.clone(), merges(&["a a", "\u{2581} a"])],
        ),
        ("bert", "\u{2581}", vec![cls]),
        ("t5", "\u{2581}", vec![bos.clone(), scores]),
        ("rwkv", " ", vec![bos]),
    ];
    let all = kinds.into_iter().map(|(model, space, mut keys)| {
        let joined = format!("{space}a");
        let tokens = texts(&["<unk>", "<s>", "</s>", space, "a", "b", "aa", &joined]);
        let types = Value::Integers(vec![2, 3, 3, 1, 1, 1, 1, 1]);
        keys.extend([
            ("tokenizer.ggml.tokens", tokens),
            ("tokenizer.ggml.token_type", types),
            ("tokenizer.ggml.seperator_token_id", Value::Unsigned(2)),
            ("tokenizer.ggml.add_sep_token", Value::Bool(true)),
        ]);
        (model, keys)
    });
    all.collect()
}

/// Keys behind `tokenizer.ggml.` that name a token.
#[rustfmt::skip] // a table
const ROLES: &[&str] = &[
    "bos", "eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep", "unknown", "padding", "seperator", "mask", "cls", "fim_pre",
    "fim_suf", "fim_mid", "prefix", "suffix", "middle",
];

/// Keys of tokenizers, templates and sampling, with values that the tokenizers above do not have.
fn of_text(model: &str) -> Vec<(String, Value)> {
    let role = |name: &&str| {
        (
            format!("tokenizer.ggml.{name}_token_id"),
            Value::Unsigned(6),
        )
    };
    let mut all: Vec<_> = ROLES.iter().map(role).collect();
    let others = [
        ("tokenizer.ggml.scores", Value::Floats(vec![-1.0; 8])),
        ("tokenizer.ggml.token_type", Value::Integers(vec![1; 8])),
        ("tokenizer.ggml.model", text("odd")),
        ("tokenizer.ggml.pre", text("odd")),
        ("tokenizer.ggml.tokens", Value::Texts(vec!["a".into()])),
        ("tokenizer.ggml.merges", Value::Texts(vec!["b b".into()])),
        // The other way round than each kind has it.
        (
            "tokenizer.ggml.add_bos_token",
            Value::Bool(model != "llama"),
        ),
        ("tokenizer.ggml.add_eos_token", Value::Bool(model != "t5")),
        ("tokenizer.ggml.add_sep_token", Value::Bool(false)),
        (
            "tokenizer.ggml.add_space_prefix",
            Value::Bool(model != "llama"),
        ),
        ("tokenizer.ggml.normalizer.lowercase", Value::Bool(false)),
        (
            "tokenizer.ggml.normalizer.strip_accents",
            Value::Bool(false),
        ),
        ("tokenizer.ggml.token_type_count", Value::Unsigned(2)),
        (
            "tokenizer.ggml.precompiled_charsmap",
            Value::Integers(vec![1, 2]),
        ),
        ("tokenizer.ggml.remove_extra_whitespaces", Value::Bool(true)),
        ("tokenizer.ggml.foreign", Value::Bool(true)),
        ("tokenizer.chat_template", text("{{ messages }}")),
        ("tokenizer.huggingface.json", text("{}")),
        ("tokenizer.rwkv.world", text("x")),
        ("general.author", text("x")),
        ("general.sampling.temp", Value::Float(0.125)),
        ("general.sampling.top_k", Value::Signed(7)),
        ("general.sampling.top_p", Value::Float(0.125)),
        ("general.sampling.min_p", Value::Float(0.125)),
        ("general.sampling.penalty_repeat", Value::Float(1.5)),
        ("general.sampling.penalty_last_n", Value::Signed(9)),
        ("general.sampling.sequence", text("temperature;top_k")),
        ("general.sampling.mirostat", Value::Signed(2)),
        ("general.sampling.mirostat_tau", Value::Float(7.0)),
        ("general.sampling.mirostat_eta", Value::Float(0.5)),
        ("general.sampling.xtc_probability", Value::Float(0.5)),
        ("general.sampling.xtc_threshold", Value::Float(0.5)),
    ];
    all.extend(others.map(|(key, value)| (key.to_owned(), value)));
    all
}

#[test]
fn every_key_of_text_and_sampling_has_its_say_or_a_reason() {
    let mut wrong = Vec::new();
    for (model, tokenizer) in tokenizers() {
        let mut metadata = Gguf::sound().metadata;
        metadata.push(entry("tokenizer.ggml.model", &text(model)));
        metadata.extend(tokenizer.iter().map(|(key, value)| entry(key, value)));
        // So that the number of tokens that it looks at has its say.
        metadata.push(entry(
            "general.sampling.penalty_repeat",
            &Value::Float(1.25),
        ));
        let file = |metadata| {
            read(
                Gguf {
                    metadata,
                    ..Gguf::sound()
                }
                .bytes(),
            )
        };
        let before = spoken(&file(metadata.clone()));
        assert!(!before.contains("file"), "{before}");
        for (key, value) in of_text(model) {
            let changed = file(with(&metadata, &key, &value));
            let found = judge(&changed, &key, &before, &spoken(&changed));
            wrong.extend(found.map(|what| format!("{model}: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
