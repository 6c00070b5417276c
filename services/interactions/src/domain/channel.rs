use super::coded;

coded! {
    /// What carries an interaction.
    Medium {
        /// A telephone call.
        Phone = 1 "phone",
        /// An e-mail.
        Email = 2 "email",
        /// A live chat.
        Chat = 3 "chat",
        /// A short message to a phone number.
        Sms = 4 "sms",
        /// A messaging application.
        Messaging = 5 "messaging",
        /// A web site or portal.
        Web = 6 "web",
        /// An application of the tenant.
        App = 7 "app",
        /// A social network or a review site.
        Social = 8 "social",
        /// Face to face.
        InPerson = 9 "in_person",
        /// A video call.
        Video = 10 "video",
        /// A letter or a parcel.
        Post = 11 "post",
        /// A fair, a conference, a general meeting.
        Event = 12 "event",
        /// A newspaper, a magazine, radio or television.
        Press = 13 "press",
        /// An exchange between machines.
        Machine = 14 "machine",
        /// Anything else.
        Other = 15 "other",
    }
}

impl Medium {
    /// Whether a contact by this medium is online when nobody says otherwise.
    pub(crate) fn online(self) -> bool {
        matches!(self, Medium::Email | Medium::Chat | Medium::Messaging | Medium::Web | Medium::App | Medium::Social)
    }
}

/// The way an interaction went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    /// What carried it.
    pub(crate) medium: Medium,
    /// Whether it went online.
    pub(crate) online: bool,
}

impl Channel {
    /// A channel; without `online` the medium decides.
    pub(crate) fn new(medium: Medium, online: Option<bool>) -> Channel {
        Channel { medium, online: online.unwrap_or_else(|| medium.online()) }
    }
}

coded! {
    /// Who spoke to whom.
    Direction {
        /// They came to the tenant.
        Inbound = 1 "inbound",
        /// The tenant went to them.
        Outbound = 2 "outbound",
        /// Both sides met.
        Mutual = 3 "mutual",
        /// Others spoke about the tenant.
        ThirdParty = 4 "third_party",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn codes_are_dense_and_lead_back() {
        for (position, (medium, code, _)) in Medium::ALL.iter().enumerate() {
            assert_eq!(*code as usize, position + 1);
            assert_eq!(medium.code(), *code);
            assert_eq!(Medium::parse(i32::from(*code)).unwrap(), *medium);
        }
        assert_eq!(Medium::parse(0).unwrap_err().reason, rapport_types::reason::REQUIRED);
        for unknown in [-1, 16, i32::MAX, i32::MIN] {
            assert_eq!(Medium::parse(unknown).unwrap_err().reason, rapport_types::reason::UNKNOWN_ENUM_VALUE);
        }
    }

    #[test]
    fn the_medium_decides_only_when_nobody_says() {
        assert!(Channel::new(Medium::Web, None).online);
        assert!(!Channel::new(Medium::Phone, None).online);
        assert!(!Channel::new(Medium::Web, Some(false)).online);
        assert!(Channel::new(Medium::Phone, Some(true)).online);
    }
}
