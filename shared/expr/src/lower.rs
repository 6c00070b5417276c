//! From the tree of an expression to a condition of SQL.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::parser::{ParseErrors, PrattParser};
use rapport_types::{Timestamp, text};

use crate::fields::{Bind, Field, Fields, Lowered, Place, Type};
use crate::scan::{HAS, scan};
use crate::{Fault, MAX_DEPTH, MAX_ELEMENTS};

/// The tree may be deeper than what was written: a chain of 2,000 bytes of `&&` is balanced into about ten levels.
const MAX_TREE: usize = MAX_DEPTH * 2 + 12;

pub(crate) fn lower(fields: &Fields, filter: &str, start: usize) -> Result<Lowered, Fault> {
    let plain = scan(filter)?;
    let tree = parse(&plain)?;
    let mut writer = Writer { fields, start, sql: String::new(), binds: Vec::new() };
    writer.condition(&tree, true, 0).map_err(|(node, problem)| Fault::new(offset(&plain, node), problem))?;
    Ok(Lowered { sql: writer.sql, binds: writer.binds })
}

fn run(text: &str) -> Result<Result<IdedExpr, ParseErrors>, Fault> {
    // The parser is not ours. Nothing is shared with it that a panic could leave half-done.
    catch_unwind(AssertUnwindSafe(|| PrattParser::new().parse(text)))
        .map_err(|_| Fault::new(0, "the expression cannot be read"))
}

fn parse(text: &str) -> Result<IdedExpr, Fault> {
    run(text)?.map_err(|errors| {
        // Its messages repeat what was written, which may be personal: only the place is taken over.
        let place = errors.errors.iter().map(|error| error.pos).find(|(line, _)| *line > 0);
        let offset = place.map_or(0, |(line, column)| {
            let before: usize =
                text.split_inclusive('\n').take(usize::try_from(line - 1).unwrap_or(0)).map(str::len).sum();
            before + usize::try_from(column - 1).unwrap_or(0)
        });
        let offset = offset.min(text.len());
        Fault::new(offset, if offset == text.len() { "the expression is not complete" } else { "syntax error" })
    })
}

/// The byte at which a node stands. The parser gives places away only with an error, so one is made behind the
/// expression: the nodes before it get the same numbers again.
fn offset(text: &str, node: u64) -> usize {
    let Ok(Err(errors)) = run(&format!("{text}\n)")) else {
        return 0;
    };
    errors
        .errors
        .iter()
        .filter_map(|error| error.source_info.as_ref())
        .find_map(|info| info.offset_for(node))
        .map_or(0, |(start, _)| usize::try_from(start).unwrap_or(0).min(text.len()))
}

/// The number of the node that is wrong, and what is wrong.
type Wrong = (u64, String);

fn wrong<T>(node: &IdedExpr, problem: impl Into<String>) -> Result<T, Wrong> {
    Err((node.id, problem.into()))
}

struct Writer<'a> {
    fields: &'a Fields,
    start: usize,
    sql: String,
    binds: Vec<Bind>,
}

#[derive(Clone, Copy)]
enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy)]
enum Comparison {
    Equal(bool),
    Order(Order),
}

impl Comparison {
    fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            operators::EQUALS => Self::Equal(true),
            operators::NOT_EQUALS => Self::Equal(false),
            operators::LESS => Self::Order(Order::Less),
            operators::LESS_EQUALS => Self::Order(Order::LessOrEqual),
            operators::GREATER => Self::Order(Order::Greater),
            operators::GREATER_EQUALS => Self::Order(Order::GreaterOrEqual),
            _ => return None,
        })
    }

    /// The same with its sides exchanged.
    fn flipped(self) -> Self {
        match self {
            Self::Equal(equal) => Self::Equal(equal),
            Self::Order(Order::Less) => Self::Order(Order::Greater),
            Self::Order(Order::LessOrEqual) => Self::Order(Order::GreaterOrEqual),
            Self::Order(Order::Greater) => Self::Order(Order::Less),
            Self::Order(Order::GreaterOrEqual) => Self::Order(Order::LessOrEqual),
        }
    }
}

