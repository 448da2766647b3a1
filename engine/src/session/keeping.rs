//! Blocks and copies of states on their way to a folder, when there is time, and back where a prompt begins like one of before.

use std::path::Path;

use super::{
    Session,
    copies::Copies,
    kept::Kept,
    pages::Key,
    shared::{Beginning, SharedCache},
};
use crate::Result;

/// Name of copies of states, beside the tokens that they are of.
const STATES: &str = "states";

/// Name of blocks, likewise.
fn cells(windowed: bool) -> &'static str {
    if windowed { "window" } else { "cells" }
}

impl SharedCache {
    /// Keeps blocks and copies in a folder from now on.
    pub async fn keep_in(
        &mut self,
        session: &Session,
        folder: &Path,
        bytes_max: u64,
    ) -> Result<()> {
        let blocks = [false, true].map(|windowed| self.block_bytes(session, windowed));
        let states = self.copies.as_ref().map_or(0, Copies::bytes);
        let largest = blocks[0].max(blocks[1]).max(states);
        let gpu = &session.model.gpu;
        self.kept = Some(Kept::open(gpu, folder, bytes_max, largest).await?);
        Ok(())
    }

    /// Reads blocks, and a copy of states, for a prompt that a sequence is about to begin, all but its last token.
    pub fn begin_with_files(&mut self, session: &Session, sequence: u32, tokens: &[u32]) -> usize {
        self.load(session, tokens, tokens.len() - 1);
        self.begin(session, sequence, tokens)
    }

    /// Bytes of a block of all layers of a kind.
    fn block_bytes(&self, session: &Session, windowed: bool) -> u64 {
        let states = session.memory.states.cells(windowed);
        states.map(|(spec, _)| self.paging.block_bytes(spec)).sum()
    }

    /// Reads blocks, and a copy of states, that a beginning of these tokens needs to be longer than what is known, where files
    /// have them; of at most `limit` tokens.
    pub(super) fn load(&mut self, session: &Session, tokens: &[u32], limit: usize) {
        let Some(mut kept) = self.kept.take() else {
            return;
        };
        let known = self.find(tokens, limit);
        if let Some(len) = self.longest_kept(&kept, &known, &tokens[..limit]) {
            self.load_blocks(session, &mut kept, &known, &tokens[..len]);
            let states = known.found.key(len / self.pages.block()).of(STATES);
            if let Some(copies) = &mut self.copies
                && !copies.has(&tokens[..len])
                && let Some(bytes) = kept.read(&states, copies.bytes())
            {
                copies.put(&session.model.gpu, &tokens[..len], &bytes);
            }
        }
        self.kept = Some(kept);
    }

    /// The longest beginning of whole blocks that is longer than what is known, and is known with what files have.
    fn longest_kept(&self, kept: &Kept, known: &Beginning, tokens: &[u32]) -> Option<usize> {
        let (block, found) = (self.pages.block(), &known.found);
        let count = tokens.len() / block;
        let has = |(kind, windowed): (usize, bool)| -> Vec<bool> {
            let there = |number: usize| {
                let key = || found.key(number + 1).of(cells(windowed));
                found.has((kind, number), block) || kept.folder.has(&key())
            };
            (0..count).map(there).collect()
        };
        let has: Vec<_> = self.pages.windowed().enumerate().map(has).collect();
        let has_states = |len: usize| {
            let key = || found.key(len / block).of(STATES);
            let copies = self.copies.as_ref();
            copies.is_none_or(|copies| copies.has(&tokens[..len]) || kept.folder.has(&key()))
        };
        let lengths = (1..=count).rev().map(|number| number * block);
        let mut longer = lengths.take_while(|&len| len > known.len);
        longer.find(|&len| {
            let mut needed = self.pages.needed(len);
            has_states(len) && needed.all(|(kind, number)| has[kind][number])
        })
    }

