//! A model on the GPU: its weights, the slots that sessions share, and the plans' builder.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use lantern_kernels::store::BLOCK;
use xxhash_rust::xxh3::Xxh3;

use super::{
    about::builder,
    activations::{Activations, activations},
    random::RandomLoader,
    stream::{Division, Loading, Stream, Streaming, Unit, divide},
    weights::Stored,
};
use crate::{
    Error, Gpu, Limit, ModelFile, Result, Unsupported,
    gpu::{buffer::Buffer, pipeline::BindingResource, upload::Upload},
    model::{
        config::{AttentionConfig, Config},
        forward::Ending,
        layout::Layout,
        lora::LoraLayout,
        options::{CacheType, LoadOptions, Precision},
        weights::{ALIGNMENT, PieceLimits},
    },
    plan::plans::{Builder, Plans},
};

/// The share of the memory that there is which a model and its session may take.
const MEMORY_SHARE: f64 = 0.9;

/// The longest context on an adapter that runs on the CPU: llvmpipe ends a shader's loops, silently, after 65,535 turns,
/// of which attention needs up to four a position.
const CONTEXT_SOFTWARE_MAX: u64 = 16_384;

/// A model on a GPU; cheap to clone.
#[derive(Clone)]
pub struct Model(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub gpu: Arc<Gpu>,
    pub config: Config,
    pub layout: Layout,
    pub precision: Precision,
    pub cache: CacheType,
    pub context: usize,
    pub prefill_batch: usize,
    /// Buffers of each matrix's pieces.
    matrices: Vec<Vec<Stored>>,
    /// Weights that come from the file whenever they are needed.
    pub stream: Option<Stream>,
    /// The file, where tables stay in it.
    pub file: Option<ModelFile>,
    /// Bytes on the GPU that it and a session were to keep to.
    budget: Option<u64>,
    /// All vectors, each at its offset.
    vectors: Buffer,
    vector_places: Vec<(u64, u64)>,
    /// Cosines and sines, (context, pairs, 2), of each table that blocks name.
    rope_tables: Vec<Buffer>,
    /// Buffers that activations of a pass take turns in; sessions share them.
    pub activations: Activations,
    /// The plans, and the version of the adapter's variants that they were made of.
    plans: Mutex<(u64, Arc<Plans>)>,
    /// XXH3 of the weight bytes in load order; identifies the model to saved sessions and LoRA.
    hash: u64,
}

