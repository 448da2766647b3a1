//! A device of the caller's own: what it must allow, and how Lantern works on it without taking it over.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use lantern_kernels::Target;
use wgpu::ErrorFilter as Filter;

use super::{
    adapter::AdapterDescription,
    device::{Gpu, TARGET},
    failure::Failures,
    options::GpuOptions,
};
use crate::{Error, Result, Unsupported};

impl Gpu {
    /// Works on a device that the caller opened, and shares it: it stays open when the GPU is dropped, and its handlers of
    /// errors and of its loss stay the caller's. Returns at once; nothing is asked of the device.
    ///
    /// The device's features and limits count, not its adapter's. The device must allow what every WebGPU device
    /// does ([`wgpu::Limits::default`]); a model of more than a few hundred megabytes takes `adapter.limits()`, and
    /// kernels are faster with `adapter.features() & Gpu::FEATURES`. Cooperative matrices are not used: only an adapter
    /// tells of what sizes it has them.
    ///
    /// Work of the caller's and of Lantern's is done in the order in which both submit it. Natively, waiting for an answer
    /// polls the device, so that callbacks of the caller's may run on the thread that waits. An error that Lantern's own
    /// work causes is returned by its calls, natively; in a browser the device's handler gets it. The loss of the device is
    /// noticed by what is then read from it, as [`Error::DeviceLost`].
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the device lacks something, which the message names; [`Error::BadInput`] where the
    /// options choose an adapter, or name a kernel variant that does not exist or cannot run
    /// here.
    pub fn from_device(
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: &GpuOptions,
    ) -> Result<Gpu> {
        options.check_names()?;
        let opened = "the device is opened already: GpuOptions::";
        if options.adapter.is_some() {
            return Err(Error::BadInput(format!("{opened}adapter chooses nothing")));
        }
        let limits = device.limits();
        let mut description =
            AdapterDescription::of(device.adapter_info(), &limits, device.features());
        description.narrow(options);
        if let Some((name, wanted, has)) = missing(&limits) {
            let device = &description.name;
            return Err(Error::unsupported(
                Unsupported::Device,
                format!(
                    "{device}: this device was opened with {name} {has}, and Lantern needs {wanted}; \
                 ask for wgpu::Limits::default() at least"
                ),
            ));
        }
        Gpu::of(device, queue, options, description, Failures::of_caller())
    }
}

/// Limits that Lantern's shaders and buffers are written for.
const NEEDED: [&str; 10] = [
    "max_buffer_size",
    "max_compute_invocations_per_workgroup",
    "max_compute_workgroup_size_x",
    "max_compute_workgroup_size_y",
    "max_compute_workgroup_storage_size",
    "max_compute_workgroups_per_dimension",
    "max_storage_buffer_binding_size",
    "max_storage_buffers_per_shader_stage",
    "max_uniform_buffer_binding_size",
    "max_uniform_buffers_per_shader_stage",
];

/// The first of those limits that is below what every WebGPU device allows: its name, what is needed, what there is.
fn missing(limits: &wgpu::Limits) -> Option<(&'static str, u64, u64)> {
    let mut first = None;
    let mut each = |name, needed, has| {
        if NEEDED.contains(&name) {
            first.get_or_insert((name, needed, has));
        }
    };
    wgpu::Limits::default().check_limits_with_fail_fn(limits, false, &mut each);
    first
}

impl Gpu {
    /// Does `work` with the device. Where that is the caller's, an error of it is kept for [`Gpu::check`] instead of
    /// reaching the caller's handler. Not in a browser, which tells of errors only later.
    pub(super) fn guarded<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.failures.own() || TARGET == Target::Browser {
            return work();
        }
        let scopes = [Filter::Validation, Filter::OutOfMemory, Filter::Internal]
            .map(|filter| self.device.push_error_scope(filter));
        let done = work();
        let mut context = Context::from_waker(Waker::noop());
        for scope in scopes.into_iter().rev() {
            if let Poll::Ready(Some(error)) = pin!(scope.pop()).poll(&mut context) {
                self.failures.record(&error);
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use pollster::block_on;

    use super::*;

    #[test]
    fn gpu_an_error_of_lanterns_own_work_is_returned_and_not_the_callers() {
        let adapter = block_on(
            wgpu::Instance::default().request_adapter(&wgpu::RequestAdapterOptions::default()),
        );
        let (device, queue) = block_on(
            adapter
                .unwrap()
                .request_device(&wgpu::DeviceDescriptor::default()),
        )
        .unwrap();
        let heard = Arc::new(AtomicUsize::new(0));
        let count = heard.clone();
        device.on_uncaptured_error(Arc::new(move |_| {
            count.fetch_add(1, Relaxed);
        }));
        let gpu = Gpu::from_device(device, queue, &GpuOptions::default()).unwrap();
        let buffer = block_on(gpu.storage("eight bytes", 8)).unwrap();
        gpu.write(&buffer, 0, &[1; 8]);
        gpu.check().unwrap();
        gpu.write(&buffer, 1 << 20, &[1; 8]);
        let error = gpu.check().unwrap_err();
        assert!(matches!(error, Error::Device(_)), "{error:?}");
        assert_eq!(heard.load(Relaxed), 0);
    }
}
