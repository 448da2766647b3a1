//! Keys of settings that are run in one position only.

use super::json::Object;
use crate::Result;

/// Value that a key is run with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Only {
    Bool(bool),
    Whole(u64),
    Number(f64),
    Text(&'static str),
    /// False, or not for text.
    Off,
    /// The list is empty.
    Empty,
    /// No value at all, or null.
    Nothing,
    /// True, or a number that counts as that.
    On,
    /// True, where no value is false.
    Stated,
    /// All numbers from 0 on.
    Unlimited,
}

impl Only {
    /// Refuses another value under `key`.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) names the key, what it is, and what is run.
    pub fn check(&self, config: &Object, key: &str) -> Result<()> {
        let (same, shown) = match self {
            Only::Bool(only) => (config.boolean(key)?.map(|v| v == *only), only.to_string()),
            Only::Whole(only) => (config.whole(key)?.map(|v| v == *only), only.to_string()),
            Only::Off => (
                config.get(key).map(|v| *v == false || *v == "vision"),
                "false".to_owned(),
            ),
            Only::Number(only) => {
                let same = |v: f64| v.to_bits() == only.to_bits();
                (config.number(key)?.map(same), only.to_string())
            }
            Only::Text(only) => (config.text(key)?.map(|v| v == *only), (*only).to_owned()),
            Only::Nothing => (config.get(key).map(|_| false), "null".to_owned()),
            Only::On => (config.get(key).map(is_on), "true".to_owned()),
            Only::Stated => (Some(config.boolean(key)? == Some(true)), "true".to_owned()),
            Only::Unlimited => (
                config.get(key).map(is_unlimited),
                "[0, infinity]".to_owned(),
            ),
            Only::Empty => (config.list(key)?.map(<[_]>::is_empty), "[]".to_owned()),
        };
        if same == Some(false) {
            return Err(config.unsupported(key, &format!("only {shown} is run here")));
        }
        Ok(())
    }
}

fn is_on(value: &serde_json::Value) -> bool {
    *value != false && value.as_f64() != Some(0.0)
}

/// Whether a list of two numbers bounds nothing that is above 0: as Python writes it, or transformers since 5.
fn is_unlimited(limit: &serde_json::Value) -> bool {
    let Some([low, high]) = limit.as_array().map(Vec::as_slice) else {
        return false;
    };
    let infinite = high.get("__float__").is_some_and(|text| text == "Infinity");
    low.as_f64() == Some(0.0) && infinite
}
