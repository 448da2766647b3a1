//! Numbers of a service: what waits, what goes on, what was done and how long it took.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use super::super::completion::Completion;
use crate::{Error, Result};

/// Upper bounds of the histograms, seconds.
pub const BUCKETS: [f64; 12] = [
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
];

/// Times, counted by how long they were.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// Times of at most each of [`BUCKETS`], and not of the one before.
    pub counts: [u64; BUCKETS.len()],
    /// All of them.
    pub count: u64,
    /// Seconds of all of them together.
    pub seconds: f64,
}

/// Numbers of a service since its start.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ServiceStats {
    /// Requests that wait for a sequence.
    pub waiting: usize,
    /// Completions that go on.
    pub running: usize,
    /// Completions that can go on at once.
    pub sequences: u32,
    /// Tokens that each of them can hold.
    pub context: usize,
    /// Blocks of the cache that completions hold.
    pub blocks_held: usize,
    /// All blocks of the cache.
    pub blocks: usize,
    /// Times that a completion had to let go of its blocks, for others to go on.
    pub paused: u64,
    /// Completions that ended.
    pub completed: u64,
    /// Requests that ended in an error.
    pub failed: u64,
    /// Requests that were refused because too many waited.
    pub refused: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of prompts that a sequence held already.
    pub cached_tokens: u64,
    /// Tokens that were sampled.
    pub sampled_tokens: u64,
    /// Tokens of prompts that were computed, and seconds of that.
    pub prefilled: (u64, f64),
    /// From a request to its first token.
    pub first_token: Histogram,
    /// From a token to the next.
    pub next_token: Histogram,
}

/// Numbers that a service and its thread share.
pub(super) struct Shared {
    stats: Mutex<ServiceStats>,
    closed: AtomicBool,
}

impl Histogram {
    fn add(&mut self, seconds: f64, times: u64) {
        if let Some(at) = BUCKETS.iter().position(|&most| seconds <= most) {
            self.counts[at] += times;
        }
        self.count += times;
        self.seconds += seconds * times as f64;
    }
}

impl Shared {
    pub fn new(sequences: u32, context: usize) -> Shared {
        Shared {
            stats: Mutex::new(ServiceStats {
                sequences,
                context,
                ..ServiceStats::default()
            }),
            closed: AtomicBool::new(false),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut ServiceStats) -> T) -> T {
        let mut stats = self.stats.lock().expect("nothing panics while it counts");
        change(&mut stats)
    }

    /// Counts a request that waits, unless `queue` do, beyond those for which a sequence is free.
    pub fn admit(&self, queue: usize) -> Result<()> {
        self.change(|stats| {
            let free = stats.sequences as usize - stats.running;
            if stats.waiting >= queue + free {
                stats.refused += 1;
                return Err(Error::Busy {
                    waiting: stats.waiting,
                });
            }
            stats.waiting += 1;
            Ok(())
        })
    }

    pub fn started(&self) {
        self.change(|stats| {
            stats.waiting -= 1;
            stats.running += 1;
        });
    }

    pub fn ended(&self, completion: Option<&Completion>) {
        self.change(|stats| {
            stats.running -= 1;
            let Some(completion) = completion else {
                stats.failed += 1;
                return;
            };
            stats.completed += 1;
            stats.prompt_tokens += completion.usage.prompt_tokens as u64;
            stats.cached_tokens += completion.usage.cached_tokens as u64;
        });
    }

    pub fn read(&self, tokens: usize, seconds: f64) {
        self.change(|stats| {
            stats.prefilled.0 += tokens as u64;
            stats.prefilled.1 += seconds;
        });
    }

    pub fn first_token(&self, after: Duration) {
        self.change(|stats| {
            stats.sampled_tokens += 1;
            stats.first_token.add(after.as_secs_f64(), 1);
        });
    }

    pub fn decoded(&self, tokens: usize, after: Duration) {
        self.change(|stats| {
            stats.sampled_tokens += tokens as u64;
            stats.next_token.add(after.as_secs_f64(), tokens as u64);
        });
    }

    pub fn stats(&self) -> ServiceStats {
        self.change(|stats| stats.clone())
    }

    /// Says how many blocks of the cache are held, and how many there are.
    pub fn blocks(&self, (held, all): (usize, usize)) {
        self.change(|stats| (stats.blocks_held, stats.blocks) = (held, all));
    }

    pub fn paused(&self) {
        self.change(|stats| stats.paused += 1);
    }

    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }
}
