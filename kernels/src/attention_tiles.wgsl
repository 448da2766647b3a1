// attention_tiles: attention for a tile of ROWS query rows that share a key and value head: GROUP heads of each token.
// Keys and values come KEYS at a time, 32 columns of a head at a time, into workgroup memory: once for all rows of the tile.
// A lane scores two rows against KEYS / 8 keys, and sums for the same two rows an eighth of the values' columns.
// All rows are of one sequence, in the order of their positions. The running maximum m, sum l and rescaling by alpha follow
// Milakov & Gimelshein 2018, the tiles Dao et al. 2022.
// Bound: reads keys and values up to the last token once for ROWS / GROUP tokens.
// Sockets: cache, scores, cells; the tile comes with the variant.
// Loops with constant ends are unrolled.

const QUARTER = HEAD_DIM / 4u;        // of a head's keys: they are read four at a time
const VALUE_QUARTER = VALUE_DIM / 4u; // and so are values
const CHUNKS = (VALUE_QUARTER + 7u) / 8u; // of 32 columns of values
const OWN_KEYS = KEYS / 8u;           // that a lane scores
const PAIRS = ROWS / 2u;              // of rows: eight lanes have one
const STRIDE = 9u;                    // fours from a row of a tile to the next: a gap spreads rows over banks
const MIN = -3.0e38;                  // WGSL promises no infinities

@group(0) @binding(3) var<storage, read> qkv: array<vec4f>;        // (tokens, q_stride / 4)
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;    // (tokens, y_stride / 4)

var<workgroup> q_tile: array<vec4f, ROWS * STRIDE>;                // (rows, STRIDE)
var<workgroup> kv_tile: array<vec4f, KEYS * STRIDE>;               // (keys, STRIDE)
var<workgroup> score_tile: array<f32, ROWS * (KEYS + 4u)>;         // (rows, keys and a gap): scores, then weights

// Row of a tile: a token, and a query head of those that share the key head.
struct TileRow { token: u32, head: u32 }

fn tile_row(index: u32, kv_head: u32) -> TileRow {
    return TileRow(min(index / GROUP, rows.count - 1u), kv_head * GROUP + index % GROUP);
}

// The two rows of a lane, and the positions that each sees: from `begin`, before `end`.
struct TwoRows { one: TileRow, two: TileRow, position: vec2u, begin: vec2u, end: vec2u }

fn two_rows(index: u32, kv_head: u32) -> TwoRows {
    let one = tile_row(index, kv_head);
    let two = tile_row(index + PAIRS, kv_head);
    let own = vec2u(rows.row[one.token].position, rows.row[two.token].position);
    return TwoRows(
        one, two, own, vec2u(seen_begin(own.x), seen_begin(own.y)), vec2u(seen_end(one.token), seen_end(two.token)),
    );
}

