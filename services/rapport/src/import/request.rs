//! Request ids that an import makes again when it is started again, and how it ends when a call is refused.

use std::collections::HashMap;
use std::time::Duration;

use rapport_types::error::{Error, Kind};
use sha2::{Digest, Sha256};
use tonic::Request;
use uuid::{Builder, Uuid, Variant, Version};

use crate::failure::Failure;

/// A call with the longest deadline that a server grants: what is given up halfway is recorded all the same, and asked for again.
pub(crate) fn patient<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_secs(30));
    request
}

/// Ids from what a row says, and from how often the file has said it: the same file again is the same requests.
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    seen: HashMap<Uuid, u32>,
}

impl RequestIds {
    /// The id of a row whose content is `content`, for a method.
    pub(crate) fn next(&mut self, method: &str, content: &[u8]) -> Uuid {
        let first = named(&[method.as_bytes(), content]);
        let times = self.seen.entry(first).or_insert(0);
        *times += 1;
        if *times == 1 { first } else { named(&[first.as_bytes(), &times.to_be_bytes()]) }
    }
}

/// A UUID of these parts: SHA-256, cut, marked as one made from a name.
fn named(parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(b"rapport import\0");
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(digest.iter()) {
        *byte = *from;
    }
    Builder::from_bytes(bytes).with_variant(Variant::RFC4122).with_version(Version::Sha1).into_uuid()
}

/// The end of an import whose calls are refused whatever they carry.
pub(crate) fn stopped(error: &Error) -> Failure {
    let code = match error.kind {
        Kind::Unauthenticated | Kind::Denied => 5,
        Kind::Unavailable | Kind::Deadline | Kind::Exhausted | Kind::Conflict => 7,
        Kind::Invalid | Kind::OutOfRange => 3,
        _ => 1,
    };
    let lines = [
        format!("reason: {}", error.reason),
        "what was imported stays; the same command goes on from there".to_owned(),
    ];
    Failure::lines(code, &error.message, lines.into_iter())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_same_rows_have_the_same_ids_and_twins_have_two() {
        let ids = |rows: &[&str]| {
            let mut made = RequestIds::default();
            rows.iter().map(|row| made.next("Create", row.as_bytes())).collect::<Vec<_>>()
        };
        let once = ids(&["a", "b", "a"]);
        assert_eq!(once, ids(&["a", "b", "a"]));
        assert!(once[0] != once[2] && once[0] != once[1]);
        assert_eq!(once[0].get_version_num(), 5);
        assert_ne!(RequestIds::default().next("Other", b"a"), once[0]);
    }
}
