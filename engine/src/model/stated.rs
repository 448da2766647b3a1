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
/// GELU's of encoders, which are run by the error function, too.
const GELUS: &[&str] = &["gelu", "gelu_pytorch_tanh", "gelu_new"];

/// Refuses what the family does not do.
///
/// # Errors
/// [`Error::Unsupported`] names the key, what it is, and what is run here.
pub(super) fn check(metadata: &Metadata, family: &Family) -> Result<()> {
    for key in [
        "hidden_activation",
        "hidden_act",
        "activation_function",
        "mlp_hidden_act",
    ] {
        let Some(stated) = metadata.text(&in_metadata(key))? else {
            continue;
        };
        let known = match family.activation {
            Activation::Silu => SILU,
            Activation::Gelu if family.sight == Sight::Both => GELUS,
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
