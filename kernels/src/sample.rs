//! Sampling on the GPU, by each sequence's own settings; what these do to logits is `sampler`'s.

use crate::{
    Call, Case, Kernel, Variant,
    argmax::{RING, advance, is_lost, sampled, sampled_rows},
    bytes_of_params,
    call::{interleaved, words},
    parts::{REDUCE_SUBGROUP, REDUCE_WORKGROUP, ROWS_SAMPLED},
    random::Random,
    sampler::{Changes, HAS_BIAS, HAS_DRY, HAS_GRAMMAR, IN_PROMPT, Sampler, distribution, uniform},
    tolerance::{F32_NMSE, Tolerance},
};

/// The kernel; a workgroup for each row sampled after.
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
    outputs: &["seen", "sampled", "rows", "samplers"],
    grid: |_, _, tokens| [tokens, 1, 1],
    reference,
    tolerance: |_, _, output| match output {
        "samplers" => Tolerance::F32(F32_NMSE),
        _ => Tolerance::Exact,
    },
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Logits of a row.
        vocab_size: u32,
        /// From a row's logits to the next row's.
        stride: u32,
    }
}

/// Samples after each of the last rows from `logits` (rows, stride), lane by lane as the variant has them.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (lanes, stride) = (call.constant("WORKGROUP_SIZE") as usize, p.stride as usize);
    let (all_logits, scores) = (call.floats("logits"), call.floats("scores"));
    let bias = call.floats("bias");
    let allowed = call.words("allowed").clone();
    for (number, row) in sampled_rows(call).into_iter().enumerate() {
        let own = row.sequence as usize;
        let logits = &all_logits[number * stride..][..p.vocab_size as usize];
        if logits.iter().copied().any(is_lost) {
            advance(call, number, row, 0, false);
            continue;
        }
        let samplers: &[Sampler] = bytemuck::cast_slice(call.words("samplers"));
        let sampler = samplers[own];
        let seen = call.words("seen")[own * stride..][..stride].to_vec();
        let changes = Changes {
            seen: &seen,
            bias: &bias[own * stride..],
            dry: &scores[number * stride..],
            allowed: &allowed[own * stride / 32..],
        };
        let shares = distribution(&sampler, logits, &changes, row.position + 1);
        let mut target = uniform(&sampler, row.position + 1);
        let order = (0..lanes).flat_map(|lane| (lane..shares.len()).step_by(lanes));
        let mut token = 0;
        for i in order.filter(|&i| shares[i] > 0.0) {
            token = i;
            if target < shares[i] {
                break;
            }
            target -= shares[i];
        }
        call.words("seen")[own * stride + token] += 1;
        if sampler.mirostat_tau > 0.0 {
            let samplers: &mut [Sampler] = bytemuck::cast_slice_mut(call.words("samplers"));
            let error = -shares[token].log2() - f64::from(sampler.mirostat_tau);
            samplers[own].mirostat_mu -= (f64::from(sampler.mirostat_eta) * error) as f32;
        }
        advance(call, number, row, token as u32, true);
    }
}

const NONE: Sampler = Sampler::NEUTRAL;

