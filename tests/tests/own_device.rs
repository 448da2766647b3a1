//! A program with a device of its own: the model works on it as on Lantern's, and leaves it as it was.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use lantern_engine::{
    CompletionOptions, Error, Gpu, GpuOptions, LoadOptions, OpenOptions, Row, SamplerOptions,
    open_with,
    wgpu::{self, BufferUsages as Usage},
};
use pollster::block_on;

use crate::support::{adapters, default_model::default_model, models};

type Opened = (wgpu::Device, wgpu::Queue);

/// Opens the adapter that long tests run on, with what `wanted` takes of it.
fn open(wanted: impl Fn(&wgpu::Adapter) -> wgpu::DeviceDescriptor<'static>) -> Opened {
    open_on(&adapters::main().name, wanted)
}

/// Opens the adapter of this name.
fn open_on(
    name: &str,
    wanted: impl Fn(&wgpu::Adapter) -> wgpu::DeviceDescriptor<'static>,
) -> Opened {
    let instance = wgpu::Instance::default();
    let adapters = block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let mut named = adapters.into_iter().filter(|a| a.get_info().name == name);
    let adapter = named.next().expect("Lantern found it");
    block_on(adapter.request_device(&wanted(&adapter))).unwrap()
}

fn everything(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
    wgpu::DeviceDescriptor {
        required_features: adapter.features() & Gpu::FEATURES,
        required_limits: adapter.limits(),
        ..wgpu::DeviceDescriptor::default()
    }
}

fn gpu(opened: &Opened, options: &GpuOptions) -> Result<Gpu, Error> {
    Gpu::from_device(opened.0.clone(), opened.1.clone(), options)
}

fn buffer(device: &wgpu::Device, usage: Usage) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("the caller's"),
        size: 8,
        usage,
        mapped_at_creation: false,
    })
}

/// Copies bytes on the GPU, and reads them back.
fn copied((device, queue): &Opened, bytes: [u8; 8]) -> Vec<u8> {
    let from = buffer(device, Usage::COPY_SRC | Usage::COPY_DST);
    let to = buffer(device, Usage::MAP_READ | Usage::COPY_DST);
    queue.write_buffer(&from, 0, &bytes);
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(&from, 0, &to, 0, 8);
    queue.submit([encoder.finish()]);
    to.map_async(wgpu::MapMode::Read, .., |mapped| mapped.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    to.get_mapped_range(..).unwrap().to_vec()
}

/// Tokens that the default model goes on with.
fn tokens(gpu: Gpu) -> Option<Vec<u32>> {
    let path = default_model()?;
    let options = OpenOptions::default().gpu(Arc::new(gpu)).context(256);
    let options = options.tuning_seconds(None);
    let model = open_with(path, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let greedy = CompletionOptions::default()
        .sampler(SamplerOptions::greedy())
        .max_tokens(8);
    let reply = model.complete("The capital of France is", &greedy).unwrap();
    Some(reply.completion().unwrap().tokens)
}

#[test]
fn gpu_a_device_of_the_callers_stays_the_callers() {
    let opened = open(everything);
    let device = &opened.0;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (errors, losses) = (heard.clone(), heard.clone());
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        errors.lock().unwrap().push(error.to_string());
    }));
    device.set_device_lost_callback(move |reason, _| {
        losses.lock().unwrap().push(format!("{reason:?}"));
    });
    assert_eq!(copied(&opened, *b"previous"), b"previous");
    let own = adapters::gpu(&adapters::main(), GpuOptions::default());
    let shared = gpu(&opened, &GpuOptions::default()).unwrap();
    assert_eq!(shared.adapter().name, own.adapter().name);
    let Some(of_shared) = tokens(shared) else {
        return;
    };
    assert_eq!(Some(of_shared), tokens(own));
    // Model and GPU are gone; the device works, and an error of the caller's is heard by the caller.
    assert_eq!(copied(&opened, *b"and then"), b"and then");
    assert_eq!(*heard.lock().unwrap(), [""; 0]);
    buffer(device, Usage::MAP_READ | Usage::MAP_WRITE);
    assert_eq!(heard.lock().unwrap().len(), 1);
    device.destroy();
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    assert_eq!(heard.lock().unwrap()[1..], ["Destroyed"]);
}

#[test]
fn gpu_a_device_with_what_every_device_has_will_do() {
    let path = models::folder("families").join("llama.gguf");
    let logits = |gpu: Gpu| {
        let model = models::load(&Arc::new(gpu), &path, &LoadOptions::default());
        let mut session = block_on(model.session()).unwrap();
        models::prefill(&mut session, &[1, 2, 3]);
        block_on(session.logits()).unwrap()
    };
    for adapter in adapters::all() {
        let opened = open_on(&adapter.name, |_| wgpu::DeviceDescriptor::default());
        let shared = gpu(&opened, &GpuOptions::default()).unwrap();
        let has = &shared.adapter().features;
        assert!(!has.shader_f16 && !has.subgroups && !has.timestamps);
        let plain = GpuOptions::default().f16(false).subgroups(false);
        let own = logits(adapters::gpu(&adapter, plain));
        assert_eq!(logits(shared), own, "{}", adapter.name);
    }
}

#[test]
fn gpu_what_a_device_of_the_callers_lacks_is_named() {
    let few = open(|_| wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits {
            max_storage_buffers_per_shader_stage: 4,
            ..wgpu::Limits::default()
        },
        ..wgpu::DeviceDescriptor::default()
    });
    let refused = gpu(&few, &GpuOptions::default()).err().unwrap();
    assert!(matches!(refused, Error::Unsupported { .. }));
    let named = "max_storage_buffers_per_shader_stage 4, and Lantern needs 8";
    assert!(refused.to_string().contains(named), "{refused}");
    let chosen = GpuOptions::default().adapter("0".to_owned());
    assert!(matches!(gpu(&few, &chosen), Err(Error::BadInput(_))));
}

#[test]
fn gpu_a_device_that_the_caller_destroys_is_lost() {
    let opened = open(everything);
    let path = models::folder("families").join("llama.gguf");
    let gpu = Arc::new(gpu(&opened, &GpuOptions::default()).unwrap());
    let model = models::load(&gpu, &path, &LoadOptions::default());
    let mut session = block_on(model.session()).unwrap();
    models::prefill(&mut session, &[1, 2, 3]);
    opened.0.destroy();
    let lost = block_on(session.logits());
    assert!(matches!(lost, Err(Error::DeviceLost(_))), "{lost:?}");
}

/// Results of a pass that failed are not known, so its sequences begin anew.
#[test]
fn gpu_a_pass_that_fails_leaves_its_sequence_without_rows() {
    let opened = open(everything);
    let path = models::folder("families").join("llama.gguf");
    let gpu = Arc::new(gpu(&opened, &GpuOptions::default()).unwrap());
    let model = models::load(&gpu, &path, &LoadOptions::default());
    let mut both = block_on(model.sequences(2)).unwrap();
    let row = |position| Row {
        token: 1,
        position,
        sequence: 0,
    };
    block_on(both.forward(&[row(0), row(1)])).unwrap();
    opened.0.destroy();
    let lost = block_on(both.forward(&[row(2)]));
    assert!(matches!(lost, Err(Error::DeviceLost(_))), "{lost:?}");
    let refused = block_on(both.forward(&[row(3)])).unwrap_err();
    assert!(refused.to_string().contains("has 0 rows"), "{refused}");
}
