//! A model on the GPU: its weights, the slots that sessions share, and its plans.

use std::{ops::ControlFlow, sync::Arc};

use lantern_kernels::{attention_join, padded, store::BLOCK};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::{
    block::{Layout, RopeFactors},
    config::Config,
    lora::Adapter,
    weights::{ALIGNMENT, Stored, values},
};
use crate::{
    Engine, Error, ModelFile, Result, Session,
    gpu::{
        buffer::{Buffer, Upload},
        pipeline::{Found, Range},
    },
    plan::{
        build::{Builder, Width},
        dispatch::{Plan, Slot},
        integer::packed_bytes,
    },
};

/// How exactly to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// A cache of f16, and f16 tiles where the adapter gains by them; sums in f32.
    #[default]
    Default,
    /// f32 throughout.
    Exact,
}

/// How keys and values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheType {
    /// 4 bytes a value.
    F32,
    /// 2 bytes a value.
    F16,
    /// Bytes with a scale of f32 for each 32: 9 bits a value.
    Q8_0,
    /// Nibbles with a scale of f32 for each 32: 5 bits a value.
    Q4_0,
}

impl CacheType {
    /// The words of a block of 32 values; none where each value stands by itself.
    pub(crate) fn block_words(self) -> Option<usize> {
        match self {
            CacheType::F32 | CacheType::F16 => None,
            CacheType::Q8_0 => Some(9),
            CacheType::Q4_0 => Some(5),
        }
    }

    /// Bytes of `values`.
    fn bytes(self, values: u64) -> u64 {
        match self {
            CacheType::F32 => values * 4,
            CacheType::F16 => values * 2,
            CacheType::Q8_0 => values / BLOCK as u64 * 36,
            CacheType::Q4_0 => values / BLOCK as u64 * 20,
        }
    }
}

/// How to load a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// How exactly to compute.
    pub precision: Precision,
    /// How keys and values are kept; none: as f32 where computing is exact, else as f16.
    pub cache: Option<CacheType>,
    /// Positions of a session; none: the model's own, at most [`CONTEXT_DEFAULT_MAX`].
    pub context: Option<usize>,
    /// Tokens of a prefill pass; none: what suits the adapter.
    pub chunk: Option<usize>,
}

impl LoadOptions {
    /// Tokens of a prefill pass.
    fn chunk_on(&self, engine: &Engine, context: usize) -> usize {
        let suiting = if engine.software() { 32 } else { 256 };
        self.chunk.unwrap_or(suiting).clamp(1, context)
    }

    /// How keys and values are kept.
    pub fn cache_type(&self) -> CacheType {
        let usual = match self.precision {
            Precision::Exact => CacheType::F32,
            Precision::Default => CacheType::F16,
        };
        self.cache.unwrap_or(usual)
    }

    /// Positions of a session of this model.
    fn context_of(&self, config: &Config) -> usize {
        let own = config.context as usize;
        self.context.unwrap_or(own.min(CONTEXT_DEFAULT_MAX))
    }
}

/// The context where none is asked for and the model has more.
pub const CONTEXT_DEFAULT_MAX: usize = 4096;

/// The longest context on an adapter that runs on the CPU: llvmpipe ends a shader's loops, silently, after 65,535 turns,
/// of which attention needs up to four a position.
const CONTEXT_SOFTWARE_MAX: u64 = 16_384;

/// A model on an engine; cheap to clone.
#[derive(Clone)]
pub struct Model(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub engine: Arc<Engine>,
    pub config: Config,
    pub layout: Layout,
    pub precision: Precision,
    pub cache: CacheType,
    pub context: usize,
    pub chunk: usize,
    /// Buffers of each matrix's pieces.
    matrices: Vec<Vec<Stored>>,
    /// All vectors, each at its offset.
    vectors: Buffer,
    vector_places: Vec<(u64, u64)>,
    /// Slots that sessions share, for a pass of `chunk` tokens.
    slots: Vec<(Slot, Buffer)>,
    /// Of all bytes of its weights.
    hash: u64,
}

