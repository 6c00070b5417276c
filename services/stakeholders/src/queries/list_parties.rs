use std::sync::LazyLock;

use rapport_expr::{Fields, OrderBy};
use rapport_store::{Binding, Store, read_error};
use rapport_types::{Error, PageSize, TenantId};

use crate::domain::party::{Lifecycle, Party, PartyKind};
use crate::store::party_list::{self, Order, Wanted};

/// What parties can be filtered by.
static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    Fields::new()
        .words("kind", "p.kind", &PartyKind::WORDS)
        .words("lifecycle", "p.lifecycle", &Lifecycle::WORDS)
        .text("display_name", "p.display_name")
        .text("language_code", "p.language_code")
        .text("country_code", "p.country_code")
        .bool("ceased", "p.ceased")
        .time("create_time", "p.created_at")
        .time("update_time", "p.updated_at")
});

const ORDERS: &[&str] = &["create_time", "update_time", "display_name"];

/// What is asked of a list.
#[derive(Clone, Debug)]
pub struct PartyQuestion {
    /// At most so many.
    pub size: PageSize,
    /// The token of the page wanted.
    pub token: String,
    /// A filter, not yet read.
    pub filter: String,
    /// An order, not yet read.
    pub order_by: String,
    /// Only parties that hold this role type now.
    pub role_type: Option<String>,
}

/// A page of parties.
#[derive(Clone, Debug)]
pub struct PartyPage {
    /// The parties.
    pub parties: Vec<Party>,
    /// The token of the next page; empty on the last.
    pub next: String,
}

/// A page of a tenant's parties.
///
/// # Errors
/// Invalid with `INVALID_FILTER`, `INVALID_ORDER_BY` or `INVALID_PAGE_TOKEN`; Unavailable when the database does not
/// answer.
pub async fn list_parties(store: &Store, tenant: &TenantId, asked: PartyQuestion) -> Result<PartyPage, Error> {
    let filter = FIELDS.lower(&asked.filter, 1)?;
    let order_by = OrderBy::parse(&asked.order_by, ORDERS)?;
    if order_by.keys.len() > 1 {
        return Err(Error::field(
            "order_by",
            rapport_types::reason::INVALID_ORDER_BY,
            format!("must be one of {}", ORDERS.join(", ")),
        ));
    }
    let key = order_by.first();
    let order = match key.map(|key| key.field) {
        Some("update_time") => Order::Updated,
        Some("display_name") => Order::Name,
        _ => Order::Created,
    };
    let role_type = asked.role_type.as_deref();
    let narrowed = format!("{}\n{}", role_type.unwrap_or_default(), asked.filter);
    let binding = Binding::new(tenant, "ListParties", &narrowed, &order_by.to_string());
    let after = store.pages().open(&binding, &asked.token)?;
    let mut parties = party_list::page(
        store.reader(),
        Wanted {
            tenant,
            filter,
            role_type,
            now: store.world().now(),
            order,
            descending: key.is_some_and(|key| key.descending),
            after,
            most: asked.size.probe(),
        },
    )
    .await
    .map_err(read_error)?;
    let more = parties.len() > asked.size.get();
    parties.truncate(asked.size.get());
    let next = match parties.last().filter(|_| more) {
        Some(last) => store.pages().seal(&binding, &order.mark(last))?,
        None => String::new(),
    };
    Ok(PartyPage { parties, next })
}
