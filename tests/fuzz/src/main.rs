//! Tries bytes on the reader that `LANTERN_FUZZ` names, and follows those that reach new code. `cargo fuzz-inputs` builds and
//! runs it.
#![no_main]

use std::{
    panic::catch_unwind,
    sync::{Mutex, OnceLock},
};

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

/// Message of the last panic. One that the engine catches, of a crate that it guards, is no find.
static SAID: Mutex<String> = Mutex::new(String::new());

fuzz_target!(
    init: std::panic::set_hook(Box::new(|panic| {
        *SAID.lock().expect("nobody else panics") = panic.to_string();
    })),
    |bytes: &[u8]| {
        if catch_unwind(|| (target().1)(bytes)).is_err() {
            eprintln!("{}", SAID.lock().expect("nobody else panics"));
            std::process::abort();
        }
    }
);

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
