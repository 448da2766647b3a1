//! The families as a table: a row says what a family adds to Llama. What a file says itself (tied heads, biases, norms after
//! a layer, norms of queries and keys, experts, RoPE factors) is read from its tensors and metadata, not from here.

use crate::graph::{Activation, Gating, KeyHeads, NormKind, RopeStyle, Xielu};

/// Traits that set a family apart from Llama.
#[derive(Debug)]
pub struct Family {
    /// `general.architecture` in GGUF, also the prefix of its keys.
    pub name: &'static str,
    /// Other architectures that differ in name alone, and prefix their keys with it.
    pub aliases: &'static [&'static str],
    /// Which values of a head RoPE rotates together.
    pub rope_style: RopeStyle,
    /// Norms of the residual stream.
    pub norm: StreamNorm,
    /// Order of mixer and MLP.
    pub order: Order,
    /// The activation of the MLP.
    pub activation: Activation,
    /// Embeddings on their way into the residual stream.
    pub embedding: Embedding,
    /// Layers that have a window.
    pub windows: Windows,
    /// Positions that layers with a window attend to, where the file does not say.
    pub window: Option<u32>,
    /// RoPE of layers with a window.
    pub local_rope: LocalRope,
    /// Layers without RoPE.
    pub unrotated: Unrotated,
    /// Layers whose queries grow with the position.
    pub temperature: Temperatures,
    /// Neighbours that a row attends to, and what its distance to them counts for.
    pub sight: Sight,
    /// Order of the norm of queries and keys and their rotation.
    pub head_norm: HeadNorm,
    /// Values are normed, without a weight; the last layers may read the keys and values of others, and layers without a
    /// matrix of values have their keys for that.
    pub shared_keys: bool,
    /// Exponent of ALiBi's last slope (Press et al. 2022) where the file names none, in families whose scores fall with the
    /// distance.
    pub alibi: Option<f32>,
    /// Softcap of scores where the file names none.
    pub score_softcap: Option<f32>,
    /// Softcap of logits where the file names none.
    pub logit_softcap: Option<f32>,
    /// Use of the file's factor on logits.
    pub logit_scale: LogitScale,
    /// The factor on scores, where it is not the root of a head's size.
    pub attention_scale: Option<f32>,
    /// In models of so many layers, scores are scaled by the width that a query head has of the stream, not by its own.
    pub wide_scale_layers: u32,
    /// Attention is over latent keys.
    pub latent: bool,
    /// The queries' matrix makes a gate, head by head.
    pub gated_queries: bool,
    /// The function of the gate on attention's result.
    pub gate_activation: Activation,
    /// The mixer that some layers have in the place of attention.
    pub recurrent: Recurrent,
    /// Which key head a delta net's value head reads.
    pub key_heads: KeyHeads,
    /// How a router's logits become probabilities, where the file does not say.
    pub gating: Gating,
    /// Weights of a row's experts, where the file does not say.
    pub expert_weights: ExpertWeights,
    /// The name of the norm before the MLP.
    pub ffn_norm_name: &'static str,
    /// The name of the last norm, where it is not `output_norm`.
    pub output_norm_name: &'static str,
    /// The epsilon of norms after mixer and MLP, where it is not that of the others.
    pub post_norm_epsilon: Option<f32>,
    /// The norm that a draft block has of its own after the last.
    pub draft_norm: NormKind,
}

/// Norms of the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamNorm {
    /// RMSNorm.
    Rms,
    /// LayerNorm.
    Layer,
    /// LayerNorm without biases.
    LayerWithoutBias,
}

impl StreamNorm {
    /// Their divisor.
    pub fn kind(self) -> NormKind {
        match self {
            StreamNorm::Rms => NormKind::Rms,
            StreamNorm::Layer | StreamNorm::LayerWithoutBias => NormKind::Layer,
        }
    }
}

/// Order of mixer and MLP in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The MLP reads what the mixer has changed.
    Sequential,
    /// Both read the same where the MLP has no norm of its own.
    Parallel,
}

/// Positions that rows attend to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Their own and those before it; in layers with a window the last so many.
    Causal,
    /// Their own and those before it; in layers with a window from the last multiple of it.
    Chunked,
    /// All of their sequence, unless the file says otherwise; in layers with a window up to half of it before and after.
    Both,
}

/// Layers whose queries grow with the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temperatures {
    /// None.
    None,
    /// All, by the file's factor, from its original context on.
    All,
    /// All, by the file's factor, every so many positions as the file says.
    Stated,
    /// Layers without RoPE, by a tenth, every so many positions.
    Unrotated(u32),
}

/// Order of the norm of queries and keys and their rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadNorm {
    /// The norm comes first.
    BeforeRope,
    /// The rotation comes first.
    AfterRope,
    /// The rotation comes first, and the norm has no weight; layers without RoPE have none.
    AfterRopePlain,
}

