//! Models in safetensors: the references written as Hugging Face folders, and run from there to the same numbers; their
//! tokenizers, held against llama.cpp's ids and the `tokenizers` crate.

use std::{fs, ops::ControlFlow, path::Path, str::FromStr, sync::Arc};

use lantern_engine::{Gpu, LoadOptions, Model, ModelFile, Precision, SamplerOptions, Tokenizer};
use safetensors::Dtype;
use serde_json::{Value as Json, json};

use crate::references;
use crate::support::{
    adapters,
    default_model::default_model,
    hugging_face::{export, export_tokenizer, folder, tokenizer_metadata},
    later_cases,
    models::{self, generate, load_file, logits, prefill_all, reference},
    newer_cases, nmse, shared,
};

fn gpu() -> Arc<Gpu> {
    adapters::open(&adapters::main())
}

/// Exact to the references of llama.cpp, from which the folders are written in 32 bits.
#[test]
fn families_from_safetensors() {
    let gpu = gpu();
    let options = LoadOptions::default().precision(Precision::Exact);
    let mut failures = Vec::new();
    for name in references::FAMILIES {
        let path = models::folder("families").join(format!("{name}.gguf"));
        let folder = folder(&format!("family-{name}"));
        export(&ModelFile::open(&path).unwrap(), &folder, Dtype::F32, 2);
        let file = ModelFile::open(&folder).unwrap();
        assert_eq!(file.format(), "safetensors");
        let model = load_file(&gpu, &file, &options);
        let reference = reference(&path);
        let mut session = pollster::block_on(model.session()).unwrap();
        let error = nmse(
            &prefill_all(&mut session, &reference.tokens),
            &logits(&path),
        );
        let greedy = SamplerOptions::greedy();
        let sampled = generate(&mut session, reference.greedy.len(), &greedy);
        println!("{name:<24} NMSE {error:.2e}");
        let wrong = reference.first_wrong(&sampled);
        if error > 1e-6 || wrong.is_some() {
            failures.push(format!(
                "{name}: NMSE {error:.2e}, greedy differs at {wrong:?}"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// NMSE of a folder's logits; infinite where greedy tokens are not the reference's.
fn folder_error(gpu: &Arc<Gpu>, folder: &Path, path: &Path) -> lantern_engine::Result<f64> {
    let options = LoadOptions::default().precision(Precision::Exact);
    let progress = &mut |_, _| ControlFlow::Continue(());
    let file = ModelFile::open(folder)?;
    let model = pollster::block_on(Model::load(gpu, &file, &options, progress))?;
    let reference = reference(path);
    let mut session = pollster::block_on(model.session())?;
    let found = prefill_all(&mut session, &reference.tokens);
    let sampled = generate(
        &mut session,
        reference.greedy.len(),
        &SamplerOptions::greedy(),
    );
    let wrong = reference.first_wrong(&sampled);
    let error = nmse(&found, &logits(path));
    if wrong.is_some() {
        println!(
            "{}: NMSE {error:.2e}, greedy differs at {wrong:?}",
            path.display()
        );
    }
    Ok(wrong.map_or(error, |_| f64::INFINITY))
}

/// Folders as the architectures of 2025 and 2026 have them, exact to the references from which they are written.
#[test]
fn newer_families_from_safetensors() {
    let gpu = gpu();
    let mut failures = Vec::new();
    for case in newer_cases::CASES {
        let name = case.reference;
        let path = models::folder("families-2026").join(format!("{name}.gguf"));
        let folder = folder(&format!("newer-{name}"));
        case.export(&ModelFile::open(&path).unwrap(), &folder);
        match folder_error(&gpu, &folder, &path) {
            Ok(error) => {
                println!("{name:<24} NMSE {error:.2e}");
                if error > 1e-9 {
                    failures.push(format!("{name}: NMSE {error:.2e}"));
                }
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Folders with state spaces, latent attention, or experts stored the other way round, exact to their references.
#[test]
fn later_families_from_safetensors() {
    let gpu = gpu();
    let mut failures = Vec::new();
    for case in later_cases::CASES {
        let name = case.reference;
        let path = models::folder("families-2026").join(format!("{name}.gguf"));
        let folder = folder(&format!("later-{name}"));
        let file = ModelFile::open(&path).unwrap();
        case.export(&file, &folder, Dtype::F32);
        // Twice as much for Llama 4's angles, which the reference has in 32 bits.
        let max = if name == "llama4" { 1e-8 } else { 1e-9 };
        match folder_error(&gpu, &folder, &path) {
            Ok(error) => {
                println!("{name:<24} NMSE {error:.2e}");
                if error > max {
                    failures.push(format!("{name}: NMSE {error:.2e}"));
                }
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// In bfloat16, as most models are published: matrices are those of the GGUF file, byte for byte, but for
/// the rows of queries and keys, which lie in another order. Norms are rounded.
#[test]
fn bfloat16_from_safetensors() {
    let path = models::folder("formats").join("BF16.gguf");
    let folder = folder("bfloat16");
    let gguf = ModelFile::open(&path).unwrap();
    export(&gguf, &folder, Dtype::BF16, 1);
    let file = ModelFile::open(&folder).unwrap();
    for tensor in gguf.tensors().iter().filter(|t| t.shape.len() > 1) {
        let own = file.tensor(&tensor.name).unwrap();
        assert_eq!((own.kind.name(), &own.shape), ("BF16", &tensor.shape));
        let [bytes, own_bytes] = [(&gguf, tensor), (&file, own)]
            .map(|(f, t)| pollster::block_on(f.data(t, 0..t.bytes)).unwrap());
        let reordered = ["attn_q", "attn_k"].iter().any(|n| tensor.name.contains(n));
        assert!(reordered || bytes == own_bytes, "{}", tensor.name);
    }
    let model = load_file(&gpu(), &file, &LoadOptions::default());
    let mut session = pollster::block_on(model.session()).unwrap();
    let tokens = reference(&path).tokens;
    let error = nmse(&prefill_all(&mut session, &tokens), &logits(&path));
    assert!(error < 1e-4, "NMSE {error:.2e}");
}

/// Quantised while it is read, a folder has the bytes of its GGUF file quantised, experts too.
#[test]
fn quantised_while_loading() {
    let gpu = gpu();
    for (name, stored, max) in [
        ("qwen2", "q8_0", 1e-3),
        ("qwen3moe", "q8_0", 1e-2),
        ("qwen2", "q4_k", 0.2),
        ("gpt2", "q8_0", 1e-2),
    ] {
        let path = models::folder("families").join(format!("{name}.gguf"));
        let gguf = ModelFile::open(&path).unwrap();
        let folder = folder(&format!("quantised-{name}-{stored}"));
        export(&gguf, &folder, Dtype::F16, 1);
        let open = || ModelFile::open(&folder).unwrap().quantised_as_read(stored);
        let (file, gguf) = (open().unwrap(), gguf.quantised_as_read(stored).unwrap());
        let mut matrices = 0;
        for tensor in file.tensors().iter().filter(|t| t.shape.len() > 1) {
            let own = gguf.tensor(&tensor.name).unwrap();
            assert_eq!((own.kind, &own.shape), (tensor.kind, &tensor.shape));
            let [bytes, own_bytes] = [(&file, tensor), (&gguf, own)]
                .map(|(f, t)| pollster::block_on(f.data(t, 0..t.bytes)).unwrap());
            assert_eq!(bytes, own_bytes, "{}", tensor.name);
            let some = pollster::block_on(file.data(tensor, 33..47)).unwrap();
            assert_eq!(*some, bytes[33..47]);
            matrices += usize::from(tensor.kind.name().starts_with('Q'));
        }
        let layers = gguf.config().unwrap().layers as usize;
        assert!(matrices >= 4 * layers, "{matrices}");
        let model = load_file(&gpu, &file, &LoadOptions::default());
        let mut session = pollster::block_on(model.session()).unwrap();
        let error = nmse(
            &prefill_all(&mut session, &reference(&path).tokens),
            &logits(&path),
        );
        println!("{name} {stored}: NMSE {error:.2e}");
        assert!(error < max, "{name} {stored}: NMSE {error:.2e}");
        let plain = ModelFile::open(&folder).unwrap();
        let write = plain.quantised(stored).unwrap();
        let mut out = Vec::new();
        let written = pollster::block_on(write.write(&mut out, &mut |_| ControlFlow::Continue(())));
        assert!(written.unwrap_err().to_string().contains("--quantize"));
        assert!(open().unwrap().quantised_as_read("q9").is_err());
    }
}

/// Quantised while they are read, parts of tensors and experts stored the other way round have the bytes of their GGUF file.
#[test]
fn cut_tensors_are_quantised_while_loading() {
    for name in ["llama4", "gpt-oss", "granitehybrid-moe", "granitehybrid"] {
        let cases = later_cases::CASES.iter();
        let case = cases
            .into_iter()
            .find(|case| case.reference == name)
            .unwrap();
        let path = models::folder("families-2026").join(format!("{name}.gguf"));
        let gguf = ModelFile::open(&path).unwrap();
        let folder = folder(&format!("cut-{name}"));
        case.export(&gguf, &folder, Dtype::F16);
        let file = ModelFile::open(&folder).unwrap();
        let files =
            [file, gguf].map(|file| [file.clone(), file.quantised_as_read("q8_0").unwrap()]);
        let mut cut = 0;
        for (file, gguf) in files[0].iter().zip(&files[1]) {
            let matrices = file.tensors().iter().filter(|t| t.shape.len() > 1);
            for tensor in
                matrices.filter(|t| t.name.contains(".weight") && !t.name.contains("norm"))
            {
                let permuted = ["attn_q", "attn_k"].iter().any(|n| tensor.name.contains(n));
                let Some(own) = gguf.tensor(&tensor.name).filter(|_| !permuted) else {
                    continue; // gates and ups in one
                };
                if own.kind != tensor.kind {
                    continue; // what GGUF has in 32 bits
                }
                assert_eq!(own.shape, tensor.shape, "{}", tensor.name);
                let [bytes, own_bytes] = [(file, tensor), (gguf, own)]
                    .map(|(f, t)| pollster::block_on(f.data(t, 0..t.bytes)).unwrap());
                assert_eq!(bytes, own_bytes, "{name}: {}", tensor.name);
                let some = pollster::block_on(file.data(tensor, 33..47)).unwrap();
                assert_eq!(*some, bytes[33..47]);
                cut += usize::from(tensor.name.contains("exps") || tensor.name.contains("ffn_up"));
            }
        }
        assert!(cut >= 4, "{name}: {cut}");
    }
}

/// A width of the MLP that is not the matrices', and none where theirs is not 4 times the model's.
#[test]
fn gpt2_of_another_width_is_refused() {
    let folder = folder("gpt2-width");
    let path = models::folder("families").join("gpt2.gguf");
    export(&ModelFile::open(&path).unwrap(), &folder, Dtype::F32, 1);
    let (gpu, options) = (gpu(), LoadOptions::default());
    let config = folder.join("config.json");
    let whole: Json = serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    for (inner, wanted) in [(json!(128), "[64, 128]"), (Json::Null, "[64, 256]")] {
        let mut changed = whole.clone();
        changed["n_inner"] = inner;
        fs::write(&config, changed.to_string()).unwrap();
        let file = ModelFile::open(&folder).unwrap();
        let progress = &mut |_, _| ControlFlow::Continue(());
        let load = Model::load(&gpu, &file, &options, progress);
        let error = pollster::block_on(load).err().unwrap().to_string();
        assert!(error.contains("blk.0.ffn_up.weight"), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}

fn digits() -> Json {
    json!({"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": true},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    ]})
}

/// The whole way of a real model: weights in two files, vocabulary, chat template; the same tokens as from GGUF.
#[test]
fn smollm2_from_safetensors() {
    let Some(path) = default_model() else { return };
    let gguf = ModelFile::open(&path).unwrap();
    let folder = folder("SmolLM2");
    export(&gguf, &folder, Dtype::F16, 2);
    export_tokenizer(gguf.metadata(), &folder, &digits());
    let file = ModelFile::open(&folder.join("config.json")).unwrap();

    let (tokenizer, other) = (file.tokenizer().unwrap(), gguf.tokenizer().unwrap());
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let ids = tokenizer.encode(&text, true).unwrap();
    assert_eq!(ids, other.encode(&text, true).unwrap());
    assert_eq!(tokenizer.decode(&ids), text);
    let ends = |tokenizer: &Tokenizer| -> Vec<u32> {
        (0..tokenizer.vocab_size() as u32)
            .filter(|&id| tokenizer.is_end(id))
            .collect()
    };
    assert_eq!(ends(&tokenizer), ends(&other));
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos()),
        (other.bos(), other.eos())
    );
    let (template, own) = (file.chat_template().unwrap(), gguf.chat_template().unwrap());
    assert_eq!(template.unwrap().source(), own.unwrap().source());

    let reference = reference(&models::folder("smollm2").join("france"));
    assert_eq!(
        tokenizer.encode(&reference.text, true).unwrap(),
        reference.tokens
    );
    let model = load_file(&gpu(), &file, &LoadOptions::default());
    let mut session = pollster::block_on(model.session()).unwrap();
    models::prefill(&mut session, &reference.tokens);
    let sampled = generate(
        &mut session,
        reference.greedy.len(),
        &SamplerOptions::greedy(),
    );
    assert_eq!(reference.first_wrong(&sampled), None, "{sampled:?}");
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn split(regex: &str) -> Json {
    json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
    ]})
}

/// The reference vocabularies with the pre-tokenizers that their models come with.
fn vocabularies() -> Vec<(&'static str, Json)> {
    let plain = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true});
    let qwen = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}");
    vec![
        ("gpt-2", plain),
        ("llama-bpe", split(LLAMA3)),
        ("qwen2", split(&qwen)),
        ("llama-spm", Json::Null),
    ]
}

#[test]
fn tokenizers_are_those_of_their_crate_and_of_llama_cpp() {
    let Some(place) = shared::reference("tokenizers") else {
        return;
    };
    for (name, pre_tokenizer) in vocabularies() {
        let gguf = ModelFile::open(&place.join(format!("{name}.gguf"))).unwrap();
        let folder = folder(&format!("tokenizer-{name}"));
        export_tokenizer(gguf.metadata(), &folder, &pre_tokenizer);
        let tokens = gguf
            .metadata()
            .texts("tokenizer.ggml.tokens")
            .unwrap()
            .unwrap()
            .len();
        let metadata = tokenizer_metadata(&folder, tokens);
        let tokenizer = Tokenizer::from_metadata(&metadata).unwrap();
        assert_eq!(tokenizer.vocab_size(), tokens, "{name}");
        let json = fs::read_to_string(folder.join("tokenizer.json")).unwrap();
        let theirs = tokenizers::Tokenizer::from_str(&json).unwrap();
        let cases = crate::tokenizers::cases(&place, name);
        assert!(cases.len() > 40);
        for (text, ids) in cases {
            let found = tokenizer.encode(&text, false).unwrap();
            assert_eq!(found, ids, "{name}: {text:?}");
            let plain = !text.contains('<'); // special tokens are always found by the crate
            if plain && !text.is_empty() {
                let crate_ids = theirs.encode(text.as_str(), false).unwrap();
                assert_eq!(found, crate_ids.get_ids(), "{name}, the crate: {text:?}");
            }
        }
    }
}

/// Spaces that a `Metaspace` puts before texts, and tokens that swallow them, as the crate does it.
#[test]
fn spaces_before_texts_are_those_of_the_crate() {
    let vocabulary: Vec<String> = [
        "<unk>", "<s>", "</s>", "▁", "a", "b", "▁a", "▁b", "ab", "▁ab", "é",
    ]
    .iter()
    .map(ToString::to_string)
    .chain((0..=255).map(|byte: u8| format!("<0x{byte:02X}>")))
    .collect();
    let ids: serde_json::Map<String, Json> = (0..)
        .zip(&vocabulary)
        .map(|(id, text)| (text.clone(), json!(id)))
        .collect();
    for scheme in ["first", "always", "never"] {
        let token = |id: u32, text: &str, rstrip: bool| {
            json!({"id": id, "content": text, "special": true, "normalized": false,
                "lstrip": false, "rstrip": rstrip, "single_word": false})
        };
        let json = json!({
            "version": "1.0", "added_tokens": [token(1, "<s>", false), token(2, "</s>", true)],
            "normalizer": null, "post_processor": {
                "type": "TemplateProcessing", "pair": [],
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
            },
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false},
            "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "fuse_unk": true,
                "vocab": ids, "merges": [["▁", "a"], ["▁", "b"], ["a", "b"], ["▁", "ab"]]},
        });
        let folder = folder(&format!("spaces-{scheme}"));
        fs::write(folder.join("tokenizer.json"), json.to_string()).unwrap();
        let metadata = tokenizer_metadata(&folder, vocabulary.len());
        let tokenizer = Tokenizer::from_metadata(&metadata).unwrap();
        let theirs = tokenizers::Tokenizer::from_str(&json.to_string()).unwrap();
        for text in [
            "ab",
            " ab",
            "  ab é",
            "<s>ab",
            "<s> ab</s>  ba<s>b",
            "ü\na",
            "</s>",
            "a</s>\n b",
        ] {
            let ids = theirs.encode(text, true).unwrap();
            let found = tokenizer.encode(text, true).unwrap();
            assert_eq!(found, ids.get_ids(), "{scheme}: {text:?}");
        }
    }
}

/// The chat template may lie in a file of its own, and more tokens end a text than one.
#[test]
fn files_beside_the_tokenizer_are_read() {
    let Some(path) = default_model() else { return };
    let folder = folder("beside");
    let gguf = ModelFile::open(&path).unwrap();
    export_tokenizer(gguf.metadata(), &folder, &digits());
    let put = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    put("chat_template.jinja", "{{ messages }}!");
    put("generation_config.json", r#"{"eos_token_id": [2, 28]}"#);
    let metadata = tokenizer_metadata(&folder, 49152);
    let tokenizer = Tokenizer::from_metadata(&metadata).unwrap();
    assert!(tokenizer.is_end(28) && tokenizer.is_end(2) && !tokenizer.is_end(29));
    let template = metadata.text("tokenizer.chat_template").unwrap();
    assert_eq!(template, Some("{{ messages }}!"));
}
