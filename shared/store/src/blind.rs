//! Keyed digests: equal values give equal results, and without the key nobody can try values out.

use hmac::{Hmac, KeyInit, Mac};
use rapport_types::Uuid;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::seal::Key;

/// HMAC-SHA256 over length-prefixed parts, so that no two lists of parts read the same.
pub(crate) fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // A key of any length is accepted by HMAC: the error cannot happen.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The key for one use, derived from the key-encryption key.
pub(crate) fn derive(root: &[u8; 32], service: &str, purpose: &str) -> Key {
    Zeroizing::new(mac(root, &[b"rapport", service.as_bytes(), purpose.as_bytes()]))
}

/// The blind index of a value, in the shape of a (version 8) UUID.
pub(crate) fn index(key: &[u8; 32], tenant: &str, label: &str, value: &str) -> Uuid {
    let digest = mac(key, &[tenant.as_bytes(), label.as_bytes(), value.as_bytes()]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_every_part_and_on_their_borders() {
        let key = derive(&[7; 32], "interactions", "blind");
        let one = index(&key, "acme", "identifier", "phone|+4930");
        assert_eq!(one, index(&key, "acme", "identifier", "phone|+4930"));
        assert_ne!(one, index(&key, "other", "identifier", "phone|+4930"));
        assert_ne!(one, index(&key, "acme", "identifie", "rphone|+4930"));
        assert_ne!(one, index(&derive(&[7; 32], "scoring", "blind"), "acme", "identifier", "phone|+4930"));
        assert_eq!(one.get_version_num(), 8);
    }
}
