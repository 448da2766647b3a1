//! Attention: rows rotated, the cache written, and read by the kernel that suits the adapter.

use lantern_kernels::{
    Kernel, Part, attention, attention_combine, attention_positions, attention_tiles,
    attention_tokens, bytes_of_params,
    parts::{
        Cache, Cells as CellsPart, Ending, HeadNorm, RopeStyle as RopePart, Scores as ScoresPart,
    },
    rope,
    store::{self, BLOCK},
};

use super::Emitter;
use crate::{
    graph::{
        Attend, Columns, Mask, Rope, RopeStyle, Scores, StateId, StateKind, StoreKv, Tensor,
        TensorSpec,
    },
    model::options::CacheType,
    plan::{
        cost::Cost,
        dispatch::Binding,
        lowering::{LONG, Width},
        step::{FusedNorm, Step},
    },
};

/// How the cells of a layer's keys, or values, lie.
#[derive(Clone, Copy)]
struct Cells {
    place: CellsPart,
    /// How many a sequence has, or how many blocks of them.
    count: u32,
    /// From those of a head to the next's.
    of_head: u32,
}

/// Values of a value head that are stored beside its keys.
fn stored_values(op: &StoreKv) -> u32 {
    op.values.map_or(0, |_| op.value_dim)
}

impl Cells {
    const NONE: Cells = Cells {
        place: CellsPart::All,
        count: 0,
        of_head: 0,
    };

    fn part(self) -> &'static Part {
        self.place.part()
    }

    /// The constant of cells that lie in blocks.
    fn constant(self) -> Option<(&'static str, u32)> {
        let paged = self.place.paged();
        paged.then_some(("BLOCK_CELLS", self.of_head))
    }
}

/// The mask as the kernels have it.
fn mask(mask: Mask) -> attention::Mask {
    match mask {
        Mask::Causal => attention::Mask::CAUSAL,
        Mask::Window(window) => attention::Mask::window(window),
        Mask::Chunked(chunk) => attention::Mask::chunked(chunk),
        Mask::Symmetric(window) => attention::Mask::symmetric(window),
        Mask::None => attention::Mask::NONE,
    }
}

/// The scores of the kernels.
fn scores_part(scores: Scores) -> ScoresPart {
    match scores {
        Scores::Plain => ScoresPart::Plain,
        Scores::Softcap(_) => ScoresPart::Capped,
        Scores::Sinks(_) => ScoresPart::Sinks,
        Scores::Alibi(_) => ScoresPart::Alibi,
    }
}

/// Heads of a row on their way through the rope kernel.
struct Rotation {
    /// Heads of queries, and behind them of keys.
    x: Columns,
    /// Heads that are rotated into y.
    heads: u32,
    head_dim: u32,
    pairs: u32,
    skipped: u32,
    style: RopeStyle,
    /// The table of angles; none: nothing is rotated.
    table: Option<usize>,
    norm: Option<FusedNorm>,
    /// The first head that has the second half of the norm's weight.
    split: u32,
    /// Where keys and values go; none: keys go to y.
    store: Option<StoreKv>,
    y: Tensor,
}

