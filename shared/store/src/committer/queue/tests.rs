#![allow(clippy::unwrap_used)]

use std::any::{Any, TypeId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::committer::group::Group;

/// Only its number matters here.
struct Numbered(u32, Arc<AtomicUsize>);

impl Entry for Numbered {
    fn kind(&self) -> TypeId {
        TypeId::of::<Self>()
    }

    fn weight(&self) -> usize {
        self.0.div_ceil(100) as usize
    }

    fn group(self: Box<Self>) -> Box<dyn Group> {
        unreachable!()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn fail(self: Box<Self>, _error: Error) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn job(number: u32, tenant: &str, keys: &[i64], request: Option<i64>) -> Job {
    let tenant = (!tenant.is_empty()).then(|| TenantId::parse(tenant).unwrap());
    let keys: Vec<_> = keys.iter().map(|key| LockKey(*key)).collect();
    let entry = Box::new(Numbered(number, Arc::default()));
    Job::new(tenant, &keys, request.map(LockKey), entry)
}

fn numbers(taken: Option<Taken>) -> (Vec<u32>, Vec<LockKey>) {
    let Some(taken) = taken else {
        return (Vec::new(), Vec::new());
    };
    let (jobs, keys) = taken.split();
    let number = |job: Job| job.entry.into_any().downcast::<Numbered>().unwrap().0;
    (jobs.into_iter().map(number).collect(), keys)
}

fn queue(jobs: Vec<Job>) -> Queue {
    let queue = Queue::new(1000, 4, 1000, 8);
    queue.push(jobs);
    queue
}

fn take(queue: &Queue) -> (Vec<u32>, Vec<LockKey>) {
    numbers(queue.lock().take(queue.max_batch, queue.max_locks))
}

#[tokio::test]
async fn the_costlier_a_batch_the_fewer_run_at_once() {
    // Of those that cost little, as many batches run at once as there are jobs for; of as many that cost much only two.
    for (number, at_once) in [(1, 4), (700, 2)] {
        let queue = queue((0..16).map(|n| job(number, "calm", &[n], None)).collect());
        for _ in 0..at_once {
            assert_eq!(numbers(queue.next().await).0.len(), 4);
        }
        let mut another = std::pin::pin!(queue.next());
        for _ in 0..10 {
            assert!(futures::poll!(&mut another).is_pending(), "{number}: more than {at_once} at once");
        }
        assert_eq!(queue.depth().0, 16 - 4 * at_once, "{number}");
    }
}

#[test]
fn tenants_take_turns() {
    let mut jobs: Vec<_> = (0..6).map(|n| job(n, "flood", &[], None)).collect();
    jobs.push(job(10, "calm", &[], None));
    jobs.push(job(11, "calm", &[], None));
    let queue = queue(jobs);
    assert_eq!(take(&queue).0, [0, 10, 1, 11]);
    assert_eq!(take(&queue).0, [2, 3, 4, 5]);
    assert!(take(&queue).0.is_empty());
}

#[test]
fn work_goes_alone_and_is_not_put_off() {
    let mut jobs: Vec<_> = (0..6).map(|n| job(n, "acme", &[], None)).collect();
    jobs.insert(1, job(100, "", &[], None));
    let queue = queue(jobs);
    assert_eq!(take(&queue).0, [0, 1, 2, 3]);
    assert_eq!(take(&queue).0, [100]);
    assert_eq!(take(&queue).0, [4, 5]);
}

#[test]
fn keys_are_shared_within_a_batch_and_not_between_batches() {
    let queue = queue(vec![
        job(0, "acme", &[1], None),
        job(1, "acme", &[1], None),
        job(2, "acme", &[2], None),
        job(3, "acme", &[3], None),
        job(4, "acme", &[1, 9], None),
        job(5, "acme", &[9], None),
        job(6, "acme", &[8], None),
    ]);
    let (first, keys) = take(&queue);
    assert_eq!(first, [0, 1, 2, 3]);
    // 4 waits for key 1; 5 shares a key with 4 and stays behind it
    let (second, others) = take(&queue);
    assert_eq!(second, [6]);
    assert_eq!(queue.depth(), (2, 7));
    queue.release(others);
    assert!(take(&queue).0.is_empty());
    queue.release(keys);
    let (third, keys) = take(&queue);
    assert_eq!(third, [4]);
    queue.release(keys);
    assert_eq!(take(&queue).0, [5]);
    assert!(queue.lock().claims.is_empty());
}

#[test]
fn twins_never_share_a_batch() {
    let queue =
        queue(vec![job(0, "acme", &[1], Some(7)), job(1, "acme", &[1], Some(7)), job(2, "acme", &[1], Some(8))]);
    // 2 shares key 1 with the parked twin, which came first
    let (first, keys) = take(&queue);
    assert_eq!(first, [0]);
    queue.release(keys);
    assert_eq!(take(&queue).0, [1, 2]);
}

#[test]
fn too_many_locks_make_a_smaller_batch() {
    let queue = Queue::new(1000, 100, 4, 8);
    queue.push((0..5).map(|n| job(n, "acme", &[i64::from(n) * 2, i64::from(n) * 2 + 1], None)));
    assert_eq!(take(&queue).0, [0, 1]);
}

#[test]
fn everything_waiting_can_be_answered() {
    let queue = queue((0..5).map(|n| job(n, "acme", &[1], Some(i64::from(n) + 10))).collect());
    let (first, keys) = take(&queue);
    assert_eq!(first.len(), 4);
    queue.push([job(9, "acme", &[1], None)]);
    assert!(take(&queue).0.is_empty());
    queue.fail_waiting(&queue_full());
    assert_eq!(queue.depth(), (0, 4));
    queue.release(keys);
    assert!(take(&queue).0.is_empty());
}
