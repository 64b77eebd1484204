//! What h2 gives out for a stream, kept from being touched once a panic has ended the connection: h2's state may have
//! been left half-way then, and h2 panics at each touch, even when a handle is dropped.

use std::sync::Arc;

use super::WireError;
use super::driver::Driver;

/// A handle of h2, dropped unless the connection is wrecked.
pub(super) struct Held<T> {
    /// Here until it is taken out or dropped.
    handle: Option<T>,
    driver: Arc<Driver>,
}

impl<T> Held<T> {
    pub(super) fn new(handle: T, driver: &Arc<Driver>) -> Self {
        Self {
            handle: Some(handle),
            driver: Arc::clone(driver),
        }
    }

    /// The handle, as long as it may be touched.
    pub(super) fn get(&mut self) -> Result<&mut T, WireError> {
        match &mut self.handle {
            Some(handle) if !self.driver.is_wrecked() => Ok(handle),
            _ => Err(WireError::broken(h2::Reason::INTERNAL_ERROR.into())),
        }
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if self.driver.is_wrecked() {
            // What leaks is that of the calls that were under way, once.
            std::mem::forget(self.handle.take());
        }
    }
}
