//! `POST /webhook`: events of contact-centre clouds, as signed JSON. They may come twice, late and out of order.

use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use rapport_proto::interactions::v1::CallDisposition;
use rapport_types::Timestamp;
use serde::Deserialize;
use sha2::Sha256;
use tokio::time::Instant;

use crate::call::{End, MOST_ID, MOST_LEG, Told};
use crate::web::{Page, Pages, page, text};

/// The header that carries the signature: `sha256=` and the HMAC-SHA256 of the body in hexadecimal.
const SIGNATURE: &str = "x-rapport-signature";
/// What Rapport takes at most, in characters.
const MOST_SUBJECT: usize = 300;
const MOST_WRAP_UP: usize = 20_000;

/// One event, as it stands in the body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    event: Kind,
    call_id: String,
    #[serde(default)]
    leg: String,
    direction: Option<Way>,
    number: Option<String>,
    country: Option<String>,
    #[serde(default)]
    dialled: String,
    #[serde(default)]
    agent: String,
    time: Option<String>,
    disposition: Option<How>,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    wrap_up: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Ringing,
    Answered,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Inbound,
    Outbound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    Handled,
    Unresolved,
    Complaint,
    Missed,
    Misdialled,
}

impl From<How> for CallDisposition {
    fn from(how: How) -> Self {
        match how {
            How::Handled => CallDisposition::Handled,
            How::Unresolved => CallDisposition::Unresolved,
            How::Complaint => CallDisposition::Complaint,
            How::Missed => CallDisposition::Missed,
            How::Misdialled => CallDisposition::Misdialled,
        }
    }
}

/// Answers an event: `ringing` with who it is, the others with 202 once they are kept.
pub(crate) async fn answer(pages: &Pages, head: &Parts, body: &[u8], started: Instant) -> Page {
    let secret = pages.options.webhook_secret.expose();
    if secret.is_empty() {
        return text(StatusCode::NOT_FOUND, "the webhook is off: telephony.http.webhook_secret turns it on");
    }
    if let Err(why) = signed(secret, &head.headers, body) {
        return text(StatusCode::UNAUTHORIZED, why);
    }
    let (event, time) = match read(body) {
        Ok(read) => read,
        Err(wrong) => return text(StatusCode::BAD_REQUEST, &wrong),
    };
    let connector = &pages.connector;
    let raw = event.number.as_deref();
    let number = connector.number(raw.unwrap_or_default(), event.country.as_deref().filter(|text| !text.is_empty()));
    let call = Told {
        id: &event.call_id,
        leg: &event.leg,
        outbound: match event.direction {
            Some(way) => Some(way == Way::Outbound),
            // A call begins in one direction or the other; later events need not say which.
            None => (event.event == Kind::Ringing).then_some(false),
        },
        number: raw.map(|_| &number),
        dialled: &event.dialled,
        agent: &event.agent,
        started: time
            .filter(|_| event.event == Kind::Ringing)
            .or((event.event == Kind::Ringing).then(|| connector.now())),
        source: "webhook",
    }
    .message();
    match event.event {
        Kind::Ringing => {
            let answer = connector.ring(&call, &number, connector.budget(started).ask).await;
            match serde_json::to_vec(&answer) {
                Ok(json) => page(StatusCode::OK, "application/json", json),
                Err(_) => text(StatusCode::OK, ""),
            }
        }
        Kind::Answered => {
            connector.answered(&call, true);
            text(StatusCode::ACCEPTED, "kept")
        }
        Kind::Ended => {
            let disposition = event.disposition.map(CallDisposition::from);
            let end = End { at: time, disposition, subject: event.subject, wrap_up: event.wrap_up };
            connector.ended(&call, end, pages.options.settle.0);
            text(StatusCode::ACCEPTED, "kept")
        }
    }
}

