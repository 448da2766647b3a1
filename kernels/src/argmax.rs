//! Greedy decoding on the GPU: the likeliest token becomes the next pass's input without the CPU in between.

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    call::{ROW_WORDS, ROWS_HEADER, Row, interleaved, words},
    parts::{REDUCE_SUBGROUP, REDUCE_WORKGROUP, ROWS_SAMPLED},
    random::Random,
    tolerance,
};

/// Tokens that the ring of a row's sampled tokens holds.
pub const RING: u32 = 64;

/// The kernel; a workgroup for each row sampled after.
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
    grid: |_, _, tokens| [tokens, 1, 1],
    reference,
    tolerance: tolerance::exact,
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

/// The rows that are sampled after: as many as the call has tokens, the last ones of the pass.
pub(crate) fn sampled_rows(call: &mut Call) -> Vec<Row> {
    let rows = call.rows();
    rows[rows.len() - call.tokens as usize..].to_vec()
}

/// In the place of a sampled token: the logits were not finite, and there was none to sample.
pub const NOT_FINITE: u32 = u32::MAX;

/// Whether a logit is NaN, infinite, or as good as that.
pub(crate) fn is_lost(v: f32) -> bool {
    v.to_bits() & 0x7fff_ffff >= 0x7f78_0000
}

/// Makes `token` row `number` of the next pass, after the row that it was sampled after, as `rows_sampled.wgsl` does.
pub(crate) fn advance(call: &mut Call, number: usize, from: Row, token: u32, finite: bool) {
    let place = number * RING as usize + from.sampled as usize % RING as usize;
    call.words("sampled")[place] = if finite { token } else { NOT_FINITE };
    let count = call.tokens;
    let rows = call.words("rows");
    if count == 1 {
        rows[0] = 1;
    }
    let next = [token, from.position + 1, from.sequence, from.sampled + 1];
    rows[ROWS_HEADER + number * ROW_WORDS..][..ROW_WORDS].copy_from_slice(&next);
}

/// The binding `rows` after so many tokens were sampled for each.
pub(crate) fn sampled(mut rows: Vec<u32>, count: u32) -> Vec<u32> {
    let rows_of = rows[ROWS_HEADER..].chunks_exact_mut(ROW_WORDS);
    rows_of.for_each(|row| row[3] = count);
    rows
}

/// The first of the largest of each row of `logits` (rows, stride).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let all = call.floats("logits");
    for (number, row) in sampled_rows(call).into_iter().enumerate() {
        let logits = &all[number * p.stride as usize..][..p.vocab_size as usize];
        let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
        let best = (0..logits.len()).fold(0, better);
        let finite = !logits.iter().copied().any(is_lost);
        advance(
            call,
            number,
            row,
            if finite { best as u32 } else { 0 },
            finite,
        );
    }
}

/// One token, fewer than lanes, real vocabularies, equal logits, some with one that is not finite; one row of a pass, the last
/// of many, and several.
fn cases() -> Vec<Case> {
    let mut random = Random::new(7);
    let case = |(vocab_size, equal, lost, count): (u32, bool, Option<f32>, u32)| {
        let stride = vocab_size.next_multiple_of(32);
        let mut logits = random.floats((count * stride) as usize);
        if equal {
            logits.fill(-7.5);
        }
        if let Some(lost) = lost {
            logits[vocab_size as usize / 3] = lost;
        }
        let tokens = if count == 1 { 5 } else { count };
        Case {
            name: format!("{vocab_size} equal: {equal} lost: {lost:?} rows: {count}"),
            parts: vec![],
            consts: vec![],
            params: bytes_of_params(&Params { vocab_size, stride }),
            units: 1,
            tokens: count,
            buffers: vec![
                ("logits", words(&logits)),
                ("sampled", vec![0; (count * RING) as usize]),
                ("rows", sampled(interleaved(20, tokens), 69)),
            ],
            weights: None,
        }
    };
    [
        (1, false, None, 1),
        (7, true, None, 1),
        (100, false, None, 3),
        (49152, false, None, 1),
        (262_144, false, None, 1),
        (32001, true, None, 2),
        (300, false, Some(f32::NAN), 2),
        (300, false, Some(f32::INFINITY), 1),
        (300, false, Some(f32::NEG_INFINITY), 1),
    ]
    .into_iter()
    .map(case)
    .collect()
}
