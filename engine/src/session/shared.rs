//! Memory that the sequences of a batch share: a cache in blocks, which beginnings that are known are found in again, and
//! copies of recurrent states.

use super::{
    Session,
    copies::Copies,
    kept::Kept,
    pages::{BlockCopy, Found, Key, Missing, Pages},
};
use crate::{
    Error, Result,
    gpu::{buffer::Buffer, commands::Commands},
    graph::{Paging, SNAPSHOT_INTERVAL, StateKind, StateSpec},
};

use lantern_kernels::call::{ROW_WORDS, ROWS_HEADER};

/// Copies of recurrent states for each sequence: as many as a session by itself has.
const COPIES: u32 = 4;

/// Blocks, copies, and the way from one to another.
pub(super) struct SharedCache {
    pub(super) paging: Paging,
    pub(super) pages: Pages,
    /// Copies of recurrent states, where there are such.
    pub(super) copies: Option<Copies>,
    /// Cells of a block, or a state, on their way: no buffer is copied to itself.
    between: Buffer,
    /// Files of blocks and copies, where they are kept.
    pub(super) kept: Option<Kept>,
}

/// A beginning that is known.
pub(super) struct Beginning {
    pub found: Found,
    pub len: usize,
    /// The copy of recurrent states after it.
    copy: Option<usize>,
}

impl Paging {
    /// A cache in blocks of `block` positions for sequences of a context: `positions` of them in all, and as many for windows
    /// as sequences need at once and as many windows to come back to; no more than a binding holds, but enough for one
    /// sequence.
    pub(super) fn new(
        (block, positions): (u32, u64),
        (context, sequences): (u32, u32),
        specs: &[StateSpec],
        max_binding: u64,
    ) -> Paging {
        let mut paging = Paging {
            block,
            whole: 0,
            windowed: 0,
        };
        for spec in specs {
            let StateKind::PerPosition { cells, window, .. } = spec.kind else {
                continue;
            };
            let own = u64::from(cells.min(context).div_ceil(block) + 2);
            let wanted = match window {
                None => positions.div_ceil(u64::from(block)) + 1,
                Some(window) => u64::from(sequences) * (own + u64::from(window.div_ceil(block))),
            };
            let most = max_binding / paging.block_bytes(spec).max(1);
            let count = wanted.min(most).max(own).min(u64::from(u32::MAX)) as u32;
            match window {
                None if paging.whole == 0 => paging.whole = count,
                None => paging.whole = paging.whole.min(count),
                Some(_) => paging.windowed = paging.windowed.max(count),
            }
        }
        paging
    }

    /// The window and the number of blocks of each kind of layers.
    fn kinds(&self, specs: &[StateSpec]) -> Vec<(Option<u32>, u32)> {
        let windows = || {
            specs.iter().filter_map(|spec| match spec.kind {
                StateKind::PerPosition { window, .. } => Some(window),
                StateKind::Recurrent { .. } => None,
            })
        };
        let whole = windows()
            .any(|window| window.is_none())
            .then_some((None, self.whole));
        let widest = windows().flatten().max();
        let windowed = widest.map(|window| (Some(window), self.windowed));
        whole.into_iter().chain(windowed).collect()
    }
}

impl SharedCache {
    pub async fn new(session: &Session, paging: Paging, sequences: u32) -> Result<SharedCache> {
        let gpu = &session.model.gpu;
        let states = &session.memory.states;
        let specs = states.specs();
        let bytes = |spec: &StateSpec| match spec.kind {
            StateKind::PerPosition { .. } => paging.block_bytes(spec),
            StateKind::Recurrent { bytes } => bytes,
        };
        let between = specs.iter().map(bytes).max().unwrap_or(0);
        let copies = if states.is_recurrent() {
            Some(Copies::new(gpu, specs, COPIES * sequences).await?)
        } else {
            None
        };
        let root = Key::root(&session.cells_of(paging.block));
        Ok(SharedCache {
            pages: Pages::new(paging.block, root, &paging.kinds(specs), sequences),
            paging,
            copies,
            between: gpu.storage("cells on their way", between).await?,
            kept: None,
        })
    }

