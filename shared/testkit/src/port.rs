//! Ports for what a test starts. Tests run side by side, in one process and in many: a port that is merely free now may be
//! another's a moment later.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// The ports of this process: whoever listens on the first of a block may hand out the others.
struct Block {
    _holder: TcpListener,
    first: u16,
    given: AtomicU16,
}

impl Block {
    const SIZE: u16 = 64;
    /// Below the range from which the kernel gives ports to clients, so that no connection of another test takes one
    /// before it is used.
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 300;

    /// A block that no other process has.
    fn take() -> Block {
        // Not everybody begins at the same one.
        let start = u16::try_from(std::process::id() % u32::from(Block::COUNT)).unwrap_or(0);
        (0..Block::COUNT)
            .map(|step| Block::FIRST + (start + step) % Block::COUNT * Block::SIZE)
            .find_map(|first| {
                let _holder = TcpListener::bind(("127.0.0.1", first)).ok()?;
                Some(Block { _holder, first, given: AtomicU16::new(0) })
            })
            .expect("a free block of loopback ports")
    }

    fn next(&self) -> u16 {
        self.first + 1 + self.given.fetch_add(1, Ordering::Relaxed) % (Block::SIZE - 1)
    }
}

/// A loopback port nobody listens on, and which no other test is given before it is used.
pub fn free_port() -> u16 {
    static BLOCK: OnceLock<Block> = OnceLock::new();
    let block = BLOCK.get_or_init(Block::take);
    (0..Block::SIZE)
        .map(|_| block.next())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free loopback port")
}
