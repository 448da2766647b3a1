//! Attention on its way into a plan: positions rotated, the cache written, and read by the kernel that suits the adapter.

use lantern_kernels::{
    Kernel, Part, attention, attention_combine, attention_positions, attention_tokens,
    bytes_of_params, padded,
    parts::{
        BLOCKS_Q4_0, BLOCKS_Q8_0, CACHE_F16, CACHE_F16_TEXTURE, CACHE_F32, CACHE_Q4_0, CACHE_Q8_0,
        END_SPLIT, END_WHOLE, Mask, ROPE_INTERLEAVED, ROPE_NEOX, SCORES_CAPPED, SCORES_PLAIN,
        STORE_F16, STORE_F16_TEXTURE, STORE_F32,
    },
    rope,
    store::{self, BLOCK},
};

use super::{
    build::{Builder, LONG, Width, dispatch},
    cost::Cost,
    dispatch::{Binding, Dispatch, Slot},
};
use crate::model::{families::RopeStyle, load::cache_layer_bytes, options::CacheType};

impl Builder<'_> {
    pub(super) fn rope(&self, layer: u32, all: &mut Vec<Dispatch>) {
        let config = self.config;
        // Keys that are not stored as they are are rotated in place, as queries are, and are quantised after that.
        let blocks = self.cache.block_words().is_some();
        let (_, cells) = self.window(layer);
        let params = rope::Params {
            heads: config.heads + if blocks { config.kv_heads } else { 0 },
            kv_heads: if blocks { 0 } else { config.kv_heads },
            pairs: config.rotated_pairs(layer),
            stride: padded(config.qkv_dim()),
            cells,
            head_cells: cells,
        };
        let local = config.local_rope.is_some() && config.window_of(layer).is_some();
        let angles = if local {
            Slot::LocalAngles
        } else {
            Slot::Angles
        };
        let binds = vec![
            ("angles", Binding::Slot(angles)),
            ("qkv", Binding::Slot(Slot::Qkv)),
            ("keys", Binding::Keys(layer)),
            ("values", Binding::Values(layer)),
            ("rows", Binding::Slot(Slot::Rows)),
        ];
        let store = match self.cache {
            CacheType::F16 if self.cache_textured(layer) => &STORE_F16_TEXTURE,
            CacheType::F16 => &STORE_F16,
            _ => &STORE_F32,
        };
        let parts = [
            store,
            if config.rope_style == RopeStyle::NeoX {
                &ROPE_NEOX
            } else {
                &ROPE_INTERLEAVED
            },
            self.mask(layer).cells(),
        ];
        let shader = self.shader(&rope::ROPE, &parts, &[("HEAD_DIM", config.head_dim)]);
        let values = (params.heads + 2 * params.kv_heads) * config.head_dim;
        let what = if blocks { "in place" } else { "into the cache" };
        let params = bytes_of_params(&params);
        let units = rope::units(values, store);
        all.push(dispatch(shader, what, "qkv → qkv", binds, params, units));
        if blocks {
            all.push(self.store(layer));
        }
    }

    /// Keys and values into a cache of blocks.
    fn store(&self, layer: u32) -> Dispatch {
        let config = self.config;
        let (_, cells) = self.window(layer);
        let params = store::Params {
            start: config.heads * config.head_dim,
            blocks: config.kv_heads * config.head_dim / BLOCK as u32,
            head_blocks: config.head_dim / BLOCK as u32,
            stride: padded(config.qkv_dim()),
            cells,
            head_cells: cells,
        };
        let binds = vec![
            ("keys", Binding::Keys(layer)),
            ("values", Binding::Values(layer)),
            ("qkv", Binding::Slot(Slot::Qkv)),
            ("rows", Binding::Slot(Slot::Rows)),
        ];
        let blocks = if self.cache == CacheType::Q8_0 {
            &BLOCKS_Q8_0
        } else {
            &BLOCKS_Q4_0
        };
        let shader = self.shader(&store::STORE, &[blocks, self.mask(layer).cells()], &[]);
        let (params, units) = (bytes_of_params(&params), 2 * params.blocks);
        dispatch(
            shader,
            "into the cache",
            "qkv → cache",
            binds,
            params,
            units,
        )
    }

    /// The window of a layer, and the cells of its cache.
    fn window(&self, layer: u32) -> (u32, u32) {
        let cells = self
            .config
            .cells(layer, self.context as usize, self.prefill_batch as usize);
        (self.config.window_of(layer).unwrap_or(0), cells as u32)
    }

    /// Which positions a row of a layer sees.
    fn mask(&self, layer: u32) -> Mask {
        match self.config.window_of(layer) {
            Some(_) => Mask::Window,
            None => Mask::Causal,
        }
    }

    /// Whether a layer's keys and values are kept in textures.
    pub(crate) fn cache_textured(&self, layer: u32) -> bool {
        let (config, gpu) = (self.config, self.gpu);
        let (_, cells) = self.window(layer);
        let bytes = cache_layer_bytes(config, self.cache, cells as usize);
        let halves = config.rope_style == RopeStyle::NeoX;
        let texels = rope::whole_texels(config.head_dim, config.rotated_pairs(layer), halves);
        let suits = self.cache == CacheType::F16 && texels && gpu.cache_texture_holds(bytes);
        suits && gpu.textures()
    }

    /// How attention reads the cache.
    fn cache_part(&self, layer: u32) -> &'static Part {
        match self.cache {
            CacheType::F16 if self.cache_textured(layer) => &CACHE_F16_TEXTURE,
            CacheType::F32 => &CACHE_F32,
            CacheType::F16 => &CACHE_F16,
            CacheType::Q8_0 => &CACHE_Q8_0,
            CacheType::Q4_0 => &CACHE_Q4_0,
        }
    }

    /// The kernel that suits the adapter.
    fn attention_kernel(&self, width: Width) -> &'static Kernel {
        let many = !width.is_decode()
            && self.config.head_dim <= attention_tokens::HEAD_MAX
            && self.context <= attention_tokens::CONTEXT_MAX;
        let special = if many {
            &attention_tokens::ATTENTION_TOKENS
        } else {
            &attention_positions::ATTENTION_POSITIONS
        };
        let suits = many || self.config.head_dim.is_multiple_of(attention::EIGHT);
        if suits && self.gpu.has_variant(special) {
            special
        } else {
            &attention::ATTENTION
        }
    }

    pub(super) fn attention(&self, layer: u32, width: Width, all: &mut Vec<Dispatch>) {
        let config = self.config;
        let group = config.heads / config.kv_heads;
        let heads = attention::heads_together(config.head_dim, group);
        let (window, cells) = self.window(layer);
        let params = attention::Params {
            kv_heads: config.kv_heads,
            q_stride: padded(config.qkv_dim()),
            y_stride: padded(config.heads * config.head_dim),
            scale: config.scales.attention,
            cap: config.scales.score_softcap.unwrap_or(0.0),
            window,
            cells,
            head_cells: cells,
        };
        let window = config.window_of(layer);
        let split = width == Width::DecodeLong && self.splits() && window.is_none_or(|w| w >= LONG);
        let kernel = self.attention_kernel(width);
        let softcapped = config.scales.score_softcap.is_some();
        let scores: &'static Part = if softcapped {
            &SCORES_CAPPED
        } else {
            &SCORES_PLAIN
        };
        let mut parts = vec![self.cache_part(layer), scores, self.mask(layer).part()];
        if !std::ptr::eq(kernel, &raw const attention_tokens::ATTENTION_TOKENS) {
            parts.push(if split { &END_SPLIT } else { &END_WHOLE });
        }
        let y = if split { Slot::Parts } else { Slot::Attention };
        let binds = vec![
            ("qkv", Binding::Slot(Slot::Qkv)),
            ("keys", Binding::Keys(layer)),
            ("values", Binding::Values(layer)),
            ("y", Binding::Slot(y)),
            ("rows", Binding::Slot(Slot::Rows)),
        ];
        let mut consts = vec![
            ("HEAD_DIM", config.head_dim),
            ("GROUP", group),
            ("HEADS", heads),
        ];
        consts.extend(split.then_some(("KV_SPLITS", attention_combine::KV_SPLITS)));
        let shader = self.shader(kernel, &parts, &consts);
        let what = format!("{} heads of {}", config.heads, config.head_dim);
        let cost = Cost {
            position_bytes: cache_layer_bytes(config, self.cache, 1) * 2,
            position_operations: 4 * u64::from(config.heads * config.head_dim),
            window,
            ..Cost::default()
        };
        let units = config.heads / heads;
        let flow = format!("qkv → {}", y.name());
        all.push(Dispatch {
            cost,
            ..dispatch(shader, &what, &flow, binds, bytes_of_params(&params), units)
        });
        if split {
            all.push(self.attention_combine());
        }
    }

    /// Whether attention far into the context is split while decoding.
    pub(crate) fn splits(&self) -> bool {
        let join = &attention_combine::ATTENTION_COMBINE;
        self.context >= LONG && self.gpu.verified(join).next().is_some()
    }

    /// Bytes of what attention finds in parts of the positions.
    pub(crate) fn parts_bytes(&self) -> u64 {
        let parts = if self.splits() {
            attention_combine::KV_SPLITS
        } else {
            0
        };
        let config = self.config;
        u64::from(config.heads * parts * (config.head_dim + 2)) * 4
    }

    fn attention_combine(&self) -> Dispatch {
        let consts = [
            ("HEAD_DIM", self.config.head_dim),
            ("KV_SPLITS", attention_combine::KV_SPLITS),
        ];
        let shader = self.shader(&attention_combine::ATTENTION_COMBINE, &[], &consts);
        let binds = vec![
            ("partial", Binding::Slot(Slot::Parts)),
            ("y", Binding::Slot(Slot::Attention)),
        ];
        let what = format!("{} splits", attention_combine::KV_SPLITS);
        dispatch(
            shader,
            &what,
            "parts → att",
            binds,
            vec![],
            self.config.heads,
        )
    }
}
