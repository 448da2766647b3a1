//! The thread of a service: whose turn it is, and what becomes of each token.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    sync::mpsc::{Receiver, TryRecvError},
    time::Instant,
};

use pollster::block_on;

use super::{
    super::{
        answer::{self, Answer},
        completion::{CompletionEvent, Prompt},
    },
    request::{Each, Request, ServiceEvent},
    stats::Shared,
};
use crate::{Batch, Constraint, Error, FinishReason, Next, Result, Tokenizer};

/// Seconds that a slice of a prompt takes at about most, while others wait for their next tokens.
const SLICE_SECONDS: f64 = 0.1;

/// Rows of the first slice, before it is known how fast they are.
const SLICE_ROWS: usize = 32;

/// The thread's sequences, and the requests that it knows.
pub(super) struct Work<'a> {
    tokenizer: &'a Tokenizer,
    shared: &'a Shared,
    batch: Batch,
    /// The completion that each sequence works on.
    active: Vec<Option<Active<'a>>>,
    /// When each sequence was last used, for the choice of one to begin anew.
    used: Vec<u64>,
    queue: VecDeque<Waiting>,
    rows_per_second: Option<f64>,
    /// The sequence whose prompt was read last.
    turn: usize,
    number: u64,
}

struct Waiting {
    request: Box<Request>,
    since: Instant,
}

/// A completion that goes on.
struct Active<'a> {
    answer: Answer<'a>,
    constraint: Option<Box<dyn Constraint>>,
    each: Box<Each>,
    /// Tokens that it may have.
    max_tokens: usize,
    since: Instant,
    prompt: usize,
}

