//! Least work of dispatches: a simple model of cost, to hold measurements against.

use lantern_kernels::attention::Mask;

use crate::Ceilings;

/// Least work of one dispatch. Norms, embeddings and sampling count as nothing but a dispatch.
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
    /// Which positions those are.
    pub mask: Mask,
    /// Tokens that it works on at most, from its `token_start` on; none: all of the pass.
    pub tokens: Option<u32>,
}

impl Cost {
    /// Positions that are read in a pass of `tokens`, one or more, from `position` on, and the sum of those that each token attends to.
    pub fn positions(&self, tokens: u32, position: u32) -> (u64, u64) {
        let end = position + tokens;
        let seen = |position| self.mask.seen(position, end);
        let attended = (position..end).map(|at| seen(at).len() as u64).sum();
        let read = seen(position).start..seen(end - 1).end;
        (read.len() as u64, attended)
    }
}

/// Work of dispatches, for a number of tokens at a place in the context.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes that are read: weights and cache.
    pub bytes: u64,
    /// Multiplications and additions.
    pub operations: u64,
    /// Share of `operations` that matrix instructions do.
    pub matrix_operations: u64,
    /// Dispatches.
    pub dispatches: u64,
}

impl Load {
    /// Seconds that its multiplications and additions take at least.
    pub fn computing(&self, ceilings: &Ceilings) -> f64 {
        let f32 = ceilings.f32_operations_per_second;
        let matrix = ceilings.matrix_operations_per_second.unwrap_or(f32);
        (self.operations - self.matrix_operations) as f64 / f32
            + self.matrix_operations as f64 / matrix
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Load) -> Load {
        Load {
            bytes: self.bytes + other.bytes,
            operations: self.operations + other.operations,
            matrix_operations: self.matrix_operations + other.matrix_operations,
            dispatches: self.dispatches + other.dispatches,
        }
    }

    /// So many of it.
    #[must_use]
    pub fn times(self, count: u64) -> Load {
        Load {
            bytes: self.bytes * count,
            operations: self.operations * count,
            matrix_operations: self.matrix_operations * count,
            dispatches: self.dispatches * count,
        }
    }

    /// Seconds that it takes at least, all at once.
    pub fn seconds(&self, ceilings: &Ceilings) -> f64 {
        let reading = self.bytes as f64 / ceilings.read_bytes_per_second;
        reading.max(self.computing(ceilings)) + self.dispatches as f64 * ceilings.dispatch_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_that_the_mask_leaves() {
        // Four tokens after eight others: read, and attended to by all of them together.
        for (mask, expected) in [
            (Mask::CAUSAL, (12, 9 + 10 + 11 + 12)),
            (Mask::window(3), (6, 4 * 3)),
            (Mask::chunked(10), (12, 9 + 10 + 1 + 2)),
            (Mask::symmetric(5), (6, 5 + 5 + 4 + 3)),
            (Mask::NONE, (12, 4 * 12)),
        ] {
            let cost = Cost {
                mask,
                ..Cost::default()
            };
            assert_eq!(cost.positions(4, 8), expected, "{mask:?}");
        }
    }
}