impl Order {
    fn sql(self, wanted: bool) -> &'static str {
        match (self, wanted) {
            (Self::Less, true) | (Self::GreaterOrEqual, false) => "<",
            (Self::LessOrEqual, true) | (Self::Greater, false) => "<=",
            (Self::Greater, true) | (Self::LessOrEqual, false) => ">",
            (Self::GreaterOrEqual, true) | (Self::Less, false) => ">=",
        }
    }
}

impl Writer<'_> {
    /// Writes a condition that holds where `node` is `wanted`.
    fn condition(&mut self, node: &IdedExpr, wanted: bool, depth: usize) -> Result<(), Wrong> {
        if depth > MAX_TREE {
            return wrong(node, "nested too deep");
        }
        match &node.expr {
            Expr::Literal(LiteralValue::Boolean(value)) => {
                self.constant(*value.inner() == wanted);
                Ok(())
            }
            Expr::Ident(_) | Expr::Select(_) => {
                let (name, field) = self.field(node)?;
                match (field.place, field.holds) {
                    (Place::Column(column), Type::Bool) => {
                        self.compare(column, Type::Bool, "=", "<>", Bind::Bool(true), wanted);
                        Ok(())
                    }
                    _ => wrong(node, format!("{name} is not a boolean")),
                }
            }
            Expr::Call(call) => self.call(node, call, wanted, depth),
            Expr::Comprehension(_) => wrong(node, "macros over lists are not understood in filters"),
            _ => wrong(node, "is not a condition"),
        }
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr, wanted: bool, depth: usize) -> Result<(), Wrong> {
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, None, [inner]) => self.condition(inner, !wanted, depth + 1),
            (operators::LOGICAL_AND, None, [left, right]) => self.both(left, right, wanted, wanted, depth),
            (operators::LOGICAL_OR, None, [left, right]) => self.both(left, right, wanted, !wanted, depth),
            (operators::IN, None, [left, right]) => self.contained(left, right, wanted),
            (HAS, None, [inner]) => self.present(inner, wanted),
            ("startsWith", Some(target), [prefix]) => self.starts_with(target, prefix, wanted),
            (operator, None, [left, right]) => match Comparison::of(operator) {
                Some(comparison) => self.comparison(node, comparison, left, right, wanted),
                None => wrong(node, "this operator or function is not understood in filters"),
            },
            _ => wrong(node, "this operator or function is not understood in filters"),
        }
    }

    /// Writes `left AND right`, or with OR: the opposite of either is the other one of opposites.
    fn both(&mut self, left: &IdedExpr, right: &IdedExpr, wanted: bool, and: bool, depth: usize) -> Result<(), Wrong> {
        self.sql.push('(');
        self.condition(left, wanted, depth + 1)?;
        self.sql.push_str(if and { " AND " } else { " OR " });
        self.condition(right, wanted, depth + 1)?;
        self.sql.push(')');
        Ok(())
    }

    fn comparison(
        &mut self,
        node: &IdedExpr,
        comparison: Comparison,
        left: &IdedExpr,
        right: &IdedExpr,
        wanted: bool,
    ) -> Result<(), Wrong> {
        let (comparison, field, value) = match (is_field(left), is_field(right)) {
            (true, false) => (comparison, left, right),
            (false, true) => (comparison.flipped(), right, left),
            _ => return wrong(node, "one side must be a field, the other a literal"),
        };
        let (name, column, holds) = self.column(field)?;
        let bind = literal(value, name, holds)?;
        match comparison {
            Comparison::Equal(equal) => self.compare(column, holds, "=", "<>", bind, wanted == equal),
            Comparison::Order(order) if matches!(holds, Type::Text | Type::Int | Type::Number | Type::Time) => {
                self.compare(column, holds, order.sql(true), order.sql(false), bind, wanted);
            }
            Comparison::Order(_) => return wrong(node, format!("{name} has no order")),
        }
        Ok(())
    }

    /// Writes `column is $n`, or its opposite, which holds for an absent field too.
    fn compare(&mut self, column: &str, holds: Type, is: &str, is_not: &str, bind: Bind, wanted: bool) {
        let value = self.typed(holds, bind);
        let condition = match wanted {
            true => format!("{column} {is} {value}"),
            false => format!("({column} {is_not} {value} OR {column} IS NULL)"),
        };
        self.sql.push_str(&condition);
    }

    fn contained(&mut self, left: &IdedExpr, right: &IdedExpr, wanted: bool) -> Result<(), Wrong> {
        let Expr::List(list) = &right.expr else {
            let (name, field) = self.field(right)?;
            let Place::Members(condition) = field.place else {
                return wrong(right, format!("{name} holds one value, not a list"));
            };
            let bind = literal(left, name, field.holds)?;
            let value = self.bind(bind);
            let condition = condition.replacen("{}", &value, 1);
            self.sql.push_str(&if wanted { condition } else { format!("NOT ({condition})") });
            return Ok(());
        };
        let (name, column, holds) = self.column(left)?;
        if list.elements.len() > MAX_ELEMENTS {
            return wrong(right, format!("a list has at most {MAX_ELEMENTS} elements"));
        }
        if list.elements.is_empty() {
            self.constant(!wanted);
            return Ok(());
        }
        let mut values = Vec::with_capacity(list.elements.len());
        for element in &list.elements {
            let bind = literal(element, name, holds)?;
            values.push(self.typed(holds, bind));
        }
        let values = values.join(", ");
        let condition = match wanted {
            true => format!("{column} IN ({values})"),
            false => format!("({column} NOT IN ({values}) OR {column} IS NULL)"),
        };
        self.sql.push_str(&condition);
        Ok(())
    }

    fn present(&mut self, field: &IdedExpr, wanted: bool) -> Result<(), Wrong> {
        let (_, column, _) = self.column(field)?;
        self.sql.push_str(column);
        self.sql.push_str(if wanted { " IS NOT NULL" } else { " IS NULL" });
        Ok(())
    }

    /// Writes a range of text: from the prefix on, to the least text behind all that begin with it.
    fn starts_with(&mut self, field: &IdedExpr, prefix: &IdedExpr, wanted: bool) -> Result<(), Wrong> {
        let (name, column, holds) = self.column(field)?;
        if !matches!(holds, Type::Text) {
            return wrong(field, format!("{name} is not a text"));
        }
        let Bind::Text(prefix) = literal(prefix, name, holds)? else {
            return wrong(prefix, "must be a string");
        };
        let end = behind(&prefix);
        let from = self.bind(Bind::Text(prefix));
        let condition = match (end.map(|end| self.bind(Bind::Text(end))), wanted) {
            (Some(end), true) => format!("({column} >= {from} AND {column} < {end})"),
            (Some(end), false) => {
                format!("({column} < {from} OR {column} >= {end} OR {column} IS NULL)")
            }
            (None, true) => format!("{column} >= {from}"),
            (None, false) => format!("({column} < {from} OR {column} IS NULL)"),
        };
        self.sql.push_str(&condition);
        Ok(())
    }

    fn constant(&mut self, value: bool) {
        self.sql.push_str(if value { "1 = 1" } else { "1 = 0" });
    }

    fn bind(&mut self, bind: Bind) -> String {
        let placeholder = format!("${}", self.start + self.binds.len());
        self.binds.push(bind);
        placeholder
    }

    /// The placeholder as a value of the field's type.
    fn typed(&mut self, holds: Type, bind: Bind) -> String {
        let value = self.bind(bind);
        match holds {
            Type::Number => format!("CAST({value} AS DOUBLE PRECISION)"),
            _ => value,
        }
    }

    /// The field that a node names, `a` or `a.b`.
    fn field(&self, node: &IdedExpr) -> Result<(&'static str, Field), Wrong> {
        let Some(path) = path(node) else {
            return wrong(node, "must be a field");
        };
        let found = self.fields.names().find(|name| *name == path);
        match found.and_then(|name| Some((name, self.fields.get(name)?))) {
            Some(found) => Ok(found),
            None => {
                let names: Vec<_> = self.fields.names().collect();
                wrong(node, format!("unknown field, the fields are {}", names.join(", ")))
            }
        }
    }

    fn column(&self, node: &IdedExpr) -> Result<(&'static str, &'static str, Type), Wrong> {
        let (name, field) = self.field(node)?;
        match field.place {
            Place::Column(column) => Ok((name, column, field.holds)),
            Place::Members(_) => wrong(node, format!("{name} is a list, write \"value\" in {name}")),
        }
    }
}