/// Embeddings on their way into the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embedding {
    /// As they are.
    Plain,
    /// Times the square root of their width.
    Scaled,
    /// To unit root mean square, without a weight.
    Normed,
}

/// Layers that have a window; a file may list its own in families that have any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// None, whatever the file says.
    None,
    /// Every layer.
    All,
    /// Layers whose number, counted from 1, is no multiple of this.
    AllBut(u32),
    /// Layers whose number, counted from 0, is no multiple of this.
    AllButFrom0(u32),
}

/// RoPE of layers with a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LocalRope {
    /// The model's.
    Same,
    /// The model's, but without its scaling; the file may have a base for it.
    Unscaled,
    /// Without scaling, and with this base where the file has none.
    Base(f32),
}

/// Layers whose queries and keys are not rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrotated {
    /// None.
    None,
    /// All.
    All,
    /// Layers whose number, counted from 1, is a multiple of this.
    Every(u32),
    /// Layers without a window, in models that have windows.
    WithoutWindow,
    /// All, in files that say that they were trained without.
    Untrained,
}

/// A mixer with a recurrent state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recurrent {
    /// None.
    None,
    /// Gated delta nets: in the layers that the file lists, or in all but every so many.
    DeltaNet,
    /// Gated delta nets whose keys decay each by its own: in layers without key heads.
    ChannelDeltaNet,
    /// Short convolutions: in layers without key heads.
    ShortConv,
    /// RWKV-7's time mixing: in all layers.
    Rwkv7,
    /// Selective state spaces, in layers that have their tensors; a layer may have no mixer, or no MLP.
    Mamba,
}

/// Weights of a row's experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpertWeights {
    /// They sum to 1, and are on the experts' results.
    Normed,
    /// They are as the router makes them, and on the experts' results.
    Plain,
    /// They are as the router makes them, and on what the experts read.
    OnInput,
}

/// Use of the file's factor on logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogitScale {
    /// Logits are divided by it.
    Divides,
    /// Logits are multiplied by it.
    Multiplies,
}

/// Llama (Touvron et al. 2023) and what shares its files: Llama 1–3, Mistral, Mixtral, SmolLM and SmolLM2, TinyLlama.
pub const LLAMA: Family = Family {
    name: "llama",
    aliases: &["mistral", "mixtral"],
    rope_style: RopeStyle::Interleaved,
    norm: StreamNorm::Rms,
    order: Order::Sequential,
    activation: Activation::Silu,
    embedding: Embedding::Plain,
    windows: Windows::None,
    window: None,
    local_rope: LocalRope::Same,
    unrotated: Unrotated::None,
    temperature: Temperatures::None,
    sight: Sight::Causal,
    head_norm: HeadNorm::BeforeRope,
    shared_keys: false,
    alibi: None,
    score_softcap: None,
    logit_softcap: None,
    logit_scale: LogitScale::Multiplies,
    attention_scale: None,
    wide_scale_layers: 0,
    latent: false,
    gated_queries: false,
    gate_activation: Activation::Sigmoid,
    recurrent: Recurrent::None,
    key_heads: KeyHeads::Modulo,
    gating: Gating::Softmax,
    expert_weights: ExpertWeights::Normed,
    ffn_norm_name: "ffn_norm",
    output_norm_name: "output_norm",
    post_norm_epsilon: None,
    draft_norm: NormKind::Rms,
};

/// Llama under another name, and with nothing else.
pub(super) const fn llama(name: &'static str) -> Family {
    Family {
        name,
        aliases: &[],
        ..LLAMA
    }
}

/// Llama with RoPE's pairs as GPT-NeoX has them.
pub(super) const fn neox(name: &'static str) -> Family {
    Family {
        rope_style: RopeStyle::NeoX,
        ..llama(name)
    }
}

/// Gemma (Gemma Team 2024).
pub(super) const GEMMA: Family = Family {
    activation: Activation::Gelu,
    embedding: Embedding::Scaled,
    ..neox("gemma")
};

/// Qwen 3.5, dense: gated delta nets, every fourth layer gated attention.
const QWEN35: Family = Family {
    gated_queries: true,
    recurrent: Recurrent::DeltaNet,
    ffn_norm_name: "post_attention_norm",
    ..neox("qwen35")
};

/// Command R: LayerNorm without biases, a parallel block.
const COMMAND_R: Family = Family {
    norm: StreamNorm::LayerWithoutBias,
    order: Order::Parallel,
    ..llama("command-r")
};

