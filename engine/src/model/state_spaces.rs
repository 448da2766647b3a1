//! The families with selective state spaces (Gu & Dao 2023) as a table: in every layer, in turns with attention, or beside it.

use super::families::{ExpertWeights, Family, LogitScale, Recurrent, Unrotated, llama};
use crate::graph::{Activation, Gating, NormKind, RopeStyle};

/// A family whose layers have selective state spaces where they have tensors of those.
const fn mamba(name: &'static str) -> Family {
    Family {
        recurrent: Recurrent::Mamba,
        ..llama(name)
    }
}

/// Every family with selective state spaces.
pub const STATE_SPACES: &[Family] = &[
    Family {
        aliases: &["mamba2"],
        ..mamba("mamba")
    },
    Family {
        logit_scale: LogitScale::Divides,
        unrotated: Unrotated::Untrained,
        ..mamba("granitehybrid")
    },
    Family {
        aliases: &["nemotron_h_moe"],
        activation: Activation::Relu2,
        unrotated: Unrotated::All,
        gating: Gating::Sigmoid,
        // Only draft blocks have a mixer and an MLP.
        ffn_norm_name: "post_attention_norm",
        draft_norm: NormKind::Layer,
        ..mamba("nemotron_h")
    },
    Family {
        rope_style: RopeStyle::NeoX,
        ..mamba("falcon-h1")
    },
    Family {
        unrotated: Unrotated::All,
        expert_weights: ExpertWeights::Plain,
        ..mamba("jamba")
    },
];
