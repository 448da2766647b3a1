//! Tables of a paged cache: which blocks each sequence holds, and which it can take over from what is known. Nothing here
//! touches the GPU.

mod key;
mod pool;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use key::Key;
use pool::Pool;

/// Blocks of all sequences.
pub struct Pages {
    /// Positions of a block.
    block: usize,
    root: Key,
    kinds: Vec<Kind>,
    sequences: Vec<Held>,
}

/// Blocks of layers that keep the same positions, and the tables of them.
struct Kind {
    /// Positions that are read; none: all.
    window: Option<usize>,
    pool: Pool,
    /// Blocks of each sequence; none where the window has left them behind.
    tables: Vec<Vec<Option<u32>>>,
}

/// Progress of a sequence, beside its tables.
struct Held {
    /// The key before each block up to where it goes on.
    keys: Vec<Key>,
    /// Positions that are written.
    len: usize,
    /// The first entry of its table that the GPU does not know.
    changed: usize,
}

/// A block that is copied to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockCopy {
    /// The block is one of layers with a window.
    pub windowed: bool,
    /// Number of the block that is copied.
    pub from: u32,
    /// Number of the block that is written.
    pub to: u32,
}

/// Blocks that are known of some tokens.
pub struct Found {
    keys: Vec<Key>,
    /// For each kind and each block of the tokens one that has some of them at its start, and how many.
    blocks: Vec<Vec<Option<(u32, usize)>>>,
}

impl Found {
    /// The key before block `number` of the tokens.
    pub fn key(&self, number: usize) -> &Key {
        &self.keys[number]
    }

    /// Whether block `number` is known as a whole one of so many positions.
    pub fn has(&self, (kind, number): (usize, usize), count: usize) -> bool {
        let known = self.blocks[kind].get(number).copied().flatten();
        known.is_some_and(|(_, there)| there == count)
    }
}

/// Blocks that are wanted, and those that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    pub needed: usize,
    pub idle: usize,
}

impl Pages {
    /// Tables for so many sequences. `kinds`: the window and the number of blocks of each kind of layers.
    pub fn new(block: u32, root: Key, kinds: &[(Option<u32>, u32)], sequences: u32) -> Pages {
        let kind = |&(window, count): &(Option<u32>, u32)| Kind {
            window: window.map(|window| window as usize),
            pool: Pool::new(count),
            tables: vec![vec![]; sequences as usize],
        };
        let held = |_| Held {
            keys: vec![root],
            len: 0,
            changed: usize::MAX,
        };
        Pages {
            block: block as usize,
            root,
            kinds: kinds.iter().map(kind).collect(),
            sequences: (0..sequences).map(held).collect(),
        }
    }

    /// Positions of a block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// Blocks that sequences hold, and all.
    pub fn used(&self) -> (usize, usize) {
        let pools = || self.kinds.iter().map(|kind| &kind.pool);
        let all = pools().map(Pool::count).sum();
        (all - pools().map(Pool::idle).sum::<usize>(), all)
    }

    /// Whether nobody holds as many blocks as a sequence takes to get from the first `len` positions of what was found to
    /// `end`, in passes of up to `pass` rows.
    pub fn has_room(&self, found: &Found, (len, end): (usize, usize), pass: usize) -> bool {
        self.kinds.iter().zip(&found.blocks).all(|(kind, blocks)| {
            let most = kind.window.map_or(usize::MAX, |window| window + pass);
            let more = (end - len).min(most).div_ceil(self.block);
            let held = needed(kind, len, self.block).filter(|&(number, _)| {
                let known = blocks[number].map(|(block, _)| block);
                known.is_some_and(|block| kind.pool.holders(block) == 0)
            });
            // One more on either side, where they begin and end within.
            held.count() + more + 2 <= kind.pool.idle()
        })
    }

