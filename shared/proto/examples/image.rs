//! Writes the contract as a descriptor set, for buf and other tools:
//! `cargo run -p rapport-proto --example image > target/rapport.binpb`.

use std::io::Write;

fn main() -> Result<(), std::io::Error> {
    std::io::stdout().write_all(rapport_proto::DESCRIPTORS)
}
