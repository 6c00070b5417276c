//! The purchases the demo is built on: a CSV of `cust,date,sales`, read with errors that say where and what is valid.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use sha2::{Digest, Sha256};

use crate::csv_table::{BadTable, CsvTable};

/// The CDNOW sample, as it lies in `data/` (see the README there for where it comes from).
const CDNOW: &[u8] = include_bytes!("../../data/cdnow_sample_transactions.csv");

/// What the built-in data is called in messages.
const CDNOW_FILE: &str = "cdnow_sample_transactions.csv";

/// The columns a file must have, in any order.
const COLUMNS: [&str; 3] = ["cust", "date", "sales"];

/// The longest customer key: it becomes part of an identifier.
const CUSTOMER_MAX: usize = 64;

/// The largest amount of one purchase, in cents: one hundred million.
const CENTS_MAX: i64 = 10_000_000_000;

/// One purchase of one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// The customer's key in the file.
    pub customer: String,
    /// The day as the file has it, before the shift.
    pub date: Date,
    /// Which purchase of this customer on this day: 1 for the first.
    pub nth: u32,
    /// What it was worth, in cents of the data's currency (US dollars).
    pub cents: i64,
}

impl Purchase {
    /// The record's own key: the same in each run, whatever order the file's rows have been sorted into.
    #[must_use]
    pub fn record_id(&self) -> String {
        format!("{}/{}/{}", self.customer, self.date, self.nth)
    }
}

/// All purchases of one file, in the file's order.
#[derive(Debug, Clone)]
pub struct Purchases {
    /// The file's name, for messages and provenance.
    pub file: String,
    /// Eight hex digits of the content's SHA-256: tells data sets apart.
    pub fingerprint: String,
    /// The rows.
    pub rows: Vec<Purchase>,
}

impl Purchases {
    /// The CDNOW sample that ships with the binary.
    ///
    /// # Errors
    /// None with the data as shipped; the signature is that of any other file, as nothing is special about it.
    pub fn cdnow() -> Result<Self, BadTable> {
        Self::parse(CDNOW_FILE, CDNOW)
    }

    /// Reads `content`, which came from `file`.
    ///
    /// # Errors
    /// The first place that is not a purchase, with its line, its column and what would be valid.
    pub fn parse(file: &str, content: &[u8]) -> Result<Self, BadTable> {
        let mut lines =
            CsvTable::open(file, content, &COLUMNS, COLUMNS.len(), "a first line that names cust,date,sales")?;
        let mut rows = Vec::new();
        let mut seen: HashMap<(String, Date), u32> = HashMap::new();
        while let Some(row) = lines.next_row()? {
            let valid = "a customer's key of 1 to 64 characters in UTF-8 without a slash, such as 1901";
            let customer = row.read(0, valid, |key| {
                let fits = !key.is_empty() && key.chars().count() <= CUSTOMER_MAX;
                (fits && !key.contains(|c: char| c.is_control() || c == '/')).then_some(key)
            })?;
            let date = row.read(1, "a day from 1900-01-01 on as YYYY-MM-DD, such as 1998-06-30", |day| {
                day.parse().ok().filter(|date: &Date| day.len() == 10 && (1900..=2999).contains(&date.year()))
            })?;
            let cents = row.read(2, "an amount of at least 0 with at most two decimals, such as 29.33", cents)?;
            let nth = seen.entry((customer.to_owned(), date)).or_insert(0);
            *nth += 1;
            rows.push(Purchase { customer: customer.to_owned(), date, nth: *nth, cents });
        }
        if rows.is_empty() {
            return Err(
                lines.bad("no purchase found".to_owned(), "a first line cust,date,sales and then one purchase a line")
            );
        }
        let digest = Sha256::digest(content);
        let fingerprint = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
        Ok(Self { file: file.to_owned(), fingerprint, rows })
    }

    /// The day of the last purchase.
    #[must_use]
    pub fn last_day(&self) -> Date {
        self.rows.iter().map(|row| row.date).max().unwrap_or_default()
    }

    /// The customers in a fixed order (numbers by value, then the others by text), each with its purchases by day.
    #[must_use]
    pub fn customers(&self) -> Vec<Customer<'_>> {
        let mut of: BTreeMap<&str, Vec<&Purchase>> = BTreeMap::new();
        for row in &self.rows {
            of.entry(&row.customer).or_default().push(row);
        }
        let mut customers: Vec<Customer<'_>> = of
            .into_iter()
            .map(|(key, mut purchases)| {
                purchases.sort_by_key(|p| (p.date, p.nth));
                Customer { key, purchases }
            })
            .collect();
        customers.sort_by_key(|c| (c.key.parse::<u64>().unwrap_or(u64::MAX), c.key));
        customers
    }
}

/// One customer of the data.
#[derive(Debug, Clone)]
pub struct Customer<'a> {
    /// The key in the file.
    pub key: &'a str,
    /// The purchases, earliest first; never empty.
    pub purchases: Vec<&'a Purchase>,
}

impl Customer<'_> {
    /// The day of the last purchase.
    #[must_use]
    pub fn last_day(&self) -> Date {
        self.purchases.last().map(|p| p.date).unwrap_or_default()
    }
}

