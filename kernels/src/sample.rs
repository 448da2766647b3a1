//! Sampling on the GPU: penalties, top-k, top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024), temperature, seed.
//!
//! Repetition is penalised for tokens of the prompt and sampled ones (Keskar et al. 2019), frequency and presence for
//! sampled ones (OpenAI's definition). Tokens with equal scores at a threshold all stay.

use crate::{
    Call, Case, Kernel, Variant,
    argmax::{advance, is_lost, next_position, sampled},
    bytes_of_params,
    call::{interleaved, words},
    parts::{REDUCE_SUBGROUP, REDUCE_WORKGROUP, ROWS_SAMPLED},
    random::Random,
    tolerance,
};

/// Set in `seen` for tokens of the prompt; the bits below count how often a token was sampled.
pub const IN_PROMPT: u32 = 1 << 31;

/// The kernel; one workgroup.
pub static SAMPLE: Kernel = Kernel {
    name: "sample",
    source: include_str!("sample.wgsl"),
    uses: &[&ROWS_SAMPLED],
    sockets: &[],
    variants: &[
        Variant {
            name: "subgroup256",
            parts: &[&REDUCE_SUBGROUP],
            consts: &[("WORKGROUP_SIZE", 256)],
            software: false,
        },
        Variant {
            name: "workgroup256",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("WORKGROUP_SIZE", 256)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["seen", "sampled", "rows"],
    grid: |_, _, _| [1, 1, 1],
    reference,
    tolerance: tolerance::exact,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Logits.
        vocab_size: u32,
        /// Candidates that stay; 0 for all.
        top_k: u32,
        /// Least mass of the likeliest that stay; 1 for all.
        top_p: f32,
        /// Least probability relative to the likeliest; 0 for all.
        min_p: f32,
        /// Divides the scores; above 0.
        temperature: f32,
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
    }
}

/// Integers to integers with every bit depending on every other (Wellons 2018, lowbias32).
fn mix(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// Probabilities (vocab_size) after every step, zero for what is cut: from `logits` and `seen`.
pub fn distribution(p: &Params, logits: &[f32], seen: &[u32]) -> Vec<f64> {
    let penalised = |(&v, &times): (&f32, &u32)| {
        let v = f64::from(v);
        if times == 0 {
            return v;
        }
        let sampled = times & !IN_PROMPT;
        let repeat = f64::from(p.repeat_penalty);
        let repeated = if v > 0.0 { v / repeat } else { v * repeat };
        let presence = if sampled > 0 {
            f64::from(p.presence_penalty)
        } else {
            0.0
        };
        repeated - f64::from(sampled) * f64::from(p.frequency_penalty) - presence
    };
    let scores: Vec<f64> = logits.iter().zip(seen).map(penalised).collect();
    let mut sorted = scores.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let max_score = sorted[0];
    let mut cut = f64::MIN;
    if p.top_k > 0 && (p.top_k as usize) < sorted.len() {
        cut = sorted[p.top_k as usize - 1];
    }
    if p.top_p < 1.0 {
        let kept = sorted.iter().take_while(|&&v| v >= cut);
        let masses: Vec<f64> = kept.map(|v| (v - max_score).exp()).collect();
        let goal = f64::from(p.top_p) * masses.iter().sum::<f64>();
        let mut mass = 0.0;
        let reached = masses.iter().position(|m| {
            mass += m;
            mass >= goal
        });
        cut = sorted[reached.unwrap_or(masses.len() - 1)];
    }
    if p.min_p > 0.0 {
        cut = cut.max(max_score + f64::from(p.min_p).ln());
    }
    let weight = |&v: &f64| {
        if v >= cut {
            ((v - max_score) / f64::from(p.temperature)).exp()
        } else {
            0.0
        }
    };
    let weights: Vec<f64> = scores.iter().map(weight).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

/// The number in 0…1 that samples the token at `position`.
pub fn uniform(p: &Params, position: u32) -> f64 {
    f64::from(mix(p.seed_low ^ mix(p.seed_high ^ mix(position))) >> 8) / f64::from(1 << 24)
}

/// Samples from `logits` (vocab_size), lane by lane as the variant has them.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let lanes = call.constant("WORKGROUP_SIZE") as usize;
    let position = next_position(call);
    let seen = call.words("seen").clone();
    if call.floats("logits").into_iter().any(is_lost) {
        return advance(call, 0, false);
    }
    let shares = distribution(&p, &call.floats("logits"), &seen);
    let mut target = uniform(&p, position);
    let order = (0..lanes).flat_map(|lane| (lane..shares.len()).step_by(lanes));
    let mut token = 0;
    for i in order.filter(|&i| shares[i] > 0.0) {
        token = i;
        if target < shares[i] {
            break;
        }
        target -= shares[i];
    }
    call.words("seen")[token] += 1;
    advance(call, token as u32, true);
}

/// Everything as it comes.
const NONE: Params = Params {
    vocab_size: 0,
    top_k: 0,
    top_p: 1.0,
    min_p: 0.0,
    temperature: 1.0,
    repeat_penalty: 1.0,
    frequency_penalty: 0.0,
    presence_penalty: 0.0,
    seed_low: 0,
    seed_high: 77,
};

/// Each step alone, and all together.
#[rustfmt::skip] // a table
const SETTINGS: [Params; 8] = [
    NONE,
    Params { top_k: 1, ..NONE },
    Params { top_k: 40, temperature: 0.7, ..NONE },
    Params { top_p: 0.9, ..NONE },
    Params { top_p: 0.0, ..NONE },
    Params { min_p: 0.05, temperature: 2.0, ..NONE },
    Params { repeat_penalty: 1.3, frequency_penalty: 0.5, presence_penalty: 0.7, top_k: 5, ..NONE },
    Params { top_k: 40, top_p: 0.95, min_p: 0.05, temperature: 0.8, ..NONE },
];

/// Vocabularies smaller than a workgroup and larger ones.
fn cases() -> Vec<Case> {
    let mut random = Random::new(8);
    let mut cases = Vec::new();
    for (number, setting) in SETTINGS.iter().enumerate() {
        for (seed, vocab_size) in [
            (1, 5),
            (2, 300),
            (3, 300),
            (4, 4000),
            (5, 49152),
            (6, 262_144),
            (7, 300),
        ] {
            // Once is enough of the widest, with every step.
            if vocab_size > 50_000 && number + 1 < SETTINGS.len() {
                continue;
            }
            let mut logits: Vec<f32> = (0..vocab_size).map(|_| random.float() * 8.0).collect();
            if seed == 7 {
                logits[200] = f32::NAN;
            }
            let seen = |_| match random.below(6) {
                0 => IN_PROMPT,
                1 => IN_PROMPT | 2,
                2 => 1,
                _ => 0,
            };
            let seen = (0..vocab_size).map(seen).collect();
            cases.push(Case {
                name: format!("setting {number}, {vocab_size} tokens, seed {seed}"),
                parts: vec![],
                consts: vec![],
                params: bytes_of_params(&Params {
                    vocab_size,
                    seed_low: seed,
                    ..*setting
                }),
                units: 1,
                tokens: 1,
                buffers: vec![
                    ("logits", words(&logits)),
                    ("scores", vec![0; vocab_size as usize]),
                    ("seen", seen),
                    ("sampled", vec![0; 8]),
                    ("rows", sampled(interleaved(20, seed), 9)),
                ],
                weights: None,
            });
        }
    }
    cases
}
