//! What a call may weigh and how long it may take.
//!
//! Generated servers carry their message limits themselves, so a service wraps each of its servers once where it
//! registers it: `routes.add_service(rapport_rpc::sized!(PartyServiceServer::new(api)))`, or `bulk!` for a service
//! whose streams carry many items per message.

use std::time::Duration;

/// The largest message a method accepts, in bytes.
pub const MESSAGE_BYTES: usize = 1 << 20;
/// The largest message of a bulk stream, in bytes.
pub const BULK_MESSAGE_BYTES: usize = 4 << 20;
/// The largest message a method sends, in bytes.
pub const REPLY_BYTES: usize = 4 << 20;
/// How long a unary call may take if the caller does not say.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// How long a unary call may take at most, whatever the caller says.
pub const DEADLINE_MAX: Duration = Duration::from_secs(30);

/// A generated server with the message limits of ordinary methods.
#[macro_export]
macro_rules! sized {
    ($server:expr) => {
        $server
            .max_decoding_message_size($crate::limits::MESSAGE_BYTES)
            .max_encoding_message_size($crate::limits::REPLY_BYTES)
    };
}

/// A generated server with the message limits of bulk streams.
#[macro_export]
macro_rules! bulk {
    ($server:expr) => {
        $server
            .max_decoding_message_size($crate::limits::BULK_MESSAGE_BYTES)
            .max_encoding_message_size($crate::limits::REPLY_BYTES)
    };
}
