//! Score definitions: which interaction counts how much and shows what.

use rapport_scoring_models::decayed::{DecayedMean, HalfLife, MICROS, Share, Weight};

use super::{Direction, Fact, Valence};

/// The kind under which the rule for all other kinds stands.
const ANY_KIND: &str = "*";

/// What the value of a score says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// How glad the other side is: contributions show a satisfaction.
    Satisfaction,
    /// How intensely both sides deal with each other: contributions are there, whatever they show.
    Intensity,
}

/// A way to compute a score. Contributions and sums are kept per definition *and version*, since weights, satisfactions
/// and the prior are already inside them.
#[derive(Debug)]
pub(crate) struct Definition {
    /// What stands after `scoreDefinitions/`.
    pub(crate) slug: &'static str,
    /// Grows with each change of anything below.
    pub(crate) version: i32,
    /// Slug and version: the key of stored rows.
    pub(crate) key: &'static str,
    /// A few words for people.
    pub(crate) display_name: &'static str,
    /// What it measures and how, for people.
    pub(crate) description: &'static str,
    /// What the value says.
    pub(crate) measure: Measure,
    /// Half-life and prior.
    pub(crate) mean: DecayedMean,
    /// One rule for each kind of interaction that has one of its own.
    pub(crate) rules: &'static [Rule],
    /// The rule for kinds without one of their own.
    pub(crate) any: Rule,
}

/// What an interaction of one kind contributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// The kind's slug.
    pub(crate) kind: &'static str,
    /// The fresh weight when they came to us or both met.
    pub(crate) weight: Weight,
    /// The satisfaction where nothing says how it was.
    pub(crate) satisfaction: Share,
}

impl Rule {
    const fn new(kind: &'static str, weight: u32, satisfaction: u32) -> Rule {
        Rule { kind, weight: Weight::from_micros(weight), satisfaction: Share::from_micros(satisfaction) }
    }

    /// That we approached them says little about how glad they are of us, and what others say about us is hearsay: both
    /// count half.
    pub(crate) const fn weight(&self, direction: Direction) -> Weight {
        match direction {
            Direction::Inbound | Direction::Mutual => self.weight,
            Direction::Outbound | Direction::ThirdParty => self.weight.scaled(Share::from_micros(500_000)),
        }
    }

    /// What an interaction shows: its valence as far as that is sure, the kind's own satisfaction for the rest.
    pub(crate) fn satisfaction(&self, valence: Option<Valence>) -> Share {
        let Some(Valence { value, confidence }) = valence else {
            return self.satisfaction;
        };
        let (whole, sure) = (u64::from(MICROS), u64::from(confidence.min(MICROS)));
        let said = u64::from(Share::from_valence_micros(value).micros());
        let assumed = u64::from(self.satisfaction.micros());
        let blend = (sure * said + (whole - sure) * assumed + whole / 2) / whole;
        Share::from_micros(u32::try_from(blend).unwrap_or(MICROS))
    }
}

impl Rule {
    /// A rule of a definition that measures intensity: presence shows all there is to show.
    const fn presence(kind: &'static str, weight: u32) -> Rule {
        Rule::new(kind, weight, MICROS)
    }
}

/// What a fact contributes to the scores of its participants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Its fresh weight.
    pub(crate) weight: Weight,
    /// The satisfaction it shows.
    pub(crate) satisfaction: Share,
    /// Whether anything said so.
    pub(crate) from_valence: bool,
}

/// *Half-life 90 days*: intensity is about now, a quarter on it counts half. *Prior 0 with weight 4*: without contacts it is 0,
/// and one contact a month of weight 1 keeps it at 52, one a week at 82, one a year at 8: W = rate * 90 days / ln 2, value =
/// 100 * W / (4 + W). To sit together counts twice as much as to write or call.
const ENGAGEMENT: Definition = Definition {
    slug: "engagement",
    version: 1,
    key: "engagement.1",
    display_name: "Engagement",
    description: "How intensely a party and we deal with each other, whatever the valence: 100 * W / (4 + W), where W is the \
        sum of the weights of all contacts, each halving every 90 days. 0 without any; about 52 with a contact a month, \
        82 with one a week.",
    measure: Measure::Intensity,
    mean: DecayedMean::new(HalfLife::days(90), Share::ZERO, Weight::from_micros(4_000_000)),
    rules: &[Rule::presence("meeting", 2_000_000), Rule::presence("visit", 2_000_000)],
    any: Rule::presence(ANY_KIND, 1_000_000),
};

