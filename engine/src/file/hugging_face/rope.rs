//! Rotary embedding of `config.json`: `rope_theta` and `rope_scaling`, or since transformers 5 both in `rope_parameters`, as
//! GGUF's keys, and the factors on frequencies that GGUF keeps as tensors.

use std::{collections::BTreeMap, f64::consts::PI};

use super::{super::Value, json::Object, row::Row};
use crate::{Error, Result, Unsupported};

/// Wider heads are not run.
const PAIRS_MAX: u64 = 512;
/// Values of a head in layers without a window, where those are others.
const GLOBAL_HEAD: &str = "global_head_dim";
/// The kind of which a part of a head turns, at the frequencies that all of it would have.
const PROPORTIONAL: &str = "proportional";

/// Rotary embedding of a configuration, as GGUF's keys and tensors.
#[derive(Debug, Default)]
pub(super) struct Rope {
    /// Behind the family's name and `rope.`.
    keys: BTreeMap<&'static str, Value>,
    /// Bounds of YaRN's ramp are not rounded.
    unrounded: bool,
    /// How much queries grow from the original context on.
    growth: Option<f64>,
    /// Attention is over latent keys, whose scores grow where the context is stretched.
    latent: bool,
    /// A factor `alpha` on the base is run, as Hunyuan has it.
    alpha: bool,
    /// Tensors that GGUF has.
    pub factors: Vec<(&'static str, Vec<f32>)>,
}

impl Rope {
    /// GGUF's metadata.
    pub fn metadata(&self, family: &str) -> BTreeMap<String, Value> {
        let named = |(key, value): (&&str, &Value)| (format!("{family}.rope.{key}"), value.clone());
        let growth = self.growth.map(Value::Float);
        let growth = growth.map(|v| (format!("{family}.attention.temperature_scale"), v));
        let length = growth
            .as_ref()
            .and(self.keys.get("scaling.original_context_length"));
        let length = length.filter(|_| self.latent).cloned();
        let length = length.map(|v| (format!("{family}.attention.temperature_length"), v));
        let flag = ("lantern.yarn_unrounded".to_owned(), Value::Bool(true));
        let flag = self.unrounded.then_some(flag);
        let keys = self.keys.iter().map(named);
        keys.chain(growth).chain(length).chain(flag).collect()
    }

    fn number(&mut self, key: &'static str, value: Option<f64>) {
        self.keys.extend(value.map(|v| (key, Value::Float(v))));
    }

