//! States that a session's layers keep of its sequences, and copies of those that cannot go back by themselves.

use crate::{
    Gpu, Result,
    gpu::{buffer::Buffer, commands::Commands},
    graph::{Paging, Purpose, SNAPSHOTS, StateKind, StateSpec},
};

/// The states of every layer, for the sequences of one session.
pub(super) struct States {
    specs: Vec<StateSpec>,
    sequences: u32,
    live: Vec<Buffer>,
    snapshots: Vec<Snapshot>,
    /// Rows that the recurrent states have seen; what differs from the rows that count is to be computed again.
    seen: usize,
    /// Number of the next copy, which tells the older of two.
    next: u64,
}

/// A copy of all recurrent states.
struct Snapshot {
    purpose: Purpose,
    /// Rows that it has seen; none: it holds nothing.
    seen: Option<usize>,
    number: u64,
    memory: Vec<Buffer>,
    /// The logits after those rows, for purposes that want them, and whether they are there.
    logits: Option<Buffer>,
    with_logits: bool,
}

impl States {
    pub async fn new(
        gpu: &Gpu,
        specs: &[StateSpec],
        (sequences, paging): (u32, Option<Paging>),
        logits_bytes: u64,
    ) -> Result<States> {
        let mut live = Vec::new();
        for spec in specs {
            let label = format!("{} of layer {}", spec.name, spec.layer);
            let bytes = match paging {
                Some(paging) => paging.bytes(spec, sequences),
                None => spec.bytes(sequences),
            };
            live.push(gpu.storage(&label, bytes).await?);
        }
        let mut snapshots = Vec::new();
        // Sequences that share a cache have copies of their own.
        if paging.is_none() && specs.iter().any(StateSpec::is_recurrent) {
            for purpose in SNAPSHOTS {
                snapshots
                    .push(Snapshot::new(gpu, purpose, specs, (sequences, logits_bytes)).await?);
            }
        }
        Ok(States {
            specs: specs.to_vec(),
            sequences,
            live,
            snapshots,
            seen: 0,
            next: 0,
        })
    }

    /// Declaration of each state.
    pub fn specs(&self) -> &[StateSpec] {
        &self.specs
    }

    /// The memory of a state.
    pub fn memory(&self, state: usize) -> &Buffer {
        &self.live[state]
    }

    /// Whether some state cannot go back by itself.
    pub fn is_recurrent(&self) -> bool {
        self.specs.iter().any(StateSpec::is_recurrent)
    }

    /// Cells and windows of states that keep only the positions of a window.
    fn rings(&self) -> impl Iterator<Item = (u32, u32)> {
        self.specs.iter().filter_map(|spec| match spec.kind {
            StateKind::PerPosition { cells, window, .. } => Some((cells, window?)),
            StateKind::Recurrent { .. } => None,
        })
    }

    /// Whether a ring has lost positions that the token after `cached` others attends to, of `written` that went through it.
    pub fn rings_have_lost(&self, written: usize, cached: usize) -> bool {
        self.rings().any(|(cells, window)| {
            let kept_from = written.saturating_sub(cells as usize);
            // The last token may be computed again, too.
            kept_from > cached.saturating_sub(window as usize + 1)
        })
    }

    /// States that keep cells for positions, and their memory; `windowed`: only those of a window.
    pub fn cells(&self, windowed: bool) -> impl Iterator<Item = (&StateSpec, &Buffer)> {
        let pairs = self.specs.iter().zip(&self.live);
        pairs.filter(move |(spec, _)| match spec.kind {
            StateKind::PerPosition { window, .. } => window.is_some() == windowed,
            StateKind::Recurrent { .. } => false,
        })
    }

    /// Says how many rows the recurrent states have seen after a pass.
    pub fn set_seen(&mut self, rows: usize) {
        self.seen = rows;
    }

    /// The most rows, at most `rows`, that states can be had after: all where every state goes back by itself, those of
    /// the best copy otherwise.
    pub fn reachable(&self, rows: usize) -> usize {
        if !self.is_recurrent() || self.seen == rows {
            return rows;
        }
        self.best(rows).map_or(0, |(_, seen)| seen)
    }

    /// The copy with the most rows, at most `rows`, and how many these are.
    fn best(&self, rows: usize) -> Option<(usize, usize)> {
        let usable = self.snapshots.iter().enumerate();
        let usable = usable.filter_map(|(index, copy)| Some((index, copy.seen?)));
        usable
            .filter(|&(_, seen)| seen <= rows)
            .max_by_key(|&(_, seen)| seen)
    }

    /// Takes the states back to `rows` rows, which must be [`States::reachable`].
    pub fn go_back(&mut self, gpu: &Gpu, rows: usize) {
        if !self.is_recurrent() || self.seen == rows {
            return;
        }
        // Kernels begin with zeros at position 0.
        if rows > 0 {
            let (index, seen) = self.best(rows).expect("said to be reachable");
            assert_eq!(seen, rows, "states can be had after other rows only");
            let mut commands = gpu.commands();
            for (memory, live) in self.snapshots[index].memory.iter().zip(self.recurrent()) {
                commands.copy_all(memory, live);
            }
            commands.submit();
        }
        self.seen = rows;
    }