impl Model {
    /// Brings the weights to the GPU. `progress(done, total)` counts bytes of the file; breaking it ends in
    /// [`Error::Aborted`].
    ///
    /// Tables that tokens look up stay in the file where not all fits: into [`LoadOptions::gpu_memory`]; without, into what
    /// memory the adapter says that it has, or, where it says nothing and some allocation fails, into what there was. Where
    /// that is too little, layers stream from a file on this machine.
    pub async fn load(
        gpu: &Arc<Gpu>,
        file: &ModelFile,
        options: &LoadOptions,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Model> {
        let share = |bytes: u64| (bytes as f64 * MEMORY_SHARE) as u64;
        let local = options.gpu_memory.is_none() && file.is_local();
        let may_leave = options.gpu_memory.is_none() && file.noise().is_none();
        let known = gpu.memory_bytes().filter(|_| local).map(share);
        let before = gpu.counters().gpu_bytes;
        let mut peak = before;
        let mut watched = |done, total| {
            peak = peak.max(gpu.counters().gpu_bytes);
            progress(done, total)
        };
        let budget = options.gpu_memory.or(known);
        match Model::load_within(gpu, file, options, budget, &mut watched).await {
            Err(error @ Error::DoesNotFit { .. }) if may_leave && peak > before => {
                let budget = Some(share(peak - before));
                match Model::load_within(gpu, file, options, budget, progress).await {
                    Err(Error::DoesNotFit { .. }) if !local => Err(error),
                    loaded => loaded,
                }
            }
            loaded => loaded,
        }
    }

    async fn load_within(
        gpu: &Arc<Gpu>,
        file: &ModelFile,
        options: &LoadOptions,
        budget: Option<u64>,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Model> {
        let config = Config::with_drafts(file, options.draft)?;
        let mut layout = Layout::of(PieceLimits::of(gpu), file, &config)?;
        let context = options.context_of(&config);
        check_context(gpu, &config, options.cache_type(), context)?;
        let prefill_batch = options.prefill_batch_on(gpu, &config);
        let mut upload = Upload::new(gpu);
        let (vectors, vector_places, vector_bytes) =
            load_vectors(gpu, file, &layout, &mut upload).await?;
        let rope_tables = load_rope_tables(gpu, file, &layout, context, &mut upload).await?;
        let version = gpu.variants_version();
        let taken = rope_tables.iter().map(|table| table.size).sum::<u64>() + vectors.size;
        let may_stream = options.gpu_memory.is_some() || file.is_local();
        let (plans, units) = divided(
            gpu,
            &config,
            &mut layout,
            options,
            (budget, taken, may_stream),
        )?;
        let activations = activations(gpu, &plans.buffers(), &vec![]).await?;
        let compiling = gpu.compile_ahead(plans.shaders());

        let mut loading = Loading {
            gpu,
            file,
            layout: &layout,
            units: &units,
            upload,
            random: RandomLoader::of(gpu, file),
            read: (0, 0.0),
        };
        let mut hash = Xxh3::new();
        let matrices = load_matrices(&mut loading, &mut hash, progress).await?;
        let read = loading.read;
        hash.update(&vector_bytes);
        let stream = Stream::of(gpu, file, &layout.matrices, units, read).await?;
        compiling.finish()?;
        let file = layout.looks_up().then(|| file.clone());
        let (gpu, precision, cache) = (gpu.clone(), options.precision, options.cache_type());
        let loaded = Loaded {
            gpu,
            config,
            layout,
            precision,
            cache,
            context,
            prefill_batch,
            matrices,
            stream,
            file,
            budget,
            vectors,
            vector_places,
            rope_tables,
            activations,
            plans: Mutex::new((version, Arc::new(plans))),
            hash: hash.digest(),
        };
        Ok(Model(Arc::new(loaded)))
    }

    /// The model's numbers.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The GPU that it is on.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.0.gpu
    }

    /// Positions that a session has.
    pub fn context(&self) -> usize {
        self.0.context
    }

    /// Tokens of a prefill pass.
    pub fn prefill_batch(&self) -> usize {
        self.0.prefill_batch
    }

    /// Tells its weights from those of any other model.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }

    /// How exactly it computes.
    pub fn precision(&self) -> Precision {
        self.0.precision
    }

    /// Bytes of its matrices in the file.
    pub fn weight_bytes(&self) -> u64 {
        self.0.layout.weight_bytes()
    }

    /// Bytes on the GPU that it and a session were to keep to, where any were set or known.
    pub fn budget(&self) -> Option<u64> {
        self.0.budget
    }

    /// How it streams, where not all of it fits.
    pub fn streaming(&self) -> Option<Streaming> {
        self.0.stream.as_ref().map(Stream::about)
    }

    /// Bytes of tables that stay in the file for want of memory: their rows are read as tokens ask for them.
    pub fn tables_in_file(&self) -> u64 {
        self.0.tables_in_file()
    }

    /// Bytes of a session's keys and values.
    pub fn cache_bytes(&self) -> u64 {
        let loaded = &self.0;
        let (context, prefill_batch) = (loaded.context, loaded.prefill_batch);
        loaded
            .config
            .cache_bytes(loaded.cache, context, prefill_batch)
    }

    /// How keys and values are kept.
    pub fn cache_type(&self) -> CacheType {
        self.0.cache
    }
}

impl Loaded {
    /// Builds plans of this model, with LoRA beside its layers.
    pub fn builder<'a>(
        &'a self,
        loras: &'a [(&'a LoraLayout, f32)],
        sequences: u32,
    ) -> Builder<'a> {
        Builder {
            loras,
            gpu: &self.gpu,
            config: &self.config,
            layout: &self.layout,
            precision: self.precision,
            cache: self.cache,
            context: self.context as u32,
            prefill_batch: self.prefill_batch as u32,
            sequences,
            block: None,
            ending: Ending::of(&self.config, &self.layout),
        }
    }

    /// The plans of a session of one sequence without LoRA: built once, and again when the adapter's variants have
    /// changed.
    pub fn plans(&self) -> Arc<Plans> {
        let version = self.gpu.variants_version();
        let mut kept = self.plans.lock().expect("not poisoned");
        if kept.0 != version {
            *kept = (version, Arc::new(self.builder(&[], 1).plans()));
        }
        kept.1.clone()
    }

    /// Tells the model's weights from those of any other.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", self.hash)
    }

    /// A plane of a piece of a matrix.
    pub fn weights(&self, matrix: usize, piece: usize, plane: &str) -> BindingResource<'_> {
        let about = &self.layout.matrices[matrix];
        match (&self.matrices[matrix][piece], &self.stream) {
            (&Stored::Turns(half, place), Some(stream)) => {
                about.range(piece, about.plane(plane), stream.buffer(half, place))
            }
            (stored, _) => stored.plane(about, piece, plane),
        }
    }

    pub fn vector(&self, index: usize) -> BindingResource<'_> {
        let (start, size) = self.vector_places[index];
        BindingResource {
            buffer: &self.vectors,
            start,
            size: Some(size),
        }
    }

    /// A table of RoPE's angles.
    pub fn rope_table(&self, index: usize) -> BindingResource<'_> {
        (&self.rope_tables[index]).into()
    }
}

