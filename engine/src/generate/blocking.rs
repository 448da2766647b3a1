//! The calls that block. An answer is computed on a thread of its own, and read piece by piece.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use pollster::block_on;

use super::{
    chat::{Chat, Message},
    completion::{Completion, CompletionEvent, CompletionOptions, Prompt},
    language_model::{LanguageModel, OpenOptions},
    prepare::OpenEvent,
};
use crate::{Error, ModelFile, Reasoning, Result, Session};

/// Pieces of text that wait to be read before the model does.
const PIECES: usize = 64;

/// Opens the model file at `path` on the best adapter, with every kernel tried and the fastest found. Blocks.
///
/// # Errors
/// [`Error::Io`], [`Error::BadFile`], [`Error::NoAdapter`], [`Error::Unsupported`] and [`Error::DoesNotFit`] above all.
pub fn open(path: impl AsRef<Path>) -> Result<LanguageModel> {
    let mut unwatched = |_: OpenEvent<'_>| ControlFlow::Continue(());
    open_with(path, &OpenOptions::default(), &mut unwatched)
}

/// Opens the model file at `path` with options. `each` hears of the progress; breaking it ends in [`Error::Aborted`].
/// Blocks.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    path: impl AsRef<Path>,
    options: &OpenOptions,
    each: &mut dyn FnMut(OpenEvent<'_>) -> ControlFlow<()>,
) -> Result<LanguageModel> {
    let file = ModelFile::open(path.as_ref())?;
    block_on(LanguageModel::load(&file, options, each))
}

/// A text as it comes: iterates over its pieces, each of whole characters, without thoughts, which
/// [`Reply::completion`] has. Dropped before its end, it ends there.
pub struct Reply<'a> {
    /// The conversation that it is part of.
    chat: Option<&'a mut Chat>,
    pieces: Option<Receiver<String>>,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<(Session, Result<Completion>)>>,
    completion: Option<Completion>,
}

impl Chat {
    /// Says `text`; the answer is read from what it returns, and becomes part of the conversation when that ends or is
    /// dropped. Blocks; [`Chat::user_async`] does not.
    ///
    /// # Errors
    /// As [`Chat::user_async`]; then the message is taken back.
    pub fn user(&mut self, text: &str) -> Result<Reply<'_>> {
        self.messages.push(Message::new("user", text));
        match block_on(self.begin()) {
            Ok((session, asked)) => {
                let (model, options) = (self.model.clone(), self.options.clone());
                let mut reply = Reply::start(model, session, asked, options);
                reply.chat = Some(self);
                Ok(reply)
            }
            Err(error) => {
                self.messages.pop();
                Err(error)
            }
        }
    }
}

impl LanguageModel {
    /// Completes a text as it is, without the model's chat template. Blocks; for `async`, and to keep what was read for the
    /// next prompt, see [`Session::complete`].
    ///
    /// # Errors
    /// Errors of making a session; later ones come from the [`Reply`] while it is read.
    pub fn complete(&self, prompt: &str, options: &CompletionOptions) -> Result<Reply<'static>> {
        let tokens = self.tokenizer().encode_prompt(prompt, options.special)?;
        let session = block_on(self.session())?;
        let (model, options) = (self.clone(), options.clone());
        Ok(Reply::start(model, session, (tokens, None), options))
    }
}

impl<'a> Reply<'a> {
    fn start(
        model: LanguageModel,
        mut session: Session,
        (tokens, reasoning): (Vec<u32>, Option<Reasoning>),
        options: CompletionOptions,
    ) -> Reply<'a> {
        let (sender, pieces) = sync_channel(PIECES);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let worker = std::thread::spawn(move || {
            let mut each = |event: CompletionEvent<'_>| send(&sender, &stopped, event);
            let tokenizer = model.tokenizer();
            let prompt = Prompt {
                reasoning,
                ..Prompt::from(&tokens[..])
            };
            let completed = block_on(session.complete(tokenizer, prompt, &options, &mut each));
            (session, completed)
        });
        Reply {
            chat: None,
            pieces: Some(pieces),
            stop,
            worker: Some(worker),
            completion: None,
        }
    }

    /// Reads to the end: the whole text, its tokens, why it ended and how long it took.
    ///
    /// # Errors
    /// Error that ended the text before its time, if [`Iterator::next`] has not returned that yet.
    pub fn completion(mut self) -> Result<Completion> {
        for piece in self.by_ref() {
            piece?;
        }
        let failed = || Error::BadInput("this text ended in an error".to_owned());
        self.completion.take().ok_or_else(failed)
    }

    /// Waits for the thread, and gives the session back to its conversation.
    fn settle(&mut self) -> Result<()> {
        self.pieces = None; // a thread that waits for room there goes on
        let Some(worker) = self.worker.take() else {
            return Ok(());
        };
        let (session, completed) = match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        if let Some(chat) = &mut self.chat {
            chat.session = Some(session);
            chat.keep(&completed);
        }
        self.completion = Some(completed?);
        Ok(())
    }
}

/// Hands a piece to whoever reads; breaks where nobody does any more.
fn send(
    sender: &SyncSender<String>,
    stopped: &AtomicBool,
    event: CompletionEvent<'_>,
) -> ControlFlow<()> {
    let text = match event {
        CompletionEvent::Prefill { .. } | CompletionEvent::ToolCall { .. } => "",
        CompletionEvent::Token { text, .. } | CompletionEvent::Rest { text, .. } => text,
    };
    let unread = !text.is_empty() && sender.send(text.to_owned()).is_err();
    if unread || stopped.load(Relaxed) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

impl Iterator for Reply<'_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        if let Some(Ok(piece)) = self.pieces.as_ref().map(Receiver::recv) {
            return Some(Ok(piece));
        }
        self.settle().err().map(Err)
    }
}

impl Drop for Reply<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if !std::thread::panicking() {
            let _ = self.settle(); // nobody asks any more
        }
    }
}
