//! Keys that GGUF has for tokenizers and chat templates, by the names of llama.cpp's `gguf-py`: each is read by some kind of
//! tokenizer, or by none.

use crate::file::Metadata;

const INFILL: &str = "is for filling in code, which nothing here asks for";
const ROLE: &str = "no text is put around with it here";
const BYTE_PAIRS: &[&str] = &["gpt2", "gemma4", "whitespace"];

/// Keys behind `tokenizer.ggml.` that are read, and the kinds of tokenizers that read them; none: all.
#[rustfmt::skip] // a table
const READ: &[(&str, &[&str])] = &[
    ("model", &[]), ("tokens", &[]), ("token_type", &[]), ("bos_token_id", &[]), ("eos_token_id", &[]),
    ("eot_token_id", &[]), ("eom_token_id", &[]), ("seperator_token_id", &[]), ("add_sep_token", &[]),
    ("fim_pad_token_id", &[]), ("fim_rep_token_id", &[]), ("fim_sep_token_id", &[]),
    ("add_bos_token", &["gpt2", "whitespace", "llama", "t5"]),
    ("add_eos_token", &["gpt2", "gemma4", "whitespace", "llama", "t5"]),
    ("pre", &["gpt2"]), ("merges", BYTE_PAIRS),
    ("scores", &["llama", "t5"]), ("add_space_prefix", &["llama", "t5"]),
    ("unknown_token_id", &["llama", "t5", "bert", "rwkv"]),
    ("remove_extra_whitespaces", &["t5"]), ("precompiled_charsmap", &["t5"]),
    ("cls_token_id", &["bert"]), ("normalizer.strip_accents", &["bert"]),
    ("normalizer.lowercase", &["bert", "whitespace"]),
];

/// Keys behind `tokenizer.ggml.` that nothing reads, and why.
#[rustfmt::skip] // a table
const HARMLESS: &[(&str, &str)] = &[
    ("padding_token_id",         "nothing is padded"),
    ("mask_token_id",            ROLE),
    ("fim_pre_token_id",         INFILL),
    ("fim_suf_token_id",         INFILL),
    ("fim_mid_token_id",         INFILL),
    ("prefix_token_id",          INFILL),
    ("suffix_token_id",          INFILL),
    ("middle_token_id",          INFILL),
    ("token_type_count",         "is for encoders"),
];

/// Reason why nothing reads a key that begins with `tokenizer.`; none where it is read.
pub(crate) fn passed_over(key: &str, metadata: &Metadata) -> Option<&'static str> {
    if key == "tokenizer.chat_templates" || key.starts_with("tokenizer.chat_template") {
        return None;
    }
    let model = metadata.text("tokenizer.ggml.model").ok().flatten();
    let Some(name) = key.strip_prefix("tokenizer.ggml.") else {
        return Some(match key {
            "tokenizer.huggingface.json" | "tokenizer.rwkv.world" => "the tokens beside it say it",
            _ => "no key of GGUF's",
        });
    };
    match READ.iter().find(|(read, _)| *read == name) {
        Some((_, [])) => None,
        Some((_, kinds)) if model.is_some_and(|model| kinds.contains(&model)) => None,
        Some(_) => Some("is for tokenizers of another kind"),
        None => Some(
            HARMLESS
                .iter()
                .find(|(harmless, _)| *harmless == name)
                .map_or("no key of GGUF's", |(_, why)| why),
        ),
    }
}