impl Model {
    /// Brings the weights to the GPU. `progress(done, total)` counts bytes of the file; breaking it ends in
    /// [`Error::Aborted`].
    pub async fn load(
        engine: &Arc<Engine>,
        file: &ModelFile,
        options: &LoadOptions,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Model> {
        let config = Config::of(file)?;
        let layout = Layout::of(engine, file, &config)?;
        let context = options.context_of(&config);
        check_context(engine, &config, options.cache_type(), context)?;
        let chunk = options.chunk_on(engine, context);
        let builder = Builder {
            engine,
            adapters: &[],
            config: &config,
            layout: &layout,
            precision: options.precision,
            cache: options.cache_type(),
            context: context as u32,
            chunk: chunk as u32,
        };
        let compiling = engine.compile_ahead(builder.shaders());

        let total: u64 = layout
            .matrices
            .iter()
            .map(super::weights::Matrix::bytes)
            .sum();
        let mut done = 0;
        let mut count = |bytes: u64| {
            done += bytes;
            progress(done, total)
        };
        let mut hash = Xxh3::new();
        let mut upload = Upload::new(engine);
        let mut matrices = Vec::new();
        for matrix in &layout.matrices {
            let mut pieces = Vec::new();
            for &piece in &matrix.pieces {
                pieces.push(
                    matrix
                        .load(engine, file, piece, &mut upload, &mut |bytes| {
                            hash.update(bytes);
                            count(bytes.len() as u64)
                        })
                        .await?,
                );
            }
            matrices.push(pieces);
        }
        let (vectors, vector_places) =
            load_vectors(engine, file, &layout, &mut upload, &mut hash).await?;
        let passes = (options.precision, context, chunk);
        let slots = slots(engine, &config, file, &layout, passes, &mut upload).await?;
        upload.finish().await?;
        compiling.finish()?;
        let (engine, precision, cache) = (engine.clone(), options.precision, options.cache_type());
        let loaded = Loaded {
            engine,
            config,
            layout,
            precision,
            cache,
            context,
            chunk,
            matrices,
            vectors,
            vector_places,
            slots,
            hash: hash.digest(),
        };
        Ok(Model(Arc::new(loaded)))
    }

    /// The model's numbers.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The engine it is on.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.0.engine
    }

    /// Positions that a session has.
    pub fn context(&self) -> usize {
        self.0.context
    }

    /// Tokens of a prefill pass.
    pub fn chunk(&self) -> usize {
        self.0.chunk
    }

    /// How exactly it computes.
    pub fn precision(&self) -> Precision {
        self.0.precision
    }

    /// Bytes of its matrices in the file.
    pub fn weight_bytes(&self) -> u64 {
        self.0
            .layout
            .matrices
            .iter()
            .map(super::weights::Matrix::bytes)
            .sum()
    }

    /// Bytes of a session's keys and values.
    pub fn cache_bytes(&self) -> u64 {
        let layers = 0..self.0.config.layers;
        layers.map(|layer| 2 * self.0.cache_bytes(layer)).sum()
    }

    /// How keys and values are kept.
    pub fn cache_type(&self) -> CacheType {
        self.0.cache
    }

    /// A session with an empty cache.
    pub async fn session(&self) -> Result<Session> {
        Session::new(self.0.clone()).await
    }
}

impl ModelFile {
    /// Positions of a session with these options.
    pub fn context(&self, options: &LoadOptions) -> Result<usize> {
        Ok(options.context_of(&Config::of(self)?))
    }

    /// Tokens of a prefill pass with these options.
    pub fn chunk(&self, engine: &Engine, options: &LoadOptions) -> Result<usize> {
        Ok(options.chunk_on(engine, self.context(options)?))
    }

    /// Refuses tokens that there are none of, and more than a session has room for; before any weight is read.
    ///
    /// # Errors
    /// [`Error::BadInput`], [`Error::ContextFull`].
    pub fn admit(&self, tokens: &[u32], options: &LoadOptions) -> Result<()> {
        let config = Config::of(self)?;
        let context = options.context_of(&config);
        admit(tokens, tokens.len(), config.vocabulary, context)
    }

    /// The dispatches of one decoded token (width 1, drawing included), or of a prefill pass with its last logits;
    /// reads no weights.
    pub fn plan(&self, engine: &Engine, options: &LoadOptions, width: usize) -> Result<Plan> {
        let config = Config::of(self)?;
        let layout = Layout::of(engine, self, &config)?;
        let builder = Builder {
            engine,
            adapters: &[],
            config: &config,
            layout: &layout,
            precision: options.precision,
            cache: options.cache_type(),
            context: options.context_of(&config) as u32,
            chunk: width as u32,
        };
        let kind = if width == 1 {
            Width::Decode
        } else {
            Width::Prefill(width as u32)
        };
        let mut plan = builder.step(kind);
        if width == 1 {
            plan.dispatches.extend(builder.greedy().dispatches);
        }
        Ok(plan)
    }
}

