//! Items of one command type in a batch: typed inside, erased outside.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use async_trait::async_trait;
use rapport_types::error::Error;
use rapport_types::tenant::TenantId;
use rapport_types::time::Timestamp;
use tokio::sync::oneshot;

use crate::command::{Command, Committed, Item, LockKey, Scope, Work};
use crate::error::StoreError;
use crate::idempotency::{self, Known, Request};
use crate::outbox::Outbox;
use crate::sequencer::Placed;
use crate::tx::Tx;

pub(crate) type Reply<T> = oneshot::Sender<Result<Committed<T>, Error>>;

/// One thing in the queue.
pub(crate) trait Entry: Send {
    fn kind(&self) -> TypeId;
    /// What a batch of its kind costs; see [`Command::WEIGHT`].
    fn weight(&self) -> usize;
    /// A group with only this.
    fn group(self: Box<Self>) -> Box<dyn Group>;
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
    fn fail(self: Box<Self>, error: Error);
}

/// Things of one type in a batch.
#[async_trait]
pub(crate) trait Group: Send {
    fn kind(&self) -> TypeId;
    /// Adds an entry of the same kind.
    fn push(&mut self, entry: Box<dyn Any + Send>);
    /// How many are still to be performed.
    fn len(&self) -> usize;
    /// Takes the second half out, of two or more.
    fn split(&mut self) -> Option<Box<dyn Group>>;
    fn stamp(&mut self, now: Timestamp);
    fn locks(&self, into: &mut Vec<LockKey>);
    fn scopes<'a>(&'a self, into: &mut Vec<&'a Scope>);
    /// Takes out what is answered already: by place among `scopes`.
    fn settle(&mut self, known: HashMap<usize, Known>);
    /// Whether something was answered by an earlier write.
    fn replays(&self) -> bool;
    /// Loads, decides, applies. `true` when something is to be committed. `looked`: whatever a decision may see of earlier
    /// requests was there when they were taken out.
    async fn perform(
        &mut self,
        tx: &Tx,
        looked: bool,
        out: &mut Outbox,
        requests: &mut Vec<Request>,
    ) -> Result<bool, StoreError>;
    /// The tenants of everybody still to be answered.
    fn tenants(&self, into: &mut Vec<Option<TenantId>>);
    /// Answers everybody; `None` when nothing was committed.
    fn finish(self: Box<Self>, placed: Option<Placed>, newest: i64);
    fn fail(self: Box<Self>, error: &Error);
}

/// A command in the queue.
pub(crate) struct Single<C: Command> {
    pub(crate) scope: Scope,
    pub(crate) command: C,
    pub(crate) locks: Vec<LockKey>,
    pub(crate) reply: Reply<C::Reply>,
}

impl<C: Command> Entry for Single<C> {
    fn kind(&self) -> TypeId {
        TypeId::of::<C>()
    }

    fn weight(&self) -> usize {
        C::WEIGHT
    }

    fn group(self: Box<Self>) -> Box<dyn Group> {
        let mut group = Commands::<C>::default();
        group.add(*self);
        Box::new(group)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn fail(self: Box<Self>, error: Error) {
        let _ = self.reply.send(Err(error));
    }
}

struct Waiting<C: Command> {
    locks: Vec<LockKey>,
    reply: Reply<C::Reply>,
    /// The decision of the attempt that committed, and how many events the batch had after it.
    decision: Option<(Result<C::Reply, Error>, usize)>,
}

struct Settled<C: Command> {
    tenant: TenantId,
    reply: Reply<C::Reply>,
    answer: Result<C::Reply, Error>,
}

struct Commands<C: Command> {
    items: Vec<Item<C>>,
    waiting: Vec<Waiting<C>>,
    settled: Vec<Settled<C>>,
}

impl<C: Command> Default for Commands<C> {
    fn default() -> Self {
        Self { items: Vec::new(), waiting: Vec::new(), settled: Vec::new() }
    }
}

impl<C: Command> Commands<C> {
    fn add(&mut self, single: Single<C>) {
        self.items.push(Item { scope: single.scope, command: single.command, now: Timestamp::from_micros(0) });
        self.waiting.push(Waiting { locks: single.locks, reply: single.reply, decision: None });
    }
}

#[async_trait]
impl<C: Command> Group for Commands<C> {
    fn kind(&self) -> TypeId {
        TypeId::of::<C>()
    }

