//! Who goes next: tenants in turn, and no two batches at once that hold the same key.
//!
//! A job whose key is held by a running batch is parked at that key and comes back when the key is released, so that a
//! hot key costs no scan of the queue. A parked job claims all its keys: a later job that shares one waits behind it,
//! so jobs that share a key run in the order they came.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::MutexGuard;

use rapport_types::error::Error;
use rapport_types::tenant::TenantId;
use tokio::sync::Notify;

use super::group::Entry;
use crate::command::LockKey;
use crate::error::{queue_full, shutting_down};

pub(crate) struct Job {
    ticket: u64,
    /// `None` for work of the service itself.
    tenant: Option<TenantId>,
    /// Sorted, each once. The request's key is among them.
    keys: Vec<LockKey>,
    /// How many of them other processes must respect too.
    declared: usize,
    /// A twin of the same request waits for the next batch, where the first one's record is found.
    request: Option<LockKey>,
    pub(crate) entry: Box<dyn Entry>,
}

impl Job {
    pub(crate) fn new(
        tenant: Option<TenantId>,
        locks: &[LockKey],
        request: Option<LockKey>,
        entry: Box<dyn Entry>,
    ) -> Self {
        let mut keys = Vec::with_capacity(locks.len() + 1);
        keys.extend_from_slice(locks);
        keys.extend(request);
        keys.sort_unstable();
        keys.dedup();
        Self { ticket: 0, tenant, keys, declared: locks.len(), request, entry }
    }

    /// Whether it may have been done before.
    pub(crate) fn may_be_repeated(&self) -> bool {
        self.request.is_some()
    }

    fn fail(self, error: &Error) {
        self.entry.fail(error.clone());
    }
}

/// Jobs to run together; their keys are held until [`Queue::release`].
pub(crate) struct Taken {
    pub(crate) jobs: Vec<Job>,
    keys: Vec<LockKey>,
}

#[derive(Default)]
struct Lanes {
    lanes: HashMap<Option<TenantId>, VecDeque<Job>>,
    turn: VecDeque<Option<TenantId>>,
    /// Jobs in lanes.
    ready: usize,
    /// Jobs not answered yet, by tenant: in lanes, parked, running, or waiting for their pass.
    open: HashMap<Option<TenantId>, usize>,
    total: usize,
    held: HashMap<LockKey, u64>,
    parked: HashMap<LockKey, VecDeque<Job>>,
    claims: HashMap<LockKey, BTreeSet<u64>>,
    tickets: u64,
    batches: u64,
    running: usize,
    closed: bool,
}

pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    wake: Notify,
    limit: usize,
    max_batch: usize,
    max_locks: usize,
    slots: usize,
}

impl Queue {
    /// `limit` jobs at once; `max_batch` jobs and `max_locks` declared keys in one batch; `slots` batches at once.
    pub(crate) fn new(limit: usize, max_batch: usize, max_locks: usize, slots: usize) -> Self {
        Self {
            lanes: Mutex::new(Lanes::default()),
            wake: Notify::new(),
            limit: limit.max(2),
            max_batch: max_batch.max(1),
            max_locks: max_locks.max(1),
            slots: slots.max(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        // Nothing panics while it is held, and if it did the lanes would still be whole.
        self.lanes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Takes jobs in; those that do not fit are answered at once.
    pub(crate) fn push(&self, jobs: impl IntoIterator<Item = Job>) {
        let mut refused = Vec::new();
        {
            let mut lanes = self.lock();
            for mut job in jobs {
                let open = lanes.open.get(&job.tenant).copied().unwrap_or(0);
                if lanes.closed {
                    refused.push((job, shutting_down()));
                } else if job.tenant.is_some() && (lanes.total >= self.limit || open >= self.limit.div_ceil(2)) {
                    refused.push((job, queue_full()));
                } else {
                    lanes.tickets += 1;
                    job.ticket = lanes.tickets;
                    lanes.total += 1;
                    *lanes.open.entry(job.tenant.clone()).or_default() += 1;
                    lanes.append(job);
                }
            }
        }
        self.wake.notify_one();
        for (job, error) in refused {
            job.fail(&error);
        }
    }

    /// Waits for the next batch; `None` when the queue is closed and empty.
    pub(crate) async fn next(&self) -> Option<Taken> {
        loop {
            // Whoever is ready to run may still add to the batch: one turn of the scheduler, no waiting.
            tokio::task::yield_now().await;
            {
                let mut lanes = self.lock();
                if lanes.running < self.allowed(lanes.total.saturating_mul(lanes.weight()))
                    && let Some(taken) = lanes.take(self.max_batch, self.max_locks)
                {
                    lanes.running += 1;
                    let more = lanes.ready > 0;
                    drop(lanes);
                    if more {
                        self.wake.notify_one();
                    }
                    return Some(taken);
                }
                if lanes.closed && lanes.ready == 0 && lanes.parked.is_empty() {
                    drop(lanes);
                    self.wake.notify_waiters();
                    self.wake.notify_one();
                    return None;
                }
            }
            self.wake.notified().await;
        }
    }

    /// Few large batches when many writes are open, many small ones when few are: a write that costs as much as several
    /// counts as many.
    fn allowed(&self, open: usize) -> usize {
        match open {
            0..=24 => self.slots,
            25..=96 => self.slots.min(4),
            _ => self.slots.min(2),
        }
    }

    /// A batch has committed (or failed): its keys and its slot are free.
    pub(crate) fn release(&self, keys: Vec<LockKey>) {
        {
            let mut lanes = self.lock();
            lanes.running = lanes.running.saturating_sub(1);
            let mut back = Vec::new();
            for key in keys {
                lanes.held.remove(&key);
                back.extend(lanes.parked.remove(&key).into_iter().flatten());
            }
            back.sort_unstable_by_key(|job| std::cmp::Reverse(job.ticket));
            for job in back {
                lanes.unclaim(&job);
                lanes.prepend(job);
            }
        }
        self.wake.notify_one();
    }

    /// Jobs were answered.
    pub(crate) fn answered(&self, tenants: impl IntoIterator<Item = Option<TenantId>>) {
        let mut lanes = self.lock();
        for tenant in tenants {
            lanes.total = lanes.total.saturating_sub(1);
            if let Some(open) = lanes.open.get_mut(&tenant) {
                *open -= 1;
                if *open == 0 {
                    lanes.open.remove(&tenant);
                }
            }
        }
    }

    /// Whether no more than this many jobs are open.
    pub(crate) fn is_all(&self, count: usize) -> bool {
        self.lock().total <= count
    }

    /// Answers everything that waits: the database is gone, and each of them would only wait to learn the same.
    pub(crate) fn fail_waiting(&self, error: &Error) {
        let mut gone: Vec<Job> = Vec::new();
        {
            let mut lanes = self.lock();
            gone.extend(lanes.lanes.drain().flat_map(|(_, lane)| lane));
            gone.extend(lanes.parked.drain().flat_map(|(_, jobs)| jobs));
            lanes.turn.clear();
            lanes.claims.clear();
            lanes.ready = 0;
        }
        self.answered(gone.iter().map(|job| job.tenant.clone()));
        for job in gone {
            job.fail(error);
        }
    }

    /// Refuses new jobs; what is in the queue still runs.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_waiters();
        self.wake.notify_one();
    }

    /// Jobs waiting, and jobs not answered yet.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let lanes = self.lock();
        let parked: usize = lanes.parked.values().map(VecDeque::len).sum();
        (lanes.ready + parked, lanes.total)
    }
}

impl Lanes {
    fn append(&mut self, job: Job) {
        self.ready += 1;
        let lane = self.lanes.entry(job.tenant.clone()).or_default();
        if lane.is_empty() {
            self.turn.push_back(job.tenant.clone());
        }
        lane.push_back(job);
    }