impl<'a> Work<'a> {
    /// The work of a thread that has no requests yet.
    pub fn new(batch: Batch, tokenizer: &'a Tokenizer, shared: &'a Shared) -> Work<'a> {
        Work {
            tokenizer,
            shared,
            active: (0..batch.count()).map(|_| None).collect(),
            used: vec![0; batch.count() as usize],
            batch,
            queue: VecDeque::new(),
            rows_per_second: None,
            turn: 0,
            number: 0,
        }
    }

    /// Works until nobody can ask any more.
    pub fn run(&mut self, requests: &Receiver<Box<Request>>) {
        loop {
            let idle = self.queue.is_empty() && self.active.iter().all(Option::is_none);
            match self.take(requests, idle) {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(()) => break,
            }
            self.admit();
            self.read_slice();
            self.decode();
        }
        for sequence in 0..self.active.len() {
            self.end(sequence, Err(Error::Aborted));
        }
        // Those that were asked for last, too.
        let left = self.queue.drain(..).map(|waiting| waiting.request);
        for mut request in left.chain(requests.try_iter()) {
            let _ = (request.each)(ServiceEvent::Done(Err(Error::Aborted))); // it ends anyway
        }
    }

    /// Takes the requests that came; waits for one where there is nothing else to do.
    fn take(&mut self, requests: &Receiver<Box<Request>>, wait: bool) -> ControlFlow<()> {
        if self.shared.is_closed() {
            return ControlFlow::Break(());
        }
        let mut next = if wait {
            requests.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            requests.try_recv()
        };
        loop {
            match next {
                Ok(request) => {
                    let since = Instant::now();
                    self.queue.push_back(Waiting { request, since });
                }
                Err(TryRecvError::Empty) => return ControlFlow::Continue(()),
                Err(TryRecvError::Disconnected) => return ControlFlow::Break(()),
            }
            next = requests.try_recv();
        }
    }

    /// Gives the oldest requests a sequence each, as far as there are any.
    fn admit(&mut self) {
        while let Some(waiting) = self.queue.pop_front() {
            let free = (0..self.active.len()).filter(|&one| self.active[one].is_none());
            let tokens = &waiting.request.tokens;
            // The one that holds most of the prompt; of equals, the one that was not used for longest.
            let best = free.max_by_key(|&one| {
                let kept = self.batch.kept(one as u32, tokens);
                (kept, std::cmp::Reverse(self.used[one]))
            });
            let Some(sequence) = best else {
                self.queue.push_front(waiting);
                return;
            };
            self.shared.started();
            self.begin(sequence, waiting);
        }
    }

    fn begin(&mut self, sequence: usize, waiting: Waiting) {
        let Waiting { request, since } = waiting;
        let Request {
            tokens,
            reasoning,
            tools,
            options,
            mut each,
        } = *request;
        let prompt = Prompt {
            reasoning,
            tools: tools.as_ref(),
            ..Prompt::from(&tokens[..])
        };
        let number = sequence as u32;
        for other in 0..self.batch.count() {
            self.batch.share(other, number, &tokens);
        }
        let constraint = answer::constraint(self.tokenizer, prompt, &options);
        let started = constraint.and_then(|constraint| {
            let bound = constraint.is_some();
            let kept = self.batch.start(number, &tokens, &options.sampler, bound)?;
            Ok((constraint, kept))
        });
        let (constraint, kept) = match started {
            Ok(started) => started,
            Err(error) => {
                self.shared.ended(None);
                let _ = each(ServiceEvent::Done(Err(error)));
                return;
            }
        };
        let mut answer = Answer::new(self.tokenizer, prompt, &options, since);
        let usage = &mut answer.completion.usage;
        usage.prompt_tokens = tokens.len();
        usage.cached_tokens = kept;
        usage.prefilled_tokens = tokens.len() - kept;
        let room = self.batch.context() - tokens.len();
        self.number += 1;
        self.used[sequence] = self.number;
        self.active[sequence] = Some(Active {
            answer,
            constraint,
            each,
            max_tokens: options.max_tokens.unwrap_or(usize::MAX).min(room),
            since,
            prompt: tokens.len(),
        });
        if options.max_tokens == Some(0) {
            self.end(sequence, Ok(FinishReason::Length));
            return;
        }
        self.constrain(sequence);
    }

    /// Reads a slice of the prompt of the next sequence that has one.
    fn read_slice(&mut self) {
        let count = self.active.len();
        let turns = (1..=count).map(|step| (self.turn + step) % count);
        let mut reading = turns.filter(|&one| self.reads(one));
        let Some(sequence) = reading.next() else {
            return;
        };
        self.turn = sequence;
        let alone = self.active.iter().flatten().count() == 1;
        let rows = match self.rows_per_second {
            _ if alone => usize::MAX,
            Some(speed) => ((speed * SLICE_SECONDS) as usize).max(1),
            None => SLICE_ROWS,
        };
        let before = self.batch.pending(sequence as u32);
        let start = Instant::now();
        let read = block_on(self.batch.prefill(sequence as u32, rows));
        let sampled = match read {
            Ok(sampled) => sampled,
            Err(error) => return self.end(sequence, Err(error)),
        };
        // A token that was sampled is pending, too.
        let left = self.batch.pending(sequence as u32) - usize::from(sampled.is_some());
        let seconds = start.elapsed().as_secs_f64();
        if before - left > 1 {
            self.rows_per_second = Some((before - left) as f64 / seconds.max(1e-6));
        }
        self.shared.read(before - left, seconds);
        match sampled {
            Some(token) => self.sampled(sequence, token),
            None => self.tell_progress(sequence, left),
        }
    }

    fn tell_progress(&mut self, sequence: usize, left: usize) {
        let Some(active) = &mut self.active[sequence] else {
            return;
        };
        let total = active.answer.completion.usage.prefilled_tokens;
        let done = total.saturating_sub(left);
        let event = CompletionEvent::Prefill { done, total };
        if (active.each)(ServiceEvent::Completion(event)).is_break() {
            self.end(sequence, Ok(FinishReason::Aborted));
        }
    }

    /// Whether a sequence has more to read than the token it was given last.
    fn reads(&self, sequence: usize) -> bool {
        let Some(active) = &self.active[sequence] else {
            return false;
        };
        let pending = self.batch.pending(sequence as u32);
        pending > 1 || pending == 1 && active.answer.completion.tokens.is_empty()
    }

    /// One more token for each sequence whose prompt is read.
    fn decode(&mut self) {
        let ready = (0..self.active.len()).filter(|&one| self.active[one].is_some());
        let ready: Vec<u32> = ready
            .filter(|&one| !self.reads(one))
            .map(|one| one as u32)
            .collect();
        if ready.is_empty() {
            return;
        }
        let start = Instant::now();
        let step = async |batch: &mut Batch| {
            batch.begin(&ready).await?;
            batch.finish().await
        };
        match block_on(step(&mut self.batch)) {
            Ok(sampled) => {
                self.shared.decoded(sampled.len(), start.elapsed());
                for (sequence, token) in sampled {
                    match token {
                        Some(token) => self.sampled(sequence as usize, token),
                        None => self.end(sequence as usize, Err(not_finite())),
                    }
                }
            }
            Err(error) => {
                let message = error.to_string();
                for sequence in ready {
                    let error = Error::Device(message.clone());
                    self.end(sequence as usize, Err(error));
                }
            }
        }
    }

    /// Takes a token that was sampled, and finds out what may follow.
    fn sampled(&mut self, sequence: usize, token: u32) {
        if self.push(sequence, token) {
            self.constrain(sequence);
        }
    }

    /// Adds a token to an answer; false where that ends it.
    fn push(&mut self, sequence: usize, token: u32) -> bool {
        let Some(active) = &mut self.active[sequence] else {
            return false;
        };
        if let Some(constraint) = &mut active.constraint
            && let Err(error) = constraint.accept(token)
        {
            self.end(sequence, Err(error));
            return false;
        }
        if active.answer.completion.tokens.is_empty() {
            active.answer.completion.timings.prefill = active.since.elapsed();
            self.shared.first_token(active.since.elapsed());
        }
        let (piece, mut ended) = active.answer.push(token);
        let (text, reasoning) = (piece.text.as_str(), piece.reasoning.as_str());
        let event = CompletionEvent::Token {
            token,
            text,
            reasoning,
        };
        let mut told = (active.each)(ServiceEvent::Completion(event));
        active.answer.tell_calls(&piece, &mut |event| {
            if told.is_continue() {
                told = (active.each)(ServiceEvent::Completion(event));
            }
        });
        ended = ended.or(told.is_break().then_some(FinishReason::Aborted));
        if ended.is_none() && active.answer.completion.tokens.len() >= active.max_tokens {
            let full = active.prompt + active.answer.completion.tokens.len();
            ended = Some(if full >= self.batch.context() {
                FinishReason::ContextFull
            } else {
                FinishReason::Length
            });
        }
        match ended {
            Some(reason) => {
                self.end(sequence, Ok(reason));
                false
            }
            None => true,
        }
    }

    /// Says which token a sequence may have next, after those that its constraint forces.
    fn constrain(&mut self, sequence: usize) {
        loop {
            let Some(Active {
                constraint: Some(constraint),
                ..
            }) = &mut self.active[sequence]
            else {
                return;
            };
            let forced = match constraint.next() {
                Err(error) => return self.end(sequence, Err(error)),
                Ok(Next::End) => return self.end(sequence, Ok(FinishReason::Stop)),
                Ok(Next::Forced(tokens)) => tokens,
                Ok(allowed) => return self.batch.allow(sequence as u32, &allowed),
            };
            // Those that the answer took; the last of them may have ended it.
            let left = forced.iter().position(|&token| !self.push(sequence, token));
            let taken = &forced[..left.map_or(forced.len(), |last| last + 1)];
            if let Err(error) = self.batch.force(sequence as u32, taken) {
                return self.end(sequence, Err(error));
            }
            if left.is_some() {
                return;
            }
        }
    }

    /// Ends a completion and frees its sequence, which keeps what it holds.
    fn end(&mut self, sequence: usize, reason: Result<FinishReason>) {
        let Some(mut active) = self.active[sequence].take() else {
            return;
        };
        let done = reason.map(|reason| {
            let rest = active.answer.finish(reason);
            if !rest.is_empty() {
                let (text, reasoning) = (rest.text.as_str(), rest.reasoning.as_str());
                let event = CompletionEvent::Rest { text, reasoning };
                let _ = (active.each)(ServiceEvent::Completion(event)); // it ends anyway
                active.answer.tell_calls(&rest, &mut |event| {
                    let _ = (active.each)(ServiceEvent::Completion(event));
                });
            }
            active.answer.completion
        });
        self.shared.ended(done.as_ref().ok());
        let _ = (active.each)(ServiceEvent::Done(done)); // nothing is left to stop
    }
}

fn not_finite() -> Error {
    Error::NotFinite(
        "the model's logits are not finite: exact precision may do, or the file is damaged".into(),
    )
}