    fn push(&mut self, entry: Box<dyn Any + Send>) {
        // An entry of another kind would be a bug of the batch; dropping it answers its caller with an error.
        if let Ok(single) = entry.downcast::<Single<C>>() {
            self.add(*single);
        }
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    fn split(&mut self) -> Option<Box<dyn Group>> {
        if self.items.len() < 2 {
            return None;
        }
        let at = self.items.len() / 2;
        Some(Box::new(Self {
            items: self.items.split_off(at),
            waiting: self.waiting.split_off(at),
            settled: Vec::new(),
        }))
    }

    fn stamp(&mut self, now: Timestamp) {
        for item in &mut self.items {
            item.now = now;
        }
    }

    fn locks(&self, into: &mut Vec<LockKey>) {
        for waiting in &self.waiting {
            into.extend_from_slice(&waiting.locks);
        }
    }

    fn scopes<'a>(&'a self, into: &mut Vec<&'a Scope>) {
        into.extend(self.items.iter().map(|item| &item.scope));
    }

    fn settle(&mut self, mut known: HashMap<usize, Known>) {
        if known.is_empty() {
            return;
        }
        let items = std::mem::take(&mut self.items);
        let waiting = std::mem::take(&mut self.waiting);
        for (at, (item, waiting)) in items.into_iter().zip(waiting).enumerate() {
            let answer = match known.remove(&at) {
                None => {
                    self.items.push(item);
                    self.waiting.push(waiting);
                    continue;
                }
                Some(Known::Refused(error)) => Err(error),
                Some(Known::Replay(json)) => serde_json::from_slice(&json).map_err(Error::internal),
            };
            self.settled.push(Settled { tenant: item.scope.tenant, reply: waiting.reply, answer });
        }
    }

    fn replays(&self) -> bool {
        self.settled.iter().any(|settled| settled.answer.is_ok())
    }

    async fn perform(
        &mut self,
        tx: &Tx,
        looked: bool,
        out: &mut Outbox,
        requests: &mut Vec<Request>,
    ) -> Result<bool, StoreError> {
        if self.items.is_empty() {
            return Ok(false);
        }
        let mut state = C::load(tx, &self.items).await?;
        let mut any = false;
        let mut refused = Vec::new();
        for (item, waiting) in self.items.iter().zip(&mut self.waiting) {
            let mark = out.enter(item.scope.traceparent.as_ref());
            let decision = C::decide(item, &mut state, out);
            match &decision {
                Ok(reply) => {
                    any = true;
                    if let Some(id) = item.scope.request_id {
                        requests.push(Request {
                            tenant: item.scope.tenant.clone(),
                            id,
                            asker: item.scope.asker(),
                            fingerprint: item.scope.fingerprint,
                            keep: out.keeps_request(),
                            subject: out.take_subject(&item.scope.tenant),
                            reply: serde_json::to_vec(reply)
                                .map_err(|error| StoreError::Domain(Error::internal(error)))?,
                        });
                    }
                }
                Err(_) => {
                    out.take_back(mark);
                    refused.push(&item.scope);
                }
            }
            waiting.decision = Some((decision, out.len()));
        }
        // What was done before may well be refused a second time: its caller gets the first answer all the same.
        if !looked && !idempotency::begin(tx, &[], &refused).await?.is_empty() {
            return Err(StoreError::Repeated);
        }
        if any {
            C::apply(tx, state).await?;
        }
        Ok(any)
    }

