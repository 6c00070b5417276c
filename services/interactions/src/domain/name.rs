use rapport_types::resource_name;

resource_name!(pub(crate) InteractionName, "interactions", "interaction");
resource_name!(pub(crate) CaseName, "cases", "case");
resource_name!(pub(crate) PartyName, "parties", "party");