    fn whole(&mut self, key: &'static str, value: Option<u64>) {
        self.keys.extend(value.map(|v| (key, Value::Unsigned(v))));
    }
}

/// Reads what a configuration says.
///
/// # Errors
/// [`Error::Unsupported`] for a scaling that is not run here.
pub(super) fn read(config: &Object, row: &Row) -> Result<Rope> {
    let mut rope = Rope {
        alpha: row.family == "hunyuan-dense",
        latent: row.knows("kv_lora_rank"),
        ..Rope::default()
    };
    if !row.knows("rope_parameters") {
        return Ok(rope);
    }
    let older = row.knows("rope_theta");
    if older {
        rope.number("freq_base", base(config)?);
    }
    if row.knows("rope_local_base_freq") {
        rope.number("freq_base_swa", config.number("rope_local_base_freq")?);
    }
    let key = "partial_rotary_factor";
    let mut part = config.number(key)?.filter(|_| older && row.knows(key));
    let newer = config.object("rope_parameters")?;
    let mut scaling = match newer {
        Some(parameters) => Some(parameters),
        None => config.object("rope_scaling")?.filter(|_| older),
    };
    if let Some(both) = scaling.take_if(|s| s.get("full_attention").is_some()) {
        let local = both.object("sliding_attention")?;
        if let Some(local) = local {
            check_unscaled(&local)?;
            rope.number("freq_base_swa", base(&local)?);
            let part = local.number("partial_rotary_factor")?;
            let dimensions = dimensions(config, "head_dim", part)?;
            rope.whole("dimension_count_swa", Some(dimensions));
        }
        scaling = both.object("full_attention")?;
    }
    if let Some(scaling) = &scaling {
        rope.number("freq_base", base(scaling)?);
        part = scaling.number("partial_rotary_factor")?.or(part);
    }
    let rotated = config
        .whole("rotary_dim")?
        .filter(|_| row.knows("rotary_dim"));
    let head = if row.knows(GLOBAL_HEAD) {
        GLOBAL_HEAD
    } else {
        "head_dim"
    };
    if let Some(scaling) = scaling.take_if(|s| kind(s).is_some_and(|kind| kind == PROPORTIONAL)) {
        let part = scaling.number("partial_rotary_factor")?;
        let rotated = dimensions(config, head, part)? / 2;
        let all = dimensions(config, head, None)?;
        // Pairs beyond the part turn by nothing that a position could notice.
        let factor = |pair| if pair < rotated { 1.0 } else { 1e30 };
        let factors = (0..all / 2).map(factor).collect();
        rope.factors.push(("rope_freqs.weight", factors));
        rope.whole("dimension_count", Some(all));
        return Ok(rope);
    }
    let dimensions = rotated.map_or_else(|| dimensions(config, head, part), Ok)?;
    rope.whole("dimension_count", Some(dimensions));
    if let Some(scaling) = scaling {
        scale(&mut rope, config, &scaling, dimensions)?;
    }
    Ok(rope)
}

/// Refuses a scaling of the frequencies of layers with a window.
fn check_unscaled(local: &Object) -> Result<()> {
    let Some(key) = ["rope_type", "type"]
        .into_iter()
        .find(|key| local.get(key).is_some())
    else {
        return Ok(());
    };
    match local.text(key)? {
        Some("default") | None => Ok(()),
        Some(_) => Err(local.unsupported(key, "only default is run here in layers with a window")),
    }
}

/// Base of the frequencies.
fn base(config: &Object) -> Result<Option<f64>> {
    match config.number("rope_theta")? {
        Some(base) if base <= 0.0 => Err(config.wrong("rope_theta", "a number above 0")),
        base => Ok(base),
    }
}

/// Values of a head that are rotated.
fn dimensions(config: &Object, head: &str, part: Option<f64>) -> Result<u64> {
    let heads = config.whole("num_attention_heads")?.unwrap_or(1).max(1);
    let usual = config.whole("hidden_size")?.unwrap_or(0) / heads;
    let head = config.whole(head)?.unwrap_or(usual);
    if head > 2 * PAIRS_MAX {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!("heads of {head}; at most {} are run here", 2 * PAIRS_MAX),
        )
        .in_file(&config.label));
    }
    match part {
        Some(part) if !(part > 0.0 && part <= 1.0) => {
            Err(config.wrong("partial_rotary_factor", "a number above 0 and up to 1"))
        }
        part => Ok((head as f64 * part.unwrap_or(1.0)) as u64),
    }
}

/// The kind of a scaling, under its newer or older name.
fn kind(scaling: &Object) -> Option<&str> {
    let mut keys = ["rope_type", "type"].into_iter();
    keys.find_map(|key| scaling.get(key)?.as_str())
}

fn scale(rope: &mut Rope, config: &Object, scaling: &Object, dimensions: u64) -> Result<()> {
    let key = ["rope_type", "type"]
        .into_iter()
        .find(|key| scaling.get(key).is_some());
    let kind = key.map_or(Ok(None), |key| scaling.text(key))?;
    match kind.unwrap_or("default") {
        "default" => Ok(()),
        "linear" => {
            let linear = Value::Text("linear".to_owned());
            rope.keys.insert("scaling.type", linear);
            rope.number("scaling.factor", Some(above_0(scaling, "factor")?));
            Ok(())
        }
        "llama3" => {
            let base = match rope.keys.get("freq_base") {
                Some(&Value::Float(base)) if base > 0.0 => base,
                _ => return Err(config.wrong("rope_theta", "a number above 0")),
            };
            let factors = llama3(scaling, base, dimensions)?;
            rope.factors.push(("rope_freqs.weight", factors));
            Ok(())
        }
        "yarn" => yarn(rope, config, scaling),
        "dynamic" if rope.alpha => {
            rope.number("scaling.alpha", Some(above_0(scaling, "alpha")?));
            Ok(())
        }
        "longrope" | "su" => longrope(rope, config, scaling),
        _ => {
            let known = "known are default, linear, llama3, yarn and longrope";
            Err(scaling.unsupported(key.unwrap_or("rope_type"), known))
        }
    }
}

