//! The choice of the model among the files that a repository of a hub lists, by their names alone.

use super::split;

/// The stored types that this version runs, as they end names of files, in the order of preference: best first, but no larger
/// than sensible.
const PREFERRED: [&str; 13] = [
    "q8_0", "q6_k", "q5_k_m", "q5_k_s", "q5_1", "q5_0", "q4_k_m", "q4_k_s", "q4_1", "q4_0", "f16",
    "bf16", "f32",
];

/// Files of a repository that a model in safetensors may have beside its weights: all that is read of such a folder.
pub const BESIDE_WEIGHTS: [&str; 9] = [
    "config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "additional_chat_templates/tool_use.jinja",
];

/// The file to take of a repository with these names: the only GGUF model, or that of the first stored type, in an order
/// from Q8_0 down and then F16, BF16 and F32, which exactly one model has. Of a model that is split it is the first part.
/// Image encoders (`mmproj`) are no models. None where the names do not say.
pub fn preferred_file<'a>(names: &[&'a str]) -> Option<&'a str> {
    let models: Vec<(&str, String)> = names
        .iter()
        .filter_map(|name| stem(name).map(|stem| (*name, stem)))
        .collect();
    if let [(only, _)] = models[..] {
        return Some(only);
    }
    PREFERRED.iter().find_map(|kind| {
        let of_kind = |stem: &str| {
            let before = stem.strip_suffix(kind);
            before.is_some_and(|before| before.ends_with(['.', '-', '_', '/']))
        };
        let mut found = models.iter().filter(|(_, stem)| of_kind(stem));
        let (first, _) = found.next()?;
        found.next().is_none().then_some(*first)
    })
}

/// The name without its ending and number of parts, in lower case; none for what is no model's first file.
fn stem(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let stem = match split::part_of(&lower) {
        Some((stem, 1, _)) => stem,
        Some(_) => return None,
        None => lower.strip_suffix(".gguf")?,
    };
    let model = !stem.is_empty() && !stem.ends_with('/') && !stem.contains("mmproj");
    model.then(|| stem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_file_is_unambiguous() {
        let cases: [(&[&str], Option<&str>); 12] = [
            (&["README.md", "m.gguf"], Some("m.gguf")),
            (
                &["m-Q8_0.gguf", "m.Q4_0.gguf", "x/m-f16.gguf"],
                Some("m-Q8_0.gguf"),
            ),
            (
                &["m-Q4_K_M.gguf", "m-Q4_0.gguf", "m-F16.gguf"],
                Some("m-Q4_K_M.gguf"),
            ),
            (&["m-Q4_K_M.gguf", "m-Q6_K.gguf"], Some("m-Q6_K.gguf")),
            (&["m-q8_0.gguf", "mmproj-f16.gguf"], Some("m-q8_0.gguf")),
            (
                &["a-BF16.gguf", "b-F16.gguf", "b-BF16.gguf"],
                Some("b-F16.gguf"),
            ),
            (&["a-IQ3_M.gguf", "a-IQ2_M.gguf"], None),
            (&["x/.gguf", ".gguf"], None),
            (&[], None),
            (
                &["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"],
                Some("m-00001-of-00002.gguf"),
            ),
            (
                &[
                    "m-F16-00001-of-00002.gguf",
                    "m-F16-00002-of-00002.gguf",
                    "m-Q4_K_M-00001-of-00002.gguf",
                    "m-Q4_K_M-00002-of-00002.gguf",
                ],
                Some("m-Q4_K_M-00001-of-00002.gguf"),
            ),
            (&["best-of-all.gguf", "README.md"], Some("best-of-all.gguf")),
        ];
        for (names, chosen) in cases {
            assert_eq!(preferred_file(names), chosen, "{names:?}");
        }
    }
}