/// Brings the matrices to the GPU, with all that was written before them.
async fn load_matrices(
    loading: &mut Loading<'_>,
    hash: &mut Xxh3,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Vec<Vec<Stored>>> {
    let total = loading.layout.weight_bytes();
    let mut done = 0;
    let mut each = |bytes: &[u8], stored: u64| {
        hash.update(bytes);
        done += stored;
        progress(done, total)
    };
    let matrices = loading.matrices(&mut each).await?;
    loading.upload.finish().await?;
    Ok(matrices)
}

/// The model's plans, and what streams where it does not fit into what it may take, of which so many bytes are taken
/// already. Tables stay in the file before layers do.
fn divided(
    gpu: &Gpu,
    config: &Config,
    layout: &mut Layout,
    options: &LoadOptions,
    (budget, taken, may_stream): (Option<u64>, u64, bool),
) -> Result<(Plans, Vec<Unit>)> {
    let prefill_batch = options.prefill_batch_on(gpu, config);
    let whole = builder(gpu, config, layout, options, prefill_batch);
    let plans = whole.plans();
    let division = match budget {
        Some(budget) => divide(&whole, &plans, (budget, taken), may_stream)?,
        None => None,
    };
    let Some(Division { matrices, units }) = division else {
        return Ok((plans, vec![]));
    };
    if layout.draft.is_some() {
        return Err(Error::unsupported(
            Unsupported::Streaming,
            "layers of a model cannot stream here beside a draft block: load it without that",
        ));
    }
    layout.leave_tables(matrices, prefill_batch as u32);
    let plans = builder(gpu, config, layout, options, prefill_batch).plans();
    Ok((plans, units))
}

impl Gpu {
    /// The longest context that a layer's keys, or its values, have room for.
    pub(crate) fn max_context(&self, config: &Config, cache: CacheType) -> u64 {
        let bytes = |attention: &AttentionConfig| {
            u64::from(attention.kv_heads) * cache.bytes(u64::from(attention.head_dim))
        };
        let position = config.attentions().map(bytes).max().unwrap_or(1);
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

fn check_context(gpu: &Gpu, config: &Config, cache: CacheType, context: usize) -> Result<()> {
    let odd = |attention: &&AttentionConfig| !attention.head_dim.is_multiple_of(BLOCK as u32);
    if cache.block_words().is_some()
        && let Some(attention) = config.attentions().find(odd)
    {
        return Err(Error::BadInput(format!(
            "a cache in blocks of {BLOCK} needs heads of a multiple of that, and these have {}: take f16",
            attention.head_dim
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
    let most = gpu.max_context(config, cache);
    if context as u64 > most {
        let name = &gpu.adapter().name;
        return Err(Error::DoesNotFit {
            limit: Limit::Context,
            needed: context as u64,
            available: Some(most),
            message: format!("{name} has room for a context of {most}; {context} were asked for"),
        });
    }
    Ok(())
}

/// RoPE's tables of a model, each in a buffer.
async fn load_rope_tables(
    gpu: &Gpu,
    file: &ModelFile,
    layout: &Layout,
    context: usize,
    upload: &mut Upload<'_>,
) -> Result<Vec<Buffer>> {
    let max = gpu.adapter().limits.max_storage_buffer_binding_size;
    let mut tables = Vec::new();
    for table in &layout.rope_tables {
        let angles = table.angles(file, context).await?;
        let size = angles.len() as u64 * 4;
        if size > max {
            return Err(Error::DoesNotFit {
                limit: Limit::Binding,
                needed: size,
                available: Some(max),
                message: format!("RoPE's angles take {size} of {max} bytes: try a smaller context"),
            });
        }
        let buffer = gpu.storage("RoPE's angles", size).await?;
        upload
            .write(&buffer, 0, bytemuck::cast_slice(&angles))
            .await?;
        tables.push(buffer);
    }
    Ok(tables)
}

/// All vectors in one buffer, where each lies, and the buffer's bytes.
async fn load_vectors(
    gpu: &Gpu,
    file: &ModelFile,
    layout: &Layout,
    upload: &mut Upload<'_>,
) -> Result<(Buffer, Vec<(u64, u64)>, Vec<u8>)> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut sizes = Vec::new();
    for vector in &layout.vectors {
        let values = vector.values(file).await?;
        sizes.push((bytes.len() as u64, values.len() as u64 * 4));
        bytes.extend_from_slice(bytemuck::cast_slice(&values));
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
    }
    let buffer = gpu
        .storage_or_uniform("vectors", bytes.len() as u64)
        .await?;
    upload.write(&buffer, 0, &bytes).await?;
    Ok((buffer, sizes, bytes))
}
