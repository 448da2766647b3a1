//! One value from a callback to a future: how the GPU's answers are waited for, on any executor and in a browser.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

/// Where a value is given, and a future of it. A giver that is dropped unused leaves the future waiting.
pub(super) fn signal<T>() -> (Giver<T>, Told<T>) {
    let state = Arc::new(Mutex::new((None, None)));
    (Giver(state.clone()), Told(state))
}

/// A value that is given, and who waits for it.
type State<T> = Arc<Mutex<(Option<T>, Option<Waker>)>>;

/// Gives a value, once.
pub(super) struct Giver<T>(State<T>);

/// The future of the value.
pub(super) struct Told<T>(State<T>);

impl<T> Future for Told<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.lock().expect("not poisoned");
        if let Some(value) = state.0.take() {
            return Poll::Ready(value);
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<T> Giver<T> {
    pub fn give(self, value: T) {
        let mut state = self.0.lock().expect("not poisoned");
        state.0 = Some(value);
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}
