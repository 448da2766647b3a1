//! One value from a callback to a future: how the GPU's answers are waited for, on any executor and in a browser.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

/// Where a value is given, and a future of it. A giver that is dropped unused leaves the future waiting.
pub(super) fn signal<T>() -> (Giver<T>, impl Future<Output = T>) {
    let state = Arc::new(Mutex::new((None, None)));
    let told = state.clone();
    let future = poll_fn(move |context| {
        let mut state = told.lock().expect("not poisoned");
        if let Some(value) = state.0.take() {
            return Poll::Ready(value);
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    });
    (Giver(state), future)
}

/// Gives a value, once.
pub(super) struct Giver<T>(Arc<Mutex<(Option<T>, Option<Waker>)>>);

impl<T> Giver<T> {
    pub fn give(self, value: T) {
        let mut state = self.0.lock().expect("not poisoned");
        state.0 = Some(value);
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}
