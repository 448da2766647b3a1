//! Attention: rows rotated, the cache written, and read by the kernel that suits the adapter.

use lantern_kernels::{
    Kernel, attention, attention_combine, attention_positions, attention_tiles, attention_tokens,
    bytes_of_params,
    parts::{Cache, Ending, Mask as MaskPart, RopeStyle as RopePart, Scores},
    rope,
    store::{self, BLOCK},
};

use super::Emitter;
use crate::{
    graph::{Attend, Mask, Rope, RopeStyle, StateId, StateKind, StoreKv, Tensor, TensorSpec},
    model::options::CacheType,
    plan::{
        cost::Cost,
        dispatch::Binding,
        lowering::{LONG, Width},
        step::Step,
    },
};

/// How the cells of a layer's keys, or values, lie.
#[derive(Clone, Copy)]
struct Cells {
    /// Positions that are read; 0: all.
    window: u32,
    /// How many a sequence has.
    count: u32,
}

impl Cells {
    /// Which cells are written: of a ring, or of all positions.
    fn mask(self) -> MaskPart {
        if self.window > 0 {
            MaskPart::Window
        } else {
            MaskPart::Causal
        }
    }
}

/// The mask of the kernels.
fn mask_part(mask: Mask) -> MaskPart {
    match mask {
        Mask::Causal => MaskPart::Causal,
        Mask::Window(_) => MaskPart::Window,
        Mask::None => MaskPart::None,
    }
}

/// The scores of the kernels: capped, or not.
fn scores(softcap: Option<f32>) -> Scores {
    match softcap {
        Some(_) => Scores::Capped,
        None => Scores::Plain,
    }
}

/// Heads of a row on their way through the rope kernel.
struct Rotation {
    x: Tensor,
    /// Heads that rotate in place.
    heads: u32,
    /// Key heads that rotate on their way into the cache, and value heads that go there.
    kv_heads: u32,
    head_dim: u32,
    pairs: u32,
    style: RopeStyle,
    table: usize,
    /// Keys and values.
    states: [StateId; 2],
}

