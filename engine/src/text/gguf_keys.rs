//! Keys that GGUF has for tokenizers and chat templates, by the names of llama.cpp's `gguf-py`: each is read by some kind of
//! tokenizer, or by none.

use crate::file::Metadata;

const INFILL: &str = "is for filling in code, which nothing here asks for";
const ROLE: &str = "no text is put around with it here";
const UNIGRAM: &str = "is for Unigram tokenizers, which are refused";

/// Keys behind `tokenizer.ggml.` that are read: by every kind of tokenizer, or by the one that is named.
#[rustfmt::skip] // a table
const READ: &[(&str, Option<&str>)] = &[
    ("model", None), ("tokens", None), ("token_type", None), ("bos_token_id", None), ("eos_token_id", None),
    ("eot_token_id", None), ("eom_token_id", None), ("add_bos_token", None), ("add_eos_token", None),
    ("fim_pad_token_id", None), ("fim_rep_token_id", None), ("fim_sep_token_id", None),
    ("pre", Some("gpt2")), ("merges", Some("gpt2")),
    ("scores", Some("llama")), ("unknown_token_id", Some("llama")), ("add_space_prefix", Some("llama")),
];

/// Keys behind `tokenizer.ggml.` that nothing reads, and why.
#[rustfmt::skip] // a table
const HARMLESS: &[(&str, &str)] = &[
    ("padding_token_id",         "nothing is padded"),
    ("seperator_token_id",       ROLE),
    ("mask_token_id",            ROLE),
    ("cls_token_id",             ROLE),
    ("add_sep_token",            "is for two texts at once, which nothing here has"),
    ("fim_pre_token_id",         INFILL),
    ("fim_suf_token_id",         INFILL),
    ("fim_mid_token_id",         INFILL),
    ("prefix_token_id",          INFILL),
    ("suffix_token_id",          INFILL),
    ("middle_token_id",          INFILL),
    ("token_type_count",         "is for encoders"),
    ("precompiled_charsmap",     UNIGRAM),
    ("remove_extra_whitespaces", UNIGRAM),
];

/// Reason why nothing reads a key that begins with `tokenizer.`; none where it is read.
pub(crate) fn passed_over(key: &str, metadata: &Metadata) -> Option<&'static str> {
    if key == "tokenizer.chat_templates" || key.starts_with("tokenizer.chat_template") {
        return None;
    }
    let model = metadata.text("tokenizer.ggml.model").ok().flatten();
    let Some(name) = key.strip_prefix("tokenizer.ggml.") else {
        return Some(match key {
            "tokenizer.huggingface.json" => "the tokens beside it say it",
            "tokenizer.rwkv.world" => "is for RWKV",
            _ => "no key of GGUF's",
        });
    };
    match READ.iter().find(|(read, _)| *read == name) {
        Some((_, Some(kind))) if model != Some(kind) => Some("is for tokenizers of another kind"),
        Some(_) => None,
        None => Some(
            HARMLESS
                .iter()
                .find(|(harmless, _)| *harmless == name)
                .map_or("no key of GGUF's", |(_, why)| why),
        ),
    }
}
