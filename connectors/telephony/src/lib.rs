//! Telephony in front of the agent's desk: Asterisk (ARI and FastAGI), a plain caller-ID URL for PBXs that know nothing
//! else, and a webhook for contact-centre clouds.
//!
//! Whatever comes in is one of three things, told to Rapport's `DeskService`: a call rings (`BeginCall`, and who it is
//! is answered), somebody answers it, it ends (`EndCall`). Two rules hold everywhere:
//!
//! * **Every call passes.** A call is held for the budget at most, whatever Rapport does; then it goes on without an
//!   answer (`RAPPORT_MATCH` is `unavailable`).
//! * **Nothing is lost silently.** What Rapport could not take is kept in memory, within a bound, and told again until
//!   it is delivered; what is left at the end is logged by call id.
//!
//! | file | what |
//! |---|---|
//! | `options` | what it can be told, `[telephony]` of its configuration |
//! | `number`, `text`, `words` | numbers as telephony writes them, texts that are safe in a dial plan, arguments of the dial plan |
//! | `desk` | the client of `DeskService` with the hard budget |
//! | `answer` | what the desk said, as channel variables |
//! | `call`, `calls`, `deliver` | a call as it is told; the calls under way and what Rapport still has to be told; telling it |
//! | `connector` | ring, answered, ended: what all ways in share |
//! | `agi` | FastAGI for dial plans |
//! | `ari` | the websocket and the REST calls of ARI |
//! | `web`, `caller_id`, `webhook` | the HTTP listener and its two pages |
//! | `running` | start and stop |
#![forbid(unsafe_code)]

mod agi;
mod answer;
mod ari;
mod backoff;
mod call;
mod caller_id;
mod calls;
mod connector;
mod deliver;
mod desk;
mod number;
mod options;
mod running;
mod text;
mod web;
mod webhook;
mod words;

pub use options::{AgiOptions, AsteriskOptions, HttpOptions, TelephonyOptions};
pub use running::{Running, StartError, start};