impl Loaded {
    pub fn builder(&self) -> Builder<'_> {
        self.builder_with(&[])
    }

    /// For sessions with these adapters.
    pub fn builder_with<'a>(&'a self, adapters: &'a [(Adapter, f32)]) -> Builder<'a> {
        Builder {
            adapters,
            engine: &self.engine,
            config: &self.config,
            layout: &self.layout,
            precision: self.precision,
            cache: self.cache,
            context: self.context as u32,
            chunk: self.chunk as u32,
        }
    }

    /// Tells the model's weights from those of any other.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", self.hash)
    }

    /// Bytes of what attention finds in parts of the positions.
    pub fn parts_bytes(&self) -> u64 {
        let (config, split) = (&self.config, self.builder().splits());
        let parts = if split { attention_join::PARTS } else { 0 };
        u64::from(config.heads * parts * (config.head_size + 2)) * 4
    }

    /// Bytes of the keys, or the values, of a layer.
    pub fn cache_bytes(&self, layer: u32) -> u64 {
        cache_layer_bytes(&self.config, self.cache, self.places(layer))
    }

    /// Positions that a layer's cache has room for.
    pub fn places(&self, layer: u32) -> usize {
        self.config.places(layer, self.context, self.chunk)
    }

    /// Bytes that a position takes in the keys, or the values, of a layer.
    pub fn cache_position_bytes(&self) -> u64 {
        cache_layer_bytes(&self.config, self.cache, 1)
    }

    /// A plane of a piece of a matrix.
    pub fn weights(&self, matrix: usize, piece: usize, plane: &str) -> Found<'_> {
        self.matrices[matrix][piece].plane(&self.layout.matrices[matrix], piece, plane)
    }

    pub fn vector(&self, index: usize) -> Found<'_> {
        let (start, size) = self.vector_places[index];
        Found::Range(Range {
            buffer: &self.vectors,
            start,
            size: Some(size),
        })
    }

    /// A slot that sessions share.
    pub fn slot(&self, slot: Slot) -> Option<Found<'_>> {
        self.slots
            .iter()
            .find(|(s, _)| *s == slot)
            .map(|(_, buffer)| buffer.into())
    }
}

/// Refuses `tokens`, of which the session then holds `held`, by the vocabulary and the context.
pub(crate) fn admit(tokens: &[u32], held: usize, vocabulary: u32, context: usize) -> Result<()> {
    if let Some(token) = tokens.iter().find(|&&t| t >= vocabulary) {
        return Err(Error::BadInput(format!(
            "there is no token {token}: the vocabulary has {vocabulary}"
        )));
    }
    if held > context {
        return Err(Error::ContextFull {
            tokens: held,
            context,
        });
    }
    Ok(())
}

/// Bytes of the keys, or the values, of one layer.
pub(crate) fn cache_layer_bytes(config: &Config, cache: CacheType, context: usize) -> u64 {
    context as u64 * cache.bytes(u64::from(config.kv_heads * config.head_size))
}

impl Engine {
    /// The longest context that a layer's keys, or its values, have room for.
    pub(crate) fn context_most(&self, config: &Config, cache: CacheType) -> u64 {
        let position = cache_layer_bytes(config, cache, 1);
        let limits = &self.adapter().limits;
        let size = limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size);
        let most = size / position;
        if self.software() {
            most.min(CONTEXT_SOFTWARE_MAX)
        } else {
            most
        }
    }
}

fn check_context(engine: &Engine, config: &Config, cache: CacheType, context: usize) -> Result<()> {
    if cache.block_words().is_some() && !config.head_size.is_multiple_of(BLOCK as u32) {
        return Err(Error::BadInput(format!(
            "a cache in blocks of {BLOCK} needs heads of a multiple of that, and these have {}: take f16",
            config.head_size
        )));
    }
    if context == 0 {
        return Err(Error::BadInput("a context of 0 holds no token".into()));
    }
    if let Some(most) = config
        .learned_positions
        .filter(|&most| context > most as usize)
    {
        return Err(Error::BadInput(format!(
            "the model has learned {most} positions; a context of {context} was asked for"
        )));
    }
    let most = engine.context_most(config, cache);
    if context as u64 > most {
        let name = &engine.adapter().name;
        return Err(Error::DoesNotFit(format!(
            "{name} has room for a context of {most}; {context} were asked for"
        )));
    }
    Ok(())
}

