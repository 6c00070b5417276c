//! What a caller has seen of the feeds, and waits for within the budget.

use std::time::Instant;

use rapport_events::Freshness;
use rapport_rpc::header;
use rapport_server::Context;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Response, Status};

/// The positions that a caller has seen: an answer has to know of them, if there is time.
pub(super) struct Seen {
    header: Option<MetadataValue<Ascii>>,
    positions: Vec<(String, i64)>,
}

/// The positions that were not reached in time.
pub(super) struct Behind(Option<MetadataValue<Ascii>>);

impl Seen {
    /// What a request says of it.
    ///
    /// # Errors
    /// Invalid.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Seen, Status> {
        let positions = header::positions(request.metadata().as_ref()).map_err(rapport_rpc::status)?;
        Ok(Seen { header: request.metadata().get(header::AT_LEAST).cloned(), positions })
    }

    /// As it was said.
    pub(super) fn header(&self) -> Option<MetadataValue<Ascii>> {
        self.header.clone()
    }

    /// Waits until this service has applied as much; a fifth of the time stays for the answer.
    pub(super) async fn wait(&self, cx: &Context, until: Instant) -> Behind {
        let now = Instant::now();
        let until = now + until.saturating_duration_since(now).mul_f64(0.8);
        let mut behind = Vec::new();
        for (source, position) in &self.positions {
            // A service sees its own rows at once.
            if source == cx.store.service() {
                continue;
            }
            if let Freshness::Behind { position } = cx.cursors.wait(source, *position, until).await {
                behind.push(format!("{source}@{position}"));
            }
        }
        Behind(MetadataValue::try_from(behind.join(",")).ok().filter(|_| !behind.is_empty()))
    }
}

impl Behind {
    /// A reply that says so.
    pub(super) fn told<T>(self, mut reply: Response<T>) -> Response<T> {
        if let Some(positions) = self.0 {
            reply.metadata_mut().insert(header::STALE, positions);
        }
        reply
    }
}