impl Emitter<'_> {
    fn cells(&self, state: StateId) -> Cells {
        let kind = self.graph.states[state.0].kind;
        let StateKind::PerPosition { cells, window, .. } = kind else {
            unreachable!("keys and values are kept by position");
        };
        let lowering = self.lowering;
        let (whole, windowed) = match lowering.block {
            Some(_) => (CellsPart::Paged, CellsPart::PagedWindow),
            None => (CellsPart::All, CellsPart::Ring),
        };
        Cells {
            place: window.map_or(whole, |_| windowed),
            count: lowering
                .block
                .map_or(cells, |block| lowering.context.div_ceil(block)),
            of_head: lowering.block.unwrap_or(cells * lowering.sequences),
        }
    }

    /// Queries rotated, and keys: on their way into the cache, where they are stored from here.
    pub(super) fn rope(&mut self, step: &Step, op: &Rope) {
        let heads = match &step.store {
            Some(_) => op.heads,
            None => op.heads + op.kv_heads,
        };
        self.rotate(&Rotation {
            x: op.x,
            heads,
            head_dim: op.head_dim,
            pairs: op.pairs,
            skipped: op.skipped,
            style: op.style,
            table: Some(op.table),
            norm: step.norm,
            split: op.heads,
            store: step.store.clone(),
            y: Emitter::output(step),
        });
    }

    /// A tensor that the kernel binds in place of what it does not read or write.
    fn unused(&mut self) -> Tensor {
        self.declare(TensorSpec::fixed("unused", 1, 4))
    }

    /// A cache, or what the kernel binds in place of one that it does not write.
    fn written(&mut self, state: Option<StateId>) -> Binding {
        match state {
            Some(state) => Binding::State(state),
            None => Binding::Tensor(self.unused()),
        }
    }

    /// Keys and values into the cache, as they are.
    pub(super) fn store_kv(&mut self, op: &StoreKv) {
        if self.lowering.cache.block_words().is_some() {
            self.store_blocks(op);
            return;
        }
        let y = self.unused();
        self.rotate(&Rotation {
            x: op.k,
            heads: 0,
            head_dim: op.head_dim,
            pairs: 0,
            skipped: 0,
            style: RopeStyle::Interleaved,
            table: None,
            norm: None,
            split: 0,
            store: Some(op.clone()),
            y,
        });
    }

    fn rotate(&mut self, rotation: &Rotation) {
        let lowering = self.lowering;
        let store = rotation.store.as_ref();
        let keys = store.map(|store| store.keys);
        let values = store.and_then(|store| store.values);
        let v = store.map_or(rotation.x, |store| store.v);
        let cells = keys.map_or(Cells::NONE, |keys| self.cells(keys));
        let params = rope::Params {
            heads: rotation.heads,
            kv_heads: store.map_or(0, |store| store.kv_heads),
            pairs: rotation.pairs,
            skipped: rotation.skipped,
            split: rotation.split,
            x_stride: self.stride(rotation.x.tensor),
            x_start: rotation.x.start,
            v_stride: self.stride(v.tensor),
            v_start: v.start,
            y_stride: self.stride(rotation.y),
            cells: cells.count,
            head_cells: cells.of_head,
            value_cell: store.map_or(0, stored_values),
            eps: rotation.norm.map_or(0.0, |norm| norm.eps),
        };
        // Blocks have a kernel of their own: all heads go to y, and no cell is written.
        let cache = match self.cache() {
            blocks if blocks.block_words().is_some() => Cache::F32,
            single => single,
        };
        let style = match rotation.style {
            RopeStyle::NeoX => RopePart::NeoX,
            RopeStyle::Interleaved => RopePart::Interleaved,
        };
        let angles = match rotation.table {
            Some(table) => Binding::RopeTable(table),
            None => Binding::Tensor(self.unused()),
        };
        let mut binds = vec![
            ("angles", angles),
            ("x", Binding::Tensor(rotation.x.tensor)),
            ("v", Binding::Tensor(v.tensor)),
            ("y", Binding::Tensor(rotation.y)),
            ("keys", self.written(keys)),
            ("values", self.written(values)),
        ];
        let norm = rotation.norm.map(|norm| Binding::Vector(norm.weight));
        binds.extend(norm.map(|norm| ("norm_weight", norm)));
        let head_norm = if norm.is_some() {
            HeadNorm::Rms
        } else {
            HeadNorm::None
        };
        let parts = [cache.store(), style.part(), cells.part(), head_norm.part()];
        let mut consts = vec![("HEAD_DIM", rotation.head_dim)];
        consts.extend(cells.constant());
        let shader = lowering.shader(&rope::ROPE, &parts, &consts);
        let rotated = (params.heads + params.kv_heads) * rotation.head_dim;
        let units = (rotated + params.kv_heads * params.value_cell) / 4;
        let what = if store.is_some() {
            "into the cache"
        } else {
            ""
        };
        let flow = self.flow(rotation.x.tensor, rotation.y);
        self.dispatch(shader, (what, flow), binds, bytes_of_params(&params), units);
    }

    /// Keys and values into a cache of quantised blocks.
    fn store_blocks(&mut self, op: &StoreKv) {
        let cells = self.cells(op.keys);
        let params = store::Params {
            k_start: op.k.start,
            k_stride: self.stride(op.k.tensor),
            v_start: op.v.start,
            v_stride: self.stride(op.v.tensor),
            kv_heads: op.kv_heads,
            head_blocks: op.head_dim / BLOCK as u32,
            value_blocks: stored_values(op) / BLOCK as u32,
            cells: cells.count,
            head_cells: cells.of_head,
        };
        let binds = vec![
            ("keys", Binding::State(op.keys)),
            ("values", self.written(op.values)),
            ("k", Binding::Tensor(op.k.tensor)),
            ("v", Binding::Tensor(op.v.tensor)),
        ];
        let store = self.cache().store();
        let parts = [store, cells.part()];
        let consts: Vec<_> = cells.constant().into_iter().collect();
        let shader = self.lowering.shader(&store::STORE, &parts, &consts);
        let units = params.kv_heads * (params.head_blocks + params.value_blocks);
        let flow = format!("{} → cache", self.word(op.k.tensor));
        let params = bytes_of_params(&params);
        self.dispatch(shader, ("into the cache", flow), binds, params, units);
    }

    /// How the kernels keep keys and values.
    fn cache(&self) -> Cache {
        match self.lowering.cache {
            CacheType::F32 => Cache::F32,
            CacheType::F16 => Cache::F16,
            CacheType::Q8_0 => Cache::Q8_0,
            CacheType::Q4_0 => Cache::Q4_0,
        }
    }

    /// The kernel that suits the adapter.
    fn attention_kernel(&self, op: &Attend) -> &'static Kernel {
        let lowering = self.lowering;
        let prompt = !lowering.width.is_decode() && lowering.sequences == 1;
        let head_max = op.head_dim.max(op.value_dim);
        let short = head_max <= attention_tokens::HEAD_MAX
            && lowering.context <= attention_tokens::CONTEXT_MAX;
        let mut dims = [op.head_dim, op.value_dim].into_iter();
        let eights = dims.all(|dim| dim.is_multiple_of(attention::EIGHT));
        let suiting = [
            (&attention_tiles::ATTENTION_TILES, prompt),
            (&attention_tokens::ATTENTION_TOKENS, prompt && short),
            (
                &attention_positions::ATTENTION_POSITIONS,
                !(prompt && short) && eights,
            ),
        ];
        let gpu = lowering.gpu;
        let generic = gpu.forced(&attention::ATTENTION).is_some();
        let best = suiting.into_iter().find(|&(kernel, suits)| {
            suits && (gpu.forced(kernel).is_some() || gpu.has_variant(kernel) && !generic)
        });
        best.map_or(&attention::ATTENTION, |(kernel, _)| kernel)
    }

    fn attention_params(&self, op: &Attend, output: Tensor) -> attention::Params {
        let cells = self.cells(op.keys);
        let (cap, max_bias) = match op.scores {
            Scores::Softcap(cap) => (cap, 0.0),
            Scores::Alibi(max_bias) => (0.0, max_bias),
            Scores::Plain | Scores::Sinks(_) => (0.0, 0.0),
        };
        let params = attention::Params {
            kv_heads: op.kv_heads,
            q_stride: self.stride(op.q),
            y_stride: self.stride(output),
            scale: op.scale,
            cap,
            max_bias,
            cells: cells.count,
            head_cells: cells.of_head,
            value_cell: if op.values.is_some() {
                op.value_dim
            } else {
                op.head_dim
            },
            ..attention::Params::default()
        };
        params.masked(mask(op.mask))
    }

    /// Least work of attention for each position.
    fn attention_cost(&self, op: &Attend) -> Cost {
        let caches = [Some(op.keys), op.values].into_iter().flatten();
        let cells = caches.map(|state| self.graph.states[state.0].position_bytes());
        Cost {
            position_bytes: cells.sum(),
            position_operations: 2 * u64::from(op.heads * (op.head_dim + op.value_dim)),
            mask: mask(op.mask),
            ..Cost::default()
        }
    }

    pub(super) fn attend(&mut self, step: &Step, op: &Attend) {
        let output = Emitter::output(step);
        let lowering = self.lowering;
        let group = op.heads / op.kv_heads;
        let heads = attention::heads_together(op.head_dim.max(op.value_dim), group);
        let params = self.attention_params(op, output);
        let split = lowering.width == Width::DecodeLong
            && lowering.splits()
            && mask(op.mask).positions_max() >= LONG;
        let kernel = self.attention_kernel(op);
        let ending = if split { Ending::Split } else { Ending::Whole };
        let mut parts = vec![
            self.cache().part(),
            scores_part(op.scores).part(),
            self.cells(op.keys).part(),
        ];
        if kernel.sockets.contains(&Ending::SOCKET) {
            parts.push(ending.part());
        }
        let splits = attention_combine::kv_splits(lowering.gpu.software(), op.heads / heads);
        let y = if split {
            let cols = splits * (op.value_dim + 2);
            self.declare(TensorSpec::fixed("splits", op.heads, cols))
        } else {
            output
        };
        let mut binds = vec![
            ("qkv", Binding::Tensor(op.q)),
            ("keys", Binding::State(op.keys)),
            ("values", Binding::State(op.values.unwrap_or(op.keys))),
            ("y", Binding::Tensor(y)),
        ];
        if let Scores::Sinks(sinks) = op.scores {
            binds.push(("sinks", Binding::Vector(sinks)));
        }
        let mut consts = vec![
            ("HEAD_DIM", op.head_dim),
            ("VALUE_DIM", op.value_dim),
            ("GROUP", group),
        ];
        let tiles = kernel.name == attention_tiles::ATTENTION_TILES.name;
        consts.extend((!tiles).then_some(("HEADS", heads)));
        consts.extend(split.then_some(("KV_SPLITS", splits)));
        consts.extend(self.cells(op.keys).constant());
        let shader = lowering.shader(kernel, &parts, &consts);
        let flow = self.flow(op.q, y);
        let units = if tiles { op.kv_heads } else { op.heads / heads };
        let params = bytes_of_params(&params);
        let cost = self.attention_cost(op);
        self.dispatch(shader, (&op.to_string(), flow), binds, params, units)
            .cost = cost;
        if split {
            self.attention_combine(op, splits, y, output);
        }
    }

    fn attention_combine(&mut self, op: &Attend, splits: u32, partial: Tensor, y: Tensor) {
        let consts = [("VALUE_DIM", op.value_dim), ("KV_SPLITS", splits)];
        let shader = self
            .lowering
            .shader(&attention_combine::ATTENTION_COMBINE, &[], &consts);
        let binds = vec![
            ("partial", Binding::Tensor(partial)),
            ("y", Binding::Tensor(y)),
        ];
        let what = format!("{splits} splits");
        let flow = self.flow(partial, y);
        self.dispatch(shader, (&what, flow), binds, vec![], op.heads);
    }
}