fn is_field(node: &IdedExpr) -> bool {
    path(node).is_some()
}

fn path(node: &IdedExpr) -> Option<String> {
    let mut node = node;
    let mut words = Vec::new();
    loop {
        match &node.expr {
            Expr::Ident(name) => {
                words.push(name.as_str());
                words.reverse();
                return Some(words.join("."));
            }
            Expr::Select(select) if !select.test && words.len() < MAX_DEPTH => {
                words.push(select.field.as_str());
                node = &select.operand;
            }
            _ => return None,
        }
    }
}

/// The value of a literal, as the field it is compared with holds it.
fn literal(node: &IdedExpr, name: &str, holds: Type) -> Result<Bind, Wrong> {
    match holds {
        Type::Text => string(node, name).map(Bind::Text),
        Type::Int => match &node.expr {
            Expr::Literal(LiteralValue::Int(value)) => Ok(Bind::Int(*value.inner())),
            Expr::Literal(LiteralValue::UInt(value)) => match i64::try_from(*value.inner()) {
                Ok(value) => Ok(Bind::Int(value)),
                Err(_) => wrong(node, "the number is too large"),
            },
            _ => wrong(node, format!("{name} is compared with an integer")),
        },
        Type::Number => {
            let number = match &node.expr {
                Expr::Literal(LiteralValue::Double(value)) => *value.inner(),
                Expr::Literal(LiteralValue::Int(value)) => *value.inner() as f64,
                Expr::Literal(LiteralValue::UInt(value)) => *value.inner() as f64,
                _ => return wrong(node, format!("{name} is compared with a number")),
            };
            // The shortest text that reads back as the same number; both stores read it so.
            if number.is_finite() { Ok(Bind::Text(format!("{number:?}"))) } else { wrong(node, "must be finite") }
        }
        Type::Bool => match &node.expr {
            Expr::Literal(LiteralValue::Boolean(value)) => Ok(Bind::Bool(*value.inner())),
            _ => wrong(node, format!("{name} is compared with true or false")),
        },
        Type::Time => match &node.expr {
            Expr::Call(CallExpr { func_name, target: None, args }) if func_name == "timestamp" => match args.as_slice()
            {
                [argument] => {
                    let value = string(argument, name)?;
                    let time = Timestamp::parse(&value).map_err(|error| (argument.id, error.description))?;
                    Ok(Bind::Time(time.as_micros()))
                }
                _ => wrong(node, "timestamp takes one string"),
            },
            _ => wrong(node, format!("{name} is compared with timestamp(\"2026-01-31T00:00:00Z\")")),
        },
        Type::Enumeration(values) => {
            let value = string(node, name)?;
            match values.iter().find(|(known, _)| *known == value) {
                Some((_, number)) => Ok(Bind::Int(*number)),
                None => {
                    let known: Vec<_> = values.iter().map(|(known, _)| *known).collect();
                    wrong(node, format!("{name} is one of {}", known.join(", ")))
                }
            }
        }
        Type::Words(values) => {
            let value = string(node, name)?;
            if values.contains(&value.as_str()) {
                Ok(Bind::Text(value))
            } else {
                wrong(node, format!("{name} is one of {}", values.join(", ")))
            }
        }
        Type::Name(parse) => {
            let value = string(node, name)?;
            parse(&value).map(Bind::Uuid).map_err(|error| (node.id, error.description))
        }
    }
}

fn string(node: &IdedExpr, name: &str) -> Result<String, Wrong> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(value)) => match value.inner() {
            value if value.contains('\0') => wrong(node, "must not hold NUL"),
            value => Ok(text::nfc(value)),
        },
        _ => wrong(node, format!("{name} is compared with a string")),
    }
}

/// The least text greater than every text that begins with `prefix`, by code points, which is the order of UTF-8
/// bytes too. `None` if there is none.
fn behind(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // The range of characters steps over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests;
