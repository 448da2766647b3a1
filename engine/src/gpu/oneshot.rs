//! One value from a callback to a future: how the GPU's answers are waited for, on any executor and in a browser.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

/// Sender of one value, and the future of it. A sender that is dropped unused leaves the future waiting.
pub(super) fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let state = Arc::new(Mutex::new((None, None)));
    (Sender(state.clone()), Receiver(state))
}

/// A value that was sent, and who waits for it.
type State<T> = Arc<Mutex<(Option<T>, Option<Waker>)>>;

/// Sends one value.
pub(super) struct Sender<T>(State<T>);

/// The future of the value.
pub(super) struct Receiver<T>(State<T>);

impl<T> Future for Receiver<T> {
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

impl<T> Sender<T> {
    pub fn send(self, value: T) {
        let mut state = self.0.lock().expect("not poisoned");
        state.0 = Some(value);
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}
