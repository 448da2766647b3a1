//! What dispatches take at least: a simple model of cost, to hold measurements against.

use super::dispatch::{Dispatch, Plan};
use crate::Ceilings;

/// What one dispatch takes at least. Norms, embeddings and sampling count as nothing but a dispatch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of weights that it reads.
    pub bytes: u64,
    /// Multiplications and additions for each token.
    pub operations: u64,
    /// Bytes of cache that it reads for each position.
    pub position_bytes: u64,
    /// Multiplications and additions for each token and each position that it attends to.
    pub position_operations: u64,
    /// Positions that a token attends to at most; none: all.
    pub window: Option<u32>,
    /// Tokens that it works on at most, from its `token_start` on; none: all of the pass.
    pub tokens: Option<u32>,
}

/// What dispatches take, for a number of tokens at a place in the context.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes that are read: weights and cache.
    pub bytes: u64,
    /// Multiplications and additions.
    pub operations: u64,
    /// Dispatches.
    pub dispatches: u64,
}

impl Dispatch {
    /// What it takes in a pass of `tokens` that begins at `position`; nothing where it is left out of that pass.
    pub fn load(&self, tokens: u32, position: u32) -> Load {
        let left = tokens.saturating_sub(self.token_start);
        if left == 0 {
            return Load::default();
        }
        let cost = &self.cost;
        let tokens = u64::from(left.min(cost.tokens.unwrap_or(u32::MAX)));
        let end = u64::from(position) + tokens;
        // Token i attends to position + i + 1 positions.
        let window = u64::from(cost.window.unwrap_or(u32::MAX));
        let attended = tokens * u64::from(position) + tokens * (tokens + 1) / 2;
        let (attended, end) = (attended.min(tokens * window), end.min(tokens + window));
        Load {
            bytes: cost.bytes + cost.position_bytes * end,
            operations: cost.operations * tokens + cost.position_operations * attended,
            dispatches: 1,
        }
    }
}

impl Plan {
    /// What all of it takes in a pass of `tokens` that begins at `position`.
    pub fn load(&self, tokens: u32, position: u32) -> Load {
        let loads = self.dispatches.iter().map(|d| d.load(tokens, position));
        loads.fold(Load::default(), Load::and)
    }

    /// Seconds of such a pass on an adapter that reaches its ceilings all the time: each dispatch either reads or
    /// computes, whichever takes longer, and costs what a dispatch costs.
    pub fn seconds(&self, tokens: u32, position: u32, ceilings: &Ceilings) -> f64 {
        let dispatches = self.dispatches.iter().map(|d| d.load(tokens, position));
        dispatches.map(|load| load.seconds(ceilings)).sum()
    }
}

impl Load {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Load) -> Load {
        Load {
            bytes: self.bytes + other.bytes,
            operations: self.operations + other.operations,
            dispatches: self.dispatches + other.dispatches,
        }
    }

    /// So many of it.
    #[must_use]
    pub fn times(self, count: u64) -> Load {
        Load {
            bytes: self.bytes * count,
            operations: self.operations * count,
            dispatches: self.dispatches * count,
        }
    }

    /// Seconds that it takes at least, all at once.
    pub fn seconds(&self, ceilings: &Ceilings) -> f64 {
        let reading = self.bytes as f64 / ceilings.read_bytes_per_second;
        let computing = self.operations as f64 / ceilings.f32_operations_per_second;
        reading.max(computing) + self.dispatches as f64 * ceilings.dispatch_seconds
    }
}
