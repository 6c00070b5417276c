use std::collections::VecDeque;

/// A sequence number that does not come after the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfOrder {
    /// The number that came.
    pub(crate) sequence: i64,
    /// The greatest number before it; 0 when it is the first.
    pub(crate) after: i64,
}

/// How far a stream of numbered items is settled, when chunks of it are under way side by side.
///
/// `through` is the high-water mark: every item up to it is settled, and it never goes back. A chunk that is settled
/// before an earlier one waits for it.
#[derive(Debug, Default)]
pub(crate) struct Watermark {
    /// The greatest number that was taken.
    taken: i64,
    /// Every item up to here is settled.
    through: i64,
    /// Chunks that are not below the mark yet, in order: last number, items, settled.
    open: VecDeque<Chunk>,
    /// Items in chunks that are not settled.
    under_way: usize,
    /// The ticket of the first chunk in `open`.
    first_ticket: u64,
}

#[derive(Debug)]
struct Chunk {
    last: i64,
    items: usize,
    settled: bool,
}

impl Watermark {
    /// Takes the numbers of a chunk, in order, up to the first one that is out of order. Gives how many were taken, and
    /// what was wrong with the next.
    pub(crate) fn admit(&self, sequences: impl Iterator<Item = i64>) -> (usize, Option<OutOfOrder>) {
        let mut last = self.taken;
        let mut count = 0;
        for sequence in sequences {
            if sequence <= last {
                return (count, Some(OutOfOrder { sequence, after: last }));
            }
            last = sequence;
            count += 1;
        }
        (count, None)
    }

    /// Begins a chunk of `items` admitted items whose greatest number is `last`. The ticket settles it.
    pub(crate) fn begin(&mut self, last: i64, items: usize) -> u64 {
        self.taken = last;
        self.under_way += items;
        self.open.push_back(Chunk { last, items, settled: false });
        self.first_ticket + self.open.len() as u64 - 1
    }

    /// Settles a chunk: all its items are durable or reported. Settling twice changes nothing.
    pub(crate) fn settle(&mut self, ticket: u64) {
        let chunk = ticket.checked_sub(self.first_ticket).and_then(|at| self.open.get_mut(usize::try_from(at).ok()?));
        if let Some(chunk) = chunk.filter(|chunk| !chunk.settled) {
            chunk.settled = true;
            self.under_way -= chunk.items;
        }
        while let Some(chunk) = self.open.front().filter(|chunk| chunk.settled) {
            self.through = chunk.last;
            self.open.pop_front();
            self.first_ticket += 1;
        }
    }

    /// Every item up to this number is settled.
    pub(crate) fn through(&self) -> i64 {
        self.through
    }

    /// How many items are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_must_rise() {
        let mut mark = Watermark::default();
        assert_eq!(mark.admit([0].into_iter()), (0, Some(OutOfOrder { sequence: 0, after: 0 })));
        assert_eq!(mark.admit([-5].into_iter()), (0, Some(OutOfOrder { sequence: -5, after: 0 })));
        assert_eq!(mark.admit([3, 9, 9, 10].into_iter()), (2, Some(OutOfOrder { sequence: 9, after: 9 })));
        mark.begin(9, 2);
        assert_eq!(mark.admit([9].into_iter()), (0, Some(OutOfOrder { sequence: 9, after: 9 })));
        assert_eq!(mark.admit([i64::MAX].into_iter()), (1, None));
    }

    proptest! {
        /// Whatever the order in which chunks are settled: the mark never goes back, never passes an open chunk, and
        /// ends at the last number.
        #[test]
        fn the_mark_is_the_end_of_the_settled_prefix(
            sizes in proptest::collection::vec((1..50usize, 0..5i64), 1..20),
            order in Just((0..20usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut mark = Watermark::default();
            let mut last = 0;
            let mut chunks = Vec::new();
            for (items, gap) in sizes {
                last += gap + items as i64;
                chunks.push((mark.begin(last, items), last, items));
            }
            let mut settled = vec![false; chunks.len()];
            let mut before = 0;
            for at in order.into_iter().filter(|at| *at < chunks.len()) {
                mark.settle(chunks[at].0);
                mark.settle(chunks[at].0);
                settled[at] = true;
                let prefix = settled.iter().take_while(|done| **done).count();
                let expected = prefix.checked_sub(1).map_or(0, |end| chunks[end].1);
                prop_assert_eq!(mark.through(), expected);
                prop_assert!(mark.through() >= before);
                before = mark.through();
                let open: usize = chunks.iter().zip(&settled).filter(|(_, done)| !**done).map(|(c, _)| c.2).sum();
                prop_assert_eq!(mark.under_way(), open);
            }
            prop_assert_eq!(mark.through(), last);
        }
    }
}
