use rapport_store::{Binding, Store};
use rapport_types::error::Error;
use rapport_types::page::PageSize;
use serde::Serialize;

/// Cuts a page out of what was read, and gives the token of the next one: empty when this is the last.
pub(crate) fn cut<T, P: Serialize>(
    store: &Store,
    binding: &Binding,
    size: PageSize,
    mut read: Vec<T>,
    place: impl Fn(&T) -> P,
) -> Result<(Vec<T>, String), Error> {
    let more = read.len() > size.get();
    read.truncate(size.get());
    let token = match read.last() {
        Some(last) if more => store.pages().seal(binding, &place(last))?,
        _ => String::new(),
    };
    Ok((read, token))
}
