//! The families of encoders as a table: rows attend to all of their sequence, and what is made of it are embeddings of texts,
//! or scores.

use super::families::{
    ExpertWeights, Family, GEMMA, LocalRope, Sight, StreamNorm, Unrotated, Windows, llama, neox,
};
use crate::graph::Activation;

/// An encoder of BERT's kind (Devlin et al. 2018): rows attend to all of their sequence, norms come after sums, and positions
/// are learned or rotated.
const fn encoder(name: &'static str) -> Family {
    Family {
        norm: StreamNorm::Layer,
        activation: Activation::Gelu,
        sight: Sight::Both,
        ..neox(name)
    }
}

/// Every family of encoders.
pub const ENCODERS: &[Family] = &[
    encoder("bert"),
    Family {
        activation: Activation::Silu,
        ..encoder("nomic-bert")
    },
    Family {
        expert_weights: ExpertWeights::Plain,
        ..encoder("nomic-bert-moe")
    },
    Family {
        unrotated: Unrotated::Every(1),
        alibi: Some(8.0),
        ..encoder("jina-bert-v2")
    },
    encoder("jina-bert-v3"),
    Family {
        norm: StreamNorm::LayerWithoutBias,
        windows: Windows::AllButFrom0(3),
        local_rope: LocalRope::Unscaled,
        ..encoder("modern-bert")
    },
    Family {
        sight: Sight::Both,
        output_norm_name: "enc.output_norm",
        ..llama("neo-bert")
    },
    Family {
        sight: Sight::Both,
        ..neox("eurobert")
    },
    Family {
        name: "gemma-embedding",
        windows: Windows::AllBut(6),
        local_rope: LocalRope::Base(10_000.0),
        sight: Sight::Both,
        ..GEMMA
    },
];
