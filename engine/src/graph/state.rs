//! State: what a layer keeps of a sequence from one pass to the next.

/// A state's number in [`Graph::states`](super::Graph::states).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateId(pub usize);

/// How a state grows, and whether it can go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    /// Cells for positions, (heads, sequences × cells, `cell_bytes`), or in a paged cache (blocks, heads, cells of a block,
    /// `cell_bytes`): going back to a position is to forget what follows it.
    PerPosition {
        /// Heads, each with cells of its own.
        heads: u32,
        /// Cells of one sequence: one for each position, or a ring of fewer.
        cells: u32,
        /// Bytes of a cell of one head.
        cell_bytes: u32,
        /// Positions that are read, where the cells are a ring; none: all.
        window: Option<u32>,
    },
    /// One value of `bytes` for each sequence, (sequences, bytes), which every row replaces: going back is to take a copy
    /// that was kept, and to compute again from there.
    Recurrent {
        /// Bytes of one sequence's.
        bytes: u64,
    },
}

/// Declaration of a state by the mixer that keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSpec {
    /// The word for it in messages and printed plans.
    pub name: &'static str,
    /// The layer that keeps it.
    pub layer: u32,
    /// How it grows.
    pub kind: StateKind,
}

impl StateSpec {
    /// A recurrent state of `floats` f32 for each sequence.
    pub fn recurrent(name: &'static str, layer: u32, floats: u64) -> StateSpec {
        StateSpec {
            name,
            layer,
            kind: StateKind::Recurrent { bytes: floats * 4 },
        }
    }

    /// Bytes for `sequences` sequences.
    pub fn bytes(&self, sequences: u32) -> u64 {
        u64::from(sequences)
            * match self.kind {
                StateKind::PerPosition {
                    heads,
                    cells,
                    cell_bytes,
                    ..
                } => u64::from(heads) * u64::from(cells) * u64::from(cell_bytes),
                StateKind::Recurrent { bytes } => bytes,
            }
    }

    /// Bytes that one position adds, all heads together; 0 where none does.
    pub fn position_bytes(&self) -> u64 {
        match self.kind {
            StateKind::PerPosition {
                heads, cell_bytes, ..
            } => u64::from(heads) * u64::from(cell_bytes),
            StateKind::Recurrent { .. } => 0,
        }
    }

    /// Bytes that one more position of the context takes; 0 where that is a ring or does not grow.
    pub fn growing_bytes(&self) -> u64 {
        match self.kind {
            StateKind::PerPosition { window: None, .. } => self.position_bytes(),
            _ => 0,
        }
    }

    /// Whether it is replaced by every row, and so cannot go back by itself.
    pub fn is_recurrent(&self) -> bool {
        matches!(self.kind, StateKind::Recurrent { .. })
    }
}

/// Cache of several sequences in blocks of positions, which they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// Positions of a block.
    pub block: u32,
    /// Blocks of states that keep every position.
    pub whole: u32,
    /// Blocks of states that keep the positions of a window.
    pub windowed: u32,
}

impl Paging {
    /// Bytes of a block of a state; 0 where it does not grow by positions.
    pub fn block_bytes(&self, spec: &StateSpec) -> u64 {
        spec.position_bytes() * u64::from(self.block)
    }

    /// Bytes of a state for `sequences` sequences: of all blocks where it grows by positions.
    pub fn bytes(&self, spec: &StateSpec, sequences: u32) -> u64 {
        let blocks = match spec.kind {
            StateKind::PerPosition { window: None, .. } => self.whole,
            StateKind::PerPosition { .. } => self.windowed,
            StateKind::Recurrent { .. } => return spec.bytes(sequences),
        };
        u64::from(blocks) * self.block_bytes(spec)
    }
}

/// Copies of recurrent states that a session keeps, by what each is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The end of a prompt: where a conversation is most often taken up again. The last two stay.
    Prompt,
    /// The beginning of a batch of sampled tokens, some of which may be taken back.
    Batch,
    /// A place within a long prompt.
    Interval,
}

/// The copies that a session has room for.
pub const SNAPSHOTS: [Purpose; 4] = [
    Purpose::Prompt,
    Purpose::Prompt,
    Purpose::Batch,
    Purpose::Interval,
];

/// Rows after which a copy is kept within a long prompt.
pub const SNAPSHOT_INTERVAL: usize = 1024;

/// Bytes of all copies of the recurrent states among these, of one sequence, with `logits_bytes` at the ends of prompts.
pub fn snapshot_bytes(states: &[StateSpec], logits_bytes: u64) -> u64 {
    let recurrent = states.iter().filter(|spec| spec.is_recurrent());
    let bytes: Vec<u64> = recurrent.map(|spec| spec.bytes(1)).collect();
    if bytes.is_empty() {
        return 0;
    }
    let own = |purpose| match purpose {
        Purpose::Prompt => logits_bytes,
        Purpose::Batch | Purpose::Interval => 0,
    };
    let all = bytes.iter().sum::<u64>();
    SNAPSHOTS.map(|purpose| all + own(purpose)).iter().sum()
}