/// *Half-life 180 days*: half a year on, an experience counts half; a customer of one order a
/// year is still known by it. *Prior 0.5 with weight 4*: nobody is taken for happy or unhappy unseen, one complaint
/// (weight 3) against no history moves the value to 33 and not to 10, and ten fresh orders outweigh the prior 10 : 4. After a
/// long silence the evidence fades and the value returns to 50: an old relationship is not held to be a good one, and its
/// `evidence` says so.
const RELATIONSHIP_HEALTH: Definition = Definition {
    slug: "relationship-health",
    version: 1,
    key: "relationship-health.1",
    display_name: "Relationship health",
    description: "How glad the other side is likely to be of the relationship, from every interaction, good and bad. \
        Evidence halves in weight every 180 days; without any the value is 50.",
    measure: Measure::Satisfaction,
    mean: DecayedMean::new(HalfLife::days(180), Share::from_micros(500_000), Weight::from_micros(4_000_000)),
    rules: &[
        Rule::new("article", 1_000_000, 500_000),
        Rule::new("complaint", 3_000_000, 100_000),
        Rule::new("inquiry", 1_000_000, 500_000),
        Rule::new("order", 1_000_000, 700_000),
        Rule::new("praise", 2_000_000, 950_000),
        Rule::new("return", 1_000_000, 350_000),
    ],
    any: Rule::new(ANY_KIND, 500_000, 500_000),
};

const BUILT_IN: &[Definition] = &[ENGAGEMENT, RELATIONSHIP_HEALTH];

impl Definition {
    /// Every definition, in the order of their slugs.
    pub(crate) fn all() -> &'static [Definition] {
        BUILT_IN
    }

    /// The definition with this slug.
    pub(crate) fn find(slug: &str) -> Option<&'static Definition> {
        Definition::all().iter().find(|definition| definition.slug == slug)
    }

    /// The definition whose rows have this key.
    pub(crate) fn by_key(key: &str) -> Option<&'static Definition> {
        Definition::all().iter().find(|definition| definition.key == key)
    }

    /// The rule for a kind of interaction.
    pub(crate) fn rule(&self, kind: &str) -> &Rule {
        self.rules.iter().find(|rule| rule.kind == kind).unwrap_or(&self.any)
    }

    /// What a fact contributes.
    pub(crate) fn observe(&self, fact: &Fact) -> Observed {
        let rule = self.rule(&fact.kind);
        let valence = match self.measure {
            Measure::Satisfaction => fact.valence,
            Measure::Intensity => None,
        };
        Observed {
            weight: rule.weight(fact.direction),
            satisfaction: rule.satisfaction(valence),
            from_valence: valence.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn keys_are_of_slug_and_version_and_unique() {
        for definition in Definition::all() {
            assert_eq!(definition.key, format!("{}.{}", definition.slug, definition.version));
            assert!(std::ptr::eq(
                Definition::by_key(definition.key).unwrap(),
                Definition::find(definition.slug).unwrap()
            ));
        }
        assert!(Definition::all().is_sorted_by_key(|definition| definition.slug));
        assert!(Definition::find("nonsense").is_none());
    }

    #[test]
    fn what_is_said_counts_as_far_as_it_is_sure() {
        let rule = Definition::find("relationship-health").unwrap().rule("order");
        let shown = |value, confidence| rule.satisfaction(Some(Valence { value, confidence })).micros();
        assert_eq!(rule.satisfaction(None).micros(), 700_000);
        assert_eq!(shown(-1_000_000, 1_000_000), 0);
        assert_eq!(shown(0, 1_000_000), 500_000);
        assert_eq!(shown(1_000_000, 500_000), 850_000);
        assert_eq!(shown(-1_000_000, 0), 700_000);
    }

    #[test]
    fn intensity_asks_whether_there_was_a_contact_and_not_how_it_was() {
        let definition = Definition::find("engagement").unwrap();
        assert_eq!((definition.mean.prior(), definition.mean.prior_effect()), (Share::ZERO, 0));
        for rule in definition.rules.iter().chain([&definition.any]) {
            assert_eq!(rule.satisfaction(None), Share::ONE);
        }
        assert!(definition.rule("meeting").weight > definition.rule("complaint").weight);
        assert_eq!(definition.rule("complaint").weight, definition.rule("praise").weight);
    }

    #[test]
    fn good_kinds_raise_and_bad_kinds_lower() {
        let definition = Definition::find("relationship-health").unwrap();
        let prior = definition.mean.prior();
        let shown = |kind: &str| definition.rule(kind).satisfaction(None);
        assert!(shown("order") > prior && shown("praise") > shown("order"));
        assert!(shown("return") < prior && shown("complaint") < shown("return"));
        assert_eq!((shown("inquiry"), shown("own-kind")), (prior, prior));
        let rule = definition.rule("complaint");
        assert!(rule.weight(Direction::ThirdParty) < rule.weight(Direction::Inbound));
    }
}