    /// Takes the states back to `rows` rows with the logits after them, where a copy has both.
    pub fn restore_with_logits(&mut self, gpu: &Gpu, rows: usize, logits: &Buffer) -> bool {
        let has = |copy: &&Snapshot| copy.seen == Some(rows) && copy.with_logits;
        let Some(from) = self.snapshots.iter().find(has).map(|copy| &copy.logits) else {
            return false;
        };
        if let Some(from) = from {
            let mut commands = gpu.commands();
            commands.copy((from, 0), (logits, 0), from.size.min(logits.size));
            commands.submit();
        }
        self.go_back(gpu, rows);
        true
    }

    /// Forgets the copies that have seen more than `rows` rows: other tokens will follow those.
    pub fn forget_beyond(&mut self, rows: usize) {
        let beyond = |copy: &&mut Snapshot| copy.seen.is_some_and(|seen| seen > rows);
        let copies = self.snapshots.iter_mut().filter(beyond);
        copies.for_each(|copy| copy.seen = None);
    }

    /// Keeps a copy of the states as they are, and of the logits after them where those are given, in the place of the
    /// oldest of the same purpose.
    pub fn keep(&mut self, commands: &mut Commands<'_>, purpose: Purpose, logits: Option<&Buffer>) {
        let places = self.snapshots.iter().enumerate();
        let oldest = places
            .filter(|(_, copy)| copy.purpose == purpose)
            .min_by_key(|(_, copy)| (copy.seen.is_some(), copy.number));
        let Some((index, _)) = oldest else {
            return;
        };
        for (live, memory) in self.recurrent().zip(&self.snapshots[index].memory) {
            commands.copy_all(live, memory);
        }
        let copy = &mut self.snapshots[index];
        copy.with_logits = false;
        if let (Some(from), Some(to)) = (logits, &copy.logits) {
            commands.copy((from, 0), (to, 0), to.size);
            copy.with_logits = true;
        }
        copy.seen = Some(self.seen);
        copy.number = self.next;
        self.next += 1;
    }

    /// Memory of the recurrent states.
    pub fn recurrent(&self) -> impl Iterator<Item = &Buffer> {
        let pairs = self.specs.iter().zip(&self.live);
        pairs
            .filter(|(spec, _)| spec.is_recurrent())
            .map(|(_, memory)| memory)
    }

    /// Copies all of it to another session's, with the copies.
    pub fn copy_to(&self, other: &mut States, commands: &mut Commands<'_>) {
        for (from, to) in self.live.iter().zip(&other.live) {
            commands.copy_all(from, to);
        }
        for (from, to) in self.snapshots.iter().zip(&mut other.snapshots) {
            for (from, to) in from.memory.iter().zip(&to.memory) {
                commands.copy_all(from, to);
            }
            if let (Some(from), Some(to)) = (&from.logits, &to.logits) {
                commands.copy((from, 0), (to, 0), to.size);
            }
            (to.seen, to.number) = (from.seen, from.number);
            to.with_logits = from.with_logits;
        }
        (other.seen, other.next) = (self.seen, self.next);
    }

    /// Pieces that a saved session consists of: each head of a state that grows by positions, and each recurrent state.
    pub fn pieces(&self) -> Vec<Piece> {
        let mut all = Vec::new();
        for (state, spec) in self.specs.iter().enumerate() {
            match spec.kind {
                StateKind::PerPosition {
                    heads,
                    cells,
                    cell_bytes,
                    window,
                } => all.extend((0..heads).map(|head| Piece {
                    state,
                    start: u64::from(head * self.sequences * cells) * u64::from(cell_bytes),
                    size: Size::PerCell {
                        bytes: cell_bytes as usize,
                        cells: cells as usize,
                        ring: window.is_some(),
                    },
                })),
                StateKind::Recurrent { bytes } => all.push(Piece {
                    state,
                    start: 0,
                    size: Size::Whole(bytes as usize),
                }),
            }
        }
        all
    }

    /// The memory of a piece: the live states where they have seen `rows` rows, else the copy that has.
    pub fn piece_memory(&self, piece: &Piece, rows: usize) -> &Buffer {
        let live = &self.live[piece.state];
        if !self.specs[piece.state].is_recurrent() || self.seen == rows {
            return live;
        }
        let before = self.specs[..piece.state].iter();
        let number = before.filter(|spec| spec.is_recurrent()).count();
        match self.best(rows) {
            Some((index, _)) => &self.snapshots[index].memory[number],
            None => live,
        }
    }
}

/// A piece of a saved session.
pub(super) struct Piece {
    /// The state that it is of.
    state: usize,
    /// Where in the state's memory it starts.
    pub start: u64,
    pub size: Size,
}

/// How large a piece is.
pub(super) enum Size {
    /// So many bytes for each cell that is written.
    PerCell {
        bytes: usize,
        cells: usize,
        ring: bool,
    },
    /// Always so many bytes.
    Whole(usize),
}

impl Snapshot {
    async fn new(
        gpu: &Gpu,
        purpose: Purpose,
        specs: &[StateSpec],
        (sequences, logits_bytes): (u32, u64),
    ) -> Result<Snapshot> {
        let mut memory = Vec::new();
        for spec in specs.iter().filter(|spec| spec.is_recurrent()) {
            let label = format!("copy of {} of layer {}", spec.name, spec.layer);
            memory.push(gpu.storage(&label, spec.bytes(sequences)).await?);
        }
        Ok(Snapshot {
            purpose,
            seen: None,
            number: 0,
            memory,
            logits: match purpose {
                Purpose::Prompt => Some(gpu.storage("copy of logits", logits_bytes).await?),
                Purpose::Batch | Purpose::Interval => None,
            },
            with_logits: false,
        })
    }
}