impl Emitter<'_> {
    fn cells(&self, state: StateId) -> Cells {
        let kind = self.graph.states[state.0].kind;
        let StateKind::PerPosition { cells, window, .. } = kind else {
            unreachable!("keys and values are kept by position");
        };
        Cells {
            window: window.unwrap_or(0),
            count: cells,
        }
    }

    /// Queries rotated in place, and keys: on their way into the cache, where they are stored from here.
    pub(super) fn rope(&mut self, step: &Step, op: &Rope) {
        let (heads, kv_heads, states) = match &step.store {
            Some(store) => (op.heads, op.kv_heads, [store.keys, store.values]),
            None => (op.heads + op.kv_heads, 0, self.any_cache()),
        };
        self.rotate(&Rotation {
            x: op.x,
            heads,
            kv_heads,
            head_dim: op.head_dim,
            pairs: op.pairs,
            style: op.style,
            table: op.table,
            states,
        });
    }

    /// The kernel binds a cache whether it writes to it or not.
    fn any_cache(&self) -> [StateId; 2] {
        let layer = self.layer;
        let mut own = (0..self.graph.states.len())
            .filter(|&state| Some(self.graph.states[state].layer) == layer)
            .map(StateId);
        [(); 2].map(|()| {
            own.next()
                .expect("a layer with attention keeps keys and values")
        })
    }

    /// Keys and values into the cache, as they are.
    pub(super) fn store_kv(&mut self, op: &StoreKv) {
        if self.lowering.cache.block_words().is_some() {
            self.store_blocks(op);
            return;
        }
        self.rotate(&Rotation {
            x: op.x,
            heads: op.start / op.head_dim,
            kv_heads: op.kv_heads,
            head_dim: op.head_dim,
            pairs: 0,
            style: RopeStyle::Interleaved,
            table: 0,
            states: [op.keys, op.values],
        });
    }

    fn rotate(&mut self, rotation: &Rotation) {
        let lowering = self.lowering;
        let [keys, values] = rotation.states;
        let cells = self.cells(keys);
        let params = rope::Params {
            heads: rotation.heads,
            kv_heads: rotation.kv_heads,
            pairs: rotation.pairs,
            stride: self.stride(rotation.x),
            cells: cells.count,
            head_cells: cells.count * lowering.sequences,
        };
        // Blocks have a kernel of their own: heads rotate in place, and no cell is written.
        let cache = match self.cache() {
            blocks if blocks.block_words().is_some() => Cache::F32,
            single => single,
        };
        let style = match rotation.style {
            RopeStyle::NeoX => RopePart::NeoX,
            RopeStyle::Interleaved => RopePart::Interleaved,
        };
        let binds = vec![
            ("angles", Binding::RopeTable(rotation.table)),
            ("qkv", Binding::Tensor(rotation.x)),
            ("keys", Binding::State(keys)),
            ("values", Binding::State(values)),
        ];
        let parts = [cache.store(), style.part(), cells.mask().cells().part()];
        let consts = [("HEAD_DIM", rotation.head_dim)];
        let shader = lowering.shader(&rope::ROPE, &parts, &consts);
        let values = (params.heads + 2 * params.kv_heads) * rotation.head_dim;
        let what = if rotation.kv_heads > 0 {
            "into the cache"
        } else {
            "in place"
        };
        let units = values / 4;
        let flow = self.flow(rotation.x, rotation.x);
        self.dispatch(shader, (what, flow), binds, bytes_of_params(&params), units);
    }

    /// Keys and values into a cache of quantised blocks.
    fn store_blocks(&mut self, op: &StoreKv) {
        let lowering = self.lowering;
        let cells = self.cells(op.keys);
        let params = store::Params {
            start: op.start,
            blocks: op.kv_heads * op.head_dim / BLOCK as u32,
            head_blocks: op.head_dim / BLOCK as u32,
            stride: self.stride(op.x),
            cells: cells.count,
            head_cells: cells.count * lowering.sequences,
        };
        let binds = vec![
            ("keys", Binding::State(op.keys)),
            ("values", Binding::State(op.values)),
            ("qkv", Binding::Tensor(op.x)),
        ];
        let store = self.cache().store();
        let parts = [store, cells.mask().cells().part()];
        let shader = self.lowering.shader(&store::STORE, &parts, &[]);
        let units = 2 * params.blocks;
        let flow = format!("{} → cache", self.word(op.x));
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
        let short = op.head_dim <= attention_tokens::HEAD_MAX
            && lowering.context <= attention_tokens::CONTEXT_MAX;
        let suiting = [
            (&attention_tiles::ATTENTION_TILES, prompt),
            (&attention_tokens::ATTENTION_TOKENS, prompt && short),
            (
                &attention_positions::ATTENTION_POSITIONS,
                !(prompt && short) && op.head_dim.is_multiple_of(attention::EIGHT),
            ),
        ];
        let gpu = lowering.gpu;
        let generic = gpu.forced(&attention::ATTENTION).is_some();
        let best = suiting.into_iter().find(|&(kernel, suits)| {
            suits && (gpu.forced(kernel).is_some() || gpu.has_variant(kernel) && !generic)
        });
        best.map_or(&attention::ATTENTION, |(kernel, _)| kernel)
    }

    pub(super) fn attend(&mut self, step: &Step, op: &Attend) {
        let output = Emitter::output(step);
        let lowering = self.lowering;
        let (group, cells) = (op.heads / op.kv_heads, self.cells(op.keys));
        let heads = attention::heads_together(op.head_dim, group);
        let params = attention::Params {
            kv_heads: op.kv_heads,
            q_stride: self.stride(op.q),
            y_stride: self.stride(output),
            scale: op.scale,
            cap: op.softcap.unwrap_or(0.0),
            window: cells.window,
            cells: cells.count,
            head_cells: cells.count * lowering.sequences,
        };
        let window = match op.mask {
            Mask::Window(window) => Some(window),
            Mask::Causal | Mask::None => None,
        };
        let split = lowering.width == Width::DecodeLong
            && lowering.splits()
            && window.is_none_or(|window| window >= LONG);
        let kernel = self.attention_kernel(op);
        let ending = if split { Ending::Split } else { Ending::Whole };
        let mut parts = vec![
            self.cache().part(),
            scores(op.softcap).part(),
            mask_part(op.mask).part(),
        ];
        if kernel.sockets.contains(&Ending::SOCKET) {
            parts.push(ending.part());
        }
        let splits = attention_combine::kv_splits(lowering.gpu.software(), op.heads / heads);
        let y = if split {
            let cols = splits * (op.head_dim + 2);
            self.declare(TensorSpec::fixed("splits", op.heads, cols))
        } else {
            output
        };
        let binds = vec![
            ("qkv", Binding::Tensor(op.q)),
            ("keys", Binding::State(op.keys)),
            ("values", Binding::State(op.values)),
            ("y", Binding::Tensor(y)),
        ];
        let mut consts = vec![("HEAD_DIM", op.head_dim), ("GROUP", group)];
        let tiles = kernel.name == attention_tiles::ATTENTION_TILES.name;
        consts.extend((!tiles).then_some(("HEADS", heads)));
        consts.extend(split.then_some(("KV_SPLITS", splits)));
        let shader = lowering.shader(kernel, &parts, &consts);
        let what = format!("{} heads of {}", op.heads, op.head_dim);
        let cell = self.graph.states[op.keys.0].position_bytes();
        let cost = Cost {
            position_bytes: 2 * cell,
            position_operations: 4 * u64::from(op.heads * op.head_dim),
            window,
            ..Cost::default()
        };
        let flow = self.flow(op.q, y);
        let units = if tiles { op.kv_heads } else { op.heads / heads };
        let params = bytes_of_params(&params);
        self.dispatch(shader, (&what, flow), binds, params, units)
            .cost = cost;
        if split {
            self.attention_combine(op, splits, y, output);
        }
    }

    fn attention_combine(&mut self, op: &Attend, splits: u32, partial: Tensor, y: Tensor) {
        let consts = [("HEAD_DIM", op.head_dim), ("KV_SPLITS", splits)];
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