    /// The blocks that are known of these tokens.
    pub fn find(&self, tokens: &[u32]) -> Found {
        let mut keys = vec![self.root];
        for block in tokens.chunks_exact(self.block) {
            keys.push(keys[keys.len() - 1].then(block));
        }
        let parts = || keys.iter().zip(tokens.chunks(self.block));
        let of_kind = |kind: &Kind| {
            parts()
                .map(|(key, part)| kind.pool.find(key, part))
                .collect()
        };
        Found {
            blocks: self.kinds.iter().map(of_kind).collect(),
            keys,
        }
    }

    /// The key after tokens of whole blocks.
    pub fn key_after(&self, tokens: &[u32]) -> Key {
        let blocks = tokens.chunks_exact(self.block);
        blocks.fold(self.root, |key, block| key.then(block))
    }

    /// The most positions, at most `limit`, that a sequence can have of what was found.
    pub fn longest(&self, found: &Found, limit: usize) -> usize {
        let blocks = (0..=limit / self.block).rev();
        let mut lengths = blocks.map(|block| {
            let start = block * self.block;
            let of_kind = |kind: &Vec<_>| kind.get(block).copied().flatten();
            let common = found
                .blocks
                .iter()
                .map(|kind| of_kind(kind).map_or(0, |(_, count)| count));
            start + common.min().unwrap_or(self.block).min(limit - start)
        });
        lengths.find(|&len| self.covers(found, len)).unwrap_or(0)
    }

    /// Whether a sequence can have `len` positions of what was found.
    pub fn covers(&self, found: &Found, len: usize) -> bool {
        let mut kinds = self.kinds.iter().zip(&found.blocks);
        kinds.all(|(kind, blocks)| {
            let has = |(number, count): (usize, usize)| {
                let found = blocks.get(number).copied().flatten();
                found.is_some_and(|(_, there)| there >= count)
            };
            needed(kind, len, self.block).all(has)
        })
    }

    /// Gives a sequence, which holds nothing, the first `len` positions of what was found: whole blocks together with all who
    /// hold them, and a copy of the last where it is not whole. None where there is no block for that, and then nothing
    /// is changed.
    pub fn begin(&mut self, sequence: u32, found: &Found, len: usize) -> Option<Vec<BlockCopy>> {
        let own = sequence as usize;
        for (kind, blocks) in self.kinds.iter_mut().zip(&found.blocks) {
            for (number, _) in needed(kind, len, self.block) {
                let (block, _) = blocks[number].expect("covered");
                kind.pool.hold(block);
                kind.tables[own].resize(number, None);
                kind.tables[own].push(Some(block));
            }
            kind.tables[own].resize(len.div_ceil(self.block), None);
        }
        let held = &mut self.sequences[own];
        held.keys = found.keys[..=len / self.block].to_vec();
        (held.len, held.changed) = (len, 0);
        let copied = self.make_own(sequence);
        if copied.is_none() {
            self.release(sequence);
        }
        copied
    }

    /// Copies the block that a sequence goes on in, where others hold it or know more of it. None where there is no block
    /// to copy to, and then nothing is changed.
    fn make_own(&mut self, sequence: u32) -> Option<Vec<BlockCopy>> {
        let held = &mut self.sequences[sequence as usize];
        let (number, offset) = (held.len / self.block, held.len % self.block);
        if offset == 0 {
            return Some(vec![]);
        }
        let key = held.keys[number];
        let shared = |kind: &Kind| kind.shared(sequence as usize, held.len, self.block);
        if (self.kinds.iter()).any(|kind| shared(kind).is_some() && kind.pool.idle() == 0) {
            return None;
        }
        let mut copies = vec![];
        for kind in &mut self.kinds {
            let Some(from) = kind.shared(sequence as usize, held.len, self.block) else {
                continue;
            };
            let to = kind.pool.take().expect("one is idle");
            let tokens = kind.pool.tokens(from)[..offset].to_vec();
            kind.pool.wrote(to, &key, 0, &tokens);
            kind.pool.release(from);
            kind.tables[sequence as usize][number] = Some(to);
            held.changed = held.changed.min(number);
            copies.push(BlockCopy {
                windowed: kind.window.is_some(),
                from,
                to,
            });
        }
        Some(copies)
    }

