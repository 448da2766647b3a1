//! Keys of `tokenizer_config.json`, and what becomes of each. What no row has, `transformers` keeps and does nothing with.

/// Part that a key of a tokenizer's files plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    /// The tokens depend on it.
    Read,
    /// No token depends on it, and why.
    Harmless(&'static str),
    /// A file with it (`null` and `false` apart) is refused, and why.
    Refused(&'static str),
}

use KeyRole::{Harmless, Read, Refused};

const SLOW: KeyRole =
    Harmless("is for tokenizers written in Python; tokenizer.json says what is done");
const PROCESSOR: KeyRole = Harmless(
    "transformers leaves it out where there is a tokenizer.json, whose post_processor decides",
);
const CALLER: KeyRole =
    Harmless("is about cutting and padding, which only a caller of transformers asks for");
const ORIGIN: KeyRole = Harmless("says where the file came from");

/// Keys of `tokenizer_config.json` and `special_tokens_map.json` that are known. Beside them each key that ends in `_token` and is a text
/// names a special token.
#[rustfmt::skip]
pub const TOKENIZER_SETTINGS: &[(&str, KeyRole)] = &[
    ("added_tokens_decoder", Read), ("bos_token", Read), ("eos_token", Read), ("unk_token", Read), ("sep_token", Read),
    ("pad_token", Read), ("cls_token", Read), ("mask_token", Read), ("extra_special_tokens", Read),
    ("additional_special_tokens", Read), ("model_specific_special_tokens", Read), ("chat_template", Read),
    ("split_special_tokens", Read),
    ("fix_mistral_regex", Refused("transformers then splits texts by a pattern of its own; set it to false, or save the tokenizer with the pattern")),
    ("add_bos_token", PROCESSOR), ("add_eos_token", PROCESSOR),
    ("add_prefix_space", SLOW), ("legacy", SLOW), ("sp_model_kwargs", SLOW), ("errors", SLOW), ("do_lower_case", SLOW),
    ("tokenize_chinese_chars", SLOW), ("strip_accents", SLOW), ("never_split", SLOW), ("from_slow", SLOW),
    ("spaces_between_special_tokens", SLOW), ("use_fast", SLOW), ("backend", SLOW), ("auto_map", SLOW), ("tokenizer_class", SLOW),
    ("model_max_length", CALLER), ("max_len", CALLER), ("max_length", CALLER), ("stride", CALLER), ("padding_side", CALLER),
    ("truncation_side", CALLER), ("truncation_strategy", CALLER), ("pad_to_multiple_of", CALLER), ("pad_token_type_id", CALLER),
    ("pad_token_type", CALLER), ("model_input_names", CALLER),
    ("name_or_path", ORIGIN), ("tokenizer_file", ORIGIN), ("special_tokens_map_file", ORIGIN), ("processor_class", ORIGIN),
    ("is_local", ORIGIN), ("local_files_only", ORIGIN),
    ("use_default_system_prompt", Harmless("the chat template says what is put before a chat")),
    ("clean_up_tokenization_spaces", Harmless("is about text made of tokens, which is given here as they are")),
    ("response_template", Harmless("is about reading answers")), ("response_schema", Harmless("is about reading answers")),
    ("chat_control_tokens", Harmless("transformers looks at it only where a caller asks for chats to be cleaned")),
];
