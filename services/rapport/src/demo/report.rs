//! What the story found out, for whoever shows or checks it. Every value comes from an answer of the services.

/// What the load found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Customers of the data.
    pub customers: usize,
    /// Purchases of the data.
    pub purchases: usize,
    /// Parties recorded by this run.
    pub new_parties: usize,
    /// Ties recorded by this run.
    pub new_ties: usize,
    /// Consents recorded by this run.
    pub new_consents: usize,
    /// Interactions recorded by this run.
    pub new_interactions: usize,
    /// By how many days the data's dates were moved.
    pub shift_days: i64,
    /// The first and the last day of the moved data.
    pub days: (String, String),
}

impl Loaded {
    /// Whether everything was there already.
    #[must_use]
    pub fn found_complete(&self) -> bool {
        self.new_parties + self.new_ties + self.new_consents + self.new_interactions == 0
    }
}

/// How the caller's number became a party.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resolved {
    /// The number as it came in.
    pub dialled: String,
    /// The country it was read in.
    pub country: String,
    /// What was looked up: E.164.
    pub understood: String,
    /// `parties/{id}`.
    pub party: String,
    /// The outcome in words: `matched`.
    pub outcome: String,
    /// From 0 to 1.
    pub confidence: f64,
    /// Why: kind in words and description.
    pub reasons: Vec<(String, String)>,
}

/// A role of the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleHeld {
    /// The role type.
    pub role_type: String,
    /// Where it holds; empty for everywhere.
    pub scope: String,
    /// Since when, in microseconds since 1970.
    pub since: i64,
}

/// The answer to one consent check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permission {
    /// What for.
    pub purpose: String,
    /// On what channel.
    pub channel: String,
    /// Whether we may.
    pub allowed: bool,
    /// Why, in words: `granted`, `withdrawn`, `no consent`.
    pub reason: String,
    /// When the deciding record was given, in microseconds since 1970; none without one.
    pub decided: Option<i64>,
}

/// The caller's card.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// `parties/{id}`.
    pub party: String,
    /// The name to show.
    pub display_name: String,
    /// Kind and lifecycle in words.
    pub standing: String,
    /// Country and time zone.
    pub place: String,
    /// Media: kind and value.
    pub media: Vec<(String, String)>,
    /// Roles held now.
    pub roles: Vec<RoleHeld>,
    /// Consents looked up.
    pub consents: Vec<Permission>,
}

/// Somebody near the caller.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Neighbour {
    /// `parties/{id}`.
    pub party: String,
    /// The name to show.
    pub display_name: String,
    /// Steps away: 1 or 2.
    pub depth: i32,
    /// Roles towards us.
    pub roles: Vec<String>,
    /// How they are tied: the tie's label and scope, and over whom for the second step.
    pub via: String,
    /// The strongest product of weights on the way.
    pub strength: f64,
    /// Their relationship health, in millionths of a point; none without any fact about them.
    pub health_micros: Option<i64>,
}

/// One interaction of the timeline.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Happened {
    /// `interactions/{id}`.
    pub interaction: String,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// What, as a slug.
    pub kind: String,
    /// Medium and direction in words.
    pub way: String,
    /// The line about it.
    pub subject: String,
    /// The amount in cents, if money moved.
    pub cents: Option<i64>,
    /// The valence, if anybody judged.
    pub valence: Option<f64>,
}

/// The caller's timeline at a moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timeline {
    /// All of it, newest first.
    pub rows: Vec<Happened>,
}

impl Timeline {
    /// How many there are of a kind.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.rows.iter().filter(|row| row.kind == kind).count()
    }

    /// What all orders were worth, in cents.
    #[must_use]
    pub fn spent(&self) -> i64 {
        self.rows.iter().filter(|row| row.kind == "order").filter_map(|row| row.cents).sum()
    }
}

/// One line of an explanation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Why.
    pub reason: String,
    /// What it adds, in millionths of a point.
    pub effect_micros: i64,
    /// How many facts it stands for.
    pub facts: i64,
    /// The interaction, for a line of its own.
    pub interaction: String,
}

/// A score with its explanation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explained {
    /// What the definition is called.
    pub title: String,
    /// The moment it holds for, in microseconds since 1970.
    pub as_of: i64,
    /// 0 to 100,000,000.
    pub value_micros: i64,
    /// How many facts count.
    pub facts: i64,
    /// The lines; they sum to the value.
    pub parts: Vec<Part>,
}

/// The case that was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// `cases/{id}`.
    pub case: String,
    /// The title.
    pub title: String,
    /// Where it stands, in words.
    pub status: String,
    /// How urgent, in words.
    pub priority: String,
    /// The interactions it is about.
    pub interactions: Vec<String>,
    /// How many cases of the caller are open now.
    pub open: usize,
}

/// The whole story.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The load.
    pub loaded: Loaded,
    /// The caller's key in the data.
    pub caller: String,
    /// The number resolved.
    pub resolved: Resolved,
    /// The caller's card.
    pub profile: Profile,
    /// Who is near, nearest first; without the caller.
    pub neighbours: Vec<Neighbour>,
    /// The timeline before the call.
    pub before: Timeline,
    /// The timeline after it.
    pub after: Timeline,
    /// What the health is computed by, `scoreDefinitions/{definition}`.
    pub definition: String,
    /// The health before the call.
    pub health_before: Explained,
    /// The health after it.
    pub health_after: Explained,
    /// The complaint, `interactions/{id}`.
    pub complaint: String,
    /// The case.
    pub case: Opened,
    /// The call had been played on this data before; nothing was recorded again.
    pub replayed: bool,
}
