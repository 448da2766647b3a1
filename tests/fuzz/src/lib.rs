//! Readers of what comes from outside, each as a function of bytes: whatever they are, it returns, soon and with little memory,
//! and what it lets through is sound. `cargo fuzz-inputs` looks for bytes that it does not hold for, and the tests read those
//! of `corpus`.

pub mod json;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use lantern_engine::{
    ChatTemplate, ModelFile,
    file::{Header, Source},
};
use pollster::block_on;
use serde_json::{Value as Json, json};

/// Reader of bytes, and the name of its folder in `corpus`.
pub type Target = (&'static str, fn(&[u8]));

/// All readers.
pub const TARGETS: [Target; 6] = [
    ("gguf_header", gguf_header),
    ("safetensors", safetensors),
    ("config", config),
    ("generation", generation),
    ("tokenizer", tokenizer),
    ("template", template),
];

/// A header of GGUF.
pub fn gguf_header(bytes: &[u8]) {
    const DATA: u64 = 1 << 20; // as though it followed, so that a header alone can be sound
    let file_len = bytes.len() as u64 + DATA;
    if let Ok(header) = Header::parse(bytes, file_len) {
        check_header(&header, file_len);
    }
    if let Ok(file) = ModelFile::from_source(Source::from_bytes(bytes.to_vec())) {
        check_data(&file);
        for value in file.metadata().0.values() {
            assert!(value.to_string().len() < 1000, "a value prints in a line");
        }
        check_settings(&file);
    }
}

/// Asserts what holds for any header of a file of so many bytes that was let through.
pub fn check_header(header: &Header, file_len: u64) {
    let places = header
        .tensors
        .iter()
        .map(|t| (t.offset, t.offset + t.bytes));
    let mut places: Vec<(u64, u64)> = places.collect();
    places.sort_unstable();
    let apart = places.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    assert!(apart, "tensors overlap");
    for tensor in &header.tensors {
        let inside =
            tensor.offset >= header.data_offset && tensor.offset + tensor.bytes <= file_len;
        assert!(inside, "{tensor:?} lies outside");
        assert_eq!((tensor.offset - header.data_offset) % header.alignment, 0);
        let blocks = tensor.weights() / tensor.kind.block_weights();
        assert_eq!(blocks * tensor.kind.block_bytes(), tensor.bytes);
        assert_eq!(header.tensor(&tensor.name), Some(tensor));
    }
}

/// Every tensor that was let through can be read.
fn check_data(file: &ModelFile) {
    for tensor in file.tensors() {
        let data = block_on(file.data(tensor, 0..tensor.bytes));
        let data = data.expect("a checked tensor lies inside the file");
        assert_eq!(data.len() as u64, tensor.bytes);
    }
}

/// Whatever is asked of a model's settings has an answer.
fn check_settings(file: &ModelFile) {
    let _ = file.config();
    let _ = file.completion_options();
    let _ = file.chat_template();
    assert!(file.key_uses().iter().all(|used| !used.key.is_empty()));
}

/// A file of safetensors, in a folder.
pub fn safetensors(bytes: &[u8]) {
    let folder = folder("safetensors");
    put(&folder, "config.json", &sound_config());
    put(&folder, "model.safetensors", bytes);
    if let Ok(file) = ModelFile::open(&folder) {
        check_data(&file);
        check_settings(&file);
    }
}

/// `config.json`.
pub fn config(bytes: &[u8]) {
    // Which tensors there are does not depend on the text, or no change of it would be read.
    let gpt2 = bytes.windows(4).any(|text| text == b"GPT2");
    let (name, embedding) = if gpt2 {
        ("config-gpt2", "transformer.wte.weight")
    } else {
        ("config", "model.embed_tokens.weight")
    };
    let folder = folder(name);
    if !folder.join("model.safetensors").is_file() {
        put(&folder, "model.safetensors", &embedding_alone(embedding, 8));
    }
    put(&folder, "config.json", bytes);
    listed(&folder, "config.json", bytes);
}

/// `generation_config.json`.
pub fn generation(bytes: &[u8]) {
    let folder = folder("generation");
    around(&folder, 8);
    put(&folder, "generation_config.json", bytes);
    listed(&folder, "generation_config.json", bytes);
}

/// Opens a folder. Where that is a model, each key of its file `name` has a use.
fn listed(folder: &Path, name: &str, bytes: &[u8]) {
    let Ok(file) = ModelFile::open(folder) else {
        return;
    };
    check_settings(&file);
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Ok(Json::Object(map)) = serde_json::from_slice(text) else {
        panic!("a model of {name} that is no object");
    };
    let uses = file.key_uses();
    for key in map.keys() {
        let key = format!("{name}: {key}");
        assert!(uses.iter().any(|used| used.key == key), "{key} has no use");
    }
}

/// `tokenizer.json`.
pub fn tokenizer(bytes: &[u8]) {
    const TEXTS: [&str; 4] = [
        "",
        "Hello  wörld, it's 2026!\r\n",
        "<s>a</s> <|x|>\u{3000}ﬁ",
        "aaab aaab 🦙🦙",
    ];
    let folder = folder("tokenizer");
    around(&folder, 1 << 16);
    put(&folder, "tokenizer.json", bytes);
    let Ok(file) = ModelFile::open(&folder) else {
        return;
    };
    check_settings(&file);
    let Ok(tokenizer) = file.tokenizer() else {
        return;
    };
    for text in TEXTS {
        for special in [false, true] {
            if let Ok(tokens) = tokenizer.encode(text, special) {
                let _ = tokenizer.decode(&tokens);
                assert!(tokens.iter().all(|&token| token < 1 << 16), "{tokens:?}");
            }
        }
        let _ = tokenizer.encode_prompt(text, false);
        let _ = tokenizer.encode_rendered(text);
    }
}

/// A chat template.
pub fn template(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(template) = ChatTemplate::new(&text) {
        let input = json!({
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Wie spät? <b>\u{1f999}</b>"},
                {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": {"x": [1, 2.5, null]}}]},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
            "documents": null, "add_generation_prompt": true, "n": 3,
        });
        let _ = template.render(&input);
    }
}

/// A folder that only this process writes to.
fn folder(name: &str) -> PathBuf {
    static ALL: OnceLock<PathBuf> = OnceLock::new();
    let all = ALL
        .get_or_init(|| std::env::temp_dir().join(format!("lantern-fuzz-{}", std::process::id())));
    let folder = all.join(name);
    fs::create_dir_all(&folder).expect("there is room for a few files");
    folder
}

/// A model of one tensor, an embedding of so many tokens.
fn around(folder: &Path, tokens: usize) {
    if !folder.join("model.safetensors").is_file() {
        put(folder, "config.json", &sound_config());
        let embedding = embedding_alone("model.embed_tokens.weight", tokens);
        put(folder, "model.safetensors", &embedding);
    }
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).expect("there is room for a few files");
}

fn sound_config() -> Vec<u8> {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 1, "hidden_size": 4, "num_attention_heads": 1,
        "intermediate_size": 4, "max_position_embeddings": 8, "rms_norm_eps": 1e-5,
    });
    config.to_string().into_bytes()
}

/// A file of safetensors with an embedding of zeroes, (tokens, 4) in 8-bit integers' room.
fn embedding_alone(name: &str, tokens: usize) -> Vec<u8> {
    let bytes = tokens * 8;
    let header = json!({name: {"dtype": "F16", "shape": [tokens, 4], "data_offsets": [0, bytes]}})
        .to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.into_bytes());
    file.resize(file.len() + bytes, 0);
    file
}
