//! Safetensors and the JSON beside them that are not what they say: each is an error that names the file and what is wrong
//! with it, within a second and without large allocations.

use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use lantern_engine::{GpuOptions, LoadOptions, Model, ModelFile};
use pollster::block_on;
use safetensors::Dtype;
use serde_json::{Value as Json, json};

use crate::support::{
    adapters,
    hugging_face::{Folder, export, folder},
    models,
};

/// As for GGUF.
const ALLOCATION_MAX: u64 = 16 << 20;

/// A file that is sound but for what a case does to it: three tensors of a llama.
struct File {
    /// Length of the header that the file claims, in bytes; None: the truth.
    claimed: Option<u64>,
    header: String,
    data: usize,
}

fn sound() -> File {
    let header = json!({
        "__metadata__": {"format": "pt"},
        "model.embed_tokens.weight": {"dtype": "F32", "shape": [8, 4], "data_offsets": [0, 128]},
        "model.norm.weight": {"dtype": "BF16", "shape": [4], "data_offsets": [128, 136]},
        "lm_head.weight": {"dtype": "F16", "shape": [8, 4], "data_offsets": [136, 200]},
    });
    File {
        claimed: None,
        header: header.to_string(),
        data: 200,
    }
}

impl File {
    fn bytes(&self) -> Vec<u8> {
        let length = self.claimed.unwrap_or(self.header.len() as u64);
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(self.header.as_bytes());
        bytes.resize(bytes.len() + self.data, 0);
        bytes
    }

    fn swap(&mut self, old: &str, new: &str) {
        assert_eq!(self.header.matches(old).count(), 1, "{old}");
        self.header = self.header.replace(old, new);
    }
}

/// Name of a case, change to a sound file, and words that the message must have.
type Mutation = (&'static str, fn(&mut File), &'static str);

