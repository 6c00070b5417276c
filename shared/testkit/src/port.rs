//! Ports for what a test starts. Tests run side by side, in one process and in many: a port that is merely free now may be
//! another's a moment later.

use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

/// How many ports a block has: whoever listens on the first may hand out the others.
const SIZE: u16 = 64;
/// Below the range from which the kernel gives ports to clients, so that no connection of another test takes one before it is
/// used.
const FIRST: u16 = 12_000;
const COUNT: u16 = 300;

/// The ports of this process.
struct Blocks {
    /// The first port of every block that is ours.
    held: Vec<TcpListener>,
    /// The first port of the newest block, and how many of it were given.
    first: u16,
    given: u16,
}

impl Blocks {
    /// Takes a block that no process has.
    fn grow(&mut self) {
        // Not everybody begins at the same one.
        let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
        let (first, holder) = (0..COUNT)
            .map(|step| FIRST + (start + step) % COUNT * SIZE)
            .find_map(|first| Some((first, TcpListener::bind(("127.0.0.1", first)).ok()?)))
            .expect("a free block of loopback ports");
        self.held.push(holder);
        (self.first, self.given) = (first, 0);
    }

    /// A port that was not given before: a server that is down for a while finds its own free when it comes back.
    fn next(&mut self) -> u16 {
        if self.held.is_empty() || self.given == SIZE - 1 {
            self.grow();
        }
        self.given += 1;
        self.first + self.given
    }
}

/// A loopback port nobody listens on, and which no other test is given, in this process or another.
pub fn free_port() -> u16 {
    static BLOCKS: Mutex<Blocks> = Mutex::new(Blocks { held: Vec::new(), first: 0, given: 0 });
    let mut blocks = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    (0..SIZE)
        .map(|_| blocks.next())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free loopback port")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let given: Vec<u16> = (0..SIZE * 3).map(|_| free_port()).collect();
        assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len());
    }
}
