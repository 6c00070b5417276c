//! The sections of an agent context, which are messages of different types that each have a status.

use crate::interactions::v1::{AgentContext, SectionStatus};

macro_rules! sections {
    ($($field:ident)+) => {
        impl AgentContext {
            /// How far each section can be trusted, by the name of its field, in the order of the fields. A section that is
            /// not there, or says nothing of itself, is left out.
            pub fn statuses(&self) -> impl Iterator<Item = (&'static str, &SectionStatus)> {
                let statuses = [$((stringify!($field), self.$field.as_ref().and_then(|one| one.status.as_ref())),)+];
                statuses.into_iter().filter_map(|(field, status)| Some((field, status?)))
            }

            /// The same statuses, to be changed.
            pub fn statuses_mut(&mut self) -> impl Iterator<Item = &mut SectionStatus> {
                [$(self.$field.as_mut().and_then(|one| one.status.as_mut()),)+].into_iter().flatten()
            }
        }
    };
}

sections!(caller card history cases scores value loyalty consents network promises);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use prost::Message;
    use prost_reflect::{DynamicMessage, Kind, Value};

    use super::*;

    #[test]
    fn every_section_is_among_them() {
        let context = crate::contract::pool().get_message_by_name("rapport.interactions.v1.AgentContext").unwrap();
        let mut full = DynamicMessage::new(context.clone());
        let mut sections = Vec::new();
        for field in context.fields() {
            let Kind::Message(section) = field.kind() else { continue };
            let Some(status) = section.get_field_by_name("status").filter(|_| !field.is_list()) else { continue };
            let Kind::Message(of) = status.kind() else { continue };
            let mut message = DynamicMessage::new(section);
            message.set_field(&status, Value::Message(DynamicMessage::new(of)));
            full.set_field(&field, Value::Message(message));
            sections.push(field.name().to_owned());
        }
        let mut full = AgentContext::decode(full.encode_to_vec().as_slice()).unwrap();
        assert_eq!(full.statuses().map(|(field, _)| field).collect::<Vec<_>>(), sections);
        assert_eq!(full.statuses_mut().count(), sections.len());
        assert_eq!(AgentContext::default().statuses().count(), 0);
    }
}