/// The customer who calls in the story: of those who bought in the data's last 30 days the one with the most
/// purchases (the later last one, then the earlier key, decides a tie). None only for no customers.
#[must_use]
pub fn caller<'a, 'b>(customers: &'b [Customer<'a>]) -> Option<&'b Customer<'a>> {
    let end = customers.iter().map(Customer::last_day).max()?;
    customers.iter().rev().max_by_key(|customer| {
        let quiet = end.duration_since(customer.last_day()).as_hours() / 24;
        (quiet <= 30, customer.purchases.len(), customer.last_day())
    })
}

/// Parses an amount into cents, exactly: digits, at most one point, at most two decimals.
fn cents(text: &str) -> Option<i64> {
    let (units, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if units.is_empty() || units.len() > 12 || decimals.len() > 2 || !digits(units) || !digits(decimals) {
        return None;
    }
    if text.ends_with('.') {
        return None;
    }
    let units: i64 = units.parse().ok()?;
    let hundredths: i64 = format!("{decimals:0<2}").parse().ok()?;
    units.checked_mul(100)?.checked_add(hundredths).filter(|cents| *cents <= CENTS_MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_shipped_sample_is_whole() {
        let data = Purchases::cdnow().unwrap();
        assert_eq!(data.rows.len(), 6_919);
        assert_eq!(data.customers().len(), 2_357);
        assert_eq!(data.last_day().to_string(), "1998-06-30");
        let keys: std::collections::HashSet<_> = data.rows.iter().map(Purchase::record_id).collect();
        assert_eq!(keys.len(), 6_919, "two purchases of a customer on a day keep their own keys");
    }

    #[test]
    fn amounts_are_exact() {
        for (text, want) in [
            ("29.33", Some(2933)),
            ("0.0", Some(0)),
            ("7", Some(700)),
            ("7.5", Some(750)),
            ("0.01", Some(1)),
            ("100000000.00", Some(CENTS_MAX)),
            ("100000000.01", None),
            ("1.999", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("NaN", None),
            (".5", None),
            ("5.", None),
            ("", None),
            ("999999999999999999999", None),
        ] {
            assert_eq!(cents(text), want, "{text}");
        }
    }

    #[test]
    fn errors_name_file_line_column_and_what_is_valid() {
        for (content, want) in [
            (
                "cust,date,sales\n1,1997-01-01,29.33\n1,1997-13-01,5\n",
                "f.csv:3: column `date`: \"1997-13-01\" found; valid is a day from 1900-01-01 on as YYYY-MM-DD, such as 1998-06-30",
            ),
            (
                "cust,date,sales\n1,1997-01-01,abc\n",
                "f.csv:2: column `sales`: \"abc\" found; valid is an amount of at least 0 with at most two decimals, such as 29.33",
            ),
            (
                "cust,date,sales\n,1997-01-01,1\n",
                "f.csv:2: column `cust`: \"\" found; valid is a customer's key of 1 to 64 characters in UTF-8 without a slash, such as 1901",
            ),
            (
                "cust,date,amount\n1,1997-01-01,1\n",
                "f.csv:1: column `sales`: the column is missing; valid is a first line that names cust,date,sales",
            ),
            (
                "cust,date,sales\n1,1997-01-01\n",
                "f.csv:2: 2 columns where the first line has 3; valid is 3 columns in each line",
            ),
            (
                "cust,date,sales\n",
                "f.csv: no purchase found; valid is a first line cust,date,sales and then one purchase a line",
            ),
        ] {
            let error = Purchases::parse("f.csv", content.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), want);
        }
        let error = Purchases::parse("f.csv", b"cust,date,sales\n\xff,1997-01-01,1\n").unwrap_err();
        assert!(error.to_string().starts_with("f.csv:2: column `cust`: \"\u{fffd}\" found; valid is a customer's key"));
        let error = Purchases::parse("f.csv", b"\xef\xbb\xbfcust,date,sales,Cust\n").unwrap_err();
        assert_eq!(error.to_string(), "f.csv:1: column `cust`: the column is named twice; valid is once");
    }

    #[test]
    fn columns_may_come_in_any_order_and_same_day_purchases_are_numbered() {
        let data = Purchases::parse("f", b"sales,cust,date\n1,a,2020-02-29\n2,a,2020-02-29\n").unwrap();
        let ids: Vec<_> = data.rows.iter().map(Purchase::record_id).collect();
        assert_eq!(ids, ["a/2020-02-29/1", "a/2020-02-29/2"]);
    }

    #[test]
    fn the_caller_bought_often_and_lately() {
        let data = Purchases::cdnow().unwrap();
        let customers = data.customers();
        let caller = caller(&customers).unwrap();
        assert_eq!((caller.key, caller.purchases.len()), ("1203", 47));
        // 1901 bought more (56 times) but has been silent for more than a year.
        let other =
            Purchases::parse("f", b"cust,date,sales\nold,2019-01-01,1\nold,2019-01-02,1\nnew,2020-01-01,1\n").unwrap();
        assert_eq!(super::caller(&other.customers()).unwrap().key, "new");
    }
}
