// Queries and keys of the gated delta rule by row and value head.

// Where q of the head's key head lies in a row of qkv, in fours; with k_start in place of q_start its k.
fn key_place(row: u32, start: u32, head: u32) -> u32 {
    let key_head = head / params.repeat % params.key_heads;
    return (row * params.qkv_stride + start + key_head * KEY_DIM) / 4u;
}
