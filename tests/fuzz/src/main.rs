//! Tries bytes on the reader that `LANTERN_FUZZ` names, and follows those that reach new code. `cargo fuzz-inputs` builds and
//! runs it.
#![no_main]

use std::sync::OnceLock;

use lantern_fuzz::{
    TARGETS, Target,
    json::{Random, change},
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use serde_json::Value as Json;

fn target() -> Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let name = std::env::var("LANTERN_FUZZ").unwrap_or_default();
        let found = TARGETS.iter().find(|(known, _)| *known == name);
        *found.unwrap_or_else(|| panic!("LANTERN_FUZZ is {name:?}, which names no reader"))
    })
}

fuzz_target!(|bytes: &[u8]| (target().1)(bytes));

// JSON becomes other JSON most of the time: changed bytes are hardly ever any.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let json = !["gguf_header", "template", "safetensors"].contains(&target().0);
    let mut random = Random(seed);
    if json && random.below(8) > 0 {
        if let Ok(mut value) = serde_json::from_slice::<Json>(&data[..size]) {
            for _ in 0..=random.below(3) {
                let other = value.clone();
                change(&mut value, &other, &mut random);
            }
            let text = value.to_string();
            if text.len() <= max_size {
                data[..text.len()].copy_from_slice(text.as_bytes());
                return text.len();
            }
        }
    }
    fuzzer_mutate(data, size, max_size)
});
