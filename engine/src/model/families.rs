//! The families as a table: a row says what a family adds to Llama. What a file says itself (tied heads, biases, norms after
//! a layer, norms of queries and keys, experts, RoPE factors) is read from its tensors and metadata, not from here.

use crate::{
    Error, Result, Unsupported,
    file::Metadata,
    graph::{Activation, NormKind, RopeStyle},
};

/// Traits that set a family apart from Llama.
#[derive(Debug)]
pub struct Family {
    /// `general.architecture` in GGUF, also the prefix of its keys.
    pub name: &'static str,
    /// Other architectures that differ in name alone, and prefix their keys with it.
    pub aliases: &'static [&'static str],
    /// Which values of a head RoPE rotates together.
    pub rope_style: RopeStyle,
    /// Divisor of norms.
    pub norm: NormKind,
    /// The activation of the MLP.
    pub activation: Activation,
    /// Embeddings are scaled by the square root of their width.
    pub scaled_embedding: bool,
    /// Layers whose number, from 1, this divides attend to every position; the others to the file's window. 1: all do.
    pub sliding_window_pattern: u32,
    /// Positions that layers with a window attend to, where the file does not say.
    pub window: Option<u32>,
    /// RoPE's base in layers with a window, where it is another.
    pub local_rope_base: Option<f32>,
    /// Layers whose number, from 1, this divides have no RoPE. 0: all have.
    pub no_rope_interval: u32,
    /// Softcaps of scores and logits where the file names none.
    pub softcaps: Option<(f32, f32)>,
    /// In models of so many layers, scores are scaled by the width that a query head has of the stream, not by its own.
    pub wide_scale_layers: u32,
    /// Attention's result is multiplied with the sigmoid of a gate, which its queries' matrix makes.
    pub attention_gate: bool,
    /// Layers have gated delta nets in the place of attention, but for every so many of them.
    pub delta_net: bool,
    /// The name of the norm before the MLP.
    pub ffn_norm_name: &'static str,
}

/// Llama (Touvron et al. 2023) and what shares its files: Llama 1–3, Mistral, Mixtral, SmolLM and SmolLM2, TinyLlama.
pub const LLAMA: Family = Family {
    name: "llama",
    aliases: &["mistral", "mixtral"],
    rope_style: RopeStyle::Interleaved,
    norm: NormKind::Rms,
    activation: Activation::Silu,
    scaled_embedding: false,
    sliding_window_pattern: 1,
    window: None,
    local_rope_base: None,
    no_rope_interval: 0,
    softcaps: None,
    wide_scale_layers: 0,
    attention_gate: false,
    delta_net: false,
    ffn_norm_name: "ffn_norm",
};

/// Llama with RoPE's pairs as GPT-NeoX has them.
const NEOX: Family = Family {
    aliases: &[],
    rope_style: RopeStyle::NeoX,
    ..LLAMA
};

/// Gemma (Gemma Team 2024).
const GEMMA: Family = Family {
    activation: Activation::Gelu,
    scaled_embedding: true,
    ..NEOX
};

/// Every family.
pub const FAMILIES: &[Family] = &[
    LLAMA,
    Family {
        name: "qwen2",
        ..NEOX
    },
    Family {
        name: "qwen3",
        ..NEOX
    },
    Family {
        name: "qwen3moe",
        ..NEOX
    },
    Family {
        name: "gemma2",
        sliding_window_pattern: 2,
        window: Some(4096),
        softcaps: Some((50.0, 30.0)),
        wide_scale_layers: 46,
        ..GEMMA
    },
    Family {
        name: "gemma3",
        sliding_window_pattern: 6,
        local_rope_base: Some(10_000.0),
        wide_scale_layers: 62,
        ..GEMMA
    },
    Family {
        name: "phi3",
        ..NEOX
    },
    Family {
        name: "smollm3",
        aliases: &[],
        no_rope_interval: 4,
        ..LLAMA
    },
    Family {
        name: "granite",
        aliases: &["granitemoe"],
        ..LLAMA
    },
    Family {
        name: "olmo2",
        ..NEOX
    },
    // Qwen 3.5 (dense): gated delta nets, every fourth layer gated attention.
    Family {
        name: "qwen35",
        attention_gate: true,
        delta_net: true,
        ffn_norm_name: "post_attention_norm",
        ..NEOX
    },
    Family {
        name: "gpt2",
        norm: NormKind::Layer,
        activation: Activation::Gelu,
        ..NEOX
    },
];

/// The row that the file asks for, and the prefix of its keys.
pub fn family(metadata: &Metadata) -> Result<(&'static Family, &str)> {
    let name = metadata.text("general.architecture")?;
    let name = name.ok_or_else(|| Error::bad_file("metadata general.architecture is missing"))?;
    let is = |f: &&Family| f.name == name || f.aliases.contains(&name);
    let found = FAMILIES.iter().find(is).ok_or_else(|| {
        let known: Vec<&str> = FAMILIES.iter().map(|f| f.name).collect();
        Error::unsupported(
            Unsupported::Family,
            format!(
                "models of the family {name:?} are not known here; known are: {}",
                known.join(", ")
            ),
        )
    })?;
    Ok((found, name))
}