    /// Blocks that sequences hold, and all.
    pub fn used(&self) -> (usize, usize) {
        self.pages.used()
    }

    /// Whether there are blocks that nobody holds for these tokens and one more, beside those that are known of them.
    pub fn has_room(&self, tokens: &[u32], pass: usize) -> bool {
        let Beginning { found, len, .. } = self.find(tokens, tokens.len().saturating_sub(1));
        self.pages.has_room(&found, (len, tokens.len() + 1), pass)
    }

    /// The longest beginning of these tokens that is known, at most `limit` of them.
    pub(super) fn find(&self, tokens: &[u32], limit: usize) -> Beginning {
        let found = self.pages.find(&tokens[..limit]);
        let Some(copies) = &self.copies else {
            let len = self.pages.longest(&found, limit);
            return Beginning {
                found,
                len,
                copy: None,
            };
        };
        let covers = |len| self.pages.covers(&found, len);
        let best = copies.longest(tokens, limit, covers);
        let (copy, len) = best.map_or((None, 0), |(copy, len)| (Some(copy), len));
        Beginning { found, len, copy }
    }

    /// Counts the tokens of a prompt, from its first on and `limit` at most, whose cells and states are known.
    pub fn known(&self, tokens: &[u32], limit: usize) -> usize {
        self.find(tokens, limit).len
    }

    /// Gives a sequence that holds nothing the longest beginning of these tokens that is known, all but the last of them at
    /// most. Returns how many these are.
    pub fn begin(&mut self, session: &Session, sequence: u32, tokens: &[u32]) -> usize {
        let Beginning { found, len, copy } = self.find(tokens, tokens.len() - 1);
        let block = self.pages.block();
        // Where there is no block to copy one to that is not whole, whole ones have to do; recurrent states are as they are.
        let whole = if copy.is_none() {
            len / block * block
        } else {
            0
        };
        for len in [len, whole] {
            if let Some(copied) = self.pages.begin(sequence, &found, len) {
                self.copy_blocks(session, &copied);
                self.write_table(session, sequence);
                if let (Some(copies), Some(copy), true) = (&mut self.copies, copy, len > 0) {
                    let mut commands = session.model.gpu.commands();
                    copies.restore(&mut commands, copy, (&session.memory.states, sequence));
                    commands.submit();
                }
                return len;
            }
        }
        0
    }

    /// Makes room for the positions of a sequence before `end`, which are about to be computed.
    ///
    /// # Errors
    /// [`Error::CacheFull`]; then nothing is changed.
    pub fn grow(&mut self, session: &Session, sequence: u32, end: usize) -> Result<()> {
        let grown = self.pages.grow(sequence, end);
        let copied = grown.map_err(|Missing { needed, idle }| Error::CacheFull { needed, idle })?;
        self.copy_blocks(session, &copied);
        self.write_table(session, sequence);
        Ok(())
    }

    /// Gives a sequence blocks of its tokens that another has computed since, but for the last of the tokens. Returns how many
    /// tokens these are.
    pub fn adopt(&mut self, session: &Session, sequence: u32, tokens: &[u32]) -> usize {
        if self.copies.is_some() {
            return 0;
        }
        let mut adopted = 0;
        while self.pages.adopt(sequence, &tokens[..tokens.len() - 1]) {
            adopted += self.pages.block();
        }
        self.write_table(session, sequence);
        adopted
    }

    /// The position that a pass from `first` on over a prompt of so many tokens ends at, at the latest, for a copy of recurrent
    /// states to be kept there.
    pub fn stop(&self, first: usize, prompt: usize) -> usize {
        if self.copies.is_none() || first >= prompt {
            return usize::MAX;
        }
        let block = self.pages.block();
        let interval = SNAPSHOT_INTERVAL.next_multiple_of(block);
        // The last whole block, in which the same prompt begins again.
        let last = (prompt - 1) / block * block;
        let next = (first + 1).next_multiple_of(interval);
        if first < last { last.min(next) } else { prompt }
    }

