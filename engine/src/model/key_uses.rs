//! Keys of a model's settings, and what becomes of each.

use super::{config::Config, known};
use crate::{
    ModelFile,
    file::KeyUse,
    text::{self, tokenizer_key_uses},
};

/// Keys behind the family's name that change nothing that is computed here, and why.
#[rustfmt::skip] // a table
const HARMLESS: &[(&str, &str)] = &[
    ("rope.scaling.finetuned",   "says how the model was trained"),
    ("rope.dimension_sections",  "the positions of text are the same in each section"),
    ("tensor_data_layout",       "tensors are found by name"),
    ("leading_dense_block_count", "a block's tensors say whether it has experts"),
    ("interleave_moe_layer_step", "a block's tensors say whether it has experts"),
    ("moe_every_n_layers",       "a block's tensors say whether it has experts"),
    ("expert_shared_count",      "the shared experts' tensors say how wide they are"),
    ("expert_shared_feed_forward_length", "the shared experts' tensors say how wide they are"),
    ("use_parallel_residual",    "a block without a norm before its MLP is parallel"),
    ("rope.scaling.yarn_attn_factor", "follows from the factor"),
    ("rope.scaling.yarn_ext_factor", "follows from the factor"),
];

/// Keys of `general.` that are read, `general.sampling` among them, and those of them that nothing reads, and why. All others
/// describe the file.
#[rustfmt::skip] // a table
const GENERAL: &[(&str, Option<&str>)] = &[
    ("architecture", None), ("name", None), ("alignment", None),
    ("sampling.temp", None), ("sampling.top_k", None), ("sampling.top_p", None), ("sampling.min_p", None),
    ("sampling.penalty_repeat", None), ("sampling.penalty_last_n", None), ("sampling.sequence", None),
    ("sampling.mirostat", None), ("sampling.mirostat_tau", None), ("sampling.mirostat_eta", None),
    ("sampling.xtc_probability", None), ("sampling.xtc_threshold", None),
];

impl ModelFile {
    /// Keys of the model's settings, in the file's order of names, each with what becomes of it: of `config.json`,
    /// `generation_config.json` and the tokenizer's files where the model is a folder, of the header where it is a GGUF file.
    pub fn key_uses(&self) -> Vec<KeyUse> {
        let metadata = self.metadata();
        if let Some(uses) = self.folder_key_uses() {
            return [uses, &tokenizer_key_uses(metadata)].concat();
        }
        let read = Config::keys_read(self);
        let prefix = known::family(metadata).map_or("", |(_, prefix)| prefix);
        let each = |key: &String| {
            let passed_over = match key.split_once('.') {
                Some(("tokenizer", _)) => text::passed_over(key, metadata),
                Some(("general", name)) => {
                    let row = GENERAL.iter().find(|(known, _)| *known == name);
                    row.map_or(Some("describes the file"), |(_, why)| *why)
                }
                Some(("split", _)) => None,
                Some((family, name)) if family == prefix => match &read {
                    None => Some("the model is not run"),
                    Some(read) if read.contains(key) => None,
                    Some(_) => {
                        let row = HARMLESS.iter().find(|(harmless, _)| *harmless == name);
                        Some(
                            row.map_or("nothing in a model of this family uses it", |(_, why)| why),
                        )
                    }
                },
                _ => Some("says nothing of this model"),
            };
            KeyUse::new(key, passed_over)
        };
        metadata.0.keys().map(each).collect()
    }
}
