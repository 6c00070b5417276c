//! AES-256-GCM-SIV with a random nonce: `version(1) | nonce(12) | ciphertext and tag`. A repeated nonce would reveal
//! only that two texts are equal, not the key, so random nonces are safe at any count we reach.

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit, Nonce};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE: usize = 12;

/// A 256-bit key, wiped when dropped.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// A fresh random key.
pub(crate) fn random_key() -> Result<Key, SealError> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut()).map_err(|_| SealError::NoRandomness)?;
    Ok(key)
}

/// Why something cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("the operating system gives no randomness")]
    NoRandomness,
    #[error("cannot seal")]
    Seal,
    #[error("the sealed bytes are not genuine")]
    Open,
}

pub(crate) fn seal(key: &[u8; 32], bound_to: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
    let cipher = Aes256GcmSiv::new(&(*key).into());
    let payload = Payload { msg: plain, aad: bound_to };
    let body = cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::Seal)?;
    let mut sealed = Vec::with_capacity(1 + NONCE + body.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

pub(crate) fn open(key: &[u8; 32], bound_to: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (VERSION, rest) = sealed.split_first().map(|(v, r)| (*v, r)).ok_or(SealError::Open)? else {
        return Err(SealError::Open);
    };
    let (nonce, body) = rest.split_at_checked(NONCE).ok_or(SealError::Open)?;
    let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| SealError::Open)?;
    let cipher = Aes256GcmSiv::new(&(*key).into());
    let payload = Payload { msg: body, aad: bound_to };
    cipher.decrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::Open)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_every_flip_is_noticed() {
        let key = random_key().unwrap();
        let sealed = seal(&key, b"here", b"plain").unwrap();
        assert_eq!(open(&key, b"here", &sealed).unwrap(), b"plain");
        assert_eq!(open(&key, b"there", &sealed), Err(SealError::Open));
        assert_eq!(open(&random_key().unwrap(), b"here", &sealed), Err(SealError::Open));
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert_eq!(open(&key, b"here", &broken), Err(SealError::Open));
            assert_eq!(open(&key, b"here", &sealed[..at]), Err(SealError::Open));
        }
        assert_ne!(sealed, seal(&key, b"here", b"plain").unwrap());
    }
}
