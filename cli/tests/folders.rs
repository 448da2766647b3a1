//! A Hugging Face folder in the place of a model file: looked into, and its tokenizer used. Running one is a test of
//! `lantern-tests`.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use support::{folder, lantern, run};

/// A model of no blocks to speak of: three small tensors, and a tokenizer of three letters.
fn model(name: &str) -> PathBuf {
    let folder = folder(name);
    let put = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    put(
        "config.json",
        br#"{"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 1,
            "intermediate_size": 8, "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "tie_word_embeddings": true}"#,
    );
    let header = br#"{"model.embed_tokens.weight": {"dtype": "F32", "shape": [3, 8], "data_offsets": [0, 96]},
        "lm_head.weight": {"dtype": "F16", "shape": [3, 8], "data_offsets": [96, 144]}}"#;
    let length = (header.len() as u64).to_le_bytes();
    put(
        "model.safetensors",
        &[&length, &header[..], &[0; 144]].concat(),
    );
    put(
        "tokenizer.json",
        br#"{"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}"#,
    );
    folder
}

#[test]
fn a_folder_is_a_model() {
    let (cache, model) = (folder("folder-cache"), model("folder-model"));
    let paths = [
        model.clone(),
        model.join("config.json"),
        model.join("model.safetensors"),
    ];
    for path in paths {
        let (code, stdout, stderr) = run(lantern(&cache).arg("info").arg(&path));
        assert_eq!(code, 0, "{stderr}");
        for piece in ["safetensors", "llama", "neox", "F32"] {
            let there = stdout.contains(piece);
            assert!(there, "{piece}: {stdout}");
        }
        assert!(
            !stdout.contains("F16"),
            "the head is the embedding: {stdout}"
        );
        let missing = "blk.0.attn_q.weight is missing";
        assert!(
            stdout.contains("no: ") && stdout.contains(missing),
            "{stdout}"
        );
        let (code, stdout, stderr) = run(lantern(&cache)
            .arg("tokenize")
            .arg(&path)
            .args(["--ids", "abba"]));
        assert_eq!((code, stdout.trim()), (0, "[2,1,0]"), "{stderr}");
    }
    fs::remove_file(model.join("model.safetensors")).unwrap();
    let (code, _, stderr) = run(lantern(&cache).arg("info").arg(&model));
    assert_eq!(code, 1);
    assert!(stderr.contains("download the weights too"), "{stderr}");
}

/// Spaces, letters of several alphabets, and each way in which a system may write a path.
#[test]
fn a_path_is_a_model_however_it_is_written() {
    let (cache, model) = (folder("paths-cache"), model("paths Größe 日本"));
    let (parent, name) = (model.parent().unwrap(), model.file_name().unwrap());
    let absolute = std::path::absolute(&model).unwrap();
    let mut paths = vec![
        PathBuf::from(name),
        Path::new("..").join(parent.file_name().unwrap()).join(name),
        fs::canonicalize(&model).unwrap(),
        absolute.join(""),
    ];
    if cfg!(windows) {
        let text = absolute.to_str().unwrap();
        let written = [
            text.replace('\\', "/"),
            text.to_ascii_uppercase(),
            text[2..].to_owned(), // from the root of the drive in use
            format!("{}{}", &text[..2], name.to_str().unwrap()), // from the folder in use there
        ];
        paths.extend(written.map(PathBuf::from));
        assert!(text[1..].starts_with(r":\"), "{text}");
    }
    for path in paths {
        let mut command = lantern(&cache);
        command.current_dir(parent).args(["tokenize", "--ids"]);
        let (code, stdout, stderr) = run(command.arg(&path).arg("abba"));
        let seen = (code, stdout.trim());
        assert_eq!(seen, (0, "[2,1,0]"), "{}: {stderr}", path.display());
    }
}

/// Without a flag tokens are sampled as the model's authors advise; a flag wins, and what is not done is refused by name.
#[test]
fn advice_on_sampling_is_followed() {
    let (cache, model) = (folder("advice-cache"), model("advice-model"));
    let advice = model.join("generation_config.json");
    let sampling = |flags: &[&str]| {
        let (code, stdout, stderr) = run(lantern(&cache)
            .args(["run", "-v", "--raw", "-n", "1", "-p", "ab"])
            .args(flags)
            .arg(&model));
        let line = stderr.lines().find(|line| line.contains("sampling: "));
        (code, line.map(str::to_owned), format!("{stdout}{stderr}"))
    };
    fs::write(
        &advice,
        r#"{"do_sample": true, "temperature": 0.6, "top_k": 20}"#,
    )
    .unwrap();
    let (_, line, all) = sampling(&["--seed", "7"]);
    let line = line.unwrap_or_else(|| panic!("{all}"));
    assert!(
        line.contains("sampling: temperature 0.6, top-k 20, seed 7"),
        "{line}"
    );
    let (_, line, all) = sampling(&["--top-k", "3", "--greedy", "--repeat-penalty", "1.1"]);
    let line = line.unwrap_or_else(|| panic!("{all}"));
    assert!(
        line.contains("sampling: temperature 0, repeat penalty 1.1, seed"),
        "{line}"
    );
    let (_, stdout, _) = run(lantern(&cache).arg("info").arg(&model));
    assert!(stdout.contains("temperature 0.6, top-k 20"), "{stdout}");
    fs::write(&advice, r#"{"num_beams": 4}"#).unwrap();
    let (code, _, all) = sampling(&[]);
    assert_eq!(code, 1, "{all}");
    assert!(
        all.contains("num_beams is 4, which changes what is generated"),
        "{all}"
    );
}
