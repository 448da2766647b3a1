//! From weights to blocks, for the types that models are commonly quantised to. Scales and offsets are those of the least
//! square error that a short search finds; what a block is, its decoder says.

use half::f16;

use super::{Format, q4_0::Q4_0, q4_k::Q4_K, q6_k::Q6_K, q8_0::Q8_0};

/// One block of weights, [`Format::block`] of them, into [`Format::bytes`].
pub type Encoder = fn(weights: &[f32], block: &mut [u8]);

/// Formats that weights can be quantised to, each with its encoder.
pub const ENCODERS: [(&Format, Encoder); 4] =
    [(&Q4_0, q4_0), (&Q8_0, q8_0), (&Q4_K, q4_k), (&Q6_K, q6_k)];

/// The encoder of a format.
pub fn encoder(format: &Format) -> Option<Encoder> {
    let mut all = ENCODERS.iter();
    all.find(|(f, _)| f.ggml == format.ggml)
        .map(|(_, encode)| *encode)
}

/// The one that is furthest from 0, with its sign.
fn furthest(w: &[f32]) -> f32 {
    w.iter().fold(
        0.0,
        |max: f32, &v| if v.abs() > max.abs() { v } else { max },
    )
}

fn inverse(v: f32) -> f32 {
    if v == 0.0 { 0.0 } else { 1.0 / v }
}

fn to_half(v: f32) -> [u8; 2] {
    f16::from_f32(v.clamp(-65504.0, 65504.0)).to_le_bytes()
}

fn from_half(bits: [u8; 2]) -> f32 {
    f16::from_le_bytes(bits).to_f32()
}

/// w = d (q - 8): the furthest becomes -8.
fn q4_0(w: &[f32], block: &mut [u8]) {
    let d = to_half(furthest(w) / -8.0);
    let by = inverse(from_half(d));
    block[..2].copy_from_slice(&d);
    let q = |v: f32| (v * by + 8.5).clamp(0.0, 15.0) as u8;
    for (j, byte) in block[2..].iter_mut().enumerate() {
        *byte = q(w[j]) | q(w[j + 16]) << 4;
    }
}

/// w = d q
fn q8_0(w: &[f32], block: &mut [u8]) {
    let d = to_half(furthest(w).abs() / 127.0);
    let by = inverse(from_half(d));
    block[..2].copy_from_slice(&d);
    for (byte, v) in block[2..].iter_mut().zip(w) {
        *byte = ((v * by).round().clamp(-127.0, 127.0) as i8).cast_unsigned();
    }
}

/// Scale and min, not above 0, for integers up to 15: w = scale q + min. The best of some scales, each with the
/// offset that suits its integers best.
fn scale_and_least(w: &[f32]) -> (f32, f32) {
    let min = w.iter().copied().fold(0.0, f32::min);
    let max = w.iter().copied().fold(min, f32::max);
    if max <= min {
        return (0.0, min);
    }
    let count = w.len() as f32;
    let mut best = (f32::MAX, 0.0, min);
    for step in 0..=20 {
        let by = (14.0 + 0.1 * step as f32) / (max - min);
        let (mut q_sum, mut q_squares, mut w_sum, mut products) = (0.0, 0.0, 0.0, 0.0);
        let q_of = |v: f32| ((v - min) * by).round().clamp(0.0, 15.0);
        for &v in w {
            let q = q_of(v);
            q_sum += q;
            q_squares += q * q;
            w_sum += v;
            products += q * v;
        }
        // Least squares for both; the offset must not be above 0, for it is stored as what is taken away.
        let spread = count * q_squares - q_sum * q_sum;
        let mut scale = (count * products - q_sum * w_sum) / spread;
        let mut offset = (w_sum - scale * q_sum) / count;
        if offset > 0.0 || !offset.is_finite() {
            (scale, offset) = (products / q_squares, 0.0);
        }
        let off = |v: f32| (scale * q_of(v) + offset - v).powi(2);
        let error: f32 = w.iter().map(|&v| off(v)).sum();
        if error < best.0 {
            best = (error, scale, offset);
        }
    }
    (best.1, best.2)
}

