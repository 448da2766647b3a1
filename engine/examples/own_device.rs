//! Opens the model in `model.gguf` on a device of the program's own, which goes on working with it before, between and
//! after; what is `async` is waited for by pollster.

use std::{
    error::Error,
    ops::ControlFlow,
    sync::{Arc, mpsc::channel},
};

use lantern_engine::{CompletionOptions, Gpu, GpuOptions, OpenOptions, open_with, wgpu};
use pollster::block_on;

fn main() -> Result<(), Box<dyn Error>> {
    let instance = wgpu::Instance::default();
    let adapter = block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let (device, queue) = block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        // Anything else that the program wants of its device goes here too.
        required_features: adapter.features() & Gpu::FEATURES,
        required_limits: adapter.limits(),
        ..wgpu::DeviceDescriptor::default()
    }))?;
    println!(
        "before: {:?}",
        there_and_back(&device, &queue, *b"own work")?
    );

    let gpu = Gpu::from_device(device.clone(), queue.clone(), &GpuOptions::default())?;
    let options = OpenOptions::default().gpu(Arc::new(gpu));
    let model = open_with("model.gguf", &options, &mut |_| ControlFlow::Continue(()))?;
    let text = CompletionOptions::default().max_tokens(24);
    for piece in model.complete("The capital of France is", &text)? {
        print!("{}", piece?);
    }
    println!();

    drop((model, options)); // frees the model's memory, and leaves the device as it is
    println!(
        "after: {:?}",
        there_and_back(&device, &queue, *b"goes on!")?
    );
    Ok(())
}

/// Copies a text to the GPU, there to another buffer, and from that back.
fn there_and_back(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    text: [u8; 8],
) -> Result<String, Box<dyn Error>> {
    let buffer = |usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("own"),
            size: text.len() as u64,
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let there = buffer(wgpu::BufferUsages::COPY_SRC);
    let back = buffer(wgpu::BufferUsages::MAP_READ);
    queue.write_buffer(&there, 0, &text);
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(&there, 0, &back, 0, text.len() as u64);
    queue.submit([encoder.finish()]);
    let (sender, receiver) = channel();
    back.map_async(wgpu::MapMode::Read, .., move |mapped| {
        let _ = sender.send(mapped); // the receiver waits
    });
    device.poll(wgpu::PollType::wait_indefinitely())?;
    receiver.recv()??;
    let read = back.get_mapped_range(..)?.to_vec();
    Ok(String::from_utf8(read)?)
}
