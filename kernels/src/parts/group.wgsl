// 32 neighbours of a row: weights before their scale, or activations. Names, not an array: drivers keep those in
// registers without being asked.
struct Group { a: vec4f, b: vec4f, c: vec4f, d: vec4f, e: vec4f, f: vec4f, g: vec4f, h: vec4f }

// A Group in memory, where its parts can be told by number.
alias Fours = array<vec4f, 8>;

// Sum of the products of neighbours.
fn group_dot(w: Group, x: Group) -> f32 {
    var sum = w.a * x.a;
    sum = fma(w.b, x.b, sum);
    sum = fma(w.c, x.c, sum);
    sum = fma(w.d, x.d, sum);
    sum = fma(w.e, x.e, sum);
    sum = fma(w.f, x.f, sum);
    sum = fma(w.g, x.g, sum);
    sum = fma(w.h, x.h, sum);
    return sum.x + sum.y + sum.z + sum.w;
}

// One of each four of a Group: the a to d and the e to h of one of four lanes.
struct OfLane { low: vec4f, high: vec4f }

// A Group as signed bytes: word i has neighbours 4 i to 4 i + 3.
struct Bytes { a: vec4u, b: vec4u }