    /// The kinds of layers: whether they have a window.
    pub fn windowed(&self) -> impl Iterator<Item = bool> + use<'_> {
        self.kinds.iter().map(|kind| kind.window.is_some())
    }

    /// Blocks that a sequence needs to go on at `len`, by kind and number.
    pub fn needed(&self, len: usize) -> impl Iterator<Item = (usize, usize)> + use<'_> {
        let kinds = self.kinds.iter().enumerate();
        kinds.flat_map(move |(number, kind)| {
            needed(kind, len, self.block).map(move |(block, _)| (number, block))
        })
    }

    /// Holds a block of what was found, where all of it is there.
    pub fn hold(&mut self, found: &Found, (kind, number): (usize, usize)) -> Option<u32> {
        let known = found.blocks[kind].get(number).copied().flatten();
        let (block, _) = known.filter(|&(_, count)| count == self.block)?;
        self.kinds[kind].pool.hold(block);
        Some(block)
    }

    /// Takes a block for tokens after `before`, whose cells are written to it, and holds it.
    pub fn put(&mut self, kind: usize, before: &Key, tokens: &[u32]) -> Option<u32> {
        let pool = &mut self.kinds[kind].pool;
        let block = pool.take()?;
        pool.wrote(block, before, 0, tokens);
        pool.saved(block);
        Some(block)
    }

    /// Lets go of a block that was held by itself.
    pub fn let_go(&mut self, kind: usize, block: u32) {
        self.kinds[kind].pool.release(block);
    }

    /// A whole block that nobody holds and no file has: its kind, itself, and the key after it.
    pub fn unsaved(&self) -> Option<(usize, u32, Key)> {
        let mut kinds = self.kinds.iter().enumerate();
        kinds.find_map(|(number, kind)| {
            let (block, before, tokens) = kind.pool.unsaved(self.block)?;
            Some((number, block, before.then(tokens)))
        })
    }

    /// Says that a file has a block.
    pub fn saved(&mut self, kind: usize, block: u32) {
        self.kinds[kind].pool.saved(block);
    }

    /// Makes room for the positions of a sequence before `end`, which are to be written.
    pub fn grow(&mut self, sequence: u32, end: usize) -> Result<Vec<BlockCopy>, Missing> {
        let own = sequence as usize;
        let wanted = end.div_ceil(self.block);
        for kind in &self.kinds {
            // One more where the block it goes on in has to be copied.
            let shared = kind
                .shared(own, self.sequences[own].len, self.block)
                .is_some();
            let needed = wanted.saturating_sub(kind.tables[own].len()) + usize::from(shared);
            let idle = kind.pool.idle();
            if needed > idle {
                return Err(Missing { needed, idle });
            }
        }
        let copies = self.make_own(sequence).expect("there are enough");
        let held = &mut self.sequences[own];
        for kind in &mut self.kinds {
            while kind.tables[own].len() < wanted {
                held.changed = held.changed.min(kind.tables[own].len());
                let block = kind.pool.take().expect("there are enough");
                kind.tables[own].push(Some(block));
            }
        }
        Ok(copies)
    }

    /// Says that the cells of these tokens, all that a sequence has, are written.
    pub fn wrote(&mut self, sequence: u32, tokens: &[u32]) {
        let own = sequence as usize;
        let held = &mut self.sequences[own];
        while held.len < tokens.len() {
            let (number, offset) = (held.len / self.block, held.len % self.block);
            let start = number * self.block;
            let end = tokens.len().min(start + self.block);
            for kind in &mut self.kinds {
                let block = kind.tables[own][number].expect("there is room");
                let key = &held.keys[number];
                kind.pool.wrote(block, key, offset, &tokens[held.len..end]);
            }
            held.len = end;
            if end == start + self.block {
                held.keys.push(held.keys[number].then(&tokens[start..end]));
            }
        }
        for kind in &mut self.kinds {
            let first = first_block(kind, held.len, self.block);
            let left = kind.tables[own].iter_mut().take(first);
            for block in left.filter_map(Option::take) {
                kind.pool.release(block);
            }
        }
    }

    /// Gives a sequence the next block of its tokens, where another has computed it meanwhile, and says so.
    pub fn adopt(&mut self, sequence: u32, tokens: &[u32]) -> bool {
        let own = sequence as usize;
        let held = &mut self.sequences[own];
        let (number, end) = (held.len / self.block, held.len + self.block);
        let free = |kind: &Kind| kind.tables[own].len() == number;
        if !held.len.is_multiple_of(self.block)
            || end > tokens.len()
            || !self.kinds.iter().all(free)
        {
            return false;
        }
        let (key, next) = (held.keys[number], &tokens[held.len..end]);
        let whole = |kind: &Kind| {
            let found = kind.pool.find(&key, next);
            found
                .filter(|&(_, count)| count == self.block)
                .map(|(block, _)| block)
        };
        let found: Option<Vec<u32>> = self.kinds.iter().map(whole).collect();
        let Some(found) = found.filter(|found| !found.is_empty()) else {
            return false;
        };
        for (kind, block) in self.kinds.iter_mut().zip(found) {
            kind.pool.hold(block);
            kind.tables[own].push(Some(block));
        }
        held.keys.push(key.then(next));
        held.len = end;
        held.changed = held.changed.min(number);
        true
    }

    /// Lets go of all that a sequence holds; what is in it stays known.
    pub fn release(&mut self, sequence: u32) {
        let own = sequence as usize;
        for kind in &mut self.kinds {
            // The first are missed most.
            let table = std::mem::take(&mut kind.tables[own]);
            for block in table.into_iter().rev().flatten() {
                kind.pool.release(block);
            }
        }
        self.sequences[own] = Held {
            keys: vec![self.root],
            len: 0,
            changed: usize::MAX,
        };
    }

    /// Gives `to`, in the place of what it holds, all that `from` holds.
    pub fn fork(&mut self, from: u32, to: u32) {
        self.release(to);
        for kind in &mut self.kinds {
            let table = kind.tables[from as usize].clone();
            table
                .iter()
                .flatten()
                .for_each(|&block| kind.pool.hold(block));
            kind.tables[to as usize] = table;
        }
        let held = &self.sequences[from as usize];
        self.sequences[to as usize] = Held {
            keys: held.keys.clone(),
            len: held.len,
            changed: 0,
        };
    }

    /// The entries of a sequence's table that have changed since this was last asked, and where they begin.
    pub fn changes(&mut self, sequence: u32) -> Option<(usize, Vec<[u32; 2]>)> {
        let held = &mut self.sequences[sequence as usize];
        let first = std::mem::replace(&mut held.changed, usize::MAX);
        let tables = || {
            self.kinds
                .iter()
                .map(|kind| (kind.window, &kind.tables[sequence as usize]))
        };
        let end = tables().map(|(_, table)| table.len()).max().unwrap_or(0);
        let entry = |number: usize| {
            let mut entry = [0; 2];
            for (window, table) in tables() {
                let block = table.get(number).copied().flatten();
                entry[usize::from(window.is_some())] = block.unwrap_or(0);
            }
            entry
        };
        (first < end).then(|| (first, (first..end).map(entry).collect()))
    }
}

impl Kind {
    /// The block that sequence `own` goes on in at `len`, where others hold it or it knows more.
    fn shared(&self, own: usize, len: usize, block: usize) -> Option<u32> {
        let (number, offset) = (len / block, len % block);
        let block = self.tables[own].get(number).copied().flatten();
        block.filter(|&block| {
            let more = self.pool.tokens(block).len() > offset;
            offset > 0 && (more || self.pool.holders(block) > 1)
        })
    }
}

/// The first block that is needed where a sequence goes on at `len`.
fn first_block(kind: &Kind, len: usize, block: usize) -> usize {
    // The last token may be computed again.
    kind.window
        .map_or(0, |window| len.saturating_sub(window) / block)
}

/// The blocks that a sequence needs to go on at `len`, and how many positions of each.
fn needed(kind: &Kind, len: usize, block: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
    let blocks: Range<usize> = first_block(kind, len, block)..len.div_ceil(block);
    blocks.map(move |number| (number, block.min(len - number * block)))
}
