// A value of the first half of what is rotated makes a pair with one of the second, as GPT-NeoX has them.
fn rotated(head: Head, i: u32, position: u32) -> vec4f {
    let own = four_of(head, i);
    let half = params.pairs / 4u;
    var result = own;
    if params.pairs % 4u != 0u {
        result = rotated_by_one(head, i, position, own);
    } else if i < 2u * half {
        let is_second = i >= half;
        let other = four_of(head, select(i + half, i - half, is_second));
        let start = position * params.pairs + select(i, i - half, is_second) * 4u;
        let a = angles[start];
        let b = angles[start + 1u];
        let c = angles[start + 2u];
        let d = angles[start + 3u];
        result = own * vec4f(a.x, b.x, c.x, d.x) + select(-other, other, is_second) * vec4f(a.y, b.y, c.y, d.y);
    }
    return result;
}

// Value by value, where fours of both halves do not lie beside each other.
fn rotated_by_one(head: Head, i: u32, position: u32, own: vec4f) -> vec4f {
    var result = own;
    for (var c = 0u; c < 4u; c++) {
        let value = 4u * i + c;
        if value < 2u * params.pairs {
            let is_second = value >= params.pairs;
            let partner = select(value + params.pairs, value - params.pairs, is_second);
            let other = four_of(head, partner / 4u)[partner % 4u];
            let angle = angles[position * params.pairs + select(value, value - params.pairs, is_second)];
            result[c] = own[c] * angle.x + select(-other, other, is_second) * angle.y;
        }
    }
    return result;
}
