//! The wasm-bindgen surface of Lantern: what a page's worker calls. It translates values and errors, and does nothing else.

use wasm_bindgen::prelude::wasm_bindgen;

/// The version of Lantern, as its packages carry it.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_has_three_numbers() {
        let version = super::version();
        assert_eq!(
            version
                .split('.')
                .filter(|part| part.parse::<u32>().is_ok())
                .count(),
            3
        );
    }
}