/// Every family of decoders.
pub const FAMILIES: &[Family] = &[
    LLAMA,
    neox("qwen2"),
    neox("qwen3"),
    neox("qwen3moe"),
    GEMMA,
    Family {
        name: "gemma2",
        windows: Windows::AllBut(2),
        window: Some(4096),
        score_softcap: Some(50.0),
        logit_softcap: Some(30.0),
        wide_scale_layers: 46,
        ..GEMMA
    },
    Family {
        name: "gemma3",
        windows: Windows::AllBut(6),
        local_rope: LocalRope::Base(10_000.0),
        wide_scale_layers: 62,
        ..GEMMA
    },
    Family {
        name: "gemma4",
        windows: Windows::AllBut(6),
        local_rope: LocalRope::Unscaled,
        logit_softcap: Some(30.0),
        attention_scale: Some(1.0),
        shared_keys: true,
        ..GEMMA
    },
    neox("phi3"),
    Family {
        unrotated: Unrotated::Every(4),
        ..llama("smollm3")
    },
    Family {
        aliases: &["granitemoe"],
        logit_scale: LogitScale::Divides,
        ..llama("granite")
    },
    // OLMo 3 has the same name, and windows.
    Family {
        windows: Windows::AllBut(4),
        local_rope: LocalRope::Unscaled,
        ..neox("olmo2")
    },
    QWEN35,
    Family {
        name: "qwen35moe",
        ..QWEN35
    },
    Family {
        name: "qwen3next",
        key_heads: KeyHeads::Grouped,
        ..QWEN35
    },
    Family {
        norm: StreamNorm::Layer,
        activation: Activation::Gelu,
        ..neox("gpt2")
    },
    Family {
        windows: Windows::AllBut(4),
        unrotated: Unrotated::WithoutWindow,
        embedding: Embedding::Normed,
        logit_softcap: Some(30.0),
        post_norm_epsilon: Some(1e-8),
        ..llama("muse-glimmer")
    },
    Family {
        windows: Windows::AllBut(4),
        unrotated: Unrotated::WithoutWindow,
        ..neox("exaone4")
    },
    llama("glm4"),
    Family {
        ffn_norm_name: "post_attention_norm",
        ..neox("glm4moe")
    },
    Family {
        head_norm: HeadNorm::AfterRope,
        ..neox("hunyuan-dense")
    },
    llama("ernie4_5"),
    llama("ernie4_5-moe"),
    Family {
        ffn_norm_name: "post_attention_norm",
        ..neox("seed_oss")
    },
    Family {
        activation: Activation::Xielu(Xielu::PER_LAYER),
        ..neox("apertus")
    },
    COMMAND_R,
    Family {
        name: "cohere2",
        windows: Windows::AllBut(4),
        unrotated: Unrotated::WithoutWindow,
        ..COMMAND_R
    },
    Family {
        norm: StreamNorm::Layer,
        activation: Activation::Gelu,
        ..neox("starcoder2")
    },
    // Parallel where a block has no norm before its MLP.
    Family {
        norm: StreamNorm::Layer,
        order: Order::Parallel,
        ..neox("stablelm")
    },
    Family {
        activation: Activation::Relu2,
        ..llama("arcee")
    },
    Family {
        gating: Gating::Sigmoid,
        ..neox("minimax-m2")
    },
    neox("bitnet"),
    // Experts see their rows times their weights.
    Family {
        windows: Windows::AllBut(4),
        window: Some(8192),
        sight: Sight::Chunked,
        unrotated: Unrotated::Every(4),
        temperature: Temperatures::Unrotated(8192),
        head_norm: HeadNorm::AfterRopePlain,
        gating: Gating::Sigmoid,
        expert_weights: ExpertWeights::OnInput,
        ..llama("llama4")
    },
    Family {
        windows: Windows::AllBut(2),
        activation: Activation::ClampedSwiglu,
        ffn_norm_name: "post_attention_norm",
        ..neox("gpt-oss")
    },
    Family {
        aliases: &["lfm2moe"],
        windows: Windows::All,
        recurrent: Recurrent::ShortConv,
        output_norm_name: "token_embd_norm",
        ..neox("lfm2")
    },
    Family {
        temperature: Temperatures::All,
        ..llama("mistral3")
    },
    neox("dots1"),
    Family {
        latent: true,
        temperature: Temperatures::Stated,
        expert_weights: ExpertWeights::Plain,
        ..llama("deepseek2")
    },
    Family {
        latent: true,
        unrotated: Unrotated::All,
        recurrent: Recurrent::ChannelDeltaNet,
        gating: Gating::Sigmoid,
        ..llama("kimi-linear")
    },
    Family {
        norm: StreamNorm::Layer,
        activation: Activation::Relu2,
        recurrent: Recurrent::Rwkv7,
        ffn_norm_name: "attn_norm_2",
        ..llama("rwkv7")
    },
    neox("bailingmoe2"),
    Family {
        windows: Windows::AllButFrom0(4),
        local_rope: LocalRope::Unscaled,
        gate_activation: Activation::Softplus,
        gating: Gating::Sigmoid,
        ..neox("laguna")
    },
];
