// Here the token sampled after the last row becomes the next pass's only row.
@group(0) @binding(7) var<storage, read_write> rows: Rows;
@group(0) @binding(5) var<storage, read_write> sampled: array<u32>; // (RING): the tokens sampled last, a ring

// In the place of a token that was sampled: there was none to sample.
const NOT_FINITE = 0xffffffffu;
// In the place of the largest score, above all that are taken for finite.
const LOST = 3.3e38;

// Whether a logit is NaN, infinite, or as good as that. By its bits: compilers may take it that no f32 is either.
fn is_lost(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) >= 0x7f780000u; }

// The position of the token that is sampled.
fn next_position() -> u32 { return rows.row[rows.count - 1u].position + 1u; }

// `finite`: all logits are; else token 0 stands in the next pass, whose ids have to be of the vocabulary.
fn advance(token: u32, finite: bool) {
    sampled[rows.sampled % arrayLength(&sampled)] = select(NOT_FINITE, token, finite);
    rows.row[0] = Row(select(0u, token, finite), next_position(), rows.row[rows.count - 1u].sequence, 0u);
    rows.sampled += 1u;
    rows.count = 1u;
}