    fn tenants(&self, into: &mut Vec<Option<TenantId>>) {
        into.extend(self.items.iter().map(|item| Some(item.scope.tenant.clone())));
        into.extend(self.settled.iter().map(|settled| Some(settled.tenant.clone())));
    }

    fn finish(self: Box<Self>, placed: Option<Placed>, newest: i64) {
        for waiting in self.waiting {
            let answer = match waiting.decision {
                Some((Ok(reply), events)) => match placed {
                    Some(placed) => {
                        Ok(Committed { reply, position: placed.first + events as i64 - 1, replayed: false })
                    }
                    None => Err(Error::bug("a decision was answered without a commit")),
                },
                Some((Err(error), _)) => Err(error),
                None => Err(Error::bug("an item was answered without a decision")),
            };
            let _ = waiting.reply.send(answer);
        }
        let position = placed.map_or(newest, |placed| placed.newest);
        for settled in self.settled {
            let _ = settled.reply.send(settled.answer.map(|reply| Committed { reply, position, replayed: true }));
        }
    }

    fn fail(self: Box<Self>, error: &Error) {
        for waiting in self.waiting {
            let _ = waiting.reply.send(Err(error.clone()));
        }
        for settled in self.settled {
            // A refusal stands; an earlier answer may not be durable yet.
            let answer = settled.answer.and_then(|_| Err(error.clone()));
            let _ = settled.reply.send(answer);
        }
    }
}

/// Work in the queue, and in its batch, where it is alone.
pub(crate) struct Alone<W: Work> {
    pub(crate) work: W,
    pub(crate) locks: Vec<LockKey>,
    pub(crate) output: Option<(W::Output, usize)>,
    pub(crate) reply: Reply<W::Output>,
}

impl<W: Work> Entry for Alone<W> {
    fn kind(&self) -> TypeId {
        TypeId::of::<Self>()
    }

    fn weight(&self) -> usize {
        1
    }

    fn group(self: Box<Self>) -> Box<dyn Group> {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn fail(self: Box<Self>, error: Error) {
        let _ = self.reply.send(Err(error));
    }
}

#[async_trait]
impl<W: Work> Group for Alone<W> {
    fn kind(&self) -> TypeId {
        TypeId::of::<Self>()
    }

    fn push(&mut self, _entry: Box<dyn Any + Send>) {}

    fn len(&self) -> usize {
        1
    }

    fn split(&mut self) -> Option<Box<dyn Group>> {
        None
    }

    fn stamp(&mut self, _now: Timestamp) {}

    fn locks(&self, into: &mut Vec<LockKey>) {
        into.extend_from_slice(&self.locks);
    }

    fn scopes<'a>(&'a self, _into: &mut Vec<&'a Scope>) {}

    fn settle(&mut self, _known: HashMap<usize, Known>) {}

    fn replays(&self) -> bool {
        false
    }

    async fn perform(
        &mut self,
        tx: &Tx,
        _looked: bool,
        out: &mut Outbox,
        _requests: &mut Vec<Request>,
    ) -> Result<bool, StoreError> {
        out.enter(None);
        let output = self.work.run(tx, out).await?;
        self.output = Some((output, out.len()));
        Ok(true)
    }

    fn tenants(&self, into: &mut Vec<Option<TenantId>>) {
        into.push(None);
    }

    fn finish(self: Box<Self>, placed: Option<Placed>, _newest: i64) {
        let answer = match (self.output, placed) {
            (Some((reply, events)), Some(placed)) => {
                Ok(Committed { reply, position: placed.first + events as i64 - 1, replayed: false })
            }
            _ => Err(Error::bug("work was answered without a commit")),
        };
        let _ = self.reply.send(answer);
    }

    fn fail(self: Box<Self>, error: &Error) {
        let _ = self.reply.send(Err(error.clone()));
    }
}
