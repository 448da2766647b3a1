//! Table of GGUF's names for the tensors of `transformers`' models.

use super::row::Row;

/// GGUF's name of the embedding.
pub(super) const EMBEDDING: &str = "token_embd.weight";
/// GGUF's name of the matrix that makes logits.
pub(super) const HEAD: &str = "output.weight";

/// Outside the blocks.
#[rustfmt::skip] // a table
const WHOLE: &[(&str, &str)] = &[
    ("embed_tokens", "token_embd"),
    ("norm", "output_norm"),
    ("lm_head", "output"),
];

/// In `model.layers.N.`; what [`Row`] calls otherwise comes first.
#[rustfmt::skip] // a table
const BLOCK: &[(&str, &str)] = &[
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.gate", "ffn_gate_inp"),
    ("mlp.router", "ffn_gate_inp"),
    ("mlp.shared_expert_gate", "ffn_gate_inp_shexp"),
    ("mlp.shared_expert.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_expert.up_proj", "ffn_up_shexp"),
    ("mlp.shared_expert.down_proj", "ffn_down_shexp"),
    ("mlp.shared_experts.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_experts.up_proj", "ffn_up_shexp"),
    ("mlp.shared_experts.down_proj", "ffn_down_shexp"),
    ("block_sparse_moe.gate", "ffn_gate_inp"),
    ("self_attn.g_proj", "attn_gate"),
    ("self_attn.q_a_proj", "attn_q_a"),
    ("self_attn.q_a_layernorm", "attn_q_a_norm"),
    ("self_attn.q_b_proj", "attn_q_b"),
    ("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"),
    ("self_attn.kv_a_layernorm", "attn_kv_a_norm"),
    ("self_attn.kv_b_proj", "attn_kv_b"),
    ("feed_forward.gate_proj", "ffn_gate"),
    ("feed_forward.up_proj", "ffn_up"),
    ("feed_forward.down_proj", "ffn_down"),
    ("feed_forward.router", "ffn_gate_inp"),
    ("feed_forward.shared_expert.gate_proj", "ffn_gate_shexp"),
    ("feed_forward.shared_expert.up_proj", "ffn_up_shexp"),
    ("feed_forward.shared_expert.down_proj", "ffn_down_shexp"),
    ("block_sparse_moe.input_linear", "ffn_gate_up_exps"),
    ("block_sparse_moe.output_linear", "ffn_down_exps"),
    ("block_sparse_moe.router.layer", "ffn_gate_inp"),
    ("block_sparse_moe.router", "ffn_gate_inp"),
    ("shared_mlp.input_linear", "ffn_gate_up_shexp"),
    ("shared_mlp.output_linear", "ffn_down_shexp"),
    ("pre_ff_layernorm", "ffn_norm"),
    ("mamba.in_proj", "ssm_in"),
    ("mamba.conv1d", "ssm_conv1d"),
    ("mamba.x_proj", "ssm_x"),
    ("mamba.dt_proj", "ssm_dt"),
    ("mamba.dt_layernorm", "ssm_dt_norm"),
    ("mamba.b_layernorm", "ssm_b_norm"),
    ("mamba.c_layernorm", "ssm_c_norm"),
    ("mamba.norm", "ssm_norm"),
    ("mamba.out_proj", "ssm_out"),
    ("linear_attn.in_proj_qkv", "attn_qkv"),
    ("linear_attn.in_proj_z", "attn_gate"),
    ("linear_attn.in_proj_b", "ssm_beta"),
    ("linear_attn.in_proj_a", "ssm_alpha"),
    ("linear_attn.in_proj_qkvz", "ssm_in"),
    ("linear_attn.in_proj_ba", "ssm_ba"),
    ("linear_attn.conv1d", "ssm_conv1d"),
    ("linear_attn.norm", "ssm_norm"),
    ("linear_attn.out_proj", "ssm_out"),
];

/// In `model.layers.N.mlp.experts.N.` and its like.
#[rustfmt::skip] // a table
const EXPERT: &[(&str, &str)] = &[
    ("gate_proj", "ffn_gate_exps"),
    ("up_proj", "ffn_up_exps"),
    ("down_proj", "ffn_down_exps"),
    ("w1", "ffn_gate_exps"),
    ("w3", "ffn_up_exps"),
    ("w2", "ffn_down_exps"),
];

