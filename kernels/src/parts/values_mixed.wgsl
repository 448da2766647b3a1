// Values of the first layer, and the bias of shares.
@group(0) @binding(3) var<storage, read> first_values: array<f32>; // (tokens, first_stride): from first_start on

fn value_of(own: f32, row: u32, channel: u32) -> f32 {
    let first = first_values[row * params.first_stride + params.first_start + channel];
    let share = sigmoid(made_of(row, 3u, channel) + vector_of(7u, channel));
    return fma(first - own, share, own);
}