/// Positions before any stretching, where the configuration says so.
fn original(config: &Object, scaling: &Object) -> Result<Option<f64>> {
    let key = "original_max_position_embeddings";
    Ok(scaling.number(key)?.or(config.number(key)?))
}

fn yarn(rope: &mut Rope, config: &Object, scaling: &Object) -> Result<()> {
    let factor = above_0(scaling, "factor")?;
    rope.unrounded = scaling.boolean("truncate")? == Some(false);
    let yarn = Value::Text("yarn".to_owned());
    rope.keys.insert("scaling.type", yarn);
    rope.number("scaling.factor", Some(factor));
    rope.number("scaling.yarn_beta_fast", scaling.number("beta_fast")?);
    rope.number("scaling.yarn_beta_slow", scaling.number("beta_slow")?);
    // The factor that YaRN has by itself is put there by whoever computes angles.
    rope.growth = scaling.number("llama_4_scaling_beta")?;
    let of = |scale: f64| {
        if factor > 1.0 {
            1.0 + 0.1 * scale * factor.ln()
        } else {
            1.0
        }
    };
    let own = 1.0 + 0.1 * factor.ln();
    let number = |key: &str| Ok::<_, Error>(scaling.number(key)?.filter(|&v| v != 0.0));
    let both = number("mscale")?.zip(number("mscale_all_dim")?);
    let both = both.map(|(scale, all)| of(scale) / of(all));
    let length = scaling.number("attention_factor")?.or(both);
    let all = number("mscale_all_dim")?.filter(|_| rope.latent);
    if let Some(all) = all {
        // Then it is scores that grow, and the rotation does only as far as it is said.
        rope.number("scaling.yarn_log_multiplier", Some(0.1 * all));
        rope.number("scaling.attn_factor", Some(length.unwrap_or(own)));
    } else {
        rope.number("scaling.attn_factor", length.map(|length| length / own));
    }
    let trained = config.number("max_position_embeddings")?;
    let original = original(config, scaling)?.or(trained);
    rope.whole(
        "scaling.original_context_length",
        original.map(|v| v as u64),
    );
    Ok(())
}

/// LongRoPE (Ding et al. 2024), as Phi 3 has it.
fn longrope(rope: &mut Rope, config: &Object, scaling: &Object) -> Result<()> {
    let missing = || scaling.wrong("original_max_position_embeddings", "a number");
    let original = original(config, scaling)?.ok_or_else(missing)?;
    let trained = config.number("max_position_embeddings")?;
    let factor = trained.unwrap_or(original) / original;
    for (key, name) in [
        ("short_factor", "rope_factors_short.weight"),
        ("long_factor", "rope_factors_long.weight"),
    ] {
        let missing = || scaling.wrong(key, "a list of numbers");
        let factors = scaling.numbers(key)?.ok_or_else(missing)?;
        let factors = factors.iter().map(|&v| v as f32).collect();
        rope.factors.push((name, factors));
    }
    let own = if factor > 1.0 && original > 1.0 {
        (1.0 + factor.ln() / original.ln()).sqrt()
    } else {
        1.0
    };
    let length = scaling.number("attention_factor")?.unwrap_or(own);
    rope.number("scaling.attn_factor", Some(length));
    rope.whole("scaling.original_context_length", Some(original as u64));
    Ok(())
}

fn above_0(scaling: &Object, key: &str) -> Result<f64> {
    let value = scaling.number(key)?.filter(|&v| v > 0.0);
    value.ok_or_else(|| scaling.wrong(key, "a number above 0"))
}