/// w = d s q - dmin m for each 32, s and m of six bits.
fn q4_k(w: &[f32], block: &mut [u8]) {
    let found: Vec<(f32, f32)> = w.chunks_exact(32).map(scale_and_least).collect();
    let max = |part: fn(&(f32, f32)) -> f32| found.iter().map(part).fold(0.0, f32::max);
    let (d, dmin) = (to_half(max(|f| f.0) / 63.0), to_half(max(|f| -f.1) / 63.0));
    block[..2].copy_from_slice(&d);
    block[2..4].copy_from_slice(&dmin);
    let (d, dmin) = (from_half(d), from_half(dmin));
    let six = |v: f32, unit: f32| (v * inverse(unit)).round().clamp(0.0, 63.0) as u8;
    let (scales, quants) = block[4..].split_at_mut(12);
    scales.fill(0);
    quants.fill(0);
    for (i, (&(scale, min), w)) in found.iter().zip(w.chunks_exact(32)).enumerate() {
        let (s, m) = (six(scale, d), six(-min, dmin));
        if i < 4 {
            scales[i] |= s;
            scales[i + 4] |= m;
        } else {
            scales[i + 4] = (s & 15) | (m & 15) << 4;
            scales[i - 4] |= s >> 4 << 6;
            scales[i] |= m >> 4 << 6;
        }
        let (by, offset) = (inverse(d * f32::from(s)), dmin * f32::from(m));
        for (j, v) in w.iter().enumerate() {
            let q = ((v + offset) * by).round().clamp(0.0, 15.0) as u8;
            quants[i / 2 * 32 + j] |= q << (i % 2 * 4);
        }
    }
}

/// The scale for integers from -32 to 31 with the least square error: w = scale q.
fn scale(w: &[f32]) -> f32 {
    let max = furthest(w);
    let mut best = (f32::MAX, 0.0);
    for step in -9..=9 {
        let by = inverse(max) * -(32.0 + 0.1 * step as f32);
        let q = |v: f32| (v * by).round().clamp(-32.0, 31.0);
        let products: f32 = w.iter().map(|&v| v * q(v)).sum();
        let squares: f32 = w.iter().map(|&v| q(v) * q(v)).sum();
        let scale = products * inverse(squares);
        let error: f32 = w.iter().map(|&v| (scale * q(v) - v).powi(2)).sum();
        if error < best.0 {
            best = (error, scale);
        }
    }
    best.1
}

/// w = d s (q - 32) for each 16, s a signed byte.
fn q6_k(w: &[f32], block: &mut [u8]) {
    let found: Vec<f32> = w.chunks_exact(16).map(scale).collect();
    let d = to_half(furthest(&found) / -128.0);
    block.fill(0);
    block[208..].copy_from_slice(&d);
    let d = from_half(d);
    for (i, (scale, w)) in found.iter().zip(w.chunks_exact(16)).enumerate() {
        let s = (scale * inverse(d)).round().clamp(-128.0, 127.0);
        block[192 + i] = (s as i8).cast_unsigned();
        let by = inverse(d * s);
        for (j, v) in w.iter().enumerate() {
            let q = ((v * by).round().clamp(-32.0, 31.0) + 32.0) as u8;
            let place = i * 16 + j;
            // Of 128, the low nibbles of the first 64 lie below those of the next; the high bits of four 32 in a byte.
            let (half, within) = (place / 128, place % 128);
            block[half * 64 + within % 64] |= (q & 15) << (within / 64 * 4);
            block[128 + half * 32 + within % 32] |= (q >> 4) << (within / 32 * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ENCODERS;
    use crate::random::Random;

    /// Noise of a normal shape, as weights have it, comes back as near as the bits allow; zeros and one value alone exactly.
    #[test]
    fn blocks_are_decoded_to_about_what_was_encoded() {
        let mut random = Random::new(7);
        for (format, encode) in ENCODERS {
            let count = format.block as usize;
            let (mut error, mut size) = (0.0f64, 0.0f64);
            let mut back = vec![0.0; count];
            let mut block = vec![0xff; format.bytes as usize];
            for _ in 0..64 {
                let uniform = |random: &mut Random| random.floats(4).iter().sum::<f32>() * 0.02;
                let w: Vec<f32> = (0..count).map(|_| uniform(&mut random)).collect();
                encode(&w, &mut block);
                (format.decode)(&block, &mut back);
                for (a, b) in w.iter().zip(&back) {
                    error += f64::from(a - b).powi(2);
                    size += f64::from(*a).powi(2);
                }
            }
            let nmse = error / size;
            let max = match format.name {
                "q4_0" => 9e-3,
                "q4_k" => 6e-3,
                "q6_k" => 4e-4,
                _ => 5e-5,
            };
            assert!(nmse < max, "{}: NMSE {nmse:.2e}", format.name);
            encode(&vec![0.0; count], &mut block);
            (format.decode)(&block, &mut back);
            assert!(back.iter().all(|&v| v == 0.0), "{}: zeros", format.name);
        }
    }
}
