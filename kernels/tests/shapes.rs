//! Shapes that WGSL states beside its bindings: in one vocabulary, as long as the data of cases, and the same where one
//! kernel writes what another reads.

use std::collections::HashMap;

use lantern_kernels::{
    ALL, Case, Kernel, Part, Shader,
    kernel::combinations,
    parts::{Cache, Cells, Ending},
};

/// Words of shapes beside the kernels' parameters, which end in `stride` as a rule, and constants, in capitals.
const WORDS: [&str; 21] = [
    "experts",
    "tokens",      // rows of the pass
    "rows",        // of a matrix, or of a piece of one
    "cols",        // of a matrix, as it is
    "padded cols", // those rounded up to whole groups
    "groups",      // of 32 of those
    "heads",
    "kv_heads",
    "head_cells", // of a head in the cache: sequences × cells
    "head_dim",
    "value_dim",
    "value_cell", // from a head's values to the next cell's
    "sequences",
    "channels",
    "context",
    "pairs",
    "chunks", // of rows of a pass
    "tiles",  // of pairs of token and expert, those of one expert
    "value_heads",
    "lanes",
    "run_bytes",
];

/// 32-bit words of an element of a binding.
fn width(kind: &str) -> Option<u32> {
    let of = kind.strip_prefix("array<").unwrap_or(kind);
    let of = of.split([',', '>', ';']).next()?;
    Some(match of {
        "f32" | "u32" => 1,
        "vec2f" | "vec2u" => 2,
        "vec4f" | "vec4u" => 4,
        "Packed" | "Sampler" => 20,
        "Group" | "Fours" => 32,
        _ => return None,
    })
}

/// Factor, word and divisor of a dimension, and what is added.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dim {
    factor: u32,
    word: String,
    divisor: u32,
    more: u32,
}

impl Dim {
    /// `padded cols`, `head_dim / 4`, `head_dim / 2 + 1`, `5`.
    fn parse(text: &str) -> Option<Dim> {
        let (text, more) = match text.split_once(" + ") {
            Some((text, more)) => (text, more.parse().ok()?),
            None => (text, 0),
        };
        let (text, divisor) = match text.split_once(" / ") {
            Some((text, divisor)) => (text, divisor.parse().ok()?),
            None => (text, 1),
        };
        let number = |text: &str| text.parse().ok();
        let (factor, word) = match text.split_once(' ').map(|(n, word)| (number(n), word)) {
            Some((Some(factor), word)) => (factor, word),
            _ => number(text).map_or((1, text), |factor| (factor, "")),
        };
        let word = word.to_owned();
        Some(Dim {
            factor,
            word,
            divisor,
            more,
        })
    }

    /// Converts to elements of which this dimension's have `width` each.
    fn times(mut self, width: u32) -> Dim {
        self.more *= width;
        self.factor *= width;
        let both = |n: &u32| self.factor.is_multiple_of(*n) && self.divisor.is_multiple_of(*n);
        let common = (1..=self.divisor).rev().find(both).unwrap_or(1);
        (self.factor, self.divisor) = (self.factor / common, self.divisor / common);
        self
    }

    /// Replaces each word for the distance of rows of activations by one, `stride`.
    fn of_flow(mut self) -> Dim {
        if self.word == "groups" {
            self.divisor *= 32;
        }
        if ["groups", "padded cols"].contains(&self.word.as_str()) || self.word.ends_with("stride")
        {
            self.word.clear();
            self.word.push_str("stride");
        }
        self
    }
}

/// A binding with its shape, the last dimension in 32-bit words.
struct Shape {
    name: String,
    dims: Vec<Dim>,
}

