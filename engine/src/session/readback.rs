//! How many tokens to sample before reading them from the GPU. Reading costs a round trip, in Firefox about 100 ms: with
//! one for each token a fast GPU would spend its time waiting.

use lantern_kernels::argmax;

/// Tokens that the ring of sampled tokens holds.
const RING: usize = argmax::RING as usize;

/// Share of the time that reading may take.
const READING_SHARE: f64 = 0.1;
/// Seconds between two readings at most, so that text still comes as a stream.
const SECONDS_MAX: f64 = 0.25;
/// Tokens of a batch at most.
const BATCH_MAX: usize = 16;
/// Weight of the newest measurement in the running mean.
const NEWEST: f64 = 0.25;

/// Seconds of a token and of a reading as measured, and the batches that suit them.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadbackBatching {
    /// Seconds of a reading by itself.
    reading: f64,
    /// Seconds of a token; none before the first measurement.
    token: Option<f64>,
    /// Tokens of a batch, where the caller has said so.
    fixed: Option<usize>,
    /// The largest batch so far.
    largest: usize,
}

impl ReadbackBatching {
    pub fn new(reading: f64) -> ReadbackBatching {
        ReadbackBatching {
            reading,
            token: None,
            fixed: None,
            largest: 1,
        }
    }

    pub fn fix(&mut self, batch: Option<usize>) {
        self.fixed = batch;
    }

    pub fn largest(&self) -> usize {
        self.largest
    }

    /// Tokens to sample next, when `number` were sampled. The first comes alone, so that it comes at once; no batch passes the
    /// end of the ring that tokens are sampled into.
    pub fn batch(&mut self, number: usize) -> usize {
        let wanted = match (self.fixed, self.token) {
            (Some(fixed), _) => fixed,
            (None, Some(token)) if number > 0 => self.suiting(token),
            _ => 1,
        };
        let batch = wanted.clamp(1, BATCH_MAX).min(RING - number % RING);
        self.largest = self.largest.max(batch);
        batch
    }

    fn suiting(&self, token: f64) -> usize {
        let cheap = (self.reading * (1.0 - READING_SHARE) / READING_SHARE / token).ceil();
        let soon = (SECONDS_MAX / token).floor();
        cheap.min(soon) as usize
    }

    /// A batch took so many seconds, with its reading.
    pub fn learn(&mut self, batch: usize, seconds: f64) {
        let newest = ((seconds - self.reading) / batch as f64).max(1e-5);
        let token = self
            .token
            .map_or(newest, |known| known + (newest - known) * NEWEST);
        self.token = Some(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch_of(reading: f64, token: f64) -> usize {
        let mut batching = ReadbackBatching::new(reading);
        assert_eq!(batching.batch(0), 1);
        for _ in 0..9 {
            let batch = batching.batch(1);
            batching.learn(batch, reading + token * batch as f64);
        }
        batching.batch(1)
    }

    #[test]
    fn cheap_readings_are_made_for_every_token() {
        assert_eq!(batch_of(0.0002, 0.010), 1);
        assert_eq!(batch_of(0.0, 0.2), 1);
    }

    #[test]
    fn dear_readings_are_shared_as_far_as_text_still_streams() {
        assert_eq!(batch_of(0.002, 0.005), 4);
        assert_eq!(batch_of(0.1, 0.010), BATCH_MAX);
        assert_eq!(batch_of(0.1, 0.060), 4);
        assert_eq!(batch_of(0.1, 0.3), 1);
    }

    #[test]
    fn no_batch_passes_the_end_of_the_ring() {
        let mut batching = ReadbackBatching::new(0.0);
        batching.fix(Some(7));
        let mut number = 0;
        while number < 3 * RING {
            let batch = batching.batch(number);
            assert!(batch >= 1 && number % RING + batch <= RING);
            number += batch;
        }
        assert_eq!(batching.largest(), 7);
    }
}
