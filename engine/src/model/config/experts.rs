//! Numbers of mixtures of experts: how many there are, and how a router picks and weighs them.

use lantern_kernels::{experts::MAX_TOP_K, moe_route::GROUPS_MAX};
use serde::Serialize;

use crate::{
    Error, Result, Unsupported,
    graph::{Gating, Routing},
    model::{
        families::{ExpertWeights, Family},
        keys::Keys,
    },
};

/// Mixture of experts of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExpertsConfig {
    /// Experts of a layer.
    pub n_experts: u32,
    /// Experts that the router picks for a token.
    pub top_k: u32,
    /// How the router weighs them.
    pub routing: Routing,
    /// Size of what experts read and make, where it is not the residual stream's.
    pub latent_dim: Option<u32>,
}

/// Numbers of a model's mixtures of experts, where it has any.
pub(super) fn read(keys: &Keys, family: &Family) -> Result<Option<ExpertsConfig>> {
    let Some(n_experts) = keys.optional("expert_count")? else {
        return Ok(None);
    };
    let top_k = keys.required("expert_used_count")?;
    if top_k > n_experts || top_k >= MAX_TOP_K {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!(
                "{top_k} of {n_experts} experts for a token: fewer than {MAX_TOP_K} are run here"
            ),
        ));
    }
    let normed = match family.expert_weights {
        ExpertWeights::Normed => keys.boolean("expert_weights_norm")?.unwrap_or(true),
        ExpertWeights::Plain => keys.boolean("expert_weights_norm")?.unwrap_or(false),
        ExpertWeights::OnInput => false,
    };
    Ok(Some(ExpertsConfig {
        n_experts,
        top_k,
        routing: Routing {
            gating: gating(keys, family)?,
            normed,
            scale: keys.factor("expert_weights_scale")?.unwrap_or(1.0),
            ..groups(keys, (n_experts, top_k))?
        },
        latent_dim: keys.optional("moe_latent_size")?,
    }))
}

/// How the router's logits become probabilities: as the file numbers it, or as the family has it.
fn gating(keys: &Keys, family: &Family) -> Result<Gating> {
    match keys.optional("expert_gating_func")? {
        None => Ok(family.gating),
        Some(1) => Ok(Gating::Softmax),
        Some(2) => Ok(Gating::Sigmoid),
        Some(other) => Err(Error::unsupported(
            Unsupported::Setting,
            format!(
                "metadata {} is {other}; known are 1 (softmax) and 2 (sigmoid)",
                keys.key("expert_gating_func")
            ),
        )),
    }
}

/// Routing by groups of experts, or without.
fn groups(keys: &Keys, (n_experts, top_k): (u32, u32)) -> Result<Routing> {
    let groups = keys.optional("expert_group_count")?.unwrap_or(1);
    let used = keys.optional("expert_group_used_count")?;
    let groups_used = used.unwrap_or(groups);
    let in_groups = |groups_used: u32| n_experts / groups * groups_used;
    if groups > GROUPS_MAX
        || n_experts % groups != 0
        || groups_used > groups
        || in_groups(groups_used) < top_k
    {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!(
                "{top_k} of {n_experts} experts from {groups_used} of {groups} groups: at most {GROUPS_MAX} even groups are run here"
            ),
        ));
    }
    Ok(Routing {
        gating: Gating::Softmax,
        normed: true,
        scale: 1.0,
        groups,
        groups_used,
    })
}
