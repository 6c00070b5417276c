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
    /// Members enrolled by this run.
    pub new_members: usize,
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
        self.new_parties + self.new_ties + self.new_consents + self.new_members + self.new_interactions == 0
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
    /// The outcome in words: `resolved`.
    pub outcome: String,
    /// From 0 to 1.
    pub confidence: f64,
    /// Why, the strongest reason first.
    pub reasons: Vec<String>,
}

/// The fitted model of how customers order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// `clvModels/{id}`.
    pub name: String,
    /// The family, as the literature calls it.
    pub family: String,
    /// Names and values of the parameters.
    pub parameters: Vec<(String, f64)>,
    /// The log-likelihood.
    pub log_likelihood: f64,
    /// The family that the probability to be alive comes from.
    pub alive_family: String,
    /// Customers observed.
    pub customers: i64,
    /// Those of them who came back.
    pub repeaters: i64,
    /// The last day observed.
    pub until: String,
    /// The families tried, with their log-likelihoods.
    pub tried: Vec<(String, f64)>,
    /// Names and values of the spend model's parameters; empty when none could be fitted.
    pub spend: Vec<(String, f64)>,
}

/// What the agent's screen shows: the answer of GetAgentContext in words.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    /// `parties/{id}`.
    pub party: String,
    /// The name to show.
    pub display_name: String,
    /// Kind and lifecycle.
    pub standing: String,
    /// Country and time zone.
    pub place: String,
    /// Roles: type and scope.
    pub roles: Vec<(String, String)>,
    /// The last interactions, newest first.
    pub last: Vec<Happened>,
    /// Open cases: title and where it stands.
    pub cases: Vec<(String, String)>,
    /// Open promises: what, whose, and until when.
    pub promises: Vec<Promise>,
    /// Scores.
    pub scores: Vec<Felt>,
    /// The probability to order again at all.
    pub alive: Option<f64>,
    /// Orders expected within the horizon.
    pub expected_purchases: Option<f64>,
    /// The horizon in days.
    pub horizon_days: i32,
    /// What those orders are worth, in cents.
    pub lifetime_cents: Option<i64>,
    /// Memberships.
    pub members: Vec<Membership>,
    /// Consents on the call's channel.
    pub consents: Vec<Permission>,
    /// Who near is unhappy.
    pub unhappy: Vec<Unhappy>,
    /// What to be careful about.
    pub warnings: Vec<String>,
    /// What to do next, and why.
    pub action: (String, String),
    /// Sections that are not fresh: name, state, reason.
    pub not_fresh: Vec<(String, String, String)>,
}

impl Context {
    /// A score by the end of its definition's name.
    #[must_use]
    pub fn score(&self, definition: &str) -> Option<&Felt> {
        self.scores.iter().find(|score| score.definition.ends_with(definition))
    }
}

/// One open promise as the agent sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Promise {
    /// What was promised.
    pub what: String,
    /// We promised it; else they did.
    pub ours: bool,
    /// Until when.
    pub due: i64,
    /// That has passed.
    pub late: bool,
}

/// One score as the agent sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Felt {
    /// `scoreDefinitions/{id}`.
    pub definition: String,
    /// In millionths of a point.
    pub value_micros: i64,
    /// The change over a month, in millionths of a point.
    pub change_micros: Option<i64>,
    /// How many facts count.
    pub facts: i64,
    /// What moved it most.
    pub reasons: Vec<String>,
}

/// A membership as the agent sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The tier; empty for none.
    pub tier: String,
    /// The next tier and what is missing to it.
    pub next: Option<(String, i64)>,
    /// What is held: unit and amount, in the order of the units' names.
    pub balances: Vec<(String, i64)>,
    /// What expires soon: unit, amount, when in microseconds since 1970.
    pub expiries: Vec<(String, i64, i64)>,
}

impl Membership {
    /// How much of a unit is held.
    #[must_use]
    pub fn of(&self, unit: &str) -> i64 {
        self.balances.iter().find(|(name, _)| name == unit).map_or(0, |(_, amount)| *amount)
    }
}

/// Somebody near who is unhappy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unhappy {
    /// The name to show.
    pub display_name: String,
    /// How they are tied to the caller.
    pub label: String,
    /// Their relationship health, in millionths of a point; none without any fact about them.
    pub health_micros: Option<i64>,
    /// Why they count as unhappy.
    pub reason: String,
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
}

/// What came of the complaint when it was solved.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Aftermath {
    /// Where the case stands, in words.
    pub case: String,
    /// `surveys/{id}/responses/{id}`.
    pub response: String,
    /// What the customer answered.
    pub score: i32,
    /// What the answer makes of her, in words.
    pub category: String,
    /// The survey's score and its interval, with the number of answers.
    pub survey: (f64, f64, f64, i64),
    /// `invitations/{id}`; empty when none was made or forbidden.
    pub invitation: String,
    /// Where the invitation stands, in words.
    pub state: String,
    /// The gate that forbade it, in words; empty when none did.
    pub gate: String,
    /// Entries of the ledger that the answer and the acceptance made: unit, amount, balance before and after.
    pub earned: Vec<Earned>,
}

/// An entry of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earned {
    /// What was earned.
    pub unit: String,
    /// How much.
    pub amount: i64,
    /// The balance before.
    pub previous: i64,
    /// The balance after.
    pub new: i64,
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
    /// How many cases of the caller are open then.
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
    /// The model of how customers order; none when the data says too little.
    pub model: Option<Model>,
    /// `calls/{id}`.
    pub call: String,
    /// What the agent saw when the call began; none when it was played before.
    pub context_before: Option<Context>,
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
    /// What came of it.
    pub aftermath: Aftermath,
    /// What the agent sees in the end.
    pub context_after: Context,
    /// The call had been played on this data before; nothing was recorded again.
    pub replayed: bool,
}
