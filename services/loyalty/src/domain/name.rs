use rapport_types::resource_name;

resource_name!(pub(crate) PartyName, "parties", "party");
resource_name!(pub(crate) ProgramName, "programs", "programme");
resource_name!(pub(crate) TransactionName, "transactions", "transaction");
resource_name!(pub(crate) UnitTypeName, ProgramName, "programs", "unitTypes");
resource_name!(pub(crate) RuleName, ProgramName, "programs", "earningRules");
resource_name!(pub(crate) TierName, ProgramName, "programs", "tiers");
resource_name!(pub(crate) MemberName, ProgramName, "programs", "members");
