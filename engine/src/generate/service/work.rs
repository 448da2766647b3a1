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

/// Seconds of a slice where nothing else goes on: a request that comes waits for so long.
const ALONE_SECONDS: f64 = 0.4;

/// Seconds that an end takes at about most, for what the folder of the cache does not have yet.
const SAVING_SECONDS: u64 = 30;

/// Rows of the first slice, before it is known how fast they are.
const SLICE_ROWS: usize = 32;

/// The thread's sequences, and the requests that it knows.
pub(super) struct Work<'a> {
    tokenizer: &'a Tokenizer,
    shared: &'a Shared,
    batch: Batch,
    /// The completion that each sequence works on.
    active: Vec<Option<Active<'a>>>,
    queue: VecDeque<Waiting>,
    rows_per_second: Option<f64>,
    /// The sequence whose prompt was read last.
    turn: usize,
    /// Completions that were begun.
    number: u64,
    /// There may be something that the folder of the cache does not have.
    saves: bool,
    note: fn(&str),
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
    /// Place in the order in which completions were begun.
    number: u64,
    /// It has let go of what it had computed, and waits until there is room for that again.
    paused: bool,
}

impl<'a> Work<'a> {
    /// The work of a thread that has no requests yet.
    pub fn new(
        batch: Batch,
        tokenizer: &'a Tokenizer,
        shared: &'a Shared,
        note: fn(&str),
    ) -> Work<'a> {
        Work {
            tokenizer,
            shared,
            active: (0..batch.count()).map(|_| None).collect(),
            batch,
            queue: VecDeque::new(),
            rows_per_second: None,
            turn: 0,
            number: 0,
            saves: false,
            note,
        }
    }

    /// Works until nobody can ask any more.
    pub fn run(&mut self, requests: &Receiver<Box<Request>>) {
        loop {
            let idle = self.queue.is_empty() && self.active.iter().all(Option::is_none);
            match self.take(requests, idle && !self.saves) {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(()) => break,
            }
            if idle {
                self.save();
            }
            self.admit();
            for error in self.batch.refused_files() {
                (self.note)(&error.to_string());
            }
            self.read_slice();
            self.decode();
            self.shared.blocks(self.batch.blocks());
        }
        for sequence in 0..self.active.len() {
            self.end(sequence, Err(Error::Aborted));
        }
        // Those that were asked for last, too.
        let left = self.queue.drain(..).map(|waiting| waiting.request);
        for mut request in left.chain(requests.try_iter()) {
            let _ = (request.each)(ServiceEvent::Done(Err(Error::Aborted))); // it ends anyway
        }
        let start = Instant::now();
        while self.saves && start.elapsed().as_secs() < SAVING_SECONDS {
            self.save();
        }
    }

    /// Writes something that the folder of the cache does not have, where there is any.
    fn save(&mut self) {
        if self.saves {
            let saved = block_on(self.batch.save());
            self.saves = matches!(saved, Ok(true));
            if let Err(error) = saved {
                (self.note)(&error.to_string());
            }
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

    /// Gives the oldest requests a sequence each, as far as there are any, and room for their prompts.
    fn admit(&mut self) {
        while let Some(waiting) = self.queue.pop_front() {
            let mut free = (0..self.active.len()).filter(|&one| self.active[one].is_none());
            let alone = self.active.iter().all(Option::is_none);
            let has_room = alone || self.batch.has_room(&waiting.request.tokens);
            let Some(sequence) = free.next().filter(|_| has_room) else {
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
        self.active[sequence] = Some(Active {
            answer,
            constraint,
            each,
            max_tokens: options.max_tokens.unwrap_or(usize::MAX).min(room),
            since,
            prompt: tokens.len(),
            number: self.number,
            paused: false,
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
        let mut reading = turns.filter(|&one| self.reads(one) && self.has_room(one));
        let Some(sequence) = reading.next() else {
            return;
        };
        self.turn = sequence;
        let alone = self.active.iter().flatten().count() == 1;
        let seconds = if alone { ALONE_SECONDS } else { SLICE_SECONDS };
        let rows = match self.rows_per_second {
            Some(speed) => ((speed * seconds) as usize).max(1),
            None => SLICE_ROWS,
        };
        let before = self.batch.pending(sequence as u32);
        let start = Instant::now();
        let read = block_on(self.batch.prefill(sequence as u32, rows));
        let sampled = match read {
            Ok(sampled) => sampled,
            Err(error @ Error::CacheFull { .. }) => return self.make_room(Some(sequence), error),
            Err(error) => return self.end(sequence, Err(error)),
        };
        if let Some(active) = &mut self.active[sequence] {
            active.paused = false;
        }
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

    /// Lets the youngest completion that holds something wait, or `reading` where that is younger, to go on later from what is
    /// still known of it then. One that is alone ends.
    fn make_room(&mut self, reading: Option<usize>, error: Error) {
        let active = self.active.iter().enumerate();
        let numbers = active.filter_map(|(one, active)| Some((active.as_ref()?.number, one)));
        let holds = |one: u32| self.batch.pending(one) < self.batch.tokens(one).len();
        let holding = numbers.filter(|&(_, one)| holds(one as u32) || reading == Some(one));
        let Some((_, youngest)) = holding.max() else {
            return;
        };
        if self.active.iter().flatten().count() == 1 {
            return self.end(youngest, Err(error));
        }
        self.batch.pause(youngest as u32);
        self.shared.paused();
        if let Some(active) = &mut self.active[youngest] {
            active.paused = true;
        }
    }

    /// Whether a sequence need not wait for room: the oldest never does, for others make it.
    fn has_room(&self, sequence: usize) -> bool {
        let numbers = || self.active.iter().flatten().map(|active| active.number);
        self.active[sequence].as_ref().is_some_and(|active| {
            let oldest = numbers().min() == Some(active.number);
            !active.paused || oldest || self.batch.has_room(self.batch.tokens(sequence as u32))
        })
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
            Err(error @ Error::CacheFull { .. }) => self.make_room(None, error),
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
        let each = &mut active.each;
        let told = (active.answer).tell(&piece, Some(token), &mut |event| {
            each(ServiceEvent::Completion(event))
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
            // One of them may end the answer.
            let left = forced.iter().position(|&token| !self.push(sequence, token));
            if left.is_some() {
                return;
            }
            if let Err(error) = self.batch.force(sequence as u32, &forced) {
                return self.end(sequence, Err(error));
            }
        }
    }

    /// Ends a completion and frees its sequence; what was computed for it stays known.
    fn end(&mut self, sequence: usize, reason: Result<FinishReason>) {
        let Some(mut active) = self.active[sequence].take() else {
            return;
        };
        self.batch.release(sequence as u32);
        self.saves = true;
        let done = reason.map(|reason| {
            let rest = active.answer.finish(reason);
            let each = &mut active.each;
            let _ = active.answer.tell(&rest, None, &mut |event| {
                each(ServiceEvent::Completion(event)) // it ends anyway
            });
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