#[rustfmt::skip]
const HEADERS: &[Mutation] = &[
    ("header past the end", |f| f.claimed = Some(1 << 20), "its header ends at byte 1048584, but the file has"),
    ("header of 100 MB", |f| f.claimed = Some(100_000_000), "claims a header of 100000000 bytes, and at most 33554432 are read"),
    ("header near 2^64", |f| f.claimed = Some(u64::MAX), "claims a header of 18446744073709551615 bytes"),
    ("header of nothing", |f| f.claimed = Some(0), "its header is not that of a safetensors file"),
    ("header cut short", |f| f.claimed = Some(99), "EOF while parsing"),
    ("header into the data", |f| f.claimed = Some(f.header.len() as u64 + 9), "its header is not that of a safetensors file"),
    ("a list", |f| f.header = "[]".into(), "no safetensors file: it starts with"),
    ("a zip", |f| { f.claimed = Some(0x0403_4b50); f.header = "x".repeat(99); }, "a zip archive or a PyTorch checkpoint"),
    ("no JSON", |f| f.header = "{]".into(), "its header is not that of a safetensors file: key must be a string"),
    ("two values", |f| f.header.push_str("{}"), "trailing characters"),
    ("deep nesting", |f| f.header = format!("{{\"__metadata__\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)), "there is no embedding"),
    ("a deep tensor", |f| f.header = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)), "tensor a: "),
    ("tensors by the hundred thousand", |f| f.header = many(100_000), "more than 65536 tensors"),
    ("a name of nothing", |f| f.swap("model.norm.weight", ""), "the name \"\" is not 1 to 256 printable"),
    ("a name with an escape", |f| f.swap("model.norm.weight", "\\u001b[2J"), r#"the name "\u{1b}[2J" is not"#),
    ("a name of 300", |f| f.swap("model.norm.weight", &"n".repeat(300)), "is not 1 to 256 printable"),
    ("a tensor that is a number", |f| f.header = "{\"a\":3}".into(), "tensor a: invalid type: integer `3`"),
    ("no type", |f| f.swap("\"dtype\":\"BF16\",", ""), "tensor model.norm.weight: missing field `dtype`"),
    ("no place", |f| f.swap(",\"data_offsets\":[128,136]", ""), "tensor model.norm.weight: missing field `data_offsets`"),
    ("a place of three", |f| f.swap("[128,136]", "[128,136,140]"), "tensor model.norm.weight: "),
    ("a place below 0", |f| f.swap("[128,136]", "[-8,0]"), "tensor model.norm.weight: invalid value: integer `-8`"),
    ("a place past 2^64", |f| f.swap("[128,136]", "[128,18446744073709551616]"), "tensor model.norm.weight: invalid type: floating point"),
    ("a place backwards", |f| f.swap("[128,136]", "[136,128]"), "tensor model.norm.weight ends at 128 of the data, before its start at 136"),
    ("a place past the end", |f| f.data = 199, "tensor lm_head.weight ends at byte 200 of the data, which begins at byte"),
    ("a place near 2^64", |f| f.swap("[136,200]", "[136,18446744073709551615]"), "tensor lm_head.weight ends at byte 18446744073709551615"),
    ("no data", |f| f.data = 0, "it is cut short: download it again"),
    ("overlap", |f| f.swap("[128,136]", "[124,132]"), "tensors model.embed_tokens.weight and model.norm.weight overlap: one ends at byte"),
    ("the same place twice", |f| f.swap("[136,200]", "[0,64]"), "overlap"),
    ("a tensor twice", |f| f.swap("model.norm.weight", "lm_head.weight"), "tensor output.weight is there twice"),
    ("a dimension below 0", |f| f.swap("\"shape\":[4]", "\"shape\":[-4]"), "invalid value: integer `-4`"),
    ("a dimension of a half", |f| f.swap("\"shape\":[4]", "\"shape\":[0.5]"), "tensor model.norm.weight: invalid type"),
    ("no dimensions", |f| f.swap("\"shape\":[4]", "\"shape\":[]"), "tensor model.norm.weight has 0 dimensions"),
    ("five dimensions", |f| f.swap("\"shape\":[4]", "\"shape\":[4,1,1,1,1]"), "tensor model.norm.weight has 5 dimensions"),
    ("a dimension of 0", |f| f.swap("\"shape\":[4]", "\"shape\":[0]"), "no weights at all"),
    ("more than the place", |f| f.swap("\"shape\":[4]", "\"shape\":[5]"), "has the shape [5] of BF16, which takes 10 bytes, and a place of 8"),
    ("weights past 2^64", |f| f.swap("\"shape\":[4]", "\"shape\":[4294967296,4294967296]"), "more bytes than 64 bits can count"),
    ("bytes past 2^64", |f| f.swap("\"shape\":[4]", "\"shape\":[9223372036854775808]"), "more bytes than 64 bits can count"),
    ("another type", |f| f.swap("BF16", "F8_E4M3"), "tensor model.norm.weight is stored as \"F8_E4M3\"; of safetensors, F32, F16 and BF16"),
    ("a type that is no text", |f| f.swap("\"BF16\"", "16"), "tensor model.norm.weight: invalid type: integer `16`"),
    ("a type with an escape", |f| f.swap("BF16", "\\u001b"), r#"is stored as "\u{1b}""#),
    ("a name of no model", |f| f.swap("model.norm.weight", "model.norm.scale"), "tensor model.norm.scale has no place in a llama model"),
];

fn many(count: usize) -> String {
    let one = |i| format!(r#""t{i}":{{"dtype":"F32","shape":[1],"data_offsets":[0,0]}}"#);
    let all: Vec<String> = (0..count).map(one).collect();
    format!("{{{}}}", all.join(","))
}

fn config() -> Json {
    json!({
        "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 1, "hidden_size": 4, "num_attention_heads": 1, "head_dim": 8,
        "intermediate_size": 4, "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "vocab_size": 8,
        "tie_word_embeddings": false,
    })
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(folder.join(name), bytes).unwrap();
}

/// A folder that opens.
fn sound_folder(name: &str) -> Folder {
    let folder = folder(name);
    write(&folder, "config.json", config().to_string());
    write(&folder, "model.safetensors", sound().bytes());
    ModelFile::open(&folder).unwrap();
    folder
}

/// Message with which the folder is refused; reading it must take little time and memory.
fn refusal(folder: &Path) -> String {
    let mut message = String::new();
    let start = Instant::now();
    let used = allocation_counter::measure(|| {
        let read = |file: ModelFile| {
            file.tokenizer()?;
            file.config().map(drop)
        };
        message = match ModelFile::open(folder).and_then(read) {
            Ok(()) => "it was read".to_owned(),
            Err(error) => error.to_string(),
        };
    });
    assert!(start.elapsed() < Duration::from_secs(30), "{message}: slow");
    let max = used.bytes_max;
    assert!(max < ALLOCATION_MAX, "{message}: {max} bytes");
    message
}

#[test]
fn headers_that_lie_are_refused() {
    let folder = sound_folder("hostile-header");
    let mut wrong = Vec::new();
    for (name, mutate, piece) in HEADERS {
        let mut file = sound();
        mutate(&mut file);
        write(&folder, "model.safetensors", file.bytes());
        let message = refusal(&folder);
        if !(message.contains(piece) && message.contains("hugging-face-hostile-header")) {
            wrong.push(format!("{name}: {message:?} instead of {piece:?}"));
        }
    }
    for length in 0..9 {
        write(&folder, "model.safetensors", &sound().bytes()[..length]);
        let message = refusal(&folder);
        if !message.contains("model.safetensors") || message.contains("was read") {
            wrong.push(format!("{length} bytes: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A key of config.json and its value, or several as an object without a key, and what the message must say.
#[rustfmt::skip]
fn settings() -> Vec<(&'static str, Json, &'static str)> {
    vec![
        ("architectures", json!(["T5Model"]), "models of the architecture \"T5Model\" are not run from safetensors; known are: LlamaForCausalLM"),
        ("architectures", json!(["GPT2LMHeadModel"]), "n_layer is missing, where a number is needed"),
        ("activation_function", json!("gelu"), "it was read"), // of GPT-2, which this is not
        ("is_encoder_decoder", json!(true), "is_encoder_decoder is true; only false is run here"),
        ("architectures", json!([]), "architectures is a list of 0, where a list of one name is needed"),
        ("architectures", json!("Llama"), "architectures is \"Llama\", where a list is needed"),
        ("architectures", json!(null), "architectures is missing"),
        ("num_hidden_layers", json!("many"), "num_hidden_layers is \"many\", where a whole number is needed"),
        ("num_hidden_layers", json!(-1), "num_hidden_layers is -1, where"),
        ("num_hidden_layers", json!(1.5), "num_hidden_layers is 1.5, where"),
        ("num_hidden_layers", json!(null), "num_hidden_layers is missing, where"),
        ("hidden_size", json!([4]), "hidden_size is a list of 1, where"),
        ("hidden_size", json!({"a": 1}), "hidden_size is an object of 1, where"),
        ("head_dim", json!(1u64 << 40), "at most 1024 are run here"),
        ("rms_norm_eps", json!("1e-5"), "rms_norm_eps is \"1e-5\", where a number is needed"),
        ("rms_norm_eps", json!(1e300), "rms_norm_eps is 1e+300, where a number is needed"),
        ("tie_word_embeddings", json!(1), "tie_word_embeddings is 1, where true or false is needed"),
        ("hidden_act", json!("relu"), "hidden_act is \"relu\"; only silu is run here in llama"),
        ("quantization_config", json!({"quant_method": "gptq"}), "the weights are quantised (\"gptq\")"),
        ("", json!({"architectures": ["Qwen2ForCausalLM"], "layer_types": ["chunked_attention"]}), "only full_attention and sliding_attention are run here"),
        ("", json!({"architectures": ["Qwen2ForCausalLM"], "layer_types": ["sliding_attention"]}), "layer_types names sliding_attention, but use_sliding_window is not true"),
        ("", json!({"architectures": ["Qwen2ForCausalLM"], "layer_types": []}), "layer_types is a list of 0, where a list with a text for each layer"),
        ("", json!({"architectures": ["MistralForCausalLM"], "sliding_window": 0}), "sliding_window is 0, where a number above 0"),
        ("", json!({"architectures": ["SmolLM3ForCausalLM"], "no_rope_layers": [1, 0]}), "no_rope_layers is a list of 2, where a list with a 0 or 1 for each layer"),
        ("", json!({"architectures": ["Qwen3MoeForCausalLM"], "decoder_sparse_step": 2}), "decoder_sparse_step is 2; only 1 is run here"),
        ("", json!({"architectures": ["Gemma2ForCausalLM"], "hidden_activation": "gelu"}), "hidden_activation is \"gelu\"; only gelu_pytorch_tanh is run here in gemma2"),
        ("", json!({"architectures": ["Gemma3ForCausalLM"], "use_bidirectional_attention": true}), "only false is run here"),
        ("rope_theta", json!(0), "rope_theta is 0, where a number above 0"),
        ("rope_scaling", json!(3), "rope_scaling is 3, where an object is needed"),
        ("rope_scaling", json!({"rope_type": "dynamic", "factor": 2}), "rope_scaling: rope_type is \"dynamic\"; known are default, linear, llama3"),
        ("rope_scaling", json!({"type": "linear"}), "rope_scaling: factor is missing, where a number above 0"),
        ("rope_scaling", json!({"type": "linear", "factor": -2}), "rope_scaling: factor is -2, where a number above 0"),
        ("rope_scaling", json!({"type": "longrope", "long_factor": ["x"]}), "original_max_position_embeddings is missing"),
        ("partial_rotary_factor", json!(1.5), "partial_rotary_factor is 1.5, where"),
        ("eos_token_id", json!(["x"]), "it was read"), // of no tokenizer
    ]
}

#[test]
fn settings_that_lie_are_refused() {
    let folder = sound_folder("hostile-config");
    let mut wrong = Vec::new();
    let mut check = |text: &str, piece: &str| {
        write(&folder, "config.json", text);
        let message = refusal(&folder);
        let named = message.contains("config.json") || message == "it was read";
        if !message.contains(piece) || !named {
            wrong.push(format!("{message:?} instead of {piece:?}"));
        }
    };
    for (key, value, piece) in settings() {
        let mut config = config();
        match value {
            Json::Object(several) if key.is_empty() => {
                config.as_object_mut().unwrap().extend(several);
            }
            one => config[key] = one,
        }
        check(&config.to_string(), piece);
    }
    check("", "EOF while parsing");
    check("[]", "invalid type: sequence, expected a map");
    check("{\"a\": \u{0}}", "expected value");
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    check(&deep, "recursion limit exceeded");
    check(
        &" ".repeat(9 << 20),
        "has more than 8 MiB, which no file of this kind has",
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    fs::remove_file(folder.join("config.json")).unwrap();
    assert!(refusal(&folder).contains("is a folder; name the .gguf file inside it, or"));
    let message = refusal(&folder.join("model.safetensors"));
    assert!(message.contains("config.json is missing"), "{message}");
}

/// A sound tokenizer.json of two letters that join.
fn tokenizer() -> Json {
    json!({
        "added_tokens": [added("<e>")],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
    })
}

fn added(content: &str) -> Json {
    json!({"id": 3, "content": content, "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false})
}

/// Where in tokenizer.json, the value there, and what the message must say.
#[rustfmt::skip]
fn tokenizers() -> Vec<(&'static str, Json, &'static str)> {
    let split = |regex: &str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
    vec![
        ("/model", json!(3), "invalid type: integer `3`"),
        ("/model/vocab", json!({"a": -1}), "integer `-1`"),
        ("/model/vocab", json!({"a": 0, "b": 1, "ab": 8}), "there is a token 8, but the model's embedding has 8 rows"),
        ("/model/vocab", json!({"a": u64::MAX}), "integer `18446744073709551615`"),
        ("/model/vocab", json!({"a": 0, "b": 0, "ab": 2}), "tokens \"a\" and \"b\" are both 0"),
        ("/model/vocab", json!({}), "model.merges needs \"a\", which is no token"),
        ("/model/merges", json!([["a"]]), "a merge that is not of two tokens"),
        ("/model/merges", json!([1]), "expected a merge"),
        ("/model/merges", json!(["a x"]), "model.merges needs \"x\", which is no token"),
        ("/model/merges", json!(["ab ab"]), "model.merges needs \"abab\", which is no token"),
        ("/model/merges", json!(["ab"]), "merges has \"ab\", which is not two tokens"),
        ("/model/type", json!("Unigram"), "invalid type: map, expected a sequence"),
        ("/model/type", json!("Trigram"), "model.type is \"Trigram\"; known are BPE, Unigram"),
        ("/model/dropout", json!(0.5), "model.BPE.dropout is 0.5"),
        ("/pre_tokenizer", json!({"type": "Nope"}), "pre_tokenizer.type is \"Nope\"; known are Sequence"),
        ("/pre_tokenizer", json!({"type": "ByteLevel"}), "missing field `add_prefix_space`"),
        ("/pre_tokenizer", split("a("), "the pattern \"a(\" is not run here"),
        ("/normalizer", json!({"type": "Lowercas"}), "normalizer.type is \"Lowercas\"; known are"),
        ("/decoder", json!({"type": "ByteFallback", "on": true}), "decoder.ByteFallback.on\" is a key that is not known"),
        ("/added_tokens", json!([{"id": 3}]), "content is missing, where a text is needed"),
        ("/added_tokens", json!([{"id": 3, "content": "x"}]), "missing field `single_word`"),
        ("/added_tokens", json!([added("a")]), "it was read"), // it has the number that the model has for it
    ]
}

#[test]
fn tokenizers_that_lie_are_refused() {
    let folder = sound_folder("hostile-tokenizer");
    write(&folder, "tokenizer.json", tokenizer().to_string());
    let file = ModelFile::open(&folder).unwrap();
    let ids = file.tokenizer().unwrap().encode("<e>aba", true).unwrap();
    assert_eq!(ids, [3, 2, 0]);
    let mut wrong = Vec::new();
    for (place, value, piece) in tokenizers() {
        let mut json = tokenizer();
        let (parent, key) = place.rsplit_once('/').unwrap();
        json.pointer_mut(parent).unwrap()[key] = value;
        write(&folder, "tokenizer.json", json.to_string());
        let message = refusal(&folder);
        if !message.contains(piece) {
            wrong.push(format!("{place}: {message:?} instead of {piece:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    write(&folder, "tokenizer.json", tokenizer().to_string());
    for (name, text, piece) in [
        (
            "tokenizer_config.json",
            r#"{"eos_token": 3}"#,
            "tokenizer_config.json: eos_token is 3, where a text",
        ),
        (
            "tokenizer_config.json",
            r#"{"add_bos_token": 3}"#,
            "it was read", // nothing depends on it
        ),
        (
            "tokenizer_config.json",
            r#"{"chat_template": 3}"#,
            "chat_template is 3, where a text",
        ),
        (
            "tokenizer_config.json",
            r#"{"eos_token": {"content": []}}"#,
            "eos_token: content is a list of 0",
        ),
        (
            "generation_config.json",
            r#"{"eos_token_id": [99]}"#,
            "eos_token_id has [99], but the vocabulary has 4 tokens",
        ),
        (
            "generation_config.json",
            r#"{"eos_token_id": "x"}"#,
            "generation_config.json: eos_token_id is \"x\", where",
        ),
        ("chat_template.jinja", "\u{ff}", "it was read"),
    ] {
        write(&folder, name, text);
        let message = refusal(&folder);
        assert!(message.contains(piece), "{name}: {message}");
        fs::remove_file(folder.join(name)).unwrap();
    }
    fs::remove_file(folder.join("tokenizer.json")).unwrap();
    write(&folder, "tokenizer.model", "");
    let message = refusal(&folder);
    assert!(message.contains("no tokenizer.json"), "{message}");
}

#[test]
fn shards_that_are_not_there_are_refused() {
    let gguf = models::folder("families").join("qwen2.gguf");
    let folder = folder("hostile-shards");
    export(&ModelFile::open(&gguf).unwrap(), &folder, Dtype::F32, 2);
    let index = folder.join("model.safetensors.index.json");
    let sound = fs::read_to_string(&index).unwrap();
    let check = |text: &str, piece: &str| {
        fs::write(&index, text).unwrap();
        let message = refusal(&folder);
        assert!(message.contains(piece), "{message:?} instead of {piece:?}");
    };
    let first = "model-00001-of-00002.safetensors";
    check(&sound, "it was read");
    check(
        &sound.replacen(first, "../x.safetensors", 1),
        "names the file \"../x.safetensors\"",
    );
    check(
        &sound.replacen(first, "x.safetensors", 1),
        "x.safetensors is missing, and the index beside it names it",
    );
    check(
        &sound.replacen(first, "x.bin", 1),
        "names the file \"x.bin\", which is no .safetensors file",
    );
    check(
        &sound.replacen("model.embed_tokens.weight", "model.embed_tokens.bias", 1),
        "says that tensor \"model.embed_tokens.bias\" is in model-00001-of-00002.safetensors, which does not have it",
    );
    check("{\"weight_map\": {}}", "names 0 files");
    check("{}", "missing field `weight_map`");
    check("{\"weight_map\": 3}", "invalid type: integer `3`");
    check(&sound, "it was read");
    fs::remove_file(folder.join("model-00002-of-00002.safetensors")).unwrap();
    check(
        &sound,
        "model-00002-of-00002.safetensors is missing, and the index beside it names it; download all",
    );
    fs::remove_file(&index).unwrap();
    let message = refusal(&folder);
    assert!(
        message.contains("has neither model.safetensors nor"),
        "{message}"
    );
}

/// Faults that only the model can find: missing tensors, shapes against the configuration, experts that are not all there.
#[test]
fn gpu_folders_that_disagree_with_themselves_are_refused() {
    let gpu = adapters::gpu(&adapters::main(), GpuOptions::default());
    let gpu = Arc::new(gpu);
    let export = |name: &str| {
        let gguf = models::folder("families").join(format!("{name}.gguf"));
        let folder = folder(&format!("disagrees-{name}"));
        export(&ModelFile::open(&gguf).unwrap(), &folder, Dtype::F16, 1);
        folder
    };
    let check = |folder: &Path, key: &str, value: Json, piece: &str| {
        let path = folder.join("config.json");
        let sound = fs::read_to_string(&path).unwrap();
        let mut config: Json = serde_json::from_str(&sound).unwrap();
        config[key] = value;
        fs::write(&path, config.to_string()).unwrap();
        let options = LoadOptions::default();
        let load = |file| {
            block_on(Model::load(&gpu, &file, &options, &mut |_, _| {
                ControlFlow::Continue(())
            }))
        };
        let message = match ModelFile::open(folder).and_then(load) {
            Ok(_) => "it was loaded".to_owned(),
            Err(error) => error.to_string(),
        };
        let named = message.contains("disagrees-") || message == "it was loaded";
        assert!(named, "{key}: {message:?} names no file");
        assert!(
            message.contains(piece),
            "{key}: {message:?} instead of {piece:?}"
        );
        fs::write(&path, sound).unwrap();
    };
    let folder = export("llama");
    check(&folder, "vocab_size", json!(128), "it was loaded");
    check(
        &folder,
        "num_hidden_layers",
        json!(4),
        "attn_q.weight is missing",
    );
    check(&folder, "num_hidden_layers", json!(2), "blk.2.");
    check(&folder, "intermediate_size", json!(95), "has the shape");
    check(&folder, "vocab_size", json!(127), "vocab_size is 127");
    check(&folder, "num_attention_heads", json!(0), "head_count is 0");
    check(&folder, "rope_theta", json!(0), "a number above 0");
    check(
        &folder,
        "max_position_embeddings",
        json!(0),
        "context_length is 0",
    );
    check(
        &folder,
        "rope_scaling",
        json!({"type": "longrope", "short_factor": [1], "long_factor": [1], "original_max_position_embeddings": 256}),
        "rope_factors_short.weight has the shape [1]",
    );
    let folder = export("mixtral");
    check(&folder, "num_local_experts", json!(8), "it was loaded");
    check(&folder, "num_local_experts", json!(9), "has the shape");
    check(&folder, "num_local_experts", json!(null), "blk.0.ffn_");
}
