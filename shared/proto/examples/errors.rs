//! Writes docs/errors.md, the list of reasons, out of the comments in `proto/rapport/error/v1/reason.proto`:
//! `cargo run -p rapport-proto --example errors > docs/errors.md`.

use std::io::Write;

fn main() -> Result<(), std::io::Error> {
    std::io::stdout().write_all(rapport_proto::contract::errors_page().as_bytes())
}
