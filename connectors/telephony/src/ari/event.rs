//! What Asterisk says on the websocket, as far as it concerns us.

use rapport_types::Timestamp;
use serde::Deserialize;

/// An event. Asterisk has many more, and more fields in each.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
pub(super) enum Event {
    /// A channel came into the application and is held there.
    StasisStart { channel: Channel, args: Vec<String> },
    /// A channel is rung on behalf of another one: no status while it rings, `ANSWER` and the like when that ends.
    Dial { caller: Option<Channel>, peer: Channel, dialstatus: String },
    /// A channel is gone.
    ChannelDestroyed { channel: Channel, timestamp: String },
    /// Somebody else registered the application; we hear no more.
    ApplicationReplaced {},
    /// Anything else.
    #[serde(other)]
    Other,
}

/// A channel, as every event and the list of channels show it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Channel {
    /// Its unique id.
    pub(super) id: String,
    /// For example `PJSIP/alice-00000001`.
    pub(super) name: String,
    /// `Down`, `Ring`, `Ringing`, `Up` and others.
    pub(super) state: String,
    pub(super) caller: Party,
    pub(super) dialplan: Place,
    pub(super) creationtime: String,
}

/// A name and a number.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Party {
    pub(super) number: String,
}

/// Where a channel is in the dial plan.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Place {
    pub(super) exten: String,
    /// The dial plan application it is in.
    #[serde(default)]
    pub(super) app_name: String,
    /// The arguments of that.
    #[serde(default)]
    pub(super) app_data: String,
}

impl Channel {
    /// The arguments after the application's name, if the channel is held in this Stasis application.
    pub(super) fn held_in(&self, app: &str) -> Option<Vec<String>> {
        let mut arguments = self.dialplan.app_data.split(',').map(str::to_owned);
        let held = self.dialplan.app_name == "Stasis" && arguments.next().as_deref().map(str::trim) == Some(app);
        held.then(|| arguments.collect())
    }
}

/// The subscriptions of an application.
#[derive(Debug, Deserialize)]
pub(super) struct Application {
    pub(super) channel_ids: Vec<String>,
}

/// Reads a time as Asterisk writes it: RFC 3339 but for the colon in the offset (`+0000`).
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let at = text.len().checked_sub(5).filter(|at| text.is_char_boundary(*at))?;
    let (moment, offset) = text.split_at(at);
    let digits = offset.get(1..).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let text = if digits && offset.starts_with(['+', '-']) {
        format!("{moment}{}:{}", &offset[..3], &offset[3..])
    } else {
        text.to_owned()
    };
    Timestamp::parse(&text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn times_are_read_as_asterisk_writes_them() {
        for (text, read) in [
            ("2026-11-22T07:13:08.123+0000", "2026-11-22T07:13:08.123Z"),
            ("2026-11-22T07:13:08.123-0330", "2026-11-22T10:43:08.123Z"),
            ("2026-11-22T07:13:08Z", "2026-11-22T07:13:08Z"),
            ("2026-11-22T07:13:08+01:00", "2026-11-22T06:13:08Z"),
        ] {
            assert_eq!(time(text).unwrap().to_string(), read);
        }
        for text in ["", "now", "ñ+0000", "+0000", "2026-11-22T07:13:08.123+00ñ"] {
            assert!(time(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_channel_is_held_in_one_application() {
        let channel = |app_name: &str, app_data: &str| Channel {
            id: "1".into(),
            name: "PJSIP/a-1".into(),
            state: "Ring".into(),
            caller: Party { number: "1".into() },
            dialplan: Place { exten: "1".into(), app_name: app_name.into(), app_data: app_data.into() },
            creationtime: String::new(),
        };
        assert_eq!(channel("Stasis", "rapport").held_in("rapport"), Some(vec![]));
        assert_eq!(channel("Stasis", "rapport,outbound,agent=a").held_in("rapport").unwrap(), ["outbound", "agent=a"]);
        for other in [channel("Stasis", "rapports"), channel("Dial", "rapport"), channel("", "")] {
            assert_eq!(other.held_in("rapport"), None);
        }
    }
}
