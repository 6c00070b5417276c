use super::coded;

coded! {
    /// A sort of section that the desk keeps; each reads as what is said of a party in a service.
    SectionKind {
        /// The party's card and roles.
        Card = 1 "card",
        /// Its scores.
        Scores = 2 "scores",
        /// What it is likely to be worth.
        Value = 3 "value",
        /// Its loyalty.
        Loyalty = 4 "loyalty",
        /// Its consents, by channel.
        Consents = 5 "consents",
        /// Who is near it.
        Near = 6 "near",
        /// How influential those near it are.
        Influence = 7 "influence",
        /// Its last interactions, open cases and promises: what this service itself says.
        Own = 8 "own",
    }
}
