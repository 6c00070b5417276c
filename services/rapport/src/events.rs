//! `rapport events`: what a consumer could not apply, through the process that hosts it.

use std::io::Write;

use rapport_proto::events::v1::event_service_client::EventServiceClient;
use rapport_proto::events::v1::{
    DiscardParkedEventRequest, ListParkedEventsRequest, ParkedEvent, RetryParkedEventsRequest,
};
use rapport_rpc::Transport;
use tonic::Status;

use crate::cli::{Consumers, Events};
use crate::connection::Connection;
use crate::failure::Failure;

pub(crate) async fn run(command: &Events) -> Result<(), Failure> {
    match command {
        Events::Parked(consumers) => parked(consumers).await,
        Events::Retry { consumers, aggregate } => retry(consumers, aggregate).await,
        Events::Discard { name, connection } => discard(connection, name).await,
    }
}

fn client(connection: &Connection) -> Result<EventServiceClient<Transport>, Failure> {
    connection.open().map(EventServiceClient::new)
}

fn refused(status: &Status) -> Failure {
    Failure::failed(format!("{:?}: {}", status.code(), status.message()))
}

fn parent(consumers: &Consumers) -> String {
    format!("services/{}/consumers/{}", consumers.service, consumers.consumer)
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| Failure::output(&error))
}

fn line(parked: &ParkedEvent) -> String {
    let event = parked.event.clone().unwrap_or_default();
    format!("{}\n  {} of {}, version {}: {}", parked.name, event.r#type, event.aggregate, event.version, parked.reason)
}

async fn parked(consumers: &Consumers) -> Result<(), Failure> {
    let mut client = client(&consumers.connection)?;
    let mut request = ListParkedEventsRequest { parent: parent(consumers), page_size: 500, ..Default::default() };
    let mut count = 0;
    loop {
        let page = client.list_parked_events(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        for event in &page.parked_events {
            print(&line(event))?;
        }
        count += page.parked_events.len();
        if page.next_page_token.is_empty() {
            return print(&format!("{count} parked"));
        }
        request.page_token = page.next_page_token;
    }
}

async fn retry(consumers: &Consumers, aggregate: &str) -> Result<(), Failure> {
    let mut client = client(&consumers.connection)?;
    let mut applied = 0;
    loop {
        let request = RetryParkedEventsRequest {
            parent: parent(consumers),
            aggregate: aggregate.to_owned(),
            request_id: String::new(),
        };
        let answer = client.retry_parked_events(request).await.map_err(|status| refused(&status))?.into_inner();
        applied += answer.applied_count;
        // One call does what its deadline allows; the next goes on, while there is anything that it can do.
        if answer.applied_count > 0 && answer.remaining_count > 0 {
            continue;
        }
        for event in &answer.failures {
            print(&format!("failed again: {}", line(event)))?;
        }
        print(&format!("{applied} applied, {} still parked", answer.remaining_count))?;
        return if answer.failures.is_empty() { Ok(()) } else { Err(Failure { code: 1, message: String::new() }) };
    }
}

async fn discard(connection: &Connection, name: &str) -> Result<(), Failure> {
    let request = DiscardParkedEventRequest { name: name.to_owned(), request_id: String::new() };
    client(connection)?.discard_parked_event(request).await.map_err(|status| refused(&status))?;
    print(&format!("{name} is given up"))
}
