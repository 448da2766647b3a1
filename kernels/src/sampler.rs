//! Samplers: what is done to logits before a token is sampled, in llama.cpp's order: bias, penalties, top-n-sigma (Tang et al. 2024), top-k, typical-p
//! (Meister et al. 2022), top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024), XTC, temperature by entropy; or mirostat 2
//! (Basu et al. 2020) in the place of what leaves candidates.
//!
//! Repetition is penalised for tokens of the prompt and sampled ones (Keskar et al. 2019), frequency and presence for
//! sampled ones (OpenAI's definition). Tokens with equal scores at a threshold all stay. At temperature 0 the first of the
//! likeliest is taken.

/// Set in `seen` for tokens of the prompt; the bits below count how often a token was sampled.
pub const IN_PROMPT: u32 = 1 << 31;
/// Flag of a [`Sampler`]: tokens that are not allowed are no candidates.
pub const HAS_GRAMMAR: u32 = 1;
/// Flag of a [`Sampler`]: logits have a bias.
pub const HAS_BIAS: u32 = 2;
/// Flag of a [`Sampler`]: the penalties of DRY lie where scores will be.
pub const HAS_DRY: u32 = 4;

crate::params! {
    /// How tokens of a sequence are sampled, as the shader has it.
    Sampler {
        /// [`HAS_GRAMMAR`], [`HAS_BIAS`], [`HAS_DRY`].
        flags: u32,
        /// Candidates that stay; 0 for all.
        top_k: u32,
        /// Candidates have at most so many standard deviations less than the largest score; 0 for all.
        top_n_sigma: f32,
        /// Least mass of the candidates that are about as surprising as the average; 1 for all.
        typical_p: f32,
        /// Least mass of the likeliest that stay; 1 for all.
        top_p: f32,
        /// Least probability relative to the likeliest; 0 for all.
        min_p: f32,
        /// Probability that the likeliest are excluded; 0 for never.
        xtc_probability: f32,
        /// Probability from which on a token is one of those, but for the least likely of them.
        xtc_threshold: f32,
        /// Divides the scores; 0 takes the likeliest.
        temperature: f32,
        /// Most that entropy takes from the temperature, or adds; 0 for nothing.
        dynatemp_range: f32,
        /// Exponent of the entropy's share in that.
        dynatemp_exponent: f32,
        /// Surprise that mirostat aims at, in bits; 0 for no mirostat.
        mirostat_tau: f32,
        /// How fast it gets there.
        mirostat_eta: f32,
        /// Surprise of the least likely candidate, in bits; changes with each token.
        mirostat_mu: f32,
        /// Divides positive logits of tokens seen, multiplies negative ones; 1 for none.
        repeat_penalty: f32,
        /// Subtracted for each time that a token was sampled.
        frequency_penalty: f32,
        /// Subtracted once from tokens sampled.
        presence_penalty: f32,
        /// Lower half of the seed.
        seed_low: u32,
        /// Upper half of the seed.
        seed_high: u32,
        /// Nothing.
        unused: u32,
    }
}

impl Sampler {
    /// Everything as it comes.
    pub const NEUTRAL: Sampler = Sampler {
        flags: 0,
        top_k: 0,
        top_n_sigma: 0.0,
        typical_p: 1.0,
        top_p: 1.0,
        min_p: 0.0,
        xtc_probability: 0.0,
        xtc_threshold: 0.1,
        temperature: 1.0,
        dynatemp_range: 0.0,
        dynatemp_exponent: 1.0,
        mirostat_tau: 0.0,
        mirostat_eta: 0.1,
        mirostat_mu: 0.0,
        repeat_penalty: 1.0,
        frequency_penalty: 0.0,
        presence_penalty: 0.0,
        seed_low: 0,
        seed_high: 77,
        unused: 0,
    };
}

/// Integers to integers with every bit depending on every other (Wellons 2018, lowbias32).
fn mix(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// A number in 0…1 of a hash.
fn unit(hash: u32) -> f64 {
    f64::from(hash >> 8) / f64::from(1 << 24)
}

/// The number in 0…1 that samples the token at `position`.
pub fn uniform(s: &Sampler, position: u32) -> f64 {
    unit(mix(s.seed_low ^ mix(s.seed_high ^ mix(position))))
}

/// The number in 0…1 that decides whether the likeliest are excluded at `position`.
fn xtc_chance(s: &Sampler, position: u32) -> f64 {
    unit(mix(s.seed_high ^ mix(s.seed_low ^ mix(position))))
}

/// Changes to the logits of a sequence.
#[derive(Clone, Copy)]
pub struct Changes<'a> {
    /// How often each token was seen, (vocab_size).
    pub seen: &'a [u32],
    /// Added to logits, (vocab_size).
    pub bias: &'a [f32],
    /// Penalties of DRY, (vocab_size).
    pub dry: &'a [f32],
    /// A bit for each token that a grammar allows, (vocab_size / 32).
    pub allowed: &'a [u32],
}

/// Scores (vocab_size): logits after bias, penalties and grammar; none for tokens that are not allowed.
fn scores(s: &Sampler, logits: &[f32], changes: &Changes<'_>) -> Vec<Option<f64>> {
    let score = |(i, &logit): (usize, &f32)| {
        if s.flags & HAS_GRAMMAR != 0 && changes.allowed[i / 32] >> (i % 32) & 1 == 0 {
            return None;
        }
        let mut v = f64::from(logit);
        if s.flags & HAS_BIAS != 0 {
            v += f64::from(changes.bias[i]);
        }
        v = penalised(s, v, changes.seen[i]);
        if s.flags & HAS_DRY != 0 {
            v -= f64::from(changes.dry[i]);
        }
        Some(v)
    };
    logits.iter().enumerate().map(score).collect()
}

