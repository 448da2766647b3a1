//! `lantern info`: what a model file holds, whether it has every tensor that its family needs, and with `-v` what becomes of
//! each key of its settings. Reads its header only, and needs no GPU.

use std::collections::BTreeMap;

use indicatif::DecimalBytes;
use lantern_engine::{CacheType, Config, LoadOptions, ModelFile, file::Value};
use serde::Serialize;
use serde_json::{Map, json};

use crate::{
    failure::Result,
    model::{self, NamedModelArgs},
    notes,
    numbers::counted,
    output,
};

const SHORT_TEXT: usize = 60; // characters of a text that the table shows
const SHORT_ARRAY: usize = 6; // values of an array that are shown
const LONG_TEXT: usize = 1 << 17; // bytes from which on a text is no template, but a whole file

/// `info`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: NamedModelArgs,
    /// Print one JSON object, with every tensor
    #[arg(long)]
    json: bool,
}

/// Tensors of one stored type.
#[derive(Default, Serialize)]
struct Stored {
    tensors: usize,
    bytes: u64,
}

type Types<'a> = BTreeMap<&'a str, Stored>;

/// Prints the file's header.
pub fn run(args: &Args) -> Result {
    let path = model::resolve(Some(&args.model.model))?;
    let file = ModelFile::open(&path)?;
    let mut types = Types::new();
    for tensor in file.tensors() {
        let stored = types.entry(tensor.kind.name()).or_default();
        stored.tensors += 1;
        stored.bytes += tensor.bytes;
    }
    let path = path.display().to_string();
    if args.json {
        print_json(&path, &file, &types)
    } else {
        print_table(&path, &file, &types)
    }
}

fn print_json(path: &str, file: &ModelFile, types: &Types) -> Result {
    let metadata: Map<_, _> = file
        .metadata()
        .0
        .iter()
        .map(|(key, value)| (key.clone(), to_json(value)))
        .collect();
    let config = file.config();
    let tensors = config.as_ref().ok().map(|_| file.check_tensors());
    let caches = config
        .as_ref()
        .ok()
        .map(|config| caches(file, config))
        .transpose()?;
    output::json(&json!({
        "file": path,
        "bytes": file.len(),
        "format": file.format(),
        "version": file.version(),
        "config": config.as_ref().ok(),
        "cache_bytes": caches.map(BTreeMap::from_iter),
        "state_bytes": config.as_ref().ok().map(Config::state_bytes),
        "sampler": file.completion_options().ok().map(|options| options.sampler),
        "config_error": config.err().map(|error| error.to_string()),
        "tensors_error": tensors.and_then(std::result::Result::err).map(|error| error.to_string()),
        "metadata": metadata,
        "keys": file.key_uses(),
        "types": types,
        "tensors": file.tensors(),
    }))
}

/// Bytes that a session's keys, values and states take in each type of cache, at the context that is used where none is asked for.
fn caches(file: &ModelFile, config: &Config) -> Result<Vec<(String, u64)>> {
    const CHUNK: usize = 256; // tokens of a pass on a GPU
    let context = file.context(&LoadOptions::default())?;
    let runs =
        |(_, cache): &(&str, CacheType)| cache.block_words().is_none() || config.in_blocks_of(32);
    let bytes = |(name, cache): (&str, CacheType)| {
        let name = format!("{name} of {context} tokens");
        (name, config.cache_bytes(cache, context, CHUNK))
    };
    Ok(CacheType::ALL.into_iter().filter(runs).map(bytes).collect())
}

/// How the model's authors advise to sample, or Lantern's own way.
fn sampling(file: &ModelFile) -> String {
    match file.completion_options() {
        Ok(options) => options.sampler.to_string(),
        Err(error) => format!("no: {error}"),
    }
}

