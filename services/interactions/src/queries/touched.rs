use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rapport_types::Uuid;
use tokio::sync::watch;

/// How many touches are remembered: about 10 MB.
const MOST: usize = if cfg!(test) { 4 } else { 100_000 };

/// Whom a feed spoke of lately, and when last. What was read of a party at a position of the feed is still all
/// there is if nothing touched the party since. Clones share what they remember.
#[derive(Clone, Default)]
pub(crate) struct Touched(Arc<Inner>);

#[derive(Default)]
struct Inner {
    touches: Mutex<Touches>,
    /// Up to where the feed is known; none while nobody follows it.
    through: watch::Sender<Option<i64>>,
}

#[derive(Default)]
struct Touches {
    /// Everything after it is remembered.
    from: i64,
    last: HashMap<Uuid, i64>,
    order: VecDeque<(i64, Uuid)>,
}

impl Touched {
    fn touches(&self) -> MutexGuard<'_, Touches> {
        self.0.touches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The feed is followed from a position on; what was known before is forgotten.
    pub(crate) fn begin(&self, position: i64) {
        *self.touches() = Touches { from: position, ..Touches::default() };
        self.0.through.send_replace(Some(position));
    }

    /// The feed is no longer followed.
    pub(crate) fn end(&self) {
        self.0.through.send_replace(None);
    }

    /// An event at a position names these.
    pub(crate) fn note(&self, position: i64, ids: Vec<Uuid>) {
        let mut touches = self.touches();
        for id in ids {
            if touches.last.insert(id, position) != Some(position) {
                touches.order.push_back((position, id));
            }
        }
        while touches.order.len() > MOST {
            let Some((position, id)) = touches.order.pop_front() else { break };
            if touches.last.get(&id) == Some(&position) {
                touches.last.remove(&id);
            }
            touches.from = touches.from.max(position);
        }
    }

    /// Everything up to a position has been noted.
    pub(crate) fn through(&self, position: i64) {
        self.0.through.send_modify(|through| *through = (*through).map(|known| known.max(position)));
    }

    /// Waits until everything up to a position is noted, and gives up to where it is; none where the feed is not
    /// followed, or was not by then.
    pub(crate) async fn reach(&self, position: i64, until: Instant) -> Option<i64> {
        let mut through = self.0.through.subscribe();
        let known = *through.borrow_and_update();
        match known {
            Some(known) if known >= position => return Some(known),
            Some(_) => {}
            None => return None,
        }
        let reached = through.wait_for(|through| through.is_none_or(|through| through >= position));
        match tokio::time::timeout_at(until.into(), reached).await {
            Ok(Ok(through)) => *through,
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// Where the feed spoke of somebody last, as far as that is remembered.
    pub(crate) fn last(&self, id: Uuid) -> Option<i64> {
        self.touches().last.get(&id).copied()
    }

    /// Whether the feed is known to have spoken of nobody like this between two positions.
    pub(crate) fn silent(&self, from: i64, to: i64, id: Uuid) -> bool {
        from == to || (self.0.through.borrow().is_some_and(|known| known >= to) && self.untouched(from, [id]))
    }

    /// Whether nothing touched any of these after a position. What is no longer remembered may have.
    pub(crate) fn untouched(&self, position: i64, ids: impl IntoIterator<Item = Uuid>) -> bool {
        let touches = self.touches();
        position >= touches.from
            && ids.into_iter().all(|id| touches.last.get(&id).is_none_or(|touch| *touch <= position))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use super::*;

    fn id(of: u128) -> Uuid {
        Uuid::from_u128(of)
    }

    #[test]
    fn what_was_read_holds_until_somebody_is_touched() {
        let touched = Touched::default();
        touched.begin(10);
        assert!(touched.untouched(10, [id(1)]) && !touched.untouched(9, [id(1)]), "what came before is not known");
        touched.note(11, vec![id(1), id(1)]);
        assert!(
            !touched.untouched(10, [id(2), id(1)]) && touched.untouched(10, [id(2)]) && touched.untouched(11, [id(1)])
        );
        touched.begin(20);
        assert!(!touched.untouched(11, [id(2)]) && touched.untouched(20, [id(1)]));
    }

    #[test]
    fn what_is_forgotten_may_have_been_touched() {
        let touched = Touched::default();
        touched.begin(0);
        for position in 1..=5 {
            touched.note(position, vec![id(7 + u128::try_from(position).unwrap() % 2), id(1)]);
        }
        // Ten touches of three, of which four are remembered: those of 4 and 5.
        assert!(!touched.untouched(2, [id(9)]), "the touch of 3 is forgotten");
        assert!(touched.untouched(3, [id(9)]) && !touched.untouched(3, [id(1)]) && touched.untouched(5, [id(1)]));
    }

    #[test]
    fn silence_is_known_as_far_as_the_feed_is() {
        let touched = Touched::default();
        assert!(touched.silent(3, 3, id(1)) && !touched.silent(3, 4, id(1)), "nobody follows");
        touched.begin(3);
        touched.note(5, vec![id(1)]);
        assert!(!touched.silent(3, 5, id(2)), "what 5 says besides is not known yet");
        touched.through(5);
        assert!(touched.silent(3, 5, id(2)) && !touched.silent(3, 5, id(1)) && touched.silent(5, 5, id(1)));
        assert_eq!((touched.last(id(1)), touched.last(id(2))), (Some(5), None));
        touched.end();
        assert!(!touched.silent(3, 5, id(2)));
    }

    #[tokio::test]
    async fn whoever_asks_waits_for_the_feed_and_no_longer_than_they_may() {
        let touched = Touched::default();
        let soon = || Instant::now() + Duration::from_millis(20);
        assert_eq!(touched.reach(0, soon()).await, None, "nobody follows");
        touched.begin(3);
        assert_eq!(touched.reach(3, soon()).await, Some(3));
        assert_eq!(touched.reach(4, soon()).await, None, "it took too long");
        let far = Instant::now() + Duration::from_secs(60);
        let (reached, ()) = tokio::join!(touched.reach(4, far), async { touched.through(5) });
        assert_eq!(reached, Some(5));
        let (reached, ()) = tokio::join!(touched.reach(6, far), async { touched.end() });
        assert_eq!(reached, None);
    }
}