    /// Says that the cells of these tokens, all that a sequence has computed, are written. `keep`: a copy of recurrent states is
    /// kept, too.
    pub fn wrote(&mut self, session: &Session, sequence: u32, tokens: &[u32], keep: bool) {
        self.pages.wrote(sequence, tokens);
        if keep {
            self.keep(session, sequence, tokens);
        }
    }

    fn keep(&mut self, session: &Session, sequence: u32, tokens: &[u32]) {
        if let Some(copies) = self.copies.as_mut().filter(|_| !tokens.is_empty()) {
            let mut commands = session.model.gpu.commands();
            copies.keep(&mut commands, (&session.memory.states, sequence), tokens);
            commands.submit();
        }
    }

    /// Lets go of what a sequence holds, which has computed these tokens; all of it stays known until there is no room.
    pub fn release(&mut self, session: &Session, sequence: u32, tokens: &[u32]) {
        self.keep(session, sequence, tokens);
        self.pages.release(sequence);
    }

    /// Forgets what a sequence holds.
    pub fn drop(&mut self, sequence: u32) {
        self.pages.release(sequence);
    }

    /// Gives `to`, in the place of what it holds, all that `from` holds.
    pub fn fork(&mut self, session: &Session, from: u32, to: u32) {
        self.pages.fork(from, to);
        self.write_table(session, to);
        let states = &session.memory.states;
        let mut commands = session.model.gpu.commands();
        let specs = states.specs().iter().filter(|spec| spec.is_recurrent());
        for (spec, memory) in specs.zip(states.recurrent()) {
            let size = spec.bytes(1);
            self.copy_within(&mut commands, memory, (from, to), size);
        }
        commands.submit();
    }

    fn copy_blocks(&self, session: &Session, copies: &[BlockCopy]) {
        if copies.is_empty() {
            return;
        }
        let mut commands = session.model.gpu.commands();
        for copy in copies {
            for (spec, memory) in session.memory.states.cells(copy.windowed) {
                let size = self.paging.block_bytes(spec);
                self.copy_within(&mut commands, memory, (copy.from, copy.to), size);
            }
        }
        commands.submit();
    }

    /// Copies one of a buffer's pieces of `size` bytes to the place of another.
    fn copy_within(
        &self,
        commands: &mut Commands<'_>,
        memory: &Buffer,
        (from, to): (u32, u32),
        size: u64,
    ) {
        let place = |number: u32| u64::from(number) * size;
        commands.copy((memory, place(from)), (&self.between, 0), size);
        commands.copy((&self.between, 0), (memory, place(to)), size);
    }

    /// Writes what has changed of a sequence's table.
    fn write_table(&mut self, session: &Session, sequence: u32) {
        let Some((first, entries)) = self.pages.changes(sequence) else {
            return;
        };
        let words: Vec<u32> = entries
            .iter()
            .flat_map(|&[whole, windowed]| [whole, windowed, 0, 0])
            .collect();
        let of_sequence = session.context().div_ceil(self.pages.block());
        let row = session.tables_start() as usize + sequence as usize * of_sequence + first;
        let place = (ROWS_HEADER + row * ROW_WORDS) as u64 * 4;
        let (gpu, rows) = (&session.model.gpu, &session.memory.rows);
        gpu.write(rows, place, bytemuck::cast_slice(&words));
    }
}

impl Session {
    /// Everything but tokens that cells of its cache, and recurrent states, depend on.
    fn cells_of(&self, block: u32) -> String {
        let model = &self.model;
        let states = self.memory.states.specs();
        let (precision, cache, context) = (model.precision, model.cache, model.context);
        let fingerprint = model.fingerprint();
        format!("{fingerprint} {precision:?} {cache:?} {context} {block} {states:?}")
    }
}
