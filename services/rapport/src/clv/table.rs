//! Purchases up to a day, as a file has them.

use std::collections::HashMap;

use jiff::civil::Date;
use rapport::csv_table::{BadTable, CsvTable};

use super::day;

/// The columns; a file without amounts will do.
const COLUMNS: [&str; 3] = ["cust", "date", "sales"];
const CUST: usize = 0;
const DATE: usize = 1;
const SALES: usize = 2;

/// The longest customer key.
const KEY_MAX: usize = 256;

/// The greatest amount of one purchase.
const AMOUNT_MAX: f64 = 1e12;

/// Purchases up to a day, by customer.
#[derive(Debug)]
pub(super) struct Table {
    /// Each customer's key and purchases: a day's number and an amount.
    pub(super) customers: Vec<(String, Vec<(i64, f64)>)>,
    /// Whether there are amounts at all.
    pub(super) has_sales: bool,
    /// How many rows there were.
    pub(super) rows: u64,
    /// How many of them are later than the last day of observation.
    pub(super) later: u64,
}

impl Table {
    /// Reads `content`, which came from `file`, up to the end of the day `until`.
    pub(super) fn parse(file: &str, content: &[u8], until: Date) -> Result<Self, BadTable> {
        let header = "a first line that names cust,date and, if there are amounts, sales";
        let mut lines = CsvTable::open(file, content, &COLUMNS, SALES, header)?;
        let has_sales = lines.has(SALES);
        let mut table = Self { customers: Vec::new(), has_sales, rows: 0, later: 0 };
        let mut known: HashMap<String, usize> = HashMap::new();
        while let Some(row) = lines.next_row()? {
            let key = row.read(CUST, "a customer's key of 1 to 256 characters in UTF-8, such as 1901", |key| {
                let fits = !key.is_empty() && key.chars().count() <= KEY_MAX && !key.contains(char::is_control);
                fits.then_some(key)
            })?;
            let on = row.read(DATE, day::VALID, day::read)?;
            let amount = if has_sales {
                row.read(SALES, "an amount from 0 to 1000000000000, such as 29.33", amount)?
            } else {
                0.0
            };
            table.rows += 1;
            if on > until {
                table.later += 1;
                continue;
            }
            let of = match known.get(key) {
                Some(of) => *of,
                None => {
                    known.insert(key.to_owned(), table.customers.len());
                    table.customers.push((key.to_owned(), Vec::new()));
                    table.customers.len() - 1
                }
            };
            table.customers[of].1.push((day::number(on), amount));
        }
        if table.customers.is_empty() {
            let found = match table.later {
                0 => "no purchase found".to_owned(),
                later => format!("all {later} purchases are later than {until}"),
            };
            let valid = "a first line cust,date,sales and then one purchase a line, at least one of them by the last day \
                         of observation";
            return Err(lines.bad(found, valid));
        }
        Ok(table)
    }
}

/// An amount: digits with a point and an exponent at most. Neither a sign nor a word.
fn amount(text: &str) -> Option<f64> {
    let plain = text.bytes().next()?.is_ascii_digit() || text.starts_with('.');
    let amount: f64 = text.parse().ok()?;
    (plain && (0.0..=AMOUNT_MAX).contains(&amount)).then_some(amount)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn parse(content: &[u8]) -> Result<Table, BadTable> {
        Table::parse("f.csv", content, Date::new(1997, 9, 30).unwrap())
    }

    #[test]
    fn columns_come_in_any_order_and_others_are_ignored() {
        let table = parse(
            b"\xef\xbb\xbf\"Sales\",note,DATE,cust\r\n1.50,\"a,b\",19970101,\" x \"\r\n\r\n2,,\"1997-01-01\",x\r\n.5,,1997-10-01,y\r\n",
        )
        .unwrap();
        assert_eq!((table.rows, table.later, table.has_sales), (3, 1, true));
        assert_eq!(table.customers.len(), 1);
        let (key, purchases) = &table.customers[0];
        assert_eq!(key, "x");
        assert_eq!(purchases.iter().map(|(_, amount)| *amount).collect::<Vec<_>>(), [1.5, 2.0]);
        assert_eq!(purchases[0].0, purchases[1].0);
        assert!(!parse(b"date,cust\n1997-01-01,x\n").unwrap().has_sales);
    }

    #[test]
    fn what_is_no_purchase_is_told_with_its_place() {
        for (content, want) in [
            (
                &b"cust,date\n1,1997-01-01\n1,1997-13-01\n"[..],
                "f.csv:3: column `date`: \"1997-13-01\" found; valid is a day as YYYY-MM-DD or YYYYMMDD, such as 1997-09-30",
            ),
            (
                b"cust,date\n,1997-01-01\n",
                "f.csv:2: column `cust`: \"\" found; valid is a customer's key of 1 to 256 characters in UTF-8, such as 1901",
            ),
            (
                b"cust,date\n\xff,1997-01-01\n",
                "f.csv:2: column `cust`: \"\u{fffd}\" found; valid is a customer's key of 1 to 256 characters in UTF-8, such as 1901",
            ),
            (
                b"cust,date,sales\n1,1997-01-01,-3\n",
                "f.csv:2: column `sales`: \"-3\" found; valid is an amount from 0 to 1000000000000, such as 29.33",
            ),
            (
                b"cust,date,sales\n1,1997-01-01,NaN\n",
                "f.csv:2: column `sales`: \"NaN\" found; valid is an amount from 0 to 1000000000000, such as 29.33",
            ),
            (
                b"cust,date,sales\n1,1997-01-01\n",
                "f.csv:2: 2 columns where the first line has 3; valid is 3 columns in each line",
            ),
            (
                b"customer,date\n1,1997-01-01\n",
                "f.csv:1: column `cust`: the column is missing; valid is a first line that names cust,date and, if there are amounts, sales",
            ),
            (
                b"cust,date,date\n1,1997-01-01,1997-01-01\n",
                "f.csv:1: column `date`: the column is named twice; valid is once",
            ),
        ] {
            assert_eq!(parse(content).unwrap_err().to_string(), want);
        }
        assert!(parse(b"").unwrap_err().to_string().starts_with("f.csv:1: column `cust`: the column is missing"));
        assert!(parse(b"cust,date\n").unwrap_err().to_string().starts_with("f.csv: no purchase found"));
        let later = parse(b"cust,date\n1,1998-01-01\n").unwrap_err().to_string();
        assert!(later.starts_with("f.csv: all 1 purchases are later than 1997-09-30"), "{later}");
    }
}
