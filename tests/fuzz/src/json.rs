//! JSON changed by chance, into other JSON.

use serde_json::{Value as Json, json};

/// A linear congruence, whose upper bits are random enough.
#[derive(Debug)]
pub struct Random(pub u32);

impl Random {
    /// A number below `count`, or 0.
    pub fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % count.max(1)
    }
}

/// Changes one value somewhere in `value`; parts of `other` are among what comes in its place.
pub fn change(value: &mut Json, other: &Json, random: &mut Random) {
    let deeper = random.below(4) > 0;
    match value {
        Json::Object(map) if deeper && !map.is_empty() => {
            let key = map.keys().nth(random.below(map.len())).cloned();
            change(&mut map[&key.expect("one of them")], other, random);
        }
        Json::Array(all) if deeper && !all.is_empty() => {
            let at = random.below(all.len());
            change(&mut all[at], other, random);
        }
        Json::Object(map) if random.below(2) > 0 => match random.below(3) {
            0 => {
                let key = map.keys().nth(random.below(map.len())).cloned();
                map.remove(&key.unwrap_or_default());
            }
            1 => {
                let key = map.keys().nth(random.below(map.len())).cloned();
                let (key, mut value) = map
                    .remove_entry(&key.unwrap_or_default())
                    .unwrap_or_default();
                value = if random.below(2) > 0 {
                    part(other, random)
                } else {
                    value
                };
                map.insert(key + ["", "_", "x"][random.below(3)], value);
            }
            _ => {
                let name = key(other, random);
                map.insert(name, part(other, random));
            }
        },
        Json::Array(all) if random.below(2) > 0 => match random.below(3) {
            0 => drop(all.pop()),
            1 => all.extend(all.last().cloned()),
            _ => all.push(part(other, random)),
        },
        Json::Number(number) if random.below(2) > 0 => {
            let near = number.as_i64().unwrap_or(0);
            *value = json!(
                [
                    near.wrapping_add(1),
                    near.wrapping_sub(1),
                    near.wrapping_mul(2),
                    -near
                ][random.below(4)]
            );
        }
        place => *place = part(other, random),
    }
}

/// A plain value, or some part of `other`.
fn part(other: &Json, random: &mut Random) -> Json {
    let plain = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(3),
        json!(1 << 20),
        json!(u64::MAX),
        json!(0.5),
        json!(-0.25),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("\u{3000}é"),
        json!([]),
        json!({}),
    ];
    if random.below(3) > 0 {
        return plain[random.below(plain.len())].clone();
    }
    let mut at = other;
    while random.below(4) > 0 {
        let inner = match at {
            Json::Object(map) => map.values().nth(random.below(map.len())),
            Json::Array(all) => all.get(random.below(all.len())),
            _ => None,
        };
        at = inner.unwrap_or(at);
    }
    at.clone()
}

/// A key of `other`, or of an object in it.
fn key(other: &Json, random: &mut Random) -> String {
    let Json::Object(map) = other else {
        return "type".to_owned();
    };
    let Some((key, value)) = map.iter().nth(random.below(map.len())) else {
        return "type".to_owned();
    };
    if value.is_object() && random.below(2) > 0 {
        self::key(value, random)
    } else {
        key.clone()
    }
}
