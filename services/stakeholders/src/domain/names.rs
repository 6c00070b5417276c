//! The resource names of this service.

use rapport_types::resource_name;

resource_name!(pub PartyName, "parties", "party");
resource_name!(pub RoleName, PartyName, "parties", "roles");
resource_name!(pub ConsentName, PartyName, "parties", "consents");
resource_name!(pub RelationshipName, "relationships", "relationship");
