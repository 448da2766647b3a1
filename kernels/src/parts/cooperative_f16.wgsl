// Cooperative matrices of 16 × 16 f16 with sums of f32: NVIDIA's, AMD's and Intel's.
alias tile = f16;
alias Weights = coop_mat16x16<f16, A>;    // of W: (rows, columns)
alias Tokens = coop_mat16x16<f16, B>;  // of X: (columns, tokens)
alias Results = coop_mat16x16<f32, C>; // (rows, tokens)
const SIDE = 16u;
const STRIDE = 40u; // of a row of a tile: 32 columns, and a gap that spreads rows over banks