    /// Reads the blocks of these tokens, whole ones, that are not known.
    fn load_blocks(
        &mut self,
        session: &Session,
        kept: &mut Kept,
        known: &Beginning,
        tokens: &[u32],
    ) {
        let (block, found) = (self.pages.block(), &known.found);
        let windowed: Vec<bool> = self.pages.windowed().collect();
        let needed: Vec<(usize, usize)> = self.pages.needed(tokens.len()).collect();
        // What is known already must not give way to what comes.
        let held = needed
            .iter()
            .map(|&place| (place.0, self.pages.hold(found, place)));
        let mut held: Vec<_> = held
            .filter_map(|(kind, block)| Some((kind, block?)))
            .collect();
        // The first are missed most: they are used last.
        for &(kind, number) in needed.iter().rev() {
            if found.has((kind, number), block) {
                continue;
            }
            let key = found.key(number + 1).of(cells(windowed[kind]));
            let bytes = self.block_bytes(session, windowed[kind]);
            let Some(contents) = kept.read(&key, bytes) else {
                continue;
            };
            let own = &tokens[number * block..][..block];
            let Some(place) = self.pages.put(kind, found.key(number), own) else {
                break; // no more room
            };
            held.push((kind, place));
            self.write_block(session, windowed[kind], place, &contents);
        }
        for (kind, block) in held.into_iter().rev() {
            self.pages.let_go(kind, block);
        }
    }

    fn write_block(&self, session: &Session, windowed: bool, block: u32, mut bytes: &[u8]) {
        for (spec, memory) in session.memory.states.cells(windowed) {
            let size = self.paging.block_bytes(spec);
            let (own, rest) = bytes.split_at(size as usize);
            session
                .model
                .gpu
                .write(memory, u64::from(block) * size, own);
            bytes = rest;
        }
    }

    /// Writes a block, or a copy of states, that the folder does not have; false where there is none.
    pub(super) async fn save(&mut self, session: &Session) -> Result<bool> {
        let Some(mut kept) = self.kept.take() else {
            return Ok(false);
        };
        let saved = self.save_next(session, &mut kept).await;
        self.kept = Some(kept);
        saved
    }

    async fn save_next(&mut self, session: &Session, kept: &mut Kept) -> Result<bool> {
        while let Some((kind, block, key)) = self.pages.unsaved() {
            self.pages.saved(kind, block);
            let windowed = self.pages.windowed().nth(kind).expect("a kind of its own");
            let key = key.of(cells(windowed));
            if kept.folder.has(&key) {
                continue;
            }
            let mut commands = session.model.gpu.commands();
            let mut place = 0;
            for (spec, memory) in session.memory.states.cells(windowed) {
                let size = self.paging.block_bytes(spec);
                let start = u64::from(block) * size;
                commands.copy((memory, start), (&kept.readback, place), size);
                place += size;
            }
            commands.submit();
            return self.write_file(session, kept, &key, place).await;
        }
        let (pages, Some(copies)) = (&self.pages, &mut self.copies) else {
            return Ok(false);
        };
        while let Some((number, tokens)) = copies.unsaved(pages.block()) {
            let key = pages.key_after(tokens).of(STATES);
            copies.saved(number);
            if kept.folder.has(&key) {
                continue;
            }
            let mut commands = session.model.gpu.commands();
            copies.copy_out(&mut commands, number, &kept.readback);
            commands.submit();
            let bytes = copies.bytes();
            return self.write_file(session, kept, &key, bytes).await;
        }
        Ok(false)
    }

    async fn write_file(
        &self,
        session: &Session,
        kept: &mut Kept,
        key: &Key,
        bytes: u64,
    ) -> Result<bool> {
        let gpu = &session.model.gpu;
        let words = gpu.map_words(&kept.readback, bytes as usize / 4).await?;
        kept.folder.write(key, bytemuck::cast_slice(&words))?;
        Ok(true)
    }
}
