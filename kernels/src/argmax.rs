//! Greedy decoding on the GPU: the likeliest token becomes the next pass's input without the CPU in between.

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    call::{ROW_WORDS, ROWS_HEADER, SAMPLED, interleaved, words},
    parts::{REDUCE_SUBGROUP, REDUCE_WORKGROUP, ROWS_SAMPLED},
    random::Random,
    tolerance,
};

/// The kernel; one workgroup.
pub static ARGMAX: Kernel = Kernel {
    name: "argmax",
    source: include_str!("argmax.wgsl"),
    uses: &[&ROWS_SAMPLED],
    sockets: &[],
    variants: &[
        Variant {
            name: "subgroup8",
            parts: &[&REDUCE_SUBGROUP],
            consts: &[("WORKGROUP_SIZE", 8)],
            software: true,
        },
        Variant {
            name: "workgroup8",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("WORKGROUP_SIZE", 8)],
            software: true,
        },
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
    outputs: &["sampled", "rows"],
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
    }
}

/// The position of the token that is sampled after the last row of a pass.
pub(crate) fn next_position(call: &mut Call) -> u32 {
    call.rows().last().expect("a pass has rows").position + 1
}

/// In the place of a sampled token: the logits were not finite, and there was none to sample.
pub const NOT_FINITE: u32 = u32::MAX;

/// Whether a logit is NaN, infinite, or as good as that.
pub(crate) fn is_lost(v: f32) -> bool {
    v.to_bits() & 0x7fff_ffff >= 0x7f78_0000
}

/// Makes `token` the only row of the next pass, as `rows_sampled.wgsl` does.
pub(crate) fn advance(call: &mut Call, token: u32, finite: bool) {
    let sampled = call.words("rows")[SAMPLED] as usize;
    let ring = call.words("sampled");
    let length = ring.len();
    ring[sampled % length] = if finite { token } else { NOT_FINITE };
    let position = next_position(call);
    let sequence = call.rows().last().expect("a pass has rows").sequence;
    let rows = call.words("rows");
    rows[0] = 1;
    rows[SAMPLED] += 1;
    rows[ROWS_HEADER..][..ROW_WORDS].copy_from_slice(&[token, position, sequence, 0]);
}

/// The binding `rows` after so many tokens were sampled.
pub(crate) fn sampled(mut rows: Vec<u32>, count: u32) -> Vec<u32> {
    rows[SAMPLED] = count;
    rows
}

/// The first of the largest of `logits` (vocab_size).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let logits = call.floats("logits");
    let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    let best = (0..p.vocab_size as usize).fold(0, better);
    let finite = !logits.iter().copied().any(is_lost);
    advance(call, if finite { best as u32 } else { 0 }, finite);
}

/// One token, fewer than lanes, real vocabularies, equal logits, and some with one that is not finite.
fn cases() -> Vec<Case> {
    let mut random = Random::new(7);
    let case = |(vocab_size, equal, lost): (u32, bool, Option<f32>)| {
        let mut logits = random.floats(vocab_size as usize);
        if equal {
            logits.fill(-7.5);
        }
        if let Some(lost) = lost {
            logits[vocab_size as usize / 3] = lost;
        }
        Case {
            name: format!("{vocab_size} equal: {equal} lost: {lost:?}"),
            parts: vec![],
            consts: vec![],
            params: bytes_of_params(&Params { vocab_size }),
            units: 1,
            tokens: 1,
            buffers: vec![
                ("logits", words(&logits)),
                ("sampled", vec![0; 8]),
                ("rows", sampled(interleaved(20, 5), 9)),
            ],
            weights: None,
        }
    };
    [
        (1, false, None),
        (7, true, None),
        (100, false, None),
        (49152, false, None),
        (262_144, false, None),
        (32001, true, None),
        (300, false, Some(f32::NAN)),
        (300, false, Some(f32::INFINITY)),
        (300, false, Some(f32::NEG_INFINITY)),
    ]
    .into_iter()
    .map(case)
    .collect()
}
