//! Random starts, growth, ends, forks: counts always add up, and no block is held by two unless they share it.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{BlockCopy, Key, Missing, Pages};

const BLOCK: u32 = 4;
const SEQUENCES: u32 = 3;
const WINDOW: u32 = 6;

/// Blocks of both kinds as a GPU would have them: the token of each position.
struct Memory([Vec<Option<u32>>; 2]);

/// Tokens that a sequence is to have, and how many of them are written.
#[derive(Default)]
struct Own {
    tokens: Vec<u32>,
    written: usize,
}

struct Model {
    pages: Pages,
    memory: Memory,
    own: Vec<Own>,
    /// Tables as the GPU knows them.
    tables: Vec<HashMap<usize, [u32; 2]>>,
}

#[derive(Debug, Clone)]
enum Turn {
    Start { sequence: u32, tokens: Vec<u32> },
    Write { sequence: u32, count: usize },
    Adopt { sequence: u32 },
    Fork { from: u32, to: u32 },
    Release { sequence: u32 },
}

impl Model {
    fn new(whole: u32, windowed: u32) -> Model {
        let kinds = [(None, whole), (Some(WINDOW), windowed)];
        let blank = |count: u32| vec![None; (count * BLOCK) as usize];
        Model {
            pages: Pages::new(BLOCK, Key::root("test"), &kinds, SEQUENCES),
            memory: Memory([blank(whole), blank(windowed)]),
            own: (0..SEQUENCES).map(|_| Own::default()).collect(),
            tables: vec![HashMap::new(); SEQUENCES as usize],
        }
    }

    fn copy(&mut self, copies: &[BlockCopy]) {
        for copy in copies {
            let cells = &mut self.memory.0[usize::from(copy.windowed)];
            let (from, to) = ((copy.from * BLOCK) as usize, (copy.to * BLOCK) as usize);
            cells.copy_within(from..from + BLOCK as usize, to);
        }
    }

    fn read_table(&mut self, sequence: u32) {
        if let Some((first, entries)) = self.pages.changes(sequence) {
            let table = &mut self.tables[sequence as usize];
            table.extend((first..).zip(entries));
        }
    }

    fn turn(&mut self, turn: &Turn) {
        match turn {
            Turn::Start { sequence, tokens } => {
                self.pages.release(*sequence);
                let found = self.pages.find(&tokens[..tokens.len() - 1]);
                let len = self.pages.longest(&found, tokens.len() - 1);
                assert!(self.pages.covers(&found, len));
                let whole = len / BLOCK as usize * BLOCK as usize;
                let (copies, len) = match self.pages.begin(*sequence, &found, len) {
                    Some(copies) => (copies, len),
                    None => (self.pages.begin(*sequence, &found, whole).unwrap(), whole),
                };
                self.copy(&copies);
                self.own[*sequence as usize] = Own {
                    tokens: tokens.clone(),
                    written: len,
                };
            }
            Turn::Write { sequence, count } => self.write(*sequence, *count),
            Turn::Adopt { sequence } => {
                let own = &mut self.own[*sequence as usize];
                if self.pages.adopt(*sequence, &own.tokens) {
                    own.written += BLOCK as usize;
                }
            }
            Turn::Fork { from, to } if from != to => {
                self.pages.fork(*from, *to);
                let Own { tokens, written } = &self.own[*from as usize];
                self.own[*to as usize] = Own {
                    // It goes on otherwise.
                    tokens: [&tokens[..*written], &[*to; 9]].concat(),
                    written: *written,
                };
            }
            Turn::Fork { .. } => {}
            Turn::Release { sequence } => {
                self.pages.release(*sequence);
                self.own[*sequence as usize] = Own::default();
            }
        }
        for sequence in 0..SEQUENCES {
            self.read_table(sequence);
        }
    }

