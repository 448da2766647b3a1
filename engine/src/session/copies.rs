//! Copies of the recurrent states of sequences, each after tokens that are known: where a beginning is found again, its
//! states are.

use super::states::States;
use crate::{
    Gpu, Result,
    gpu::{buffer::Buffer, commands::Commands},
    graph::StateSpec,
};

/// Copies of one sequence's states each; the one used longest ago gives way to a new one.
pub(super) struct Copies {
    slots: Vec<Slot>,
    /// A buffer for each recurrent state, (slots, bytes), and those bytes.
    memory: Vec<(Buffer, u64)>,
    clock: u64,
}

#[derive(Clone, Default)]
struct Slot {
    /// The tokens that it has seen; none: it is empty.
    tokens: Vec<u32>,
    used: u64,
    /// It lies in a file, too.
    saved: bool,
}

impl Copies {
    /// Room for so many copies of the recurrent states among these.
    pub async fn new(gpu: &Gpu, specs: &[StateSpec], count: u32) -> Result<Copies> {
        let mut memory = Vec::new();
        for spec in specs.iter().filter(|spec| spec.is_recurrent()) {
            let label = format!("copies of {} of layer {}", spec.name, spec.layer);
            memory.push((gpu.storage(&label, spec.bytes(count)).await?, spec.bytes(1)));
        }
        Ok(Copies {
            slots: vec![Slot::default(); count as usize],
            memory,
            clock: 0,
        })
    }

    /// The copy with most of these tokens, at most `limit`, for which `suits(count)`: its number, and how many.
    pub fn longest(
        &self,
        tokens: &[u32],
        limit: usize,
        suits: impl Fn(usize) -> bool,
    ) -> Option<(usize, usize)> {
        let slots = self.slots.iter().enumerate();
        let all = slots.map(|(number, slot)| (number, &slot.tokens[..]));
        all.filter(|(_, seen)| !seen.is_empty() && seen.len() <= limit && tokens.starts_with(seen))
            .map(|(number, seen)| (number, seen.len()))
            .filter(|&(_, count)| suits(count))
            .max_by_key(|&(_, count)| count)
    }

    /// Keeps a copy of a sequence's states, which have seen these tokens.
    pub fn keep(&mut self, commands: &mut Commands<'_>, from: (&States, u32), tokens: &[u32]) {
        self.clock += 1;
        if let Some(same) = self.slots.iter_mut().find(|slot| slot.tokens == tokens) {
            same.used = self.clock;
            return;
        }
        let number = self.oldest();
        let (states, sequence) = from;
        for (live, (copy, size)) in states.recurrent().zip(&self.memory) {
            let (start, place) = (u64::from(sequence) * size, number as u64 * size);
            commands.copy((live, start), (copy, place), *size);
        }
        self.slots[number] = Slot {
            tokens: tokens.to_vec(),
            used: self.clock,
            saved: false,
        };
    }

    /// The slot that is missed least.
    fn oldest(&self) -> usize {
        let slots = self.slots.iter().enumerate();
        let oldest = slots.min_by_key(|(_, slot)| slot.used);
        oldest.expect("there is room for one").0
    }

    /// Bytes of a copy, all states one after the other.
    pub fn bytes(&self) -> u64 {
        self.memory.iter().map(|(_, size)| size).sum()
    }

    /// Whether there is a copy after exactly these tokens.
    pub fn has(&self, tokens: &[u32]) -> bool {
        self.slots.iter().any(|slot| slot.tokens == tokens)
    }

    /// Puts a copy of states after these tokens in the place of the oldest: those that a file has, one after the other.
    pub fn put(&mut self, gpu: &Gpu, tokens: &[u32], mut bytes: &[u8]) {
        self.clock += 1;
        let number = self.oldest();
        for (copy, size) in &self.memory {
            let (own, rest) = bytes.split_at(*size as usize);
            gpu.write(copy, number as u64 * size, own);
            bytes = rest;
        }
        self.slots[number] = Slot {
            tokens: tokens.to_vec(),
            used: self.clock,
            saved: true,
        };
    }

    /// A copy after whole blocks of so many tokens that no file has: its number, and those tokens.
    pub fn unsaved(&self, block: usize) -> Option<(usize, &[u32])> {
        let wanted = |slot: &Slot| {
            let whole = !slot.tokens.is_empty() && slot.tokens.len().is_multiple_of(block);
            whole && !slot.saved
        };
        let number = self.slots.iter().position(wanted)?;
        Some((number, &self.slots[number].tokens))
    }

    /// Says that a file has copy `number`.
    pub fn saved(&mut self, number: usize) {
        self.slots[number].saved = true;
    }

    /// Copies copy `number` to a buffer, all states one after the other.
    pub fn copy_out(&self, commands: &mut Commands<'_>, number: usize, to: &Buffer) {
        let mut place = 0;
        for (copy, size) in &self.memory {
            commands.copy((copy, number as u64 * size), (to, place), *size);
            place += size;
        }
    }

    /// Gives a sequence the states of copy `number`.
    pub fn restore(&mut self, commands: &mut Commands<'_>, number: usize, to: (&States, u32)) {
        self.clock += 1;
        self.slots[number].used = self.clock;
        let (states, sequence) = to;
        for (live, (copy, size)) in states.recurrent().zip(&self.memory) {
            let (place, start) = (number as u64 * size, u64::from(sequence) * size);
            commands.copy((copy, place), (live, start), *size);
        }
    }
}
