use rapport_types::resource_name;

resource_name!(pub(crate) InteractionName, "interactions", "interaction");
resource_name!(pub(crate) CaseName, "cases", "case");
resource_name!(pub(crate) CommitmentName, "commitments", "commitment");
resource_name!(pub(crate) CallName, "calls", "call");
resource_name!(pub(crate) SurveyName, "surveys", "survey");
resource_name!(pub(crate) SurveyResponseName, SurveyName, "surveys", "responses");
resource_name!(pub(crate) PartyName, "parties", "party");
