use rapport_types::Uuid;

use super::{Identifier, Slug, coded};

coded! {
    /// What a participant did in an interaction.
    Function {
        /// Began it.
        Initiator = 1 "initiator",
        /// Received it.
        Recipient = 2 "recipient",
        /// Was spoken about.
        Subject = 3 "subject",
        /// Acted for the tenant or for another.
        Agent = 4 "agent",
        /// Was there and did nothing.
        Observer = 5 "observer",
    }
}

/// How the caller named somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// By the party, and perhaps the identifier that the party used.
    Party(Uuid, Option<Identifier>),
    /// By an identifier alone.
    Identifier(Identifier),
}

impl Named {
    /// The party that the caller named.
    pub(crate) fn party(&self) -> Option<Uuid> {
        match self {
            Named::Party(party, _) => Some(*party),
            Named::Identifier(_) => None,
        }
    }

    /// The identifier that was used, if it is known.
    pub(crate) fn identifier(&self) -> Option<&Identifier> {
        match self {
            Named::Party(_, identifier) => identifier.as_ref(),
            Named::Identifier(identifier) => Some(identifier),
        }
    }
}

/// One who took part in an interaction, as the caller told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Participant {
    /// Who it was.
    pub(crate) named: Named,
    /// The type of the role that they acted in.
    pub(crate) role_type: Option<Slug>,
    /// What they did.
    pub(crate) function: Function,
}

impl Participant {
    /// Two participants are the same when they are named alike and did the same.
    pub(crate) fn same(&self, other: &Participant) -> bool {
        if self.function != other.function {
            return false;
        }
        match (&self.named, &other.named) {
            (Named::Party(one, _), Named::Party(two, _)) => one == two,
            (Named::Identifier(one), Named::Identifier(two)) => !one.withheld() && one.comparable() == two.comparable(),
            _ => false,
        }
    }
}
