//! Reproducible numbers for cases: splitmix64 (Steele, Lea and Flood 2014). Not for sampling text.

/// A small generator; the same seed gives the same numbers everywhere.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// A generator from a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// 64 even bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        (self.bits() % u64::from(end)) as u32
    }

    /// Between -1 and 1, the middle more likely, as activations are.
    pub fn float(&mut self) -> f32 {
        let even = |bits: u64| (bits >> 40) as f32 / (1u64 << 24) as f32;
        even(self.bits()) - even(self.bits())
    }

    /// `count` of [`Random::float`].
    pub fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }
}