/// The shape of a line of WGSL that binds memory, `stored` being what a cache keeps four values as; an error where it says none that can be read.
fn shape(line: &str, stored: &str) -> Option<Result<Shape, String>> {
    let (_, rest) = line
        .strip_prefix("@group(0) @binding(")?
        .split_once(") var<")?;
    let (_, rest) = rest.split_once("> ")?;
    let (name, rest) = rest.split_once(": ")?;
    // Planes of weights have their shapes in `formats::Plane`, structs in their fields.
    if name.starts_with("w_") || ["params", "rows"].contains(&name) {
        return None;
    }
    let read = || {
        let (kind, note) = rest.split_once("// (")?;
        let (dims, _) = note.split_once(')')?;
        let mut dims = dims
            .split(", ")
            .map(Dim::parse)
            .collect::<Option<Vec<_>>>()?;
        let last = dims.pop()?.times(width(&kind.replace("Stored", stored))?);
        dims.push(last);
        Some(Shape {
            name: name.to_owned(),
            dims,
        })
    };
    Some(read().ok_or_else(|| format!("no shape can be read: {line}")))
}

/// The shapes of what a kernel binds with these parts.
fn shapes(kernel: &Kernel, parts: &[&'static Part]) -> Vec<Result<Shape, String>> {
    let sources = parts.iter().map(|part| part.source).chain([kernel.source]);
    let lines = sources.flat_map(str::lines);
    let alias = |line: &'static str| line.strip_prefix("alias Stored = ")?.strip_suffix(';');
    let stored = lines.clone().find_map(alias).unwrap_or_default();
    lines.filter_map(|line| shape(line, stored)).collect()
}

/// A module constant that a part's source has, such as `WORDS`.
fn own_constant(parts: &[&Part], name: &str) -> Option<u32> {
    let start = format!("const {name} = ");
    let lines = parts.iter().flat_map(|part| part.source.lines());
    let mut found = lines.filter_map(|line| line.strip_prefix(&start)?.split_once("u;"));
    found.next()?.0.parse().ok()
}

/// Why a word is none of the vocabulary's.
fn unknown(kernel: &Kernel, dim: &Dim) -> Option<String> {
    let word = dim.word.as_str();
    let field = kernel.params.iter().any(|(name, _)| *name == word);
    let constant = !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let known = word.is_empty() || WORDS.contains(&word) || field || constant;
    (!known).then(|| format!("{}: {word:?} is no word of shapes", kernel.name))
}

#[test]
fn every_binding_has_a_shape_in_words_of_one_vocabulary() {
    let mut wrong = Vec::new();
    for kernel in ALL {
        for shader in combinations(kernel, &[]) {
            for found in shapes(kernel, &shader.all_parts()) {
                match found {
                    Ok(shape) => wrong.extend(shape.dims.iter().filter_map(|d| unknown(kernel, d))),
                    Err(error) => wrong.push(format!("{}: {error}", kernel.name)),
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Values of the words that a case has one for.
fn values(case: &Case, shader: &Shader) -> HashMap<String, u32> {
    let params = case
        .params
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let names = shader.kernel.params.iter();
    let params = names
        .zip(params)
        .map(|((name, _), value)| ((*name).to_owned(), value));
    let mut all: HashMap<String, u32> = params.collect();
    let consts = case.consts.iter().chain(shader.variant.consts);
    for &(name, value) in consts {
        all.insert(name.to_owned(), value);
        all.insert(name.to_lowercase(), value);
    }
    let rows = case.buffers.iter().find(|(name, _)| *name == "rows");
    let tokens = rows.map_or(case.tokens, |(_, words)| words[0]);
    all.insert("tokens".to_owned(), tokens);
    if let Some(&cols) = all.get("cols") {
        all.insert("padded cols".to_owned(), cols.next_multiple_of(32));
        all.entry("groups".to_owned()).or_insert(cols.div_ceil(32));
    }
    all.insert(String::new(), 1);
    all
}

/// The length of a cache that is read is its shape's. Other data may be longer: it has room for rows that the pass has not.
#[test]
fn data_of_cases_is_as_long_as_shapes_say() {
    let (mut caches, mut others) = (0, 0);
    for kernel in ALL {
        for case in (kernel.cases)() {
            let shader = Shader::new(kernel, &kernel.variants[0], &case.parts, &case.consts);
            let (values, parts) = (values(&case, &shader), shader.all_parts());
            for shape in shapes(kernel, &parts).into_iter().flatten() {
                let value = |dim: &Dim| {
                    let known = values.get(&dim.word).copied();
                    let value = known.or_else(|| own_constant(&parts, &dim.word))?;
                    Some(dim.factor * value / dim.divisor + dim.more)
                };
                let Some(dims) = shape.dims.iter().map(value).collect::<Option<Vec<_>>>() else {
                    continue;
                };
                let Some((name, words)) = case.buffers.iter().find(|(n, _)| *n == shape.name)
                else {
                    continue;
                };
                let (length, said) = (words.len() as u32, dims.iter().product::<u32>());
                let cache = ["keys", "values"].contains(name) && !kernel.outputs.contains(name);
                *(if cache { &mut caches } else { &mut others }) += 1;
                let place = format!("{} {}: {name}", kernel.name, case.name);
                assert!(
                    said <= length,
                    "{place} has {length} words, its shape {dims:?} more"
                );
                // One in blocks has as many of them as it has.
                let blocks = Cells::of(&case.parts).is_some_and(Cells::paged);
                let whole = if blocks {
                    length.is_multiple_of(said)
                } else {
                    said == length
                };
                assert!(
                    !cache || whole,
                    "{place} has {length} words, its shape is {dims:?}"
                );
            }
        }
    }
    assert!(
        caches > 500 && others > 2000,
        "{caches} and {others} are compared"
    );
}

/// A kernel and a binding of its.
type End = (&'static str, &'static str);

/// Outputs of kernels, and the bindings that read them.
const FLOWS: [(End, &[End]); 16] = [
    (("rope", "keys"), &KEYS),
    (("rope", "values"), &VALUES),
    (("store", "keys"), &KEYS),
    (("store", "values"), &VALUES),
    (("attention", "y"), &ATTENDED),
    (("attention_positions", "y"), &ATTENDED),
    (("attention_tokens", "y"), ATTENDED.split_at(1).1),
    (("attention_tiles", "y"), ATTENDED.split_at(1).1),
    (
        ("quantise", "packed"),
        &[("matvec_integer", "x"), ("matmul_integer", "x")],
    ),
    (
        ("moe_route", "expert_ids"),
        &[("experts", "expert_ids"), ("moe_sort", "expert_ids")],
    ),
    (("moe_sort", "tiles"), &[("matmul_rows", "tiles")]),
    (
        ("moe_sort", "sorted_pairs"),
        &[("matmul_rows", "sorted_pairs")],
    ),
    (
        ("moe_route", "expert_weights"),
        &[("moe_combine", "expert_weights")],
    ),
    (("experts", "y"), &[("moe_combine", "y")]),
    (("matmul", "y"), &ROWS),
    (("rope", "y"), &ROTATED),
];

const KEYS: [End; 4] = [
    ("attention", "keys"),
    ("attention_positions", "keys"),
    ("attention_tokens", "keys"),
    ("attention_tiles", "keys"),
];

const VALUES: [End; 4] = [
    ("attention", "values"),
    ("attention_positions", "values"),
    ("attention_tokens", "values"),
    ("attention_tiles", "values"),
];

const ATTENDED: [End; 3] = [
    ("attention_combine", "partial"),
    ("matmul", "x"),
    ("gate", "y"),
];

const ROTATED: [End; 4] = [
    ("attention", "qkv"),
    ("attention_positions", "qkv"),
    ("attention_tokens", "qkv"),
    ("attention_tiles", "qkv"),
];

const ROWS: [End; 18] = [
    ("rope", "v"),
    ("rope", "x"),
    ("store", "k"),
    ("store", "v"),
    ("attention", "qkv"),
    ("attention_positions", "qkv"),
    ("attention_tokens", "qkv"),
    ("attention_tiles", "qkv"),
    ("norm", "x"),
    ("matmul", "x"),
    ("conv", "x"),
    ("delta_net", "gates"),
    ("scan", "bc"),
    ("scan", "dt"),
    ("scan", "gates"),
    ("gated_norm", "gate"),
    ("moe_route", "router"),
    ("pointwise", "y"),
];

/// The shapes that a binding has with any parts, each with the choices that readers and writers share.
type Choices = (Option<Cache>, bool);
fn sides(kernel: &str, binding: &str) -> Vec<(Choices, Vec<Dim>)> {
    let kernel = ALL.iter().find(|k| k.name == kernel).expect("a kernel");
    let mut all = Vec::new();
    for shader in combinations(kernel, &[]) {
        let parts = shader.all_parts();
        let split = Ending::of(&parts) == Some(Ending::Split) || binding == "partial";
        let choices = (Cache::touched_by(&shader.parts), split);
        for shape in shapes(kernel, &parts).into_iter().flatten() {
            let side = || {
                (
                    choices,
                    shape
                        .dims
                        .iter()
                        .cloned()
                        .map(|d| resolved(d, &parts))
                        .collect(),
                )
            };
            all.extend((shape.name == binding).then(side));
        }
    }
    all.dedup();
    all
}

/// A dimension with the value of a constant of its parts, as flows compare it.
fn resolved(dim: Dim, parts: &[&Part]) -> Dim {
    let dim = dim.of_flow();
    match own_constant(parts, &dim.word) {
        Some(value) => Dim {
            factor: dim.factor * value,
            word: String::new(),
            ..dim
        },
        None => dim,
    }
}

/// Pairs compared, and the first writer and reader with the same choices whose shapes differ. A reader of one token has no
/// dimension of tokens.
fn disagreement(
    writers: &[(Choices, Vec<Dim>)],
    readers: &[(Choices, Vec<Dim>)],
) -> (usize, Option<String>) {
    let mut compared = 0;
    for ((cache, split), written) in writers {
        for ((other_cache, other_split), read) in readers {
            let same_cache = cache.is_none() || other_cache.is_none() || cache == other_cache;
            if !same_cache || split != other_split {
                continue;
            }
            compared += 1;
            let one_token = written[0].word == "tokens" && written[1..] == **read;
            if written != read && !one_token {
                return (
                    compared,
                    Some(format!(
                        "{written:?} is written, {read:?} read, of {cache:?}"
                    )),
                );
            }
        }
    }
    (compared, None)
}

#[test]
fn what_one_kernel_writes_another_reads_in_the_same_shape() {
    for ((writer, output), readers) in FLOWS {
        let writers = sides(writer, output);
        for &(reader, input) in readers {
            let (compared, wrong) = disagreement(&writers, &sides(reader, input));
            let flow = format!("{writer}'s {output} to {reader}'s {input}");
            assert_eq!(wrong, None, "{flow}");
            assert!(compared > 0, "{flow}: nothing was compared");
        }
    }
}

#[test]
fn the_rules_can_fail() {
    let bind = |kind: &str, dims: &str| {
        format!("@group(0) @binding(1) var<storage, read> keys: {kind}; {dims}")
    };
    let dims = |kind: &str, dims: &str| shape(&bind(kind, dims), "").unwrap().map(|s| s.dims);
    let side = |kind, text| vec![((Some(Cache::F16), false), dims(kind, text).unwrap())];
    let four = side("array<vec2u>", "// (kv_heads, head_cells, head_dim / 4)");
    let eight = side("array<vec4u>", "// (kv_heads, head_cells, head_dim / 8)");
    assert_eq!(disagreement(&four, &eight), (1, None), "the same words");
    let wide = side("array<vec4u>", "// (kv_heads, head_cells, head_dim / 4)");
    assert!(
        disagreement(&four, &wide).1.is_some(),
        "elements of another width"
    );
    let turned = side("array<vec2u>", "// (head_cells, kv_heads, head_dim / 4)");
    assert!(
        disagreement(&four, &turned).1.is_some(),
        "dimensions in another order"
    );
    assert!(dims("array<vec2u>", "").is_err(), "no shape");
    let kernel = ALL[0];
    let places = Dim::parse("places / 4").unwrap();
    assert!(
        unknown(kernel, &places).is_some(),
        "a word of no vocabulary"
    );
    assert!(unknown(kernel, &Dim::parse("padded cols / 4").unwrap()).is_none());
}
