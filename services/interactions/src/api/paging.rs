use prost::Message;
use rapport_expr::OrderBy;
use rapport_store::{Binding, Store};
use rapport_types::Uuid;
use rapport_types::error::Error;
use rapport_types::page::PageSize;

/// The most bytes of a page's messages: under the 4 MiB that a reply may have.
const MAX_BYTES: usize = 3 << 20;

/// A place in a list that is sorted by a time and an id: the time in microseconds, the id.
pub(crate) type Place = (i64, Uuid);

/// Cuts a page out of what was read: at most `size`, and at most as much as a reply holds. Gives the page, and the
/// token of the next one, which is empty when this is the last.
pub(crate) fn cut<M: Message>(
    store: &Store,
    binding: &Binding,
    size: PageSize,
    read: Vec<(Place, M)>,
) -> Result<(Vec<M>, String), Error> {
    let shown = fitting(read.iter().map(|(_, message)| message.encoded_len()), size.get());
    let more = read.len() > shown;
    let last = read.get(shown.wrapping_sub(1)).map(|(place, _)| *place);
    let token = match last {
        Some(place) if more => store.pages().seal(binding, &place)?,
        _ => String::new(),
    };
    Ok((read.into_iter().take(shown).map(|(_, message)| message).collect(), token))
}

/// How many of the messages fit into one reply: at most `most`, at least one if there is one.
fn fitting(sizes: impl Iterator<Item = usize>, most: usize) -> usize {
    let mut bytes = 0;
    let mut count = 0;
    for size in sizes.take(most) {
        bytes += size;
        if bytes > MAX_BYTES && count > 0 {
            break;
        }
        count += 1;
    }
    count
}

/// Whether a list by one time is wanted oldest first; newest first when nothing is said.
pub(crate) fn ascending(order_by: &str, field: &'static str) -> Result<bool, Error> {
    let order = OrderBy::parse(order_by, &[field])?;
    Ok(order.first().is_some_and(|key| !key.descending))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_page_ends_at_its_size_or_when_the_reply_is_full() {
        assert_eq!(fitting([1; 10].into_iter(), 5), 5);
        assert_eq!(fitting([1; 3].into_iter(), 5), 3);
        assert_eq!(fitting([MAX_BYTES / 2; 4].into_iter(), 4), 2);
        assert_eq!(fitting([MAX_BYTES * 2; 4].into_iter(), 4), 1);
        assert_eq!(fitting(std::iter::empty(), 4), 0);
    }

    #[test]
    fn newest_first_unless_asked_otherwise() {
        assert!(!ascending("", "occurred_time").unwrap());
        assert!(!ascending("occurred_time desc", "occurred_time").unwrap());
        assert!(ascending("occurred_time asc", "occurred_time").unwrap());
        assert!(ascending("occurred_time", "occurred_time").unwrap());
        ascending("kind", "occurred_time").unwrap_err();
    }
}