/// Llama 3's factors, by how many positions a pair takes to turn once: few, and it is kept; many, and it turns `factor`
/// times slower; a ramp between.
fn llama3(scaling: &Object, base: f64, dimensions: u64) -> Result<Vec<f32>> {
    let factor = above_0(scaling, "factor")?;
    let low = above_0(scaling, "low_freq_factor")?;
    let high = above_0(scaling, "high_freq_factor")?;
    let original = above_0(scaling, "original_max_position_embeddings")?;
    if low >= high {
        return Err(scaling.wrong("high_freq_factor", "a number above low_freq_factor"));
    }
    let of = |pair: u64| {
        let positions = 2.0 * PI * base.powf(2.0 * pair as f64 / dimensions as f64);
        let turns = original / positions;
        let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        (1.0 / (kept + (1.0 - kept) / factor)) as f32
    };
    Ok((0..dimensions / 2).map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::{super::rows::row_of, *};

    fn row() -> &'static Row {
        row_of("LlamaForCausalLM").unwrap()
    }

    fn config(more: &str) -> Object {
        let text = format!(r#"{{"hidden_size": 2048, "num_attention_heads": 16, {more}}}"#);
        Object {
            label: "config.json".to_owned(),
            map: serde_json::from_str(&text).unwrap(),
        }
    }

    /// The factors of Llama 3.1 8B, by wave lengths, as `transformers` computes them.
    #[test]
    fn factors_of_llama_3_are_those_of_transformers() {
        let scaling = r#""factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192"#;
        let old = format!(
            r#""rope_theta": 500000.0, "rope_scaling": {{"rope_type": "llama3", {scaling}}}"#
        );
        let new = format!(
            r#""rope_parameters": {{"rope_theta": 500000, "rope_type": "llama3", {scaling}}}"#
        );
        for text in [old, new] {
            let rope = read(&config(&text), row()).unwrap();
            let (name, factors) = &rope.factors[0];
            assert_eq!((*name, factors.len()), ("rope_freqs.weight", 64));
            for (pair, factor) in factors.iter().enumerate() {
                let frequency = 500_000f64.powf(-(pair as f64) / 64.0);
                let wave = 2.0 * PI / frequency;
                let scaled = if wave < 8192.0 / 4.0 {
                    frequency
                } else if wave > 8192.0 {
                    frequency / 8.0
                } else {
                    let smooth = (8192.0 / wave - 1.0) / (4.0 - 1.0);
                    (1.0 - smooth) * frequency / 8.0 + smooth * frequency
                };
                assert!((frequency / scaled / f64::from(*factor) - 1.0).abs() < 1e-6);
            }
            assert_eq!((factors[0], factors[63]), (1.0, 8.0));
        }
    }

    #[test]
    fn layers_with_a_window_have_a_base_of_their_own() {
        let both = r#""rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}"#;
        let gemma = row_of("Gemma3ForCausalLM").unwrap();
        let metadata = read(&config(both), gemma).unwrap().metadata("gemma3");
        for (key, value) in [
            ("freq_base", Value::Float(1e6)),
            ("freq_base_swa", Value::Float(1e4)),
            ("scaling.type", Value::Text("linear".to_owned())),
            ("scaling.factor", Value::Float(8.0)),
            ("dimension_count", Value::Unsigned(128)),
        ] {
            assert_eq!(metadata[&format!("gemma3.rope.{key}")], value, "{key}");
        }
    }

    #[test]
    fn lengths_are_without_what_yarn_has_itself() {
        let yarn = |more: &str| {
            let text = format!(
                r#""max_position_embeddings": 32768, "rope_scaling": {{"type": "yarn", "factor": 4.0{more}}}"#
            );
            read(&config(&text), row()).unwrap().metadata("x")
        };
        assert!(!yarn("").contains_key("x.rope.scaling.attn_factor"));
        let original = &yarn("")["x.rope.scaling.original_context_length"];
        assert_eq!(*original, Value::Unsigned(32768));
        let own = format!(r#", "attention_factor": {}"#, 1.0 + 0.1 * 4f64.ln());
        let Value::Float(length) = yarn(&own)["x.rope.scaling.attn_factor"] else {
            panic!("no number");
        };
        assert!((length - 1.0).abs() < 1e-9);
    }
}
