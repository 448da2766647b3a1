//! What a type must be for threads, where there are any: what a browser hands out stays on its thread.

/// May be sent between threads and shared by them.
#[cfg(not(target_family = "wasm"))]
pub trait Threads: Send + Sync {}

#[cfg(not(target_family = "wasm"))]
impl<T: Send + Sync + ?Sized> Threads for T {}

/// In a browser, anything.
#[cfg(target_family = "wasm")]
pub trait Threads {}

#[cfg(target_family = "wasm")]
impl<T: ?Sized> Threads for T {}