    fn prepend(&mut self, job: Job) {
        self.ready += 1;
        let lane = self.lanes.entry(job.tenant.clone()).or_default();
        if lane.is_empty() {
            self.turn.push_back(job.tenant.clone());
        }
        lane.push_front(job);
    }

    /// What a batch of the kind of the job whose turn it is costs.
    fn weight(&self) -> usize {
        let first = self.turn.front().and_then(|tenant| self.lanes.get(tenant)).and_then(VecDeque::front);
        first.map_or(1, |job| job.entry.weight().max(1))
    }

    /// The key this job has to wait for.
    fn blocker(&self, job: &Job, batch: u64) -> Option<LockKey> {
        job.keys.iter().copied().find(|key| {
            let held = self.held.get(key).is_some_and(|holder| *holder != batch || job.request == Some(*key));
            let claimed =
                self.claims.get(key).and_then(|tickets| tickets.first()).is_some_and(|first| *first < job.ticket);
            held || claimed
        })
    }

    fn park(&mut self, job: Job, at: LockKey) {
        for key in &job.keys {
            self.claims.entry(*key).or_default().insert(job.ticket);
        }
        self.parked.entry(at).or_default().push_back(job);
    }

    fn unclaim(&mut self, job: &Job) {
        for key in &job.keys {
            if let Some(tickets) = self.claims.get_mut(key) {
                tickets.remove(&job.ticket);
                if tickets.is_empty() {
                    self.claims.remove(key);
                }
            }
        }
    }

    /// One job of each tenant in turn, until the batch is full. Work of the service goes alone, and comes first in
    /// the next batch when it had to stand back in this one.
    fn take(&mut self, max: usize, max_locks: usize) -> Option<Taken> {
        self.batches += 1;
        let batch = self.batches;
        let mut jobs: Vec<Job> = Vec::new();
        let mut keys = Vec::new();
        let mut declared = 0;
        let mut stood_back = false;
        while jobs.len() < max && declared < max_locks {
            let Some(tenant) = self.turn.pop_front() else {
                break;
            };
            let alone = tenant.is_none();
            if alone && !jobs.is_empty() {
                stood_back = true;
                continue;
            }
            let Some(job) = self.pop(tenant) else {
                continue;
            };
            if let Some(key) = self.blocker(&job, batch) {
                self.park(job, key);
                continue;
            }
            for key in &job.keys {
                if self.held.insert(*key, batch).is_none() {
                    keys.push(*key);
                }
            }
            declared += job.declared;
            jobs.push(job);
            if alone {
                break;
            }
        }
        if stood_back {
            self.turn.push_front(None);
        }
        (!jobs.is_empty()).then_some(Taken { jobs, keys })
    }

    fn pop(&mut self, tenant: Option<TenantId>) -> Option<Job> {
        let lane = self.lanes.get_mut(&tenant)?;
        let job = lane.pop_front();
        if lane.is_empty() {
            self.lanes.remove(&tenant);
        } else {
            self.turn.push_back(tenant);
        }
        self.ready -= usize::from(job.is_some());
        job
    }
}

impl Taken {
    /// The keys to give back.
    pub(crate) fn split(self) -> (Vec<Job>, Vec<LockKey>) {
        (self.jobs, self.keys)
    }
}

#[cfg(test)]
mod tests;
