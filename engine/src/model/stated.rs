//! Claims of a folder's `config.json` that GGUF has no key for: they must be what the family's row does. Keys are those of
//! `transformers`, behind `lantern.config.`.

use super::families::Family;
use crate::{
    Error, Result, Unsupported,
    file::{Metadata, short},
    graph::Activation,
};

/// Names of the activations in `transformers`.
const SILU: &[&str] = &["silu", "swish"];
const GELU: &[&str] = &["gelu_pytorch_tanh", "gelu_new", "gelu"]; // Gemma's first files say the last and mean the first

/// Refuses what the family does not do.
///
/// # Errors
/// [`Error::Unsupported`] names the key, what it is, and what is run here.
pub(super) fn check(metadata: &Metadata, family: &Family) -> Result<()> {
    for key in ["hidden_activation", "hidden_act", "activation_function"] {
        let Some(stated) = metadata.text(&in_metadata(key))? else {
            continue;
        };
        let known = match family.activation {
            Activation::Silu => SILU,
            Activation::Gelu if key == "activation_function" => &GELU[..2],
            Activation::Gelu => GELU,
            Activation::Sigmoid | Activation::Softcap(_) => &["nothing"],
        };
        if !known.contains(&stated) {
            let only = format!("only {} is run here in {}", known[0], family.name);
            return Err(unsupported(key, &short(stated), &only));
        }
    }
    let every = family.sliding_window_pattern;
    for key in ["sliding_window_pattern", "_sliding_window_pattern"] {
        let stated = metadata.u32(&in_metadata(key))?;
        if let Some(stated) = stated.filter(|stated| *stated != every) {
            let only = format!("only {every} is run here in {}", family.name);
            return Err(unsupported(key, &stated.to_string(), &only));
        }
    }
    check_layers(metadata, family)
}

/// Lists with a value for each layer say what the family's row does.
fn check_layers(metadata: &Metadata, family: &Family) -> Result<()> {
    let divides =
        |every: u32, index: usize| every > 0 && (index + 1).is_multiple_of(every as usize);
    let kinds = metadata.texts(&in_metadata("layer_types"))?.unwrap_or(&[]);
    for (index, kind) in kinds.iter().enumerate() {
        let wanted = if divides(family.sliding_window_pattern, index) {
            "full_attention"
        } else {
            "sliding_attention"
        };
        if kind != wanted {
            let only = format!("layer {index} of {} is run as {wanted}", family.name);
            let stated = format!("a list of {}", kinds.len());
            return Err(unsupported("layer_types", &stated, &only));
        }
    }
    let rotated = metadata.integers(&in_metadata("no_rope_layers"))?;
    let rotated = rotated.unwrap_or(&[]);
    for (index, &stated) in rotated.iter().enumerate() {
        // The list has a 1 for layers with RoPE, whatever its name says.
        let wanted = i64::from(!divides(family.no_rope_interval, index));
        if stated != wanted {
            let only = format!("layer {index} of {} is run with {wanted}", family.name);
            let stated = format!("a list of {}", rotated.len());
            return Err(unsupported("no_rope_layers", &stated, &only));
        }
    }
    Ok(())
}

fn in_metadata(key: &str) -> String {
    format!("lantern.config.{key}")
}

fn unsupported(key: &str, stated: &str, only: &str) -> Error {
    Error::unsupported(
        Unsupported::Setting,
        format!("config.json: {key} is {stated}; {only}"),
    )
}
