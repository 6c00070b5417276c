//! Purchases as a file has them, read with errors that say where and what would be valid.

use std::collections::HashMap;
use std::fmt;

use jiff::civil::Date;

use super::day;

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

/// Why a file could not be read as purchases.
#[derive(Debug)]
pub(super) struct BadTable {
    file: String,
    line: Option<u64>,
    column: Option<&'static str>,
    found: String,
    valid: String,
}

impl fmt::Display for BadTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ": column `{column}`")?;
        }
        write!(f, ": {}; valid is {}", self.found, self.valid)
    }
}

const CUST: &str = "cust";
const DATE: &str = "date";
const SALES: &str = "sales";

impl Table {
    /// Reads `content`, which came from `file`, up to the end of the day `until`.
    pub(super) fn parse(file: &str, content: &[u8], until: Date) -> Result<Self, BadTable> {
        // A byte order mark is no part of the first column's name.
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(content);
        let header = reader.byte_headers().map_err(|error| unreadable(file, &error))?.clone();
        let place = |column: &'static str| column_of(file, &header, column);
        let missing = |column| BadTable {
            file: file.to_owned(),
            line: Some(1),
            column: Some(column),
            found: "the column is missing".to_owned(),
            valid: "a first line that names cust,date and, if there are amounts, sales".to_owned(),
        };
        let cust = place(CUST)?.ok_or_else(|| missing(CUST))?;
        let date = place(DATE)?.ok_or_else(|| missing(DATE))?;
        let sales = place(SALES)?;

        let mut table = Self { customers: Vec::new(), has_sales: sales.is_some(), rows: 0, later: 0 };
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut record = csv::ByteRecord::new();
        loop {
            if !reader.read_byte_record(&mut record).map_err(|error| unreadable(file, &error))? {
                break;
            }
            let line = record.position().map(csv::Position::line);
            let bad = |column, cell: &[u8], valid: &str| BadTable {
                file: file.to_owned(),
                line,
                column: Some(column),
                found: format!("\"{}\" found", shortened(&String::from_utf8_lossy(cell))),
                valid: valid.to_owned(),
            };
            let cell = |place: usize| record.get(place).unwrap_or_default();
            let key = std::str::from_utf8(cell(cust))
                .ok()
                .filter(|key| !key.is_empty() && key.chars().count() <= KEY_MAX && !key.contains(char::is_control))
                .ok_or_else(|| {
                    bad(CUST, cell(cust), "a customer's key of 1 to 256 characters in UTF-8, such as 1901")
                })?;
            let on = std::str::from_utf8(cell(date))
                .ok()
                .and_then(day::read)
                .ok_or_else(|| bad(DATE, cell(date), day::VALID))?;
            let amount = match sales {
                None => 0.0,
                Some(place) => amount(cell(place))
                    .ok_or_else(|| bad(SALES, cell(place), "an amount from 0 to 1000000000000, such as 29.33"))?,
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
            let valid =
                "a first line cust,date,sales and then one purchase a line, at least one of them by the last day \
                         of observation"
                    .to_owned();
            return Err(BadTable { file: file.to_owned(), line: None, column: None, found, valid });
        }
        Ok(table)
    }
}

/// Where the column is. Named twice it could be either.
fn column_of(file: &str, header: &csv::ByteRecord, column: &'static str) -> Result<Option<usize>, BadTable> {
    let mut places = header.iter().enumerate().filter(|(_, name)| name.eq_ignore_ascii_case(column.as_bytes()));
    let first = places.next().map(|(place, _)| place);
    if places.next().is_some() {
        return Err(BadTable {
            file: file.to_owned(),
            line: Some(1),
            column: Some(column),
            found: "the column is named twice".to_owned(),
            valid: "once".to_owned(),
        });
    }
    Ok(first)
}

/// An amount: digits with a point and an exponent at most. Neither a sign nor a word.
fn amount(cell: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(cell).ok()?;
    let plain = text.bytes().next()?.is_ascii_digit() || text.starts_with('.');
    let amount: f64 = text.parse().ok()?;
    (plain && (0.0..=AMOUNT_MAX).contains(&amount)).then_some(amount)
}

/// An error of the CSV layer itself.
fn unreadable(file: &str, error: &csv::Error) -> BadTable {
    let (found, valid) = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => (
            format!("{len} columns where the first line has {expected_len}"),
            format!("{expected_len} columns in each line"),
        ),
        _ => ("no CSV".to_owned(), "CSV with commas".to_owned()),
    };
    let line = error.position().map(csv::Position::line);
    BadTable { file: file.to_owned(), line, column: None, found, valid }
}

/// A found value cut to what fits a one-line message, without control characters.
pub(super) fn shortened(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if clean.chars().count() <= 30 {
        return clean;
    }
    let head: String = clean.chars().take(27).collect();
    format!("{head}...")
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