fn penalised(s: &Sampler, v: f64, times: u32) -> f64 {
    if times == 0 {
        return v;
    }
    let sampled = times & !IN_PROMPT;
    let repeat = f64::from(s.repeat_penalty);
    let repeated = if v > 0.0 { v / repeat } else { v * repeat };
    let presence = if sampled > 0 {
        f64::from(s.presence_penalty)
    } else {
        0.0
    };
    repeated - f64::from(sampled) * f64::from(s.frequency_penalty) - presence
}

/// Candidates, the likeliest first: scores and tokens.
type Candidates = Vec<(f64, usize)>;

/// Probabilities of candidates.
fn softmax(all: &Candidates, temperature: f64) -> Vec<f64> {
    let max = all[0].0;
    let weights = all.iter().map(|(v, _)| ((v - max) / temperature).exp());
    let weights: Vec<f64> = weights.collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

/// Entropy of probabilities, in nats.
fn entropy(shares: &[f64]) -> f64 {
    let known = shares.iter().filter(|&&p| p > 0.0);
    -known.map(|p| p * p.ln()).sum::<f64>()
}

/// Keeps candidates with at least this score.
fn keep_from(all: &mut Candidates, cut: f64) {
    all.retain(|&(v, _)| v >= cut);
}

/// How many of these shares, in their order, have the mass.
fn reach(shares: impl Iterator<Item = f64>, goal: f64) -> usize {
    let mut mass = 0.0;
    let mut reached = 0;
    for share in shares {
        reached += 1;
        mass += share;
        if mass >= goal {
            break;
        }
    }
    reached
}

fn keep_n_sigma(all: &mut Candidates, n: f64) {
    let count = all.len() as f64;
    let mean = all.iter().map(|(v, _)| v).sum::<f64>() / count;
    let squares: f64 = all.iter().map(|(v, _)| (v - mean).powi(2)).sum();
    let cut = all[0].0 - n * (squares / count).sqrt();
    keep_from(all, cut);
}

fn keep_typical(all: &mut Candidates, p: f64) {
    let shares = softmax(all, 1.0);
    let average = entropy(&shares);
    let mut by_distance: Vec<_> = shares
        .iter()
        .zip(all.iter())
        .map(|(share, &one)| ((-share.ln() - average).abs(), *share, one))
        .collect();
    by_distance.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count = reach(by_distance.iter().map(|(_, share, _)| *share), p);
    *all = by_distance[..count]
        .iter()
        .map(|&(_, _, one)| one)
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
}

fn exclude_top_choices(all: &mut Candidates, least: f64) {
    let shares = softmax(all, 1.0);
    let many = shares.iter().take_while(|&&share| share >= least).count();
    if many >= 2 {
        let stays = all[many - 1].0;
        all.retain(|&(v, _)| v <= stays);
    }
}

fn dynamic_temperature(s: &Sampler, all: &Candidates) -> f64 {
    let (own, range) = (f64::from(s.temperature), f64::from(s.dynatemp_range));
    if range <= 0.0 || all.len() < 2 {
        return own;
    }
    let share = entropy(&softmax(all, 1.0)) / (all.len() as f64).ln();
    let lowest = (own - range).max(0.0);
    let exponent = f64::from(s.dynatemp_exponent);
    (lowest + (own + range - lowest) * share.powf(exponent)).max(1e-4)
}

/// Probabilities (vocab_size) after every step, zero for what is cut, of the token at `position`.
pub fn distribution(s: &Sampler, logits: &[f32], changes: &Changes<'_>, position: u32) -> Vec<f64> {
    let scores = scores(s, logits, changes);
    let known = scores.iter().enumerate();
    let mut all: Candidates = known.filter_map(|(i, v)| Some(((*v)?, i))).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut temperature = f64::from(s.temperature);
    if s.mirostat_tau > 0.0 {
        let shares = softmax(&all, temperature);
        let usual = |share: &&f64| -share.log2() <= f64::from(s.mirostat_mu);
        let count = shares.iter().take_while(usual).count().max(1);
        all.truncate(count);
    } else {
        if s.top_n_sigma > 0.0 {
            keep_n_sigma(&mut all, f64::from(s.top_n_sigma));
        }
        if s.top_k > 0 && (s.top_k as usize) < all.len() {
            let cut = all[s.top_k as usize - 1].0;
            keep_from(&mut all, cut);
        }
        if s.typical_p < 1.0 {
            keep_typical(&mut all, f64::from(s.typical_p));
        }
        if s.top_p < 1.0 {
            let shares = softmax(&all, 1.0);
            let count = reach(shares.into_iter(), f64::from(s.top_p));
            let cut = all[count - 1].0;
            keep_from(&mut all, cut);
        }
        if s.min_p > 0.0 {
            let cut = all[0].0 + f64::from(s.min_p).ln();
            keep_from(&mut all, cut);
        }
        if s.xtc_probability > 0.0 && xtc_chance(s, position) <= f64::from(s.xtc_probability) {
            exclude_top_choices(&mut all, f64::from(s.xtc_threshold));
        }
        temperature = dynamic_temperature(s, &all);
    }
    let mut shares = vec![0.0; logits.len()];
    if temperature == 0.0 {
        let likeliest = all.iter().filter(|(v, _)| *v >= all[0].0);
        shares[likeliest.map(|(_, i)| *i).min().expect("a candidate")] = 1.0;
        return shares;
    }
    for (share, (_, i)) in softmax(&all, temperature).into_iter().zip(&all) {
        shares[*i] = share;
    }
    shares
}
