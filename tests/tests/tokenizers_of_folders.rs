//! Tokenizers of Hugging Face folders give the ids of the originals: Python's `tokenizers` over files of every shape, and what
//! `transformers` makes of the files beside them. Each key that is known has a say in that, or a reason why it has none.

use std::{fmt::Write as _, fs};

use lantern_engine::{
    Error, ModelFile, Tokenizer,
    file::{KeyRole, TOKENIZER_SETTINGS},
    text::{PARTS, name_special_tokens},
};
use serde_json::{Value as Json, json};

use crate::support::{
    changes,
    hugging_face::{Folder, folder, model_around},
    models, python, shapes,
};

/// Tokens of the embedding beside each tokenizer.
const ROWS: usize = 1000;

/// A folder with these files; those that are null are missing.
fn written(name: &str, tokenizer: &Json, files: &[(&str, Json)]) -> Folder {
    let folder = folder(&format!("tokenizer-{name}"));
    let whole = [("tokenizer.json", tokenizer.clone())];
    for (name, json) in whole
        .iter()
        .chain(files)
        .filter(|(_, json)| !json.is_null())
    {
        fs::write(folder.join(name), json.to_string()).unwrap();
    }
    folder
}

/// The model of such a folder.
fn open(name: &str, tokenizer: &Json, files: &[(&str, Json)]) -> Result<ModelFile, Error> {
    model_around(&written(name, tokenizer, files), ROWS)
}

fn tokenizer(name: &str, file: &Json, files: &[(&str, Json)]) -> Result<Tokenizer, Error> {
    open(name, file, files)?.tokenizer()
}

/// Ids of a text with what is added, without, with special tokens as text, and the text of the last.
type Original = (Vec<u32>, Vec<u32>, Vec<u32>, String);

