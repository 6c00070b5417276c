//! Invented people for the data's customers, who are only numbers there: the same person for the same key in each run.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Given names; any resemblance is chance.
const GIVEN: [&str; 64] = [
    "Ada", "Alma", "Amara", "Anton", "Arlo", "Astrid", "Beatriz", "Bram", "Calla", "Cedric", "Chiara", "Corin",
    "Dalia", "Dario", "Delphine", "Edda", "Elias", "Elodie", "Emre", "Esme", "Farid", "Fenna", "Flora", "Gideon",
    "Greta", "Hana", "Hugo", "Ilse", "Imani", "Ingrid", "Ismael", "Ivo", "Jada", "Joren", "Juno", "Kaia", "Kofi",
    "Lars", "Leila", "Linnea", "Luca", "Maren", "Mateo", "Mila", "Nadia", "Nils", "Noor", "Odile", "Orla", "Oskar",
    "Petra", "Quentin", "Rafael", "Renée", "Rosa", "Selma", "Silas", "Tamsin", "Tobias", "Uma", "Vera", "Wanda",
    "Yara", "Zeno",
];

/// Syllables family names are put together from: 24 x 24 of them.
const FAMILY_HEAD: [&str; 24] = [
    "Alder", "Ash", "Birch", "Black", "Bright", "Brook", "Cold", "Corn", "Elder", "Fair", "Fern", "Hart", "Hawk",
    "Lang", "Mar", "Mill", "North", "Oak", "Pem", "Quill", "Rush", "Stan", "Thorn", "Win",
];
const FAMILY_TAIL: [&str; 24] = [
    "acre", "beck", "born", "bridge", "bury", "by", "croft", "dale", "den", "field", "ford", "gate", "grove", "ham",
    "hurst", "land", "ley", "low", "mere", "more", "shaw", "stead", "ton", "well",
];

/// Where customers are said to live: (city, IANA time zone).
const PLACES: [(&str, &str); 8] = [
    ("Portland", "America/Los_Angeles"),
    ("Duluth", "America/Chicago"),
    ("Savannah", "America/New_York"),
    ("Boulder", "America/Denver"),
    ("Tucson", "America/Phoenix"),
    ("Albany", "America/New_York"),
    ("Madison", "America/Chicago"),
    ("Fresno", "America/Los_Angeles"),
];

/// An invented person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Given name.
    pub given: &'static str,
    /// Family name.
    pub family: String,
    /// `given.family.key@example.com`, unique by its key.
    pub email: String,
    /// City.
    pub city: &'static str,
    /// IANA time zone.
    pub zone: &'static str,
}

impl Person {
    /// The person behind a customer's key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let seed = seed(&["person", key]);
        let pick = |shift: u32, len: usize| (seed >> shift) as usize % len;
        let given = GIVEN[pick(0, GIVEN.len())];
        let family =
            format!("{}{}", FAMILY_HEAD[pick(12, FAMILY_HEAD.len())], FAMILY_TAIL[pick(24, FAMILY_TAIL.len())]);
        let (city, zone) = PLACES[pick(40, PLACES.len())];
        let email = format!("{}.{}.{}@example.com", plain(given), plain(&family), mailbox(key));
        Self { given, family, email, city, zone }
    }

    /// `given family`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.given, self.family)
    }
}

/// Letters of a name as a mailbox has them.
fn plain(name: &str) -> String {
    name.to_lowercase()
        .chars()
        .map(|c| match c {
            'é' | 'è' | 'ê' => 'e',
            c => c,
        })
        .filter(char::is_ascii_alphanumeric)
        .collect()
}

/// A customer's key as part of a mailbox: itself when it is short and plain, else eight digits of its hash.
fn mailbox(key: &str) -> String {
    if key.len() <= 16 && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        key.to_owned()
    } else {
        format!("x{:08x}", seed(&["mailbox", key]) as u32)
    }
}

/// A number made of words: the same in each run, on each machine.
#[must_use]
pub fn seed(words: &[&str]) -> u64 {
    hash(words).iter().take(8).fold(0, |n, b| (n << 8) | u64::from(*b))
}

/// The request id of a write that is told by `words` (RFC 9562 version 8: custom, made of the content): the same
/// content asks under the same id, so a second run is answered by what the first one did.
#[must_use]
pub fn request_id(words: &[&str]) -> Uuid {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash(words)) {
        *to = from;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// SHA-256 over the words, each ended by a zero byte so that `ab,c` and `a,bc` differ.
fn hash(words: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for word in words {
        hasher.update(word.as_bytes());
        hasher.update([0]);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn people_are_the_same_each_time_and_reachable_nowhere() {
        let keys: Vec<String> = (1..=2_357).map(|n: u32| n.to_string()).collect();
        let people: Vec<Person> = keys.iter().map(|key| Person::of(key)).collect();
        assert_eq!(people[0], Person::of("1"));
        let mails: HashSet<&str> = people.iter().map(|p| p.email.as_str()).collect();
        assert_eq!(mails.len(), people.len());
        for person in &people {
            assert!(person.email.ends_with("@example.com") && person.email.is_ascii(), "{person:?}");
        }
        let names: HashSet<String> = people.iter().map(Person::name).collect();
        assert!(names.len() > 1_500, "a crowd, not a few names over and over: {}", names.len());
    }

    #[test]
    fn odd_keys_still_give_a_mailbox() {
        let person = Person::of("Kunde Nr. 7/Ä");
        assert!(person.email.is_ascii() && !person.email.contains(' '), "{}", person.email);
    }

    #[test]
    fn request_ids_tell_words_apart() {
        assert_eq!(request_id(&["a", "b"]), request_id(&["a", "b"]));
        assert_ne!(request_id(&["ab", "c"]), request_id(&["a", "bc"]));
        assert_eq!(request_id(&["a"]).get_version_num(), 8);
    }
}