// Scores of a position after their treatment; those of one that a row does not see are least.
fn seen_scores(own: TwoRows, raw: vec2f, key: u32) -> vec2f {
    let there = (vec2u(key) >= own.begin) & (vec2u(key) < own.end);
    let one = scored(raw.x, own.one.head, own.position.x, key);
    return select(vec2f(MIN), vec2f(one, scored(raw.y, own.two.head, own.position.y, key)), there);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) lane: u32) {
    let first_cell = wg.x * params.head_cells; // of the key head in the cache
    let first_row = wg.y * ROWS;
    let begin = seen_begin(rows.row[tile_row(first_row, wg.x).token].position);
    let end = seen_end(tile_row(first_row + ROWS - 1u, wg.x).token);
    let pair = lane / 8u;
    let column = lane % 8u;
    let own = two_rows(first_row + pair, wg.x);

    let first = vec4f(first_ml(own.one.head, 0u), first_ml(own.two.head, 0u));
    var m = first.xz;
    var l = first.yw;
    var acc = array<vec4f, CHUNKS>();   // of the first row
    var other = array<vec4f, CHUNKS>(); // of the second
    for (var start = begin; start < end; start += KEYS) {
        var scores = array<vec2f, OWN_KEYS>();
        for (var chunk = 0u; chunk < (QUARTER + 7u) / 8u; chunk += 1u) {
            workgroupBarrier();
            query_chunk(first_row, wg.x, chunk, lane);
            kv_chunk(true, first_cell, start, end, chunk, lane);
            workgroupBarrier();
            for (var i = 0u; i < 8u; i++) {
                let q = q_tile[pair * STRIDE + i];
                let p = q_tile[(PAIRS + pair) * STRIDE + i];
                for (var j = 0u; j < OWN_KEYS; j++) {
                    let k = kv_tile[(j * 8u + column) * STRIDE + i];
                    scores[j] += vec2f(dot(q, k), dot(p, k));
                }
            }
        }
        for (var j = 0u; j < OWN_KEYS; j++) {
            scores[j] = seen_scores(own, scores[j], start + j * 8u + column);
            put_scores(pair, j * 8u + column, scores[j]);
        }
        workgroupBarrier();
        var new_m = m;
        for (var key = 0u; key < KEYS; key += 1u) { new_m = max(new_m, scores_of(pair, key)); }
        let alpha = exp(m - new_m);
        m = new_m;
        l *= alpha;
        workgroupBarrier();
        for (var j = 0u; j < OWN_KEYS; j++) {
            let weight = select(exp(scores[j] - m), vec2f(0.0), scores[j] <= vec2f(0.9 * MIN)); // nothing that is masked counts
            put_scores(pair, j * 8u + column, weight);
        }
        workgroupBarrier();
        for (var key = 0u; key < KEYS; key += 1u) { l += scores_of(pair, key); }
        for (var c = 0u; c < CHUNKS; c++) {
            workgroupBarrier();
            kv_chunk(false, first_cell, start, end, c, lane);
            workgroupBarrier();
            acc[c] *= alpha.x;
            other[c] *= alpha.y;
            for (var key = 0u; key < KEYS; key += 1u) {
                let v = kv_tile[key * STRIDE + column];
                let weight = scores_of(pair, key);
                acc[c] = fma(vec4f(weight.x), v, acc[c]);
                other[c] = fma(vec4f(weight.y), v, other[c]);
            }
        }
    }
    for (var c = 0u; c < CHUNKS; c++) {
        put(first_row + pair, own.one, c * 8u + column, acc[c] / l.x);
        put(first_row + PAIRS + pair, own.two, c * 8u + column, other[c] / l.y);
    }
}

// A result; rows past the last token's, and columns past the head, are none.
fn put(index: u32, row: TileRow, four: u32, v: vec4f) {
    if four < VALUE_QUARTER && index < rows.count * GROUP {
        y[row.token * params.y_stride / 4u + row.head * VALUE_QUARTER + four] = v;
    }
}

// Scores, or weights, of a key for the two rows of a pair.
fn put_scores(pair: u32, key: u32, v: vec2f) {
    score_tile[pair * (KEYS + 4u) + key] = v.x;
    score_tile[(PAIRS + pair) * (KEYS + 4u) + key] = v.y;
}

fn scores_of(pair: u32, key: u32) -> vec2f {
    return vec2f(score_tile[pair * (KEYS + 4u) + key], score_tile[(PAIRS + pair) * (KEYS + 4u) + key]);
}

// A chunk of the queries' columns into workgroup memory, zeros past the head.
fn query_chunk(first_row: u32, kv_head: u32, chunk: u32, lane: u32) {
    for (var e = lane; e < ROWS * 8u; e += WORKGROUP_SIZE) {
        let row = tile_row(first_row + e / 8u, kv_head);
        let four = chunk * 8u + e % 8u;
        var q = vec4f();
        if four < QUARTER { q = qkv[row.token * params.q_stride / 4u + row.head * QUARTER + four] * params.scale; }
        q_tile[e / 8u * STRIDE + e % 8u] = q;
    }
}

// The same of the keys of KEYS positions, or of the values; positions past the end repeat the last.
fn kv_chunk(of_keys: bool, first_cell: u32, start: u32, end: u32, chunk: u32, lane: u32) {
    for (var e = lane; e < KEYS * 8u; e += WORKGROUP_SIZE) {
        let four = chunk * 8u + e % 8u;
        var v = vec4f();
        if four < select(VALUE_QUARTER, QUARTER, of_keys) {
            let place = first_cell + cell(rows.row[0].sequence, min(start + e / 8u, end - 1u));
            if of_keys { v = key4(place * QUARTER + four); } else { v = value4(place * (params.value_cell / 4u) + four); }
        }
        kv_tile[e / 8u * STRIDE + e % 8u] = v;
    }
}