/// Python's answers for each file and each text.
fn originals(files: &[Json], texts: &[String]) -> Option<Vec<Vec<Original>>> {
    let files: Vec<String> = files.iter().map(Json::to_string).collect();
    let script = python::script("tokenizers", "tokens_of_texts.py")?;
    let lines = python::answer(script, &json!({"files": files, "texts": texts}));
    Some(
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

#[test]
fn every_shape_has_the_ids_of_the_original() {
    let (shapes, texts) = (shapes::shapes(), shapes::texts(500));
    let files: Vec<Json> = shapes.iter().map(|(_, file)| file.clone()).collect();
    let Some(originals) = originals(&files, &texts) else {
        return;
    };
    assert_eq!(originals.len(), shapes.len());
    let (mut wrong, mut added) = (Vec::new(), 0);
    for ((name, file), rows) in shapes.iter().zip(originals) {
        let tokenizer =
            tokenizer(name, file, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(rows.len(), texts.len());
        for (text, (whole, bare, plain, back)) in texts.iter().zip(rows) {
            let own = tokenizer.encode(text, true).unwrap();
            added += usize::from(own != tokenizer.encode(text, false).unwrap());
            for (what, own, theirs) in [
                ("whole", own, &whole),
                ("rendered", tokenizer.encode_rendered(text).unwrap(), &bare),
                ("plain", tokenizer.encode(text, false).unwrap(), &plain),
            ] {
                if own != *theirs {
                    wrong.push(format!(
                        "{name}, {what}: {text:?} is {own:?} instead of {theirs:?}"
                    ));
                }
            }
            // Special tokens are no part of a text here, and the original puts spaces around some.
            if !plain.iter().any(|&id| tokenizer.is_special(id)) {
                let own = tokenizer.decode(&plain);
                if own.trim() != back.trim() {
                    wrong.push(format!(
                        "{name}, back: {text:?} is {own:?} instead of {back:?}"
                    ));
                }
            }
        }
    }
    assert!(added > shapes.len() * texts.len() / 4, "{added}");
    let some = wrong
        .iter()
        .take(20)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(wrong.is_empty(), "{} differ:\n{some}", wrong.len());
}

/// The rows of `../shared/trials` that are about tokenizers.
#[test]
fn flags_of_added_tokens_and_normalisation_are_heeded() {
    for (name, text, ids) in [
        ("added-flags", "a <mask> b", &[64, 601, 280][..]),
        ("added-flags", "sword", &[82, 86, 285, 67]),
        ("nfc", "cafe\u{301}", &[66, 418, 508]),
        ("nfc", "café", &[66, 418, 508]),
    ] {
        let folder = models::folder("trials").join(format!("tokenizer-{name}"));
        let tokenizer = ModelFile::open(&folder).unwrap().tokenizer().unwrap();
        assert_eq!(tokenizer.encode(text, true).unwrap(), ids, "{text}");
        assert_eq!(
            tokenizer.decode(ids),
            text.replace(" <", "<").replace("e\u{301}", "é")
        );
    }
}

/// Names of files with their contents, a text, and its ids as transformers 5.24 has them.
#[rustfmt::skip]
fn beside() -> Vec<(Json, &'static str, Vec<u32>)> {
    let config = |settings: Json| json!({"tokenizer_config.json": settings});
    let text = "a <x> b<y>c word <img> a";
    let only_x = vec![64, 220, 605, 280, 27, 88, 29, 66, 220, 603, 220, 27, 459, 70, 29, 257];
    vec![
        (json!({}), text, vec![64, 220, 27, 87, 29, 280, 27, 88, 29, 66, 220, 603, 220, 27, 459, 70, 29, 257]),
        (config(json!({"added_tokens_decoder": {
            "605": {"content": "<x>", "lstrip": true, "rstrip": false, "normalized": false, "single_word": false, "special": true},
            "606": {"content": "<y>", "lstrip": false, "rstrip": false, "normalized": true, "single_word": false, "special": false}}})),
            text, vec![64, 605, 280, 606, 66, 220, 603, 220, 27, 459, 70, 29, 257]),
        (config(json!({"added_tokens_decoder": {"602": {"content": "<sep>", "lstrip": true, "special": true}}})),
            "a <sep> b", vec![64, 602, 280]),
        (config(json!({"eos_token": "<x>", "sep_token": "a", "image_token": "<img>"})),
            text, vec![64, 220, 605, 280, 27, 88, 29, 66, 220, 603, 220, 606, 220, 64]),
        (config(json!({"eos_token": {"__type": "AddedToken", "content": "<x>", "lstrip": true, "rstrip": true, "normalized": false}})),
            text, vec![64, 605, 65, 27, 88, 29, 66, 220, 603, 220, 27, 459, 70, 29, 257]),
        (config(json!({"extra_special_tokens": ["<x>", {"__type": "AddedToken", "content": "<y>", "special": false}]})),
            text, vec![64, 220, 605, 280, 606, 66, 220, 603, 220, 27, 459, 70, 29, 257]),
        (config(json!({"extra_special_tokens": {"image_token": "<img>", "zz": "<x>"}})),
            text, vec![64, 220, 606, 280, 27, 88, 29, 66, 220, 603, 220, 605, 257]),
        (config(json!({"additional_special_tokens": ["<x>", "<y>"]})),
            text, vec![64, 220, 605, 280, 606, 66, 220, 603, 220, 27, 459, 70, 29, 257]),
        (json!({"tokenizer_config.json": {"eos_token": "<x>"}, "special_tokens_map.json": {
            "bos_token": {"content": "<y>", "lstrip": true, "normalized": false, "rstrip": false, "single_word": false}, "pad_token": "<img>"}}),
            text, vec![64, 220, 606, 280, 605, 66, 220, 603, 220, 607, 257]),
        (json!({"tokenizer_config.json": {"eos_token": "<x>", "added_tokens_decoder": {}}, "special_tokens_map.json": {"bos_token": "<y>"}}),
            text, only_x.clone()),
        (json!({"tokenizer_config.json": {"eos_token": "<x>"}, "added_tokens.json": {"<y>": 606, "<x>": 605}}),
            text, vec![64, 220, 605, 280, 606, 66, 220, 603, 220, 27, 459, 70, 29, 257]),
        (config(json!({"eos_token": "<x>", "bos_token": "<x>", "add_bos_token": true, "add_eos_token": true})), text, only_x),
        (config(json!({"split_special_tokens": true, "eos_token": "<|endoftext|>"})),
            "a<|endoftext|><mask>b", vec![64, 27, 91, 68, 273, 78, 69, 83, 440, 91, 29, 601, 65]),
        (config(json!({"add_prefix_space": true, "tokenizer_class": "PreTrainedTokenizerFast"})), "a b", vec![64, 280]),
    ]
}

fn trial() -> Json {
    let path = models::folder("trials").join("tokenizer-added-flags/tokenizer.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn files_beside_a_tokenizer_add_what_transformers_adds() {
    for (number, (files, text, ids)) in beside().into_iter().enumerate() {
        let files: Vec<(&str, Json)> = files
            .as_object()
            .unwrap()
            .iter()
            .map(|(n, j)| (n.as_str(), j.clone()))
            .collect();
        let tokenizer = tokenizer(&format!("beside-{number}"), &trial(), &files).unwrap();
        assert_eq!(tokenizer.encode(text, true).unwrap(), ids, "{files:?}");
    }
}

/// Tokens that a file puts around a text count, whatever the settings say, and nothing is cut or padded, as by transformers 5.24.
/// As transformers hands them to a chat template.
#[test]
fn templates_get_all_special_tokens_by_name() {
    let settings = json!({
        "unk_token": "<x>", "pad_token": {"__type": "AddedToken", "content": "<y>"}, "image_token": "<img>",
        "chat_template": "{{ unk_token }}{{ pad_token }}{{ image_token }}{{ sep_token is defined }}",
    });
    let file = open("named", &trial(), &[("tokenizer_config.json", settings)]).unwrap();
    let mut input = json!({"messages": []});
    name_special_tokens(&mut input, &file.tokenizer().unwrap());
    let template = file.chat_template().unwrap().unwrap();
    assert_eq!(template.render(&input).unwrap(), "<x><y><img>False");
}

#[test]
fn the_post_processor_alone_adds_tokens() {
    let mut file = trial();
    file["post_processor"] = json!({
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [], "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [600], "tokens": ["<|endoftext|>"]}},
    });
    file["truncation"] =
        json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    file["padding"] = json!({"strategy": {"Fixed": 30}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "!"});
    let settings =
        json!({"add_bos_token": false, "add_eos_token": true, "eos_token": "<|endoftext|>"});
    let tokenizer = tokenizer(
        "post-processor",
        &file,
        &[("tokenizer_config.json", settings)],
    )
    .unwrap();
    assert_eq!(
        tokenizer.encode("a b c d e f", true).unwrap(),
        [600, 64, 280, 275, 311, 317, 270]
    );
    assert_eq!(tokenizer.encode_rendered("a b").unwrap(), [64, 280]);
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(600), Some(600)));
    assert!(tokenizer.is_special(0) && tokenizer.is_special(600) && !tokenizer.is_special(601));
}

/// The folder's name says nothing of its tokenizer.
#[test]
fn a_folder_called_phi_3_swallows_no_space() {
    let ids = |name: &str| {
        let file = open(name, &shapes::shapes()[5].1, &[]).unwrap();
        file.tokenizer()
            .unwrap()
            .encode("<s> the</s> the <mask>\n the", true)
            .unwrap()
    };
    assert_eq!(ids("Phi-3-mini"), ids("other"));
}

/// Everything that a tokenizer says of these texts, or the error.
fn outcome(file: &Json, files: &[(&str, Json)]) -> Result<String, String> {
    let file = open("changed", file, files).map_err(|error| error.to_string())?;
    let tokenizer = file.tokenizer().map_err(|error| error.to_string())?;
    let mut all = format!(
        "{:?}",
        file.chat_template()
            .unwrap()
            .map(|template| template.source().to_owned())
    );
    for text in shapes::texts(120) {
        let whole = tokenizer
            .encode(&text, true)
            .map_err(|error| error.to_string())?;
        let plain = tokenizer
            .encode(&text, false)
            .map_err(|error| error.to_string())?;
        let rendered = tokenizer
            .encode_rendered(&text)
            .map_err(|error| error.to_string())?;
        let back = tokenizer.decode(&plain);
        let pair = tokenizer
            .encode_pair(&text, "the")
            .map_err(|error| error.to_string())?;
        let _ = write!(all, "\n{whole:?} {plain:?} {rendered:?} {pair:?} {back:?}");
    }
    Ok(all)
}

/// A key that is read changes the outcome, one that is harmless does not, one that is refused is named.
fn judge(
    place: &str,
    how: KeyRole,
    before: &Result<String, String>,
    after: &Result<String, String>,
) -> Option<String> {
    let sound = before.is_ok();
    let as_said = match (how, after) {
        (KeyRole::Read, after) => before != after,
        (KeyRole::Harmless(_), after) => before == after,
        (KeyRole::Refused(_), Err(error)) => error.contains(place.rsplit('.').next().unwrap()),
        (KeyRole::Refused(_), Ok(_)) => false,
    };
    (!sound || !as_said).then(|| {
        let error = before.as_ref().err().or(after.as_ref().err());
        format!(
            "{place}: {how:?}, but the same: {} {error:?}",
            before == after
        )
    })
}

#[test]
fn every_key_of_a_tokenizer_has_its_say_or_a_reason() {
    let changes = changes::of_files();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for part in PARTS {
        for (kind, keys) in part.kinds {
            for (key, how) in *keys {
                let place = [part.name, kind, key]
                    .into_iter()
                    .filter(|name| !name.is_empty());
                let place = place.collect::<Vec<_>>().join(".");
                let change = changes.iter().find(|(known, ..)| *known == place);
                let (_, before, after) = change.unwrap_or_else(|| panic!("{place} is not tried"));
                wrong.extend(judge(
                    &place,
                    *how,
                    &outcome(before, &[]),
                    &outcome(after, &[]),
                ));
                seen += 1;
            }
        }
    }
    assert_eq!(
        seen,
        changes.len(),
        "of keys that are not known, none is tried"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_setting_of_a_tokenizer_has_its_say_or_a_reason() {
    let file = shapes::shapes()[2].1.clone();
    let before = outcome(&file, &[]);
    let mut wrong = Vec::new();
    for (key, how) in TOKENIZER_SETTINGS.iter().chain(&[
        ("image_token", KeyRole::Read),
        ("foreign", KeyRole::Harmless("unknown")),
    ]) {
        let value = changes::of_setting(key);
        let after = outcome(&file, &[("tokenizer_config.json", json!({*key: value}))]);
        wrong.extend(judge(key, *how, &before, &after));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where in a file, the value there, and what the message must say.
#[rustfmt::skip]
fn refused() -> Vec<(&'static str, Json, &'static str)> {
    vec![
        ("/foreign", json!(1), "foreign"),
        ("/model/foreign", json!(1), "model.BPE.foreign"),
        ("/added_tokens/0/foreign", json!(1), "added_tokens.foreign"),
        ("/model/type", json!("Other"), "model.type is \"Other\"; known are BPE"),
        ("/model/dropout", json!(0.1), "model.BPE.dropout is 0.1"),
        ("/normalizer", json!({"type": "Other", "prepend": "x"}), "normalizer.type is \"Other\"; known are"),
        ("/normalizer", json!([1]), "normalizer is"),
        ("/pre_tokenizer/pretokenizers/0/pattern", json!({"Regex": r"\p{N}{1,3}+"}), "{…}+"),
        ("/pre_tokenizer/pretokenizers/0/foreign", json!(1), "pre_tokenizer.Split.foreign"),
        ("/pre_tokenizer/pretokenizers/0", json!({"type": "FixedLength", "length": 0}), "FixedLength.length is 0"),
        ("/post_processor/processors/1/special_tokens", json!({}), "\"<s>\""),
        ("/post_processor/processors/1/single", json!([{"Sequence": {"id": "B", "type_id": 0}}]), "second text"),
        ("/decoder", json!({"type": "CTC"}), "decoder.type is \"CTC\""),
        ("/normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "!"}), "Precompiled"),
        ("/model/merges", json!([["Ġw", "word"]]), "which is no token"),
        ("/model/continuing_subword_prefix", json!("ĠĠĠĠĠ"), "continuing_subword_prefix"),
    ]
}

#[test]
fn what_is_not_known_in_a_tokenizer_is_refused_by_name() {
    let refusal = |place: &str, value: Json| {
        let mut file = shapes::shapes()[2].1.clone();
        let (parent, key) = place.rsplit_once('/').unwrap();
        match file.pointer_mut(place) {
            Some(there) => *there = value,
            None => file.pointer_mut(parent).unwrap()[key] = value,
        }
        outcome(&file, &[]).err().unwrap_or_default()
    };
    for (place, value, piece) in refused() {
        let message = refusal(place, value);
        assert!(
            message.contains(piece) && message.contains("tokenizer.json"),
            "{place}: {message:?}"
        );
    }
    for dropout in [json!(null), json!(0.0)] {
        assert_eq!(refusal("/model/dropout", dropout), "");
    }
}
