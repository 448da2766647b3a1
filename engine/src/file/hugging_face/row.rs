//! How an architecture of `transformers` differs from Llama's, and the keys that many read.

use super::json::Object;
use crate::Result;

/// A family's name in `transformers`, and how its files differ from Llama's.
#[derive(Debug)]
pub(super) struct Row {
    /// In `architectures`.
    pub architecture: &'static str,
    /// The family that runs it.
    pub family: &'static str,
    /// Parts of a block that other architectures have other names for.
    pub names: &'static [(&'static str, &'static str)],
    /// Norms' weights are stored without the 1 that they are meant with.
    pub norm_offset: bool,
    /// Keys that must be there; the others have a value that goes without saying.
    pub required: &'static [&'static str],
    /// Lists of the keys that its code reads, beyond [`SHARED`].
    pub reads: &'static [&'static [&'static str]],
    /// Keys that are read in the place of others, where both are there.
    pub aliases: &'static [(&'static str, &'static str)],
    /// Values, as JSON, that `transformers` has for keys that are left out, where GGUF's readers have others.
    pub defaults: &'static [(&'static str, &'static str)],
    /// Layers with a window.
    pub windows: Windows,
    /// Layers whose queries and keys are rotated.
    pub rotated: Rotated,
    /// Biases that the configuration switches.
    pub biases: Biases,
    /// GGUF's names of matrices that are stored (inputs, outputs), the other way round than all others.
    pub transposed: &'static [&'static str],
    /// Numbers that all of its models have, by GGUF's keys behind the family's name.
    pub numbers: &'static [(&'static str, u64)],
    /// Texts that all of its models have, by keys of ours.
    pub texts: &'static [(&'static str, &'static str)],
    /// The object of `config.json` that describes the text model, where it is not the whole.
    pub within: Option<&'static str>,
    /// Beginnings of names of tensors that are left out: what sees and hears, and what drafts.
    pub left_out: &'static [&'static str],
    /// Layers after the last draft further tokens, and are left out.
    pub drafts: bool,
    /// Experts may be stored in MXFP4, codes and scales apart.
    pub packed: bool,
    /// Layers of other kinds than attention, in `layer_types`.
    pub others: Others,
}

/// A model as Llama is, in every way that a row has.
pub(super) const fn row(architecture: &'static str, family: &'static str) -> Row {
    Row {
        architecture,
        family,
        names: &[],
        norm_offset: false,
        required: REQUIRED,
        reads: &[LLAMAS, RMS, &["hidden_act"]],
        aliases: &[],
        defaults: &[],
        windows: Windows::None,
        rotated: Rotated::AsFamily,
        biases: Biases::AsStored,
        transposed: &[],
        numbers: &[],
        texts: &[],
        within: None,
        left_out: &[],
        drafts: false,
        packed: false,
        others: Others::None,
    }
}

/// Layers that attend to `sliding_window` positions, where `layer_types` does not list them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Windows {
    /// No layer, whatever the configuration says.
    None,
    /// All, where there is a `sliding_window`.
    All,
    /// All, where `use_sliding_window` says so.
    Switched,
    /// The last, from `max_window_layers` on, where `use_sliding_window` says so.
    Last,
    /// The last, from `max_window_layers` on, where there is a `sliding_window`.
    From,
    /// Layers without rotary embedding, where `use_sliding_window` says so.
    WithoutRope,
    /// All but every so many, or every `sliding_window_pattern`.
    AllBut(u64),
    /// All but every so many and the last.
    AllButLast(u64),
}

/// Layers whose queries and keys are rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotated {
    /// Layers that the family's row has, or that are listed.
    AsFamily,
    /// Layers with a window.
    Windowed,
    /// Layers with a window, where there is a `sliding_window`; else all.
    WindowedIfAny,
}

/// Biases that a configuration switches with `attention_bias` and `mlp_bias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Biases {
    /// None at all.
    None,
    /// Biases that are stored; no key says anything of them.
    AsStored,
    /// Biases of queries, keys, values and attention's output.
    Attention,
    /// Biases of queries, keys and values.
    Queries,
    /// Biases of attention, and all of the MLP.
    AttentionAndMlp,
}

/// Layers without attention, by their word in `layer_types`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// None.
    None,
    /// Short convolutions: layers without key heads in GGUF.
    Conv,
    /// Delta nets, which GGUF lists.
    LinearAttention,
}

/// Keys that must be there in most.
pub(super) const REQUIRED: &[&str] = &[
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "rms_norm_eps",
];

/// The key that says whether the head is the embedding.
const TIED: &str = "tie_word_embeddings";

/// Keys that every architecture reads.
const SHARED: &[&str] = &[
    "architectures",
    "quantization_config",
    "vocab_size",
    TIED,
    "bos_token_id",
    "eos_token_id",
    "is_encoder_decoder",
];

/// Keys that nearly every architecture reads.
pub(super) const LLAMAS: &[&str] = &[
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rope_parameters",
    "rope_theta",
    "rope_scaling",
    "partial_rotary_factor",
    "original_max_position_embeddings",
];

/// Keys of [`LLAMAS`] but those of rotary embedding that are older than `rope_parameters`.
pub(super) const SIZES: &[&str] = LLAMAS.split_at(8).0;

/// The epsilon of RMSNorm.
pub(super) const RMS: &[&str] = &["rms_norm_eps"];

/// Norms after attention are called what others call the norm before the MLP.
pub(super) const NORM_AFTER: &[(&str, &str)] =
    &[("post_attention_layernorm", "post_attention_norm")];

impl Row {
    /// Whether models of this architecture read `key`; `transformers` passes over what they do not.
    pub fn knows(&self, key: &str) -> bool {
        let mut lists = self.reads.iter().chain([&SHARED]);
        lists.any(|keys| keys.contains(&key))
    }

    /// The description of the text model within another's, with what that says of both.
    pub fn inner(&self, config: Object) -> Result<Object> {
        let Some(within) = self.within else {
            return Ok(config);
        };
        let Some(inner) = config.object(within)? else {
            return Ok(config);
        };
        let Object { label, mut map } = config;
        map.remove(within);
        let tied = map.get(TIED).cloned();
        let all = inner
            .map
            .into_iter()
            .filter(|(key, _)| key != "architectures");
        map.extend(all);
        map.extend(tied.map(|tied| (TIED.to_owned(), tied)));
        Ok(Object { label, map })
    }

    /// Puts the values that `transformers` has for keys that are left out.
    pub fn complete(&self, config: &mut Object) {
        // No rotary embedding that is described is described by nothing.
        if config.is_null("rope_parameters") {
            config.map.remove("rope_parameters");
        }
        for &(key, other) in self.aliases {
            if let Some(value) = config.get(key).cloned() {
                config.map.insert(other.to_owned(), value);
            }
        }
        for &(key, value) in self.defaults {
            let value = serde_json::from_str(value).expect("a row's own JSON");
            config.map.entry(key).or_insert(value);
        }
    }
}