/// Whether the body is signed with the secret.
fn signed(secret: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    const FORM: &str =
        "the header x-rapport-signature must be sha256= and 64 hexadecimal digits: the HMAC-SHA256 of the body";
    let given = headers
        .get(SIGNATURE)
        .ok_or("the header x-rapport-signature is missing: sha256= and the HMAC-SHA256 of the body in hexadecimal")?;
    let digits = given.to_str().ok().and_then(|text| text.trim().strip_prefix("sha256=")).ok_or(FORM)?;
    let given = unhex(digits).ok_or(FORM)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| FORM)?;
    mac.update(body);
    // Takes the same time whatever differs.
    mac.verify_slice(&given)
        .map_err(|_| "the signature in x-rapport-signature is not that of this body by telephony.http.webhook_secret")
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Reads a body; what is wrong is said with its place.
fn read(body: &[u8]) -> Result<(Event, Option<Timestamp>), String> {
    let event: Event = serde_json::from_slice(body).map_err(|error| format!("the body is not an event: {error}"))?;
    let id = |name: &str, text: &str, least: usize, most: usize| {
        let length = text.trim().chars().count();
        if text.chars().any(char::is_control) {
            Err(format!("{name}: must be one line"))
        } else if (least..=most).contains(&length) {
            Ok(())
        } else {
            Err(format!("{name}: must have {least} to {most} characters, it has {length}"))
        }
    };
    id("call_id", &event.call_id, 1, MOST_ID)?;
    id("leg", &event.leg, 0, MOST_LEG)?;
    id("subject", &event.subject, 0, MOST_SUBJECT)?;
    let length = event.wrap_up.chars().count();
    if length > MOST_WRAP_UP {
        return Err(format!("wrap_up: must have at most {MOST_WRAP_UP} characters, it has {length}"));
    }
    if event.event != Kind::Ended {
        let of_the_end = [
            ("disposition", event.disposition.is_some()),
            ("subject", !event.subject.is_empty()),
            ("wrap_up", !event.wrap_up.is_empty()),
        ];
        if let Some((name, _)) = of_the_end.iter().find(|(_, given)| *given) {
            return Err(format!("{name}: is only for the event ended"));
        }
    }
    let time = match event.time.as_deref() {
        None | Some("") => None,
        Some(text) => Some(Timestamp::parse(text).map_err(|error| format!("time: {}", error.description))?),
    };
    Ok((event, time))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use http::HeaderValue;

    use super::*;

    fn wrong(body: &str) -> String {
        read(body.as_bytes()).map(|(event, _)| format!("{event:?}")).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (body, part) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{\n  \"event\": \"ringing\",\n}", "line 3 column 1"),
            ("[1]", "line 1 column"),
            (
                r#"{"event":"rings","call_id":"1"}"#,
                "unknown variant `rings`, expected one of `ringing`, `answered`, `ended` at line 1 column 16",
            ),
            (r#"{"event":"ringing"}"#, "missing field `call_id` at line 1 column 19"),
            (r#"{"event":"ringing","call_id":7}"#, "invalid type: integer `7`, expected a string at line 1 column 30"),
            (r#"{"event":"ringing","call_id":"1","nummer":"1"}"#, "unknown field `nummer`, expected one of `event`"),
            (r#"{"event":"ringing","call_id":""}"#, "call_id: must have 1 to 200 characters, it has 0"),
            (r#"{"event":"ringing","call_id":"a\nb"}"#, "call_id: must be one line"),
            (r#"{"event":"ringing","call_id":"1","time":"now"}"#, "time: must be RFC 3339"),
            (r#"{"event":"ringing","call_id":"1","disposition":"missed"}"#, "disposition: is only for the event ended"),
            (r#"{"event":"ended","call_id":"1","disposition":"fine"}"#, "unknown variant `fine`"),
        ] {
            assert!(wrong(body).contains(part), "{body}: {}", wrong(body));
        }
        let (event, time) = read(br#"{"event":"ended","call_id":"1","time":"2026-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!((event.event, time.unwrap().to_string().as_str()), (Kind::Ended, "2026-01-01T00:00:00Z"));
    }

    #[test]
    fn only_a_body_that_is_signed_counts() {
        // RFC 4231, test case 2.
        let (secret, body) = ("Jefe", b"what do ya want for nothing?");
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(SIGNATURE, HeaderValue::from_static(text));
            headers
        };
        let right = of("sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(signed(secret, &right, body), Ok(()));
        assert!(
            signed(secret, &right, b"what do ya want for nothing!").unwrap_err().contains("is not that of this body")
        );
        assert!(signed("Jeff", &right, body).is_err());
        assert!(signed(secret, &HeaderMap::new(), body).unwrap_err().contains("is missing"));
        for bad in [
            "",
            "5bdc",
            "sha256=",
            "sha256=zz",
            "sha1=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ] {
            assert!(signed(secret, &of(bad), body).unwrap_err().contains("must be sha256="), "{bad}");
        }
    }
}