/// In `model.layers.N.`, names that do not end in `.weight` or `.bias`.
#[rustfmt::skip] // a table
const OTHERS: &[(&str, &str)] = &[
    ("mlp.experts.e_score_correction_bias", "exp_probs_b.bias"),
    ("mlp.gate.e_score_correction_bias", "exp_probs_b.bias"),
    ("mlp.moe_statics.e_score_correction_bias", "exp_probs_b.bias"),
    ("block_sparse_moe.e_score_correction_bias", "exp_probs_b.bias"),
    ("feed_forward.expert_bias", "exp_probs_b.bias"),
    ("mlp.act_fn.alpha_p", "xielu.alpha_p"),
    ("mlp.act_fn.alpha_n", "xielu.alpha_n"),
    ("mlp.act_fn.beta", "xielu.beta"),
    ("mlp.act_fn.eps", "xielu.eps"),
    ("mlp.experts.gate_up_proj", "ffn_gate_up_exps.weight"),
    ("mlp.experts.down_proj", "ffn_down_exps.weight"),
    ("self_attn.sinks", "attn_sinks.weight"),
    ("mlp.experts.gate_up_proj_bias", "ffn_gate_up_exps.bias"),
    ("mlp.experts.down_proj_bias", "ffn_down_exps.bias"),
    ("block_sparse_moe.gate.e_score_correction_bias", "exp_probs_b.bias"),
    ("self_attn.A_log", "ssm_a_log"),
    ("self_attn.dt_bias", "ssm_dt.bias"),
    ("linear_attn.A_log", "ssm_a_log"),
    ("mamba.A_log", "ssm_a_log"),
    ("mixer.A_log", "ssm_a_log"),
    ("mamba.D", "ssm_d"),
    ("mixer.D", "ssm_d"),
    ("mamba.dt_bias", "ssm_dt.bias"),
    ("mixer.dt_bias", "ssm_dt.bias"),
    ("mixer.gate.e_score_correction_bias", "exp_probs_b.bias"),
    ("mixer.experts.up_proj", "ffn_up_exps.weight"),
    ("mixer.experts.down_proj", "ffn_down_exps.weight"),
    ("feed_forward.experts.gate_up_proj", "ffn_gate_up_exps.weight"),
    ("feed_forward.experts.down_proj", "ffn_down_exps.weight"),
    ("block_sparse_moe.experts.gate_up_proj", "ffn_gate_up_exps.weight"),
    ("block_sparse_moe.experts.down_proj", "ffn_down_exps.weight"),
    ("layer_scalar", "layer_output_scale.weight"),
    ("router.scale", "ffn_gate_inp.scale"),
    ("router.per_expert_scale", "ffn_down_exps.scale"),
    ("experts.gate_up_proj", "ffn_gate_up_exps.weight"),
    ("experts.down_proj", "ffn_down_exps.weight"),
    ("linear_attn.dt_bias", "ssm_dt.bias"),
];

/// In `model.layers.N.`, before the number of a head.
#[rustfmt::skip] // a table
const HEADS: &[(&str, &str)] = &[
    ("self_attn.q_layernorm.norms", "attn_q_norm"),
    ("self_attn.k_layernorm.norms", "attn_k_norm"),
];

/// Ends of GGUF's names of tensors that have dimensions of 1 more in `transformers`.
const SQUEEZED: [&str; 4] = [
    ".exp_probs_b.bias",
    ".shortconv.conv.weight",
    ".ssm_conv1d.weight",
    ".ffn_gate_inp_shexp.weight",
];

/// Ends of names of tensors that old files have and the configuration gives anyway: RoPE's, GPT-2's causal masks, BERT's
/// positions; and BERT's layer over the first row, which is for training alone.
#[rustfmt::skip] // a table
const COMPUTED: [&str; 6] = [
    "rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", "embeddings.position_ids", "pooler.dense.weight",
    "pooler.dense.bias",
];

/// Meaning of a tensor's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Nothing that is stored in GGUF, or nothing of the text model.
    Computed,
    /// The tensor of this name in GGUF, or its part of one expert.
    Tensor(String, Option<u32>),
    /// Nothing known here.
    Unknown,
}

/// Looks up the tensor `name` of a model of the family of `row`.
pub(super) fn find(name: &str, row: &Row) -> Named {
    let left_out = |start: &&str| name.starts_with(start);
    if row.left_out.iter().any(left_out) {
        return Named::Computed;
    }
    match known(name, row) {
        Some((name, expert)) => Named::Tensor(name, expert),
        None if COMPUTED.iter().any(|end| name.ends_with(end)) => Named::Computed,
        None => Named::Unknown,
    }
}