fn print_table(path: &str, file: &ModelFile, types: &Types) -> Result {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("file", path.to_owned()),
        row(
            "bytes",
            format!("{} ({})", file.len(), DecimalBytes(file.len())),
        ),
        row("format", file.format()),
    ];
    match file.config() {
        Ok(config) => {
            let wrong = file.check_tensors().err();
            rows.extend(wrong.map(|error| row("runs", format!("no: {error}"))));
            let encoder = "encoder: each token attends to all of its text".to_owned();
            rows.extend((!config.causal).then(|| row("kind", encoder)));
            rows.extend(caches(file, &config)?.into_iter().map(|(name, bytes)| {
                row(&format!("cache {name}"), DecimalBytes(bytes).to_string())
            }));
            let states = DecimalBytes(config.state_bytes()).to_string();
            rows.extend((config.state_bytes() > 0).then(|| row("state of a sequence", states)));
            let config = json!(config);
            let fields = config.as_object().into_iter().flatten();
            rows.extend(fields.map(|(name, value)| {
                row(
                    name,
                    value.as_str().map_or(value.to_string(), str::to_owned),
                )
            }));
        }
        // A vocabulary without a model is worth a look too.
        Err(error) => rows.push(row("runs", format!("no: {error}"))),
    }
    rows.push(row("sampling", sampling(file)));
    let count: usize = types.values().map(|stored| stored.tensors).sum();
    rows.push(row("tensors", count.to_string()));
    rows.extend(types.iter().map(|(kind, stored)| {
        row(
            &format!("  {kind}"),
            format!(
                "{}, {}",
                counted(stored.tensors, "tensor"),
                DecimalBytes(stored.bytes)
            ),
        )
    }));
    rows.push(row("metadata", file.metadata().0.len().to_string()));
    rows.extend(
        file.metadata()
            .0
            .iter()
            .map(|(key, value)| row(&format!("  {key}"), shortened(value))),
    );
    if notes::verbose() {
        let uses = file.key_uses();
        rows.push(row("keys", uses.len().to_string()));
        rows.extend(uses.iter().map(|used| {
            let what = match &used.passed_over {
                Some(why) => format!("passed over: {why}"),
                None => "read".to_owned(),
            };
            row(&format!("  {}", used.key), what)
        }));
    }
    output::table(&rows)
}

/// Arrays and texts that are long (a vocabulary) are given by their length and start.
fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Unsigned(v) => json!(v),
        Value::Signed(v) => json!(v),
        Value::Float(v) => json!(v),
        Value::Bool(v) => json!(v),
        Value::Text(v) if v.len() > LONG_TEXT => {
            let start: String = v.chars().take(SHORT_TEXT).collect();
            json!({"length": v.len(), "first": start})
        }
        Value::Text(v) => json!(v),
        Value::Integers(v) => array(v),
        Value::Floats(v) => array(v),
        Value::Texts(v) => array(v),
        Value::Unusable { what, .. } => json!({"unusable": what}),
    }
}

fn array<T: Serialize>(values: &[T]) -> serde_json::Value {
    if values.len() <= SHORT_ARRAY {
        return json!(values);
    }
    json!({"length": values.len(), "first": &values[..SHORT_ARRAY]})
}

fn shortened(value: &Value) -> String {
    match value {
        Value::Text(text) => shortened_text(text),
        Value::Integers(v) => shortened_array(v.len(), v.iter().map(i64::to_string)),
        Value::Floats(v) => shortened_array(v.len(), v.iter().map(f64::to_string)),
        Value::Texts(v) => shortened_array(v.len(), v.iter().map(|text| shortened_text(text))),
        plain => to_json(plain).to_string(),
    }
}

fn shortened_text(text: &str) -> String {
    let start: String = text.chars().take(SHORT_TEXT).collect();
    let more = text.len() - start.len();
    if more == 0 {
        format!("{text:?}")
    } else {
        format!("{start:?} … {more} bytes more")
    }
}

fn shortened_array(len: usize, values: impl Iterator<Item = String>) -> String {
    let start = values.take(SHORT_ARRAY).collect::<Vec<_>>().join(", ");
    if len <= SHORT_ARRAY {
        format!("[{start}]")
    } else {
        format!("[{start}, … {len} values]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_shortened() {
        assert_eq!(shortened(&Value::Text("a\nb".to_owned())), r#""a\nb""#);
        assert!(shortened(&Value::Text("é".repeat(100))).ends_with("… 80 bytes more"));
        assert_eq!(shortened(&Value::Integers(vec![1, 2])), "[1, 2]");
        assert_eq!(
            shortened(&Value::Integers((0..9).collect())),
            "[0, 1, 2, 3, 4, 5, … 9 values]"
        );
        assert_eq!(to_json(&Value::Floats(vec![0.5; 9]))["length"], 9);
        let long = to_json(&Value::Text("é".repeat(100_000)));
        assert_eq!(long["length"], 200_000);
        assert_eq!(to_json(&Value::Text("é".into())), "é");
    }
}
