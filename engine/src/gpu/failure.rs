//! Reports of a device outside of any call: errors, and its own loss. Kept until somebody asks.

use std::sync::{Arc, Mutex};

use crate::{Error, Result};

/// The first error and the loss of a device.
#[derive(Debug, Clone)]
pub(super) struct Failures {
    first: Arc<Mutex<First>>,
    own: bool,
}

#[derive(Debug, Default)]
struct First {
    error: Option<String>,
    lost: Option<String>,
}

impl Failures {
    /// Failures of a device that Lantern opened: it listens to the device from now on.
    pub fn of_own(device: &wgpu::Device) -> Failures {
        let failures = Failures {
            first: Arc::default(),
            own: true,
        };
        let (errors, losses) = (failures.clone(), failures.clone());
        device.on_uncaptured_error(Arc::new(move |error| errors.record(&error)));
        device.set_device_lost_callback(move |reason, message| {
            // Destroyed: by a `Gpu` that is dropped, which hears no more of it, or by somebody else in the same page.
            if reason != wgpu::DeviceLostReason::Destroyed {
                log::error!("the device was lost: {message}");
            }
            let mut first = losses.first.lock().expect("not poisoned");
            first.lost.get_or_insert(message);
        });
        failures
    }

    /// Failures of a device of the caller's, whose handlers stay: what fails is told by [`Failures::record`].
    pub fn of_caller() -> Failures {
        Failures {
            first: Arc::default(),
            own: false,
        }
    }

    /// Whether Lantern opened the device.
    pub fn own(&self) -> bool {
        self.own
    }

    /// Keeps an error, where it is the first.
    pub fn record(&self, error: &wgpu::Error) {
        log::error!("{error}");
        let mut first = self.first.lock().expect("not poisoned");
        first.error.get_or_insert_with(|| error.to_string());
    }

    /// An error where there was one; a loss before anything else, which may have followed from it.
    pub fn check(&self, device: &str) -> Result<()> {
        let first = self.first.lock().expect("not poisoned");
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