/// Whether GGUF leaves out dimensions of 1 of the tensor `name`.
pub(super) fn is_squeezed(name: &str) -> bool {
    SQUEEZED.iter().any(|end| name.ends_with(end))
}

/// The layer that a tensor's name in `transformers` has.
pub(super) fn layer(name: &str, row: &Row) -> Option<u32> {
    number(in_block(name, row)?.split_once('.')?.0)
}

/// Number of the block and name within it of a tensor of one.
fn in_block<'n>(name: &'n str, row: &Row) -> Option<&'n str> {
    let name = without_prefix(name, row);
    row.layers.iter().find_map(|start| name.strip_prefix(start))
}

/// The name without its beginning, which files of a model without its head do not have.
fn without_prefix<'n>(name: &'n str, row: &Row) -> &'n str {
    let mut prefixes = row.prefixes.iter();
    prefixes
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// The name in a text model by itself of a tensor that lies in a model that also sees or hears.
fn alone(name: &str) -> Option<String> {
    let inner = ["model.language_model.", "language_model.model."];
    let inner = inner.iter().find_map(|start| name.strip_prefix(start));
    let head = name.strip_prefix("language_model.lm_head.");
    let inner = inner.map(|rest| format!("model.{rest}"));
    inner.or(head.map(|rest| format!("lm_head.{rest}")))
}

fn known(name: &str, row: &Row) -> Option<(String, Option<u32>)> {
    let inner = row.within.and_then(|_| alone(name));
    let name = inner.as_deref().unwrap_or(name);
    let parts = in_block(name, row).and_then(|rest| rest.split_once('.'));
    let other = parts.and_then(|(layer, part)| Some((layer, look_up(OTHERS, part)?)));
    if let Some((layer, part)) = other {
        return Some((format!("blk.{}.{part}", number(layer)?), None));
    }
    let (stem, kind) = name.rsplit_once('.')?;
    let kind = match kind {
        "weight" | "bias" => kind,
        // As TensorFlow calls them, from which the oldest models came.
        "gamma" if stem.ends_with("LayerNorm") => "weight",
        "beta" if stem.ends_with("LayerNorm") => "bias",
        _ => return None,
    };
    let Some(rest) = in_block(stem, row) else {
        let stem = without_prefix(stem, row);
        let part = look_up(row.names, stem)
            .or_else(|| look_up(row.classes(), stem))
            .or_else(|| look_up(WHOLE, stem))?;
        return Some((format!("{part}.{kind}"), None));
    };
    let (layer, part) = rest.split_once('.')?;
    let layer = number(layer)?;
    if let Some((_, expert)) = part.split_once(".experts.") {
        let (expert, part) = expert.split_once('.')?;
        let part = look_up(EXPERT, part)?;
        return Some((format!("blk.{layer}.{part}.{kind}"), Some(number(expert)?)));
    }
    let head = part.rsplit_once('.');
    let head = head.and_then(|(heads, head)| Some((look_up(HEADS, heads)?, head)));
    if let Some((part, head)) = head {
        return Some((format!("blk.{layer}.{part}.{kind}"), Some(number(head)?)));
    }
    let part = look_up(row.names, part).or_else(|| look_up(BLOCK, part))?;
    Some((format!("blk.{layer}.{part}.{kind}"), None))
}

fn look_up(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    let found = table.iter().find(|(theirs, _)| *theirs == name);
    found.map(|&(_, ours)| ours)
}