/// Each step alone, and all together.
#[rustfmt::skip] // a table
const SETTINGS: [Sampler; 20] = [
    NONE,
    Sampler { top_k: 1, ..NONE },
    Sampler { top_k: 40, temperature: 0.7, ..NONE },
    Sampler { top_p: 0.9, ..NONE },
    Sampler { top_p: 0.0, ..NONE },
    Sampler { min_p: 0.05, temperature: 2.0, ..NONE },
    Sampler { repeat_penalty: 1.3, frequency_penalty: 0.5, presence_penalty: 0.7, top_k: 5, ..NONE },
    Sampler { top_n_sigma: 1.0, ..NONE },
    Sampler { typical_p: 0.3, ..NONE },
    Sampler { typical_p: 0.9, top_p: 0.6, min_p: 0.02, ..NONE },
    Sampler { xtc_probability: 1.0, xtc_threshold: 0.05, ..NONE },
    Sampler { xtc_probability: 0.5, xtc_threshold: 0.002, min_p: 0.01, temperature: 1.5, ..NONE },
    Sampler { dynatemp_range: 0.5, dynatemp_exponent: 1.5, top_k: 30, ..NONE },
    Sampler { mirostat_tau: 5.0, mirostat_eta: 0.1, mirostat_mu: 4.0, ..NONE },
    Sampler { mirostat_tau: 3.0, mirostat_eta: 0.4, mirostat_mu: 0.01, temperature: 0.7, ..NONE },
    Sampler { flags: HAS_GRAMMAR, temperature: 0.0, ..NONE },
    Sampler { flags: HAS_GRAMMAR, top_k: 40, top_p: 0.9, ..NONE },
    Sampler { flags: HAS_BIAS | HAS_DRY, top_k: 10, ..NONE },
    Sampler { temperature: 0.0, repeat_penalty: 1.2, ..NONE },
    Sampler { flags: HAS_GRAMMAR | HAS_BIAS | HAS_DRY, top_n_sigma: 3.0, top_k: 40, typical_p: 0.95, top_p: 0.95, min_p: 0.05, xtc_probability: 0.7, xtc_threshold: 0.1, temperature: 0.8, dynatemp_range: 0.2, ..NONE },
];

/// Vocabularies smaller than a workgroup and larger ones, one row of a pass and several.
fn cases() -> Vec<Case> {
    let mut random = Random::new(8);
    let mut cases = Vec::new();
    for (number, setting) in SETTINGS.iter().enumerate() {
        for (seed, vocab_size, count) in [
            (1, 5, 1),
            (2, 300, 1),
            (3, 300, 2),
            (4, 4000, 1),
            (5, 49152, 1),
            (6, 262_144, 1),
            (7, 300, 1),
        ] {
            // Once is enough of the widest, with every step.
            if vocab_size > 50_000 && number + 1 < SETTINGS.len() {
                continue;
            }
            cases.push(case(
                &mut random,
                (number, setting),
                (seed, vocab_size, count),
            ));
        }
    }
    cases
}

/// A case of `count` rows, or of one after many; two sequences, of which the second has the setting.
fn case(
    random: &mut Random,
    (number, setting): (usize, &Sampler),
    (seed, vocab_size, count): (u32, u32, u32),
) -> Case {
    let stride = vocab_size.next_multiple_of(32);
    let both = (2 * stride) as usize;
    let mut logits: Vec<f32> = (0..count * stride).map(|_| random.float() * 8.0).collect();
    if seed == 7 {
        logits[200] = f32::NAN;
    }
    let seen = |_| match random.below(6) {
        0 => IN_PROMPT,
        1 => IN_PROMPT | 2,
        2 => 1,
        _ => 0,
    };
    let seen = (0..both).map(seen).collect();
    let bias: Vec<f32> = (0..both).map(|_| random.float() * 3.0).collect();
    let dry = (0..count * stride).map(|i| {
        if i % 7 == 0 {
            random.float().abs()
        } else {
            0.0
        }
    });
    let dry: Vec<f32> = dry.collect();
    let mut allowed: Vec<u32> = (0..both / 32).map(|_| random.below(1 << 31)).collect();
    allowed[0] |= 2;
    allowed[stride as usize / 32] |= 2;
    let own = Sampler {
        seed_low: seed,
        ..*setting
    };
    let samplers = [
        own,
        Sampler {
            seed_high: 5,
            ..own
        },
    ];
    Case {
        name: format!("setting {number}, {vocab_size} tokens, {count} rows, seed {seed}"),
        parts: vec![],
        consts: vec![],
        params: bytes_of_params(&Params { vocab_size, stride }),
        units: 1,
        tokens: count,
        buffers: vec![
            ("allowed", allowed),
            ("bias", words(&bias)),
            ("logits", words(&logits)),
            ("scores", words(&dry)),
            ("seen", seen),
            ("sampled", vec![0; (count * RING) as usize]),
            ("samplers", bytemuck::cast_slice(&samplers).to_vec()),
            (
                "rows",
                sampled(interleaved(20, if count == 1 { seed } else { count }), 69),
            ),
        ],
        weights: None,
    }
}
