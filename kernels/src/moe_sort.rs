//! Pairs of token and expert sorted by expert, so that weights of an expert are read once for many tokens.

use crate::{
    Call, Case, Kernel, Tolerance, Variant, bytes_of_params, call::consecutive,
    matmul_rows::TOKENS, parts::ROWS,
};

/// Experts of a layer at most.
pub const EXPERTS_MAX: u32 = 1024;

/// The kernel; one workgroup.
pub static MOE_SORT: Kernel = Kernel {
    name: "moe_sort",
    source: include_str!("moe_sort.wgsl"),
    uses: &[&ROWS],
    sockets: &[],
    // On the CPU, too: with fewer lanes each would have more turns than llvmpipe makes.
    variants: &[Variant::new(
        "lanes128",
        &[],
        &[
            ("WORKGROUP_SIZE", 128),
            ("EXPERTS_MAX", EXPERTS_MAX),
            ("TILE", TOKENS),
        ],
        false,
    )],
    params: Params::FIELDS,
    outputs: &["tiles", "sorted_pairs"],
    grid: |_, _, _| [1, 1, 1],
    reference,
    tolerance: |_, _, _| Tolerance::Exact,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Experts that there are.
        experts: u32,
        /// Experts that a token uses.
        top_k: u32,
        /// Tiles that there is room for: see [`tiles_max`].
        tiles_max: u32,
    }
}

/// Tiles of a pass of `tokens` at most.
pub const fn tiles_max(tokens: u32, top_k: u32, experts: u32) -> u32 {
    let pairs = tokens * top_k;
    let begun = if pairs < experts { pairs } else { experts };
    pairs / TOKENS + begun
}

/// `tiles` (tiles, 3), which are expert, first sorted pair and count, and `sorted_pairs` (pairs) from
/// `expert_ids` (tokens, top_k).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let pairs = (call.words("rows")[0] * p.top_k) as usize;
    let ids = call.words("expert_ids")[..pairs].to_vec();
    let (tiles, sorted) = sort(&ids, p.experts);
    call.words("sorted_pairs")[..pairs].copy_from_slice(&sorted);
    let words = call.words("tiles");
    (0..p.tiles_max as usize).for_each(|tile| words[3 * tile + 2] = 0);
    words[..tiles.len()].copy_from_slice(&tiles);
}

/// Tiles and sorted pairs of a pass whose pairs of token and expert are `ids`.
pub(crate) fn sort(ids: &[u32], experts: u32) -> (Vec<u32>, Vec<u32>) {
    let (mut tiles, mut sorted) = (Vec::new(), Vec::new());
    for expert in 0..experts {
        let own = ids.iter().zip(0u32..).filter(|&(&id, _)| id == expert);
        let own: Vec<u32> = own.map(|(_, pair)| pair).collect();
        for tile in own.chunks(TOKENS as usize) {
            tiles.extend([expert, sorted.len() as u32, tile.len() as u32]);
            sorted.extend_from_slice(tile);
        }
    }
    (tiles, sorted)
}

/// Few experts and many, tokens that all use the same, experts that none uses.
fn cases() -> Vec<Case> {
    let shapes = [
        (8, 2, 1, 3),
        (8, 3, 40, 5),
        (128, 8, 5, 37),
        (4, 4, 3, 1),
        (160, 6, 33, 11),
        (5, 1, 20, 0),
    ];
    let case = |(experts, top_k, tokens, step): (u32, u32, u32, u32)| {
        let ids = (0..tokens * top_k).map(|pair| (pair * step + pair / 7) % experts);
        Case {
            name: format!("{top_k} of {experts} for {tokens}"),
            parts: vec![],
            consts: vec![],
            params: bytes_of_params(&Params {
                experts,
                top_k,
                tiles_max: tiles_max(tokens, top_k, experts),
            }),
            units: 1,
            tokens,
            buffers: vec![
                ("expert_ids", ids.collect()),
                (
                    "tiles",
                    vec![0; 3 * tiles_max(tokens, top_k, experts) as usize],
                ),
                ("sorted_pairs", vec![0; (tokens * top_k) as usize]),
                ("rows", consecutive(3, tokens)),
            ],
            weights: None,
        }
    };
    shapes.into_iter().map(case).collect()
}
