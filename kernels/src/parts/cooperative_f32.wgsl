// Cooperative matrices of 8 × 8 f32: Apple's.
alias tile = f32;
alias Weights = coop_mat8x8<f32, A>;    // of W: (rows, columns)
alias Tokens = coop_mat8x8<f32, B>;  // of X: (columns, tokens)
alias Results = coop_mat8x8<f32, C>; // (rows, tokens)
const SIDE = 8u;
const STRIDE = 36u; // of a row of a tile: 32 columns, and a gap that spreads rows over banks