/// As it is written back: without a sign or zeros before it.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|v: &u32| v.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::{super::rows, *};

    fn is(row: &str, name: &str) -> Named {
        find(name, rows::row_of(row).unwrap())
    }

    fn tensor(name: &str, expert: Option<u32>) -> Named {
        Named::Tensor(name.to_owned(), expert)
    }

    #[test]
    fn names_are_those_of_gguf() {
        let norm = "model.layers.11.post_attention_layernorm.weight";
        let llama = |name| is("LlamaForCausalLM", name);
        assert_eq!(llama(norm), tensor("blk.11.ffn_norm.weight", None));
        assert_eq!(
            is("Gemma2ForCausalLM", norm),
            tensor("blk.11.post_attention_norm.weight", None)
        );
        assert_eq!(
            llama("model.layers.0.self_attn.q_proj.bias"),
            tensor("blk.0.attn_q.bias", None)
        );
        assert_eq!(llama("lm_head.weight"), tensor(HEAD, None));
        assert_eq!(
            is(
                "MixtralForCausalLM",
                "model.layers.3.block_sparse_moe.experts.7.w3.weight"
            ),
            tensor("blk.3.ffn_up_exps.weight", Some(7))
        );
        assert_eq!(
            llama("model.layers.0.self_attn.rotary_emb.inv_freq"),
            Named::Computed
        );
    }

    #[test]
    fn names_of_gpt2_are_its_own() {
        let gpt2 = |name| is("GPT2LMHeadModel", name);
        let qkv = || tensor("blk.3.attn_qkv.weight", None);
        assert_eq!(gpt2("transformer.h.3.attn.c_attn.weight"), qkv());
        assert_eq!(gpt2("h.3.attn.c_attn.weight"), qkv());
        assert_eq!(gpt2("wte.weight"), tensor(EMBEDDING, None));
        assert_eq!(gpt2("h.0.attn.bias"), Named::Computed);
        assert_eq!(gpt2("h.0.attn.masked_bias"), Named::Computed);
    }

    #[test]
    fn names_of_bert_are_its_own() {
        let bert = |name| is("BertModel", name);
        assert_eq!(
            bert("encoder.layer.3.attention.output.LayerNorm.bias"),
            tensor("blk.3.attn_output_norm.bias", None)
        );
        assert_eq!(
            bert("embeddings.word_embeddings.weight"),
            tensor(EMBEDDING, None)
        );
        assert_eq!(bert("embeddings.position_ids"), Named::Computed);
        assert_eq!(bert("pooler.dense.bias"), Named::Computed);
        let norm = || tensor("token_embd_norm.weight", None);
        assert_eq!(bert("bert.embeddings.LayerNorm.weight"), norm());
        assert_eq!(bert("bert.embeddings.LayerNorm.gamma"), norm());
        assert_eq!(bert("embeddings.word_embeddings.gamma"), Named::Unknown);
    }

    #[test]
    fn names_of_classifiers_are_those_of_gguf() {
        for (row, name, ours) in [
            (
                "BertForSequenceClassification",
                "bert.pooler.dense.bias",
                "cls.bias",
            ),
            (
                "BertForSequenceClassification",
                "classifier.weight",
                "cls.output.weight",
            ),
            (
                "XLMRobertaForSequenceClassification",
                "classifier.dense.weight",
                "cls.weight",
            ),
            (
                "ModernBertForSequenceClassification",
                "head.norm.weight",
                "cls.norm.weight",
            ),
            (
                "Qwen3ForSequenceClassification",
                "score.weight",
                "cls.output.weight",
            ),
        ] {
            assert_eq!(is(row, name), tensor(ours, None), "{row}");
        }
        assert_eq!(is("Qwen3ForCausalLM", "score.weight"), Named::Unknown);
    }

    #[test]
    fn models_without_a_head_need_no_beginning() {
        for start in ["", "model."] {
            let name = format!("{start}layers.2.mlp.up_proj.weight");
            assert_eq!(is("Qwen3Model", &name), tensor("blk.2.ffn_up.weight", None));
            let name = format!("{start}embed_tokens.weight");
            assert_eq!(is("Gemma3TextModel", &name), tensor(EMBEDDING, None));
        }
    }

    #[test]
    fn a_row_may_have_several_beginnings() {
        let nemotron = rows::row_of("NemotronHForCausalLM").unwrap();
        for start in ["", "backbone.", "model."] {
            let name = format!("{start}layers.2.norm.weight");
            assert_eq!(layer(&name, nemotron), Some(2));
            assert_eq!(
                find(&name, nemotron),
                tensor("blk.2.attn_norm.weight", None)
            );
            let name = format!("{start}norm_f.weight");
            assert_eq!(find(&name, nemotron), tensor("output_norm.weight", None));
        }
    }

    #[test]
    fn other_names_are_unknown() {
        for name in [
            "",
            ".weight",
            "model.layers.0.weight",
            "model.layers.00.mlp.up_proj.weight",
            "model.layers.+1.mlp.up_proj.weight",
            "model.layers.99999999999.mlp.up_proj.weight",
            "model.layers.0.mlp.up_proj.weight_scale",
            "model.layers.0.mlp.experts.x.w1.weight",
            "transformer.h.0.attn.c_attn.weight",
        ] {
            assert_eq!(is("LlamaForCausalLM", name), Named::Unknown, "{name}");
        }
    }
}
