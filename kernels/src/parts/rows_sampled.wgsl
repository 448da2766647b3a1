// Here the tokens that are sampled after the last rows become the next pass's rows: a workgroup samples after one of them.
@group(0) @binding(7) var<storage, read_write> rows: Rows;
@group(0) @binding(5) var<storage, read_write> sampled: array<u32>; // (rows, RING): the tokens sampled last, a ring for each row

// In the place of a token that was sampled: there was none to sample.
const NOT_FINITE = 0xffffffffu;
// In the place of the largest score, above all that are taken for finite.
const LOST = 3.3e38;

// Whether a logit is NaN, infinite, or as good as that. By its bits: compilers may take it that no f32 is either.
fn is_lost(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) >= 0x7f780000u; }

// The row that a workgroup samples after; of a pass with more rows than are sampled after, the last.
fn sampled_row(wg: Workgroup) -> u32 { return rows.count - wg.count.x + wg.id.x; }

// `finite`: all logits are; else token 0 stands in the next pass, whose ids have to be of the vocabulary. `row`: the one
// that was sampled after. No workgroup reads what another writes: where there are several, rows stay where they are.
fn advance(row: Row, token: u32, finite: bool, wg: Workgroup) {
    sampled[wg.id.x * RING + row.sampled % RING] = select(NOT_FINITE, token, finite);
    rows.row[wg.id.x] = Row(select(0u, token, finite), row.position + 1u, row.sequence, row.sampled + 1u);
    if wg.count.x == 1u { rows.count = 1u; }
}