    fn write(&mut self, sequence: u32, count: usize) {
        let Own { tokens, written } = &self.own[sequence as usize];
        let (first, end) = (*written, tokens.len().min(written + count));
        match self.pages.grow(sequence, end) {
            Ok(copies) => self.copy(&copies),
            Err(Missing { needed, idle }) => {
                assert!(needed > idle);
                return;
            }
        }
        self.read_table(sequence);
        for position in first..end {
            let entry = self.tables[sequence as usize][&(position / BLOCK as usize)];
            for (cells, block) in self.memory.0.iter_mut().zip(entry) {
                let cell = (block * BLOCK) as usize + position % BLOCK as usize;
                cells[cell] = Some(self.own[sequence as usize].tokens[position]);
            }
        }
        let own = &mut self.own[sequence as usize];
        own.written = end;
        self.pages.wrote(sequence, &own.tokens[..end]);
    }

    /// Counts add up, and each sequence reads its own tokens wherever it looks.
    fn check(&self) {
        for kind in &self.pages.kinds {
            let mut holders = HashMap::new();
            for block in kind.tables.iter().flatten().flatten() {
                *holders.entry(*block).or_insert(0) += 1;
            }
            kind.pool.check(&holders);
        }
        for (own, table) in self.own.iter().zip(&self.tables) {
            let seen_from = [0, own.written.saturating_sub(WINDOW as usize)];
            for (kind, from) in seen_from.into_iter().enumerate() {
                for position in from..own.written {
                    let block = table[&(position / BLOCK as usize)][kind];
                    let cell = (block * BLOCK) as usize + position % BLOCK as usize;
                    let there = self.memory.0[kind][cell];
                    assert_eq!(there, Some(own.tokens[position]), "position {position}");
                }
            }
        }
    }
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let sequence = || 0..SEQUENCES;
    // Few tokens, so that beginnings are often alike.
    let tokens = prop::collection::vec(0..2u32, 1..24);
    let turn = prop_oneof![
        2 => (sequence(), tokens).prop_map(|(sequence, tokens)| Turn::Start { sequence, tokens }),
        5 => (sequence(), 1..9usize).prop_map(|(sequence, count)| Turn::Write { sequence, count }),
        2 => sequence().prop_map(|sequence| Turn::Adopt { sequence }),
        1 => (sequence(), sequence()).prop_map(|(from, to)| Turn::Fork { from, to }),
        1 => sequence().prop_map(|sequence| Turn::Release { sequence }),
    ];
    prop::collection::vec(turn, 1..60)
}

proptest! {
    #[test]
    fn sequences_read_what_is_theirs(turns in turns(), whole in 7..20u32, windowed in 5..12u32) {
        let mut model = Model::new(whole, windowed);
        for turn in &turns {
            model.turn(turn);
            model.check();
        }
        for sequence in 0..SEQUENCES {
            model.turn(&Turn::Release { sequence });
        }
        let (used, all) = model.pages.used();
        prop_assert_eq!((used, all), (0, (whole + windowed) as usize));
    }
}

#[test]
fn what_was_let_go_of_longest_ago_goes_first_and_from_its_end() {
    let mut pages = Pages::new(2, Key::root("test"), &[(None, 6)], 1);
    let mut fill = |tokens: &[u32]| {
        pages.release(0);
        let found = pages.find(tokens);
        let known = pages.longest(&found, tokens.len());
        pages.begin(0, &found, known).unwrap();
        pages.grow(0, tokens.len()).unwrap();
        pages.wrote(0, tokens);
        known
    };
    assert_eq!(fill(&[1, 1, 1, 1, 1, 1]), 0);
    assert_eq!(fill(&[2, 2, 2, 2]), 0);
    // Five blocks are known, one is free. Of the first prompt the last block goes.
    assert_eq!(fill(&[3, 3, 3, 3]), 0);
    assert_eq!(fill(&[1, 1, 1, 1, 1, 1]), 4);
    assert_eq!(fill(&[2, 2, 2, 2]), 2, "its last block was taken");
}
