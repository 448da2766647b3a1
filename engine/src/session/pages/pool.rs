//! Blocks of a paged cache: how many hold each, and which tokens' cells lie in those that are known. Blocks that nobody holds
//! stay known until they are taken for something else, the one that was held longest ago first.

use std::collections::{BTreeSet, HashMap};

use super::key::Key;

/// Blocks of layers that keep the same positions.
pub struct Pool {
    blocks: Vec<Block>,
    /// Blocks that nobody holds, by when that began; those without contents come first.
    idle: BTreeSet<(u64, u32)>,
    /// Blocks with contents, by the key before them.
    known: HashMap<Key, Vec<u32>>,
    clock: u64,
}

#[derive(Default)]
struct Block {
    holders: u32,
    /// When it was let go of by the last that held it; 0 without contents.
    since: u64,
    contents: Option<Contents>,
}

/// Tokens whose cells are in a block, and the key before them.
struct Contents {
    before: Key,
    tokens: Vec<u32>,
    /// It lies in a file, too.
    saved: bool,
}

impl Pool {
    pub fn new(count: u32) -> Pool {
        Pool {
            blocks: (0..count).map(|_| Block::default()).collect(),
            idle: (0..count).map(|block| (0, block)).collect(),
            known: HashMap::new(),
            clock: 0,
        }
    }

    /// Number of blocks.
    pub fn count(&self) -> usize {
        self.blocks.len()
    }

    /// Number of blocks that nobody holds.
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Number of sequences that hold a block.
    pub fn holders(&self, block: u32) -> u32 {
        self.blocks[block as usize].holders
    }

    /// Tokens that are known of a block.
    pub fn tokens(&self, block: u32) -> &[u32] {
        let contents = self.blocks[block as usize].contents.as_ref();
        contents.map_or(&[], |contents| &contents.tokens)
    }

    /// Takes the block that is missed least; what was in it is forgotten.
    pub fn take(&mut self) -> Option<u32> {
        let (_, block) = self.idle.pop_first()?;
        self.forget(block);
        self.blocks[block as usize].holders = 1;
        Some(block)
    }

    /// Holds a block once more.
    pub fn hold(&mut self, block: u32) {
        let own = &mut self.blocks[block as usize];
        if own.holders == 0 {
            self.idle.remove(&(own.since, block));
        }
        own.holders += 1;
    }

    /// Lets go of a block.
    pub fn release(&mut self, block: u32) {
        let own = &mut self.blocks[block as usize];
        own.holders -= 1;
        if own.holders > 0 {
            return;
        }
        own.since = 0;
        if own.contents.is_some() {
            self.clock += 1;
            own.since = self.clock;
        }
        self.idle.insert((own.since, block));
    }

    /// Says that cells of these tokens were written to a block from `offset` on. Whoever writes is the only one to hold it.
    pub fn wrote(&mut self, block: u32, before: &Key, offset: usize, tokens: &[u32]) {
        let own = &mut self.blocks[block as usize];
        assert_eq!(own.holders, 1, "a block that is written is nobody else's");
        let contents = own.contents.get_or_insert_with(|| {
            self.known.entry(*before).or_default().push(block);
            Contents {
                before: *before,
                tokens: vec![],
                saved: false,
            }
        });
        assert!(contents.before == *before && contents.tokens.len() >= offset);
        contents.tokens.truncate(offset);
        contents.tokens.extend_from_slice(tokens);
    }

    /// The block that has most of these tokens at its start, after `before`, and how many.
    pub fn find(&self, before: &Key, tokens: &[u32]) -> Option<(u32, usize)> {
        let common = |&block: &u32| {
            let pairs = self.tokens(block).iter().zip(tokens);
            pairs.take_while(|(own, wanted)| own == wanted).count()
        };
        let all = self.known.get(before)?.iter();
        let best = all.map(|block| (*block, common(block)));
        best.max_by_key(|&(_, count)| count)
            .filter(|&(_, count)| count > 0)
    }

    /// A block that nobody holds, whose `count` tokens are all known, and which is in no file: itself, the key before it and its
    /// tokens. The last of a sequence come first.
    pub fn unsaved(&self, count: usize) -> Option<(u32, Key, &[u32])> {
        let idle = self.idle.iter().map(|&(_, block)| block);
        let mut contents = idle.filter_map(|block| {
            let contents = self.blocks[block as usize].contents.as_ref()?;
            let wanted = !contents.saved && contents.tokens.len() == count;
            wanted.then_some((block, contents.before, &contents.tokens[..]))
        });
        contents.next()
    }

    /// Says that a block lies in a file, too.
    pub fn saved(&mut self, block: u32) {
        if let Some(contents) = &mut self.blocks[block as usize].contents {
            contents.saved = true;
        }
    }

    fn forget(&mut self, block: u32) {
        let Some(contents) = self.blocks[block as usize].contents.take() else {
            return;
        };
        if let Some(beside) = self.known.get_mut(&contents.before) {
            beside.retain(|other| *other != block);
            if beside.is_empty() {
                self.known.remove(&contents.before);
            }
        }
    }

    /// Whether all counts add up, with so many that hold each block.
    #[cfg(test)]
    pub fn check(&self, holders: &HashMap<u32, u32>) {
        for (block, own) in (0..).zip(&self.blocks) {
            assert_eq!(own.holders, holders.get(&block).copied().unwrap_or(0));
            let idle = self.idle.contains(&(own.since, block));
            assert_eq!(idle, own.holders == 0);
            let known = own
                .contents
                .as_ref()
                .is_some_and(|contents| self.known[&contents.before].contains(&block));
            assert_eq!(known, own.contents.is_some());
        }
        let idle = self.blocks.iter().filter(|block| block.holders == 0);
        assert_eq!(self.idle.len(), idle.count());
        let known = self.blocks.iter().filter(|block| block.contents.is_some());
        let listed: usize = self.known.values().map(Vec::len).sum();
        assert_eq!(listed, known.count());
    }
}
