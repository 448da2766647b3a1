//! Ops of a mixture of experts.

use serde::Serialize;

use super::{MatrixId, Tensor, VectorId};

/// How a router's logits become weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Routing {
    /// Probabilities of experts.
    pub gating: Gating,
    /// Whether the weights of a row's experts sum to 1, before the factor.
    pub normed: bool,
    /// A factor on weights.
    pub scale: f32,
    /// Groups of neighbouring experts; 1: none.
    pub groups: u32,
    /// Groups that a row's experts come from: those whose two best sum to most.
    pub groups_used: u32,
}

/// Probabilities that a router makes of logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gating {
    /// A softmax over all experts.
    Softmax,
    /// A sigmoid of each.
    Sigmoid,
}

/// The `top_k` experts of each row, and how much each counts.
#[derive(Debug, Clone)]
pub struct Route {
    /// A logit for each expert, (rows, n_experts + …).
    pub logits: Tensor,
    /// How they become weights.
    pub routing: Routing,
    /// Is added to probabilities for the choice alone, (n_experts).
    pub bias: Option<VectorId>,
    /// A factor on the weight of each expert, (n_experts).
    pub scale: Option<VectorId>,
    /// How many experts there are.
    pub n_experts: u32,
    /// How many a row uses.
    pub top_k: u32,
    /// How much each counts, (rows, top_k); the op's own output is which they are.
    pub weights: Tensor,
}

/// y = W\[expert\] x for each expert of each row.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "as the literature names it")]
pub struct Experts {
    /// A row for each row of the pass, or one for each of its experts.
    pub x: Tensor,
    /// Whether each of a row's experts has a row of its own in x.
    pub per_expert: bool,
    /// Which experts, (rows, top_k).
    pub ids: Tensor,
    /// The rows of all experts, (n_experts · rows, cols).
    pub matrix: MatrixId,
    /// How many experts there are.
    pub n_experts: u32,
    /// How many a row uses.
    pub top_k: u32,
    /// Columns of a result of one expert.
    pub cols: u32,
}

/// y = Σ weight · result over a row's experts.
#[derive(Debug, Clone)]
pub struct Combine {
    /// The results, (rows, top_k, cols).
    pub results: Tensor,
    /// How much each counts, (rows, top_k).
    pub weights: Tensor,
    /// How many experts a row uses.
    pub top_k: u32,
    /// Is added to each result before, by its expert: (n_experts, cols), and which they are, (rows, top_k).
    pub bias: Option<(VectorId, Tensor)>,
}
