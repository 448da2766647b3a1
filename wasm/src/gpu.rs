//! The GPU that the browser hands out.

use std::{ops::ControlFlow, sync::Arc};

use js_sys::Function;
use lantern_engine::{
    BrowserAdapter, CacheType, GpuOptions, LoadOptions, ModelFile, Precision, SelfTestRow,
};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use crate::{ByteSource, error::Result, source::source};

/// Properties of the adapter that TypeScript knows, and features that a test wants switched off.
#[derive(Deserialize)]
struct Options {
    name: String,
    software: bool,
    subgroups: bool,
    #[serde(default = "yes")]
    f16: bool,
    max_binding: Option<u64>,
    #[serde(default)]
    faults: Vec<String>,
}

/// How a model would be loaded.
#[derive(Deserialize)]
struct Wanted {
    context: Option<usize>,
    #[serde(default)]
    precision: Precision,
    kv_cache: Option<CacheType>,
}

fn yes() -> bool {
    true
}

/// A device.
#[wasm_bindgen]
pub struct Gpu {
    pub(crate) inner: Arc<lantern_engine::Gpu>,
}

#[wasm_bindgen]
impl Gpu {
    /// Opens the adapter that the browser prefers.
    pub async fn open(options: String) -> Result<Gpu> {
        let options: Options = serde_json::from_str(&options)?;
        let browser = BrowserAdapter {
            name: options.name,
            software: options.software,
            subgroups: options.subgroups,
        };
        let options = GpuOptions::default()
            .browser(browser)
            .f16(options.f16)
            .max_binding(options.max_binding)
            .faults(options.faults)
            .timestamps(true);
        let gpu = lantern_engine::Gpu::new(&options).await?;
        Ok(Gpu {
            inner: Arc::new(gpu),
        })
    }

    /// The adapter, as JSON.
    pub fn adapter(&self) -> Result<String> {
        Ok(serde_json::to_string(self.inner.adapter())?)
    }

    /// Measurements of the adapter, as JSON: which variants compute right, and which are fastest.
    pub fn measured(&self) -> Result<String> {
        Ok(serde_json::to_string(&self.inner.tuning())?)
    }

    /// Takes over what [`Gpu::measured`] said before. False where it is of another adapter, driver or version.
    pub fn recall(&self, measured: &str) -> Result<bool> {
        Ok(self.inner.set_tuning(&serde_json::from_str(measured)?))
    }

    /// Kernels against their CPU references; `each(row, total)` gets a row as JSON for every variant and how many there will
    /// be, and stops by returning true. `only`: names of kernels, or nothing for all.
    pub async fn selftest(&self, only: Vec<String>, each: Function) -> Result<()> {
        let mut told = |row: SelfTestRow, total: usize| {
            let text = serde_json::to_string(&row).unwrap_or_default();
            match each.call2(&JsValue::NULL, &text.into(), &(total as f64).into()) {
                Ok(answer) if !answer.is_truthy() => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        };
        Ok(self.inner.selftest(&only, &mut told).await?)
    }

    /// Estimates what the model of these files would take and do here, as JSON; of the files only the header is read.
    /// `stop()` is asked now and then, and stops by returning true.
    pub async fn estimate(
        &self,
        sources: Vec<ByteSource>,
        options: String,
        stop: Function,
    ) -> Result<String> {
        let Wanted {
            context,
            precision,
            kv_cache,
        } = serde_json::from_str(&options)?;
        let options = LoadOptions::default()
            .context(context)
            .precision(precision)
            .cache(kv_cache);
        let file = ModelFile::read(sources.into_iter().map(source).collect()).await?;
        let mut each = || match stop.call0(&JsValue::NULL) {
            Ok(answer) if !answer.is_truthy() => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        let estimate = self.inner.estimate(&file, &options, &mut each).await?;
        Ok(serde_json::to_string(&estimate)?)
    }

    /// Counters of the work so far, as JSON.
    pub fn counters(&self) -> Result<String> {
        Ok(serde_json::to_string(&self.inner.counters())?)
    }
}
