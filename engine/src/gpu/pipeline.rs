//! Compiled shaders, each once. The one place that asks for shaders without bounds checks.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, MutexGuard, atomic::Ordering::Relaxed},
    task::{Context, Poll, Waker},
};

use lantern_kernels::{Binding, BindingKind, Shader, link::link};

use super::{
    buffer::Buffer,
    compiled::Pipeline,
    device::{Gpu, TARGET},
};
use crate::{Error, Result};

/// Part of a buffer that a shader sees under a name.
#[derive(Clone, Copy)]
pub(crate) struct BindingResource<'b> {
    pub buffer: &'b Buffer,
    pub start: u64,
    /// All from `start` on where none is given.
    pub size: Option<u64>,
}

impl<'b> From<&'b Buffer> for BindingResource<'b> {
    fn from(buffer: &'b Buffer) -> BindingResource<'b> {
        BindingResource {
            buffer,
            start: 0,
            size: None,
        }
    }
}

impl Gpu {
    /// The compiled forms of `shaders`, in their order; each is compiled on first use, all at once.
    pub(crate) async fn pipelines(&self, shaders: &[&Shader]) -> Result<Vec<Arc<Pipeline>>> {
        let mut under_way = Vec::new();
        let mut found = Vec::new();
        for shader in shaders {
            let label = shader.label();
            let known = self.known_pipelines().get(&label).cloned();
            found.push(known.unwrap_or_else(|| {
                let (compiled, outcome) = self.compile(shader);
                let compiled = Arc::new(compiled);
                self.known_pipelines()
                    .insert(label.clone(), compiled.clone());
                under_way.push((label, outcome));
                compiled
            }));
        }
        // In a browser a compiler's outcome has to be waited for; so all are asked for first.
        let mut result = Ok(found);
        for (label, outcome) in under_way {
            if let Some(error) = outcome.await {
                self.known_pipelines().remove(&label);
                result = Err(Error::Device(format!("{label}: {error}")));
            }
        }
        result
    }

    /// Compiles a shader, and waits for its outcome: what is wrong, if anything. Natively the outcome is there at once.
    pub(super) fn compile_now(&self, shader: &Shader) -> Option<String> {
        let (compiled, outcome) = self.compile(shader);
        let mut outcome = pin!(outcome);
        let mut context = Context::from_waker(Waker::noop());
        let error = loop {
            match outcome.as_mut().poll(&mut context) {
                Poll::Ready(error) => break error,
                Poll::Pending => std::thread::yield_now(),
            }
        };
        if error.is_none() {
            let label = shader.label();
            self.known_pipelines().insert(label, Arc::new(compiled));
        }
        error.map(|error| error.to_string())
    }

    /// A cache of the driver's, begun with `data`.
    #[expect(unsafe_code, reason = "the data is what such a cache gave before")]
    pub(super) fn make_pipeline_cache(&self, data: Option<&[u8]>) -> wgpu::PipelineCache {
        let descriptor = wgpu::PipelineCacheDescriptor {
            label: Some("pipelines"),
            data,
            fallback: true,
        };
        // SAFETY: the data carries a checksum of what `get_data` gave, and a header by which wgpu tells it from that of
        // another driver.
        unsafe { self.device.create_pipeline_cache(&descriptor) }
    }

    pub(super) fn known_pipelines(&self) -> MutexGuard<'_, HashMap<String, Arc<Pipeline>>> {
        self.pipelines.lock().expect("not poisoned")
    }

    /// A bind group of what `found` has for each of the shader's bindings.
    pub(crate) fn bind_group<'b>(
        &self,
        label: &str,
        pipeline: &Pipeline,
        found: impl Fn(&Binding) -> BindingResource<'b>,
    ) -> wgpu::BindGroup {
        let entry = |binding: &Binding| {
            let BindingResource {
                buffer,
                start,
                size,
            } = found(binding);
            wgpu::BindGroupEntry {
                binding: binding.index,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &buffer.raw,
                    offset: start,
                    size: size.and_then(wgpu::BufferSize::new),
                }),
            }
        };
        let entries: Vec<_> = pipeline.bindings.iter().map(entry).collect();
        self.counting.bind_groups_created.fetch_add(1, Relaxed);
        let descriptor = wgpu::BindGroupDescriptor {
            label: Some(label),
            layout: &pipeline.layout,
            entries: &entries,
        };
        self.guarded(|| self.device.create_bind_group(&descriptor))
    }

    #[expect(
        unsafe_code,
        reason = "unchecked shaders: the planner asserts the shapes that keep every index in bounds"
    )]
    fn compile(
        &self,
        shader: &Shader,
    ) -> (Pipeline, impl Future<Output = Option<wgpu::Error>> + use<>) {
        let mut linked = link(shader, TARGET);
        let name = format!("{}.{}", shader.kernel.name, shader.variant.name);
        if self.options.faults.contains(&name) {
            break_main(&mut linked.text);
        }
        let label = Some(linked.label.as_str());
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let source = wgpu::ShaderModuleDescriptor {
            label,
            source: wgpu::ShaderSource::Wgsl(linked.text.as_str().into()),
        };
        let module = if self.options.checked {
            self.device.create_shader_module(source)
        } else {
            // SAFETY: the kernels end every loop; their indices stay below the bounds that `plan::build` asserts on
            // the shapes of what is bound. Tests run all of them with the checks on.
            unsafe {
                self.device
                    .create_shader_module_trusted(source, wgpu::ShaderRuntimeChecks::unchecked())
            }
        };
        let entry = |binding: &Binding| wgpu::BindGroupLayoutEntry {
            binding: binding.index,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: binding_type(binding.kind),
            count: None,
        };
        let entries: Vec<_> = linked.bindings.iter().map(entry).collect();
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label,
                entries: &entries,
            });
        let pipeline_layout = self
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label,
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
        let compiled = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label,
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..wgpu::PipelineCompilationOptions::default()
                },
                cache: self.cache.get(),
            });
        self.counting.pipelines_compiled.fetch_add(1, Relaxed);
        let pipeline = Pipeline {
            compiled,
            layout,
            bindings: linked.bindings,
        };
        (pipeline, scope.pop())
    }
}

/// Has `main` return at once.
fn break_main(text: &mut String) {
    let main = text.find("fn main(").expect("a kernel has a main");
    let body = text[main..].find(") {").expect("and that a body") + main + 3;
    text.insert_str(body, " if (true) { return; } ");
}

fn binding_type(kind: BindingKind) -> wgpu::BindingType {
    let ty = match kind {
        BindingKind::Read => wgpu::BufferBindingType::Storage { read_only: true },
        BindingKind::Write => wgpu::BufferBindingType::Storage { read_only: false },
        BindingKind::Uniform => wgpu::BufferBindingType::Uniform,
    };
    wgpu::BindingType::Buffer {
        ty,
        has_dynamic_offset: false,
        min_binding_size: None,
    }
}
