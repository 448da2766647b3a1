//! How an architecture of `transformers` differs from Llama's, and the keys that many read.

use super::{json::Object, only::Only};
use crate::Result;

/// A family's name in `transformers`, and how its files differ from Llama's.
#[derive(Debug)]
pub(super) struct Row {
    /// In `architectures`.
    pub architecture: &'static str,
    /// The family that runs it.
    pub family: &'static str,
    /// Beginnings of the names of all tensors but a head's; files without a head may be without them.
    pub prefixes: &'static [&'static str],
    /// Beginnings of the names of a block's tensors, before its number.
    pub layers: &'static [&'static str],
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
    /// Tensors that GGUF has the other way round, or in parts.
    pub cuts: &'static [Cut],
    /// Numbers that all of its models have, by GGUF's keys behind the family's name.
    pub numbers: &'static [(&'static str, u64)],
    /// Texts that all of its models have, by keys of ours.
    pub texts: &'static [(&'static str, &'static str)],
    /// The epsilon of norms within a mixer, where no key says that it is another than all others'.
    pub inner_epsilon: Option<f64>,
    /// State spaces, and how they are described.
    pub scan: Option<Scan>,
    /// Factors on products of matrices.
    pub factors: &'static [Factor],
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
    /// Part after the last layer.
    pub head: Head,
    /// Keys that are run in one position only, beyond those of every architecture.
    pub only: &'static [(&'static str, Only)],
    /// How tokens are told their places.
    pub places: Places,
}

/// A model as Llama is, in every way that a row has.
pub(super) const fn row(architecture: &'static str, family: &'static str) -> Row {
    Row {
        architecture,
        family,
        prefixes: &["model."],
        layers: &["layers."],
        names: &[],
        norm_offset: false,
        required: REQUIRED,
        reads: &[LLAMAS, RMS, &["hidden_act"]],
        aliases: &[],
        defaults: &[],
        windows: Windows::None,
        rotated: Rotated::AsFamily,
        biases: Biases::AsStored,
        cuts: &[],
        numbers: &[],
        texts: &[],
        inner_epsilon: None,
        scan: None,
        factors: &[],
        within: None,
        left_out: &[],
        drafts: false,
        packed: false,
        others: Others::None,
        head: Head::Logits,
        only: &[],
        places: Places::Positions,
    }
}

/// How tokens are told their places in a text, and in which of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    /// Positions from 0.
    Positions,
    /// BERT's: positions from 0, and a type of the tokens of a second text.
    Typed,
    /// RoBERTa's, as fairseq has them: positions whose first row lies behind that of `pad_token_id`.
    Padded,
}

/// Part after the last layer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Head {
    /// Logits, by a matrix of their own or by the embedding.
    Logits,
    /// Nothing: it makes embeddings.
    None,
    /// A classifier, by its tensors' names and GGUF's.
    Classes(&'static [(&'static str, &'static str)]),
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
    /// All but the first and every so many after it.
    AllButFrom0(u64),
    /// All but every so many and the last.
    AllButLast(u64),
    /// Layers that are listed.
    Listed,
    /// Layers that are rotated, whose windows are chunks.
    Chunks,
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
    /// All, where `position_embedding_type` is "rope"; else none.
    Stated,
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
    /// Biases of what latent queries and keys are made by, and of attention's output.
    Latent,
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
    /// Delta nets whose keys decay each by its own, beside latent attention: layers without key heads in GGUF.
    KeyDecays,
}

/// A tensor of which GGUF has its rows, or its columns as rows, in one tensor or several.
#[derive(Debug)]
pub(super) struct Cut {
    /// GGUF's name of what is stored, behind that of its block.
    pub stored: &'static str,
    /// It is stored with a row for each column.
    pub turned: bool,
    /// Rows of different parts alternate; else those of a part follow each other.
    pub alternating: bool,
    /// GGUF's names of the parts, all of as many rows.
    pub into: &'static [&'static str],
}

/// A matrix, or one for each expert, that is stored the other way round.
pub(super) const fn turned(into: &'static [&'static str; 1]) -> Cut {
    Cut {
        stored: into[0],
        turned: true,
        alternating: false,
        into,
    }
}

/// How an architecture's state spaces are described.
#[derive(Debug)]
pub(super) struct Scan {
    /// Parts of a state that decay by their own.
    pub decays: Decays,
    /// Keys whose numbers' product is the channels of all heads: of the lists, the first whose keys are all there.
    pub inner: &'static [&'static [&'static str]],
    /// Keys whose product must be the same.
    pub same: &'static [&'static str],
}

/// Parts of a state that decay each by its own.
#[derive(Debug)]
pub(super) enum Decays {
    /// Heads (Mamba 2), of which this key says how many there are.
    Heads(&'static str),
    /// Channels (Mamba), whose steps are of a rank that this key has; and steps, b and c may be normed.
    Channels { rank: &'static str, normed: bool },
}

/// A factor on a product, which GGUF's converter multiplies into the matrix.
#[derive(Debug)]
pub(super) struct Factor {
    /// GGUF's name of the matrix, behind that of its block.
    pub part: &'static str,
    /// Keys whose numbers it is the product of, and which of those where a key has several.
    pub by: &'static [(&'static str, Option<usize>)],
    /// The key of more factors: of a state space's gate, x, b, c and steps.
    pub sections: Option<&'static str>,
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

    /// Whether `key` is read, or another in its place.
    pub fn takes(&self, key: &str) -> bool {
        self.knows(key) || self.aliases.iter().any(|(_, other)| *other == key)
    }

    /// Whether models of this architecture read `key`, be it in the place of another, or it is held against what is run.
    pub fn reads(&self, key: &str) -> bool {
        let renamed = self.aliases.iter().any(|(alias, _)| *alias == key);
        self.knows(key) || renamed || self.only.iter().any(|(only, _)| *only == key)
    }

    /// Names of a classifier's tensors, and GGUF's.
    pub fn classes(&self) -> &'static [(&'static str, &'static str)] {
        match self.head {
            Head::Classes(names) => names,
            Head::Logits | Head::None => &[],
        }
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
        for &(key, value) in self.defaults {
            let value = serde_json::from_str(value).expect("a row's own JSON");
            config.map.entry(key).or_insert(value);
        }
        for &(key, other) in self.aliases {
            if let Some(value) = config.get(key).cloned() {
                config.map.insert(other.to_owned(), value);
            }
        }
    }
}
