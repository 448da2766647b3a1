//! Sizes of selective state spaces, and which layers have them.

use serde::Serialize;

use crate::{Error, Result, Unsupported, model::keys::Keys};

/// Sizes of a selective state space.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MambaConfig {
    /// Rows that the convolution makes a result of.
    pub conv_kernel: u32,
    /// Heads, whose channels share a step; 1 where each channel has its own.
    pub heads: u32,
    /// Channels of a head.
    pub head_dim: u32,
    /// Groups of heads that share what is put into the state, and what reads it.
    pub groups: u32,
    /// Values of a channel's state.
    pub state_dim: u32,
    /// Steps of low rank, where each channel has its own (Mamba 1).
    pub steps: Option<StepsConfig>,
}

/// Steps of low rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepsConfig {
    /// The rank.
    pub rank: u32,
    /// Norms of the low rank, of b and of c, which have no weights where the file has none.
    pub normed: bool,
}

/// Values of a channel's state at most; a lane of an adapter on the CPU holds them.
const STATE_DIM_MAX: u32 = 256;
/// Rows of a convolution at most.
const KERNEL_MAX: u32 = 16;

/// Sizes of the selective state space of layer `layer`, where its tensors say that it has one.
pub(super) fn read(keys: &Keys, layer: u32) -> Result<Option<MambaConfig>> {
    let has = |part: &str| {
        let name = format!("blk.{layer}.{part}.weight");
        keys.file.tensor(&name).is_some()
    };
    if !has("ssm_in") {
        return Ok(None);
    }
    let (conv_kernel, inner) = (
        keys.required("ssm.conv_kernel")?,
        keys.required("ssm.inner_size")?,
    );
    let (state_dim, rank) = (
        keys.required("ssm.state_size")?,
        keys.required("ssm.time_step_rank")?,
    );
    let (heads, groups, steps) = if has("ssm_x") {
        let normed = keys.boolean("ssm.dt_b_c_rms")?.unwrap_or(false);
        (1, 1, Some(StepsConfig { rank, normed }))
    } else {
        (rank, keys.required("ssm.group_count")?, None)
    };
    let even = inner % heads == 0 && heads % groups == 0 && inner % 4 == 0;
    let held = state_dim % 4 == 0 && state_dim <= STATE_DIM_MAX && conv_kernel <= KERNEL_MAX;
    if !even || !held {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!(
                "states of {state_dim} for {inner} channels of {heads} heads in {groups} groups, convolved by {conv_kernel}: only even shares, multiples of 4, states of up to {STATE_DIM_MAX} and convolutions of up to {KERNEL_MAX} are run here"
            ),
        ));
    }
    Ok(Some(MambaConfig {
        conv_kernel,
        heads,
        head_dim: inner / heads,
        groups,
        state_dim,
        steps,
    }))
}