async fn load_vectors(
    engine: &Engine,
    file: &ModelFile,
    layout: &Layout,
    upload: &mut Upload<'_>,
    hash: &mut Xxh3,
) -> Result<(Buffer, Vec<(u64, u64)>)> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut places = Vec::new();
    for vector in &layout.vectors {
        let values = vector.values(file).await?;
        places.push((bytes.len() as u64, values.len() as u64 * 4));
        bytes.extend_from_slice(bytemuck::cast_slice(&values));
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
    }
    hash.update(&bytes);
    let buffer = engine
        .storage_or_uniform("vectors", bytes.len() as u64)
        .await?;
    upload.write(&buffer, 0, &bytes).await?;
    Ok((buffer, places))
}

async fn slots(
    engine: &Engine,
    config: &Config,
    file: &ModelFile,
    layout: &Layout,
    (precision, context, chunk): (Precision, usize, usize),
    upload: &mut Upload<'_>,
) -> Result<Vec<(Slot, Buffer)>> {
    let angles = angles(config, file, layout, context).await?;
    // Kernels that take eight tokens at a time bind all eight rows, whether there is a token for each or not.
    let row = |width: u32| chunk.next_multiple_of(8) as u64 * u64::from(padded(width)) * 4;
    let widest = (config.heads * config.head_size)
        .max(config.width)
        .max(config.ffn_width);
    let packed = chunk as u64 * packed_bytes(engine, precision, widest);
    let mut sizes = vec![
        (Slot::Angles, angles[0].len() as u64 * 4),
        (Slot::X, row(config.width)),
        (Slot::H, row(config.width)),
        (Slot::Qkv, row(config.qkv_width())),
        (Slot::Attention, row(config.heads * config.head_size)),
        (Slot::Gated, row(config.ffn_width)),
    ];
    sizes.extend((packed > 0).then_some((Slot::Packed, packed)));
    sizes.extend(expert_slots(config, chunk));
    sizes.extend(
        angles
            .get(1)
            .map(|local| (Slot::LocalAngles, local.len() as u64 * 4)),
    );
    let most = engine.adapter().limits.max_storage_buffer_binding_size;
    let mut slots = Vec::new();
    for (slot, size) in sizes {
        if size > most {
            let advice = if [Slot::Angles, Slot::LocalAngles].contains(&slot) {
                "a smaller context"
            } else {
                "smaller prefill passes"
            };
            return Err(Error::DoesNotFit(format!(
                "{} takes {size} of {most} bytes: try {advice}",
                slot.name()
            )));
        }
        slots.push((slot, engine.storage_or_uniform(slot.name(), size).await?));
    }
    for (place, angles) in [Slot::Angles, Slot::LocalAngles].into_iter().zip(&angles) {
        let (_, buffer) = slots
            .iter()
            .find(|(slot, _)| *slot == place)
            .expect("made above");
        upload
            .write(buffer, 0, bytemuck::cast_slice(angles))
            .await?;
    }
    Ok(slots)
}

/// Slots of a mixture of experts, and their bytes.
fn expert_slots(config: &Config, chunk: usize) -> Vec<(Slot, u64)> {
    let Some(experts) = config.experts else {
        return vec![];
    };
    let pairs = chunk as u64 * u64::from(experts.used) * 4;
    vec![
        (
            Slot::Router,
            chunk.next_multiple_of(8) as u64 * u64::from(padded(experts.count)) * 4,
        ),
        (Slot::Chosen, pairs),
        (Slot::Shares, pairs),
        (Slot::ExpertsUp, pairs * u64::from(padded(config.ffn_width))),
        (Slot::ExpertsOut, pairs * u64::from(padded(config.width))),
    ]
}

/// RoPE's angles for `context` positions, and those of layers with a window where they have others.
async fn angles(
    config: &Config,
    file: &ModelFile,
    layout: &Layout,
    context: usize,
) -> Result<Vec<Vec<f32>>> {
    let tensor = match &layout.rope_factors {
        RopeFactors::None => None,
        RopeFactors::Always(tensor) => Some(tensor),
        RopeFactors::ByContext(short, long) => {
            let is_long = context > config.rope.original_context as usize;
            Some(if is_long { long } else { short })
        }
    };
    let factors = match tensor {
        Some(tensor) => Some(values(file, tensor).await?),
        None => None,
    };
    if let Some(v) = factors.iter().flatten().find(|v| **v <= 0.0) {
        let name = tensor.map_or("", |t| &t.name);
        return Err(Error::BadFile(format!("{name} holds {v}")));
    }
    let mut all = vec![config.rope.angles(context, factors.as_deref())];
    all.extend(
        config
            .local_rope
            .as_ref()
            .map(|local| local.angles(context, None)),
    );
    Ok(all)
}
