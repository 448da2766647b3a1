//! Bounds of a type that threads share, where there are any: objects that a browser hands out stay on their thread.

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
