//! Writes docs/config.md, the list of all keys: `cargo run -q -p rapport-server --example config > docs/config.md`.

use std::io::Write;

fn main() -> Result<(), std::io::Error> {
    std::io::stdout().write_all(rapport_server::config_page().as_bytes())
}
