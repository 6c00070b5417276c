//! Writes docs/metrics.md, the list of metrics: `cargo run -q -p rapport-server --example metrics > docs/metrics.md`.

use std::io::Write;

fn main() -> Result<(), std::io::Error> {
    std::io::stdout().write_all(rapport_server::metrics_page().as_bytes())
}
