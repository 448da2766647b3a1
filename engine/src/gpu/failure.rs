//! What a device reports outside of any call: errors, and its own loss. Kept until somebody asks.

use std::sync::{Arc, Mutex};

use crate::{Error, Result};

/// The first of each.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures(Arc<Mutex<First>>);

#[derive(Debug, Default)]
struct First {
    error: Option<String>,
    lost: Option<String>,
}

impl Failures {
    /// Listens to `device` from now on.
    pub fn of(device: &wgpu::Device) -> Failures {
        let failures = Failures::default();
        let (errors, losses) = (failures.clone(), failures.clone());
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            log::error!("{error}");
            let mut first = errors.0.lock().expect("not poisoned");
            first.error.get_or_insert_with(|| error.to_string());
        }));
        device.set_device_lost_callback(move |reason, message| {
            // Destroyed: by a `Gpu` that is dropped, which hears no more of it, or by somebody else in the same page.
            if reason != wgpu::DeviceLostReason::Destroyed {
                log::error!("the device was lost: {message}");
            }
            let mut first = losses.0.lock().expect("not poisoned");
            first.lost.get_or_insert(message);
        });
        failures
    }

    /// An error where there was one; a loss before anything else, which may have followed from it.
    pub fn check(&self, device: &str) -> Result<()> {
        let first = self.0.lock().expect("not poisoned");
        if let Some(message) = &first.lost {
            return Err(Error::DeviceLost(format!(
                "{device}: the device was lost: {message}"
            )));
        }
        match &first.error {
            Some(message) => Err(Error::Device(format!("{device}: {message}"))),
            None => Ok(()),
        }
    }
}
