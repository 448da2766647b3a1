//! Claims of a folder's `config.json` that GGUF has no key for: they must be what the family's row does. Keys are those of
//! `transformers`, behind `lantern.config.`.

use super::families::{Family, Sight};
use crate::{
    Error, Result, Unsupported,
    file::{Metadata, short},
    graph::Activation,
};

/// Names of the activations in `transformers`.
const SILU: &[&str] = &["silu", "swish"];
const GELU: &[&str] = &["gelu_pytorch_tanh", "gelu_new"];

/// Keys of the activation of MLPs.
const KEYS: [&str; 4] = [
    "hidden_activation",
    "hidden_act",
    "activation_function",
    "mlp_hidden_act",
];

/// Activations of encoders, which take any of them.
const ENCODERS: &[(&str, Activation)] = &[
    ("gelu", Activation::GeluErf),
    ("gelu_pytorch_tanh", Activation::Gelu),
    ("gelu_new", Activation::Gelu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("swiglu", Activation::Silu),
];

/// The activation that an encoder's configuration states.
pub(super) fn of_encoder(metadata: &Metadata, family: &Family) -> Result<Option<Activation>> {
    if family.sight != Sight::Both {
        return Ok(None);
    }
    for key in KEYS.map(in_metadata) {
        if let Some(stated) = metadata.text(&key)? {
            return activation(&key, stated).map(Some);
        }
    }
    Ok(None)
}

/// An activation by its name in `transformers`.
///
/// # Errors
/// [`Error::Unsupported`] for one that is not run.
pub(super) fn activation(key: &str, stated: &str) -> Result<Activation> {
    let known = ENCODERS.iter().find(|(name, _)| *name == stated);
    known.map(|(_, activation)| *activation).ok_or_else(|| {
        let names: Vec<_> = ENCODERS.iter().map(|(name, _)| *name).collect();
        let key = key.strip_prefix("lantern.config.").unwrap_or(key);
        let known = format!("known are {}", names.join(", "));
        unsupported(key, &short(stated), &known)
    })
}

/// Refuses what the family does not do.
///
/// # Errors
/// [`Error::Unsupported`] names the key, what it is, and what is run here.
pub(super) fn check(metadata: &Metadata, family: &Family) -> Result<()> {
    if of_encoder(metadata, family)?.is_some() {
        return Ok(());
    }
    for key in KEYS {
        let Some(stated) = metadata.text(&in_metadata(key))? else {
            continue;
        };
        let known = match family.activation {
            Activation::Silu => SILU,
            Activation::Gelu => GELU,
            Activation::ClampedSwiglu => &["silu"],
            Activation::Relu2 => &["relu2"],
            Activation::Xielu(_) => &["xielu"],
            Activation::GeluErf
            | Activation::Identity
            | Activation::Sigmoid
            | Activation::Softplus
            | Activation::Softcap(_) => &["nothing"],
        };
        if !known.contains(&stated) {
            let only = format!("only {} is run here in {}", known[0], family.name);
            return Err(unsupported(key, &short(stated), &only));
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
