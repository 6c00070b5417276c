//! Cards: what the demo shows, laid out for 80 columns.
//!
//! A card is built of blocks and rendered in one of two styles: boxed for a terminal, plain (headings and indentation,
//! nothing that a log or a pipe would garble) for everything else. No line is ever wider than [`WIDTH`] columns,
//! whatever the texts are: they are wrapped, and a word longer than its place is broken. Control characters in what
//! came over the network never reach the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The widest line, in terminal columns.
pub const WIDTH: usize = 80;

/// What a line can hold besides the frame or the indentation.
const INNER: usize = WIDTH - 4;

/// Columns between two columns of a table.
const GAP: usize = 2;

/// How a card is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Draw frames; otherwise plain headings.
    pub boxes: bool,
    /// Use colour.
    pub color: bool,
}

/// How a piece of text is meant; shown by colour where there is colour, never by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// As it is.
    #[default]
    Normal,
    /// Less important.
    Dim,
    /// Stands out.
    Strong,
    /// Good.
    Good,
    /// Bad.
    Bad,
}

/// Text with a tone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// `text` as it is meant.
    #[must_use]
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: printable(text.as_ref()), tone }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text, Tone::Normal)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text, Tone::Normal)
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::new(text, Tone::Normal)
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    right: bool,
    wraps: bool,
}

/// A column of short text that keeps its width as long as there is room.
#[must_use]
pub const fn column(title: &'static str) -> Column {
    Column { title, right: false, wraps: false }
}

/// A column of numbers, aligned right.
#[must_use]
pub const fn number(title: &'static str) -> Column {
    Column { title, right: true, wraps: false }
}

/// A column of prose, which gives way first and is wrapped.
#[must_use]
pub const fn prose(title: &'static str) -> Column {
    Column { title, right: false, wraps: true }
}

#[derive(Debug, Clone)]
enum Block {
    Pairs(Vec<(String, Cell)>),
    Table(Vec<Column>, Vec<Vec<Cell>>),
    Text(Cell),
    Heading(String),
}

/// A titled card.
#[derive(Debug, Clone)]
pub struct Card {
    title: String,
    blocks: Vec<Block>,
}

impl Card {
    /// An empty card.
    #[must_use]
    pub fn new(title: impl AsRef<str>) -> Self {
        Self { title: printable(title.as_ref()), blocks: Vec::new() }
    }

    /// Adds a label and its value; labels that follow each other are aligned.
    #[must_use]
    pub fn pair(mut self, label: &str, value: impl Into<Cell>) -> Self {
        let pair = (printable(label), value.into());
        if let Some(Block::Pairs(pairs)) = self.blocks.last_mut() {
            pairs.push(pair);
        } else {
            self.blocks.push(Block::Pairs(vec![pair]));
        }
        self
    }

    /// Adds a paragraph.
    #[must_use]
    pub fn text(mut self, text: impl Into<Cell>) -> Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    /// Adds a heading between blocks.
    #[must_use]
    pub fn heading(mut self, text: &str) -> Self {
        self.blocks.push(Block::Heading(printable(text)));
        self
    }

    /// Adds a table. A row shorter than the columns is filled with empty cells, a longer one is cut.
    #[must_use]
    pub fn table(mut self, columns: &[Column], rows: Vec<Vec<Cell>>) -> Self {
        self.blocks.push(Block::Table(columns.to_vec(), rows));
        self
    }

    /// The card's lines, none wider than [`WIDTH`] columns.
    #[must_use]
    pub fn render(&self, style: Style) -> Vec<String> {
        let mut body: Vec<Line> = Vec::new();
        for block in &self.blocks {
            match block {
                Block::Pairs(pairs) => pair_lines(pairs, &mut body),
                Block::Table(columns, rows) => table_lines(columns, rows, &mut body),
                Block::Text(cell) => {
                    body.extend(wrap(&cell.text, INNER).into_iter().map(|text| Line::of(text, cell.tone)));
                }
                Block::Heading(text) => {
                    if !body.is_empty() {
                        body.push(Line::default());
                    }
                    body.extend(wrap(text, INNER).into_iter().map(|text| Line::of(text, Tone::Strong)));
                }
            }
        }
        if style.boxes { boxed(&self.title, &body, style) } else { plain(&self.title, &body, style) }
    }
}

/// Wraps running text to the full width.
#[must_use]
pub fn paragraph(text: &str) -> Vec<String> {
    text.lines().flat_map(|line| wrap(&printable(line), WIDTH)).collect()
}

/// Adds colour to a finished piece of text.
#[must_use]
pub fn paint(text: &str, tone: Tone, style: Style) -> String {
    let code = match tone {
        Tone::Normal => return text.to_owned(),
        Tone::Dim => "2",
        Tone::Strong => "1",
        Tone::Good => "32",
        Tone::Bad => "31",
    };
    if !style.color || text.is_empty() {
        return text.to_owned();
    }
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// A laid out line: pieces whose widths are known, so that colour does not disturb the alignment.
#[derive(Debug, Clone, Default)]
struct Line {
    pieces: Vec<(String, Tone)>,
}

impl Line {
    fn of(text: String, tone: Tone) -> Self {
        Self { pieces: vec![(text, tone)] }
    }

    fn width(&self) -> usize {
        self.pieces.iter().map(|(text, _)| text.width()).sum()
    }

    fn painted(&self, style: Style) -> String {
        self.pieces.iter().map(|(text, tone)| paint(text, *tone, style)).collect()
    }
}

fn boxed(title: &str, body: &[Line], style: Style) -> Vec<String> {
    let title = cut(title, INNER - 4);
    let rest = WIDTH - 5 - title.width();
    let mut lines = vec![format!("╭─ {} {}╮", paint(&title, Tone::Strong, style), "─".repeat(rest))];
    for line in body {
        let room = " ".repeat(INNER.saturating_sub(line.width()));
        lines.push(format!("│ {}{room} │", line.painted(style)));
    }
    lines.push(format!("╰{}╯", "─".repeat(WIDTH - 2)));
    lines
}

fn plain(title: &str, body: &[Line], style: Style) -> Vec<String> {
    let title = cut(title, INNER);
    let mut lines = vec![paint(&title, Tone::Strong, style), "-".repeat(title.width())];
    for line in body {
        let text = format!("  {}", line.painted(style));
        lines.push(text.trim_end().to_owned());
    }
    lines
}

fn pair_lines(pairs: &[(String, Cell)], body: &mut Vec<Line>) {
    let label_width = pairs.iter().map(|(label, _)| label.width()).max().unwrap_or(0).min(INNER / 3);
    let room = INNER - label_width - GAP;
    for (label, cell) in pairs {
        for (n, text) in wrap(&cell.text, room).into_iter().enumerate() {
            let label = if n == 0 { cut(label, label_width) } else { String::new() };
            let pad = " ".repeat(label_width + GAP - label.width());
            body.push(Line { pieces: vec![(label, Tone::Dim), (pad, Tone::Normal), (text, cell.tone)] });
        }
    }
}

fn table_lines(columns: &[Column], rows: &[Vec<Cell>], body: &mut Vec<Line>) {
    let widths = fit(columns, rows);
    if columns.iter().any(|c| !c.title.is_empty()) {
        let titles: Vec<Cell> = columns.iter().map(|c| Cell::new(c.title, Tone::Dim)).collect();
        row_lines(columns, &widths, &titles, body);
    }
    for row in rows {
        row_lines(columns, &widths, row, body);
    }
}

/// The columns' widths: as wide as their content wants, prose giving way first, so that a row fits a line.
fn fit(columns: &[Column], rows: &[Vec<Cell>]) -> Vec<usize> {
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(n, column)| {
            rows.iter()
                .filter_map(|row| row.get(n))
                .map(|cell| cell.text.width())
                .chain([column.title.width(), 1])
                .max()
                .unwrap_or(1)
        })
        .collect();
    let room = INNER.saturating_sub(GAP * columns.len().saturating_sub(1));
    loop {
        let total: usize = widths.iter().sum();
        if total <= room {
            return widths;
        }
        // Prose first, down to 16 columns; then whatever is widest, down to one.
        let widest = |prose: bool, least: usize| {
            (0..columns.len())
                .filter(|n| (!prose || columns[*n].wraps) && widths[*n] > least)
                .max_by_key(|n| widths[*n])
        };
        match widest(true, 16).or_else(|| widest(false, 1)) {
            Some(place) => widths[place] -= 1,
            None => return widths,
        }
    }
}

fn row_lines(columns: &[Column], widths: &[usize], row: &[Cell], body: &mut Vec<Line>) {
    let wrapped: Vec<(Vec<String>, Tone)> = columns
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(n, (_, width))| {
            row.get(n).map_or_else(|| (vec![String::new()], Tone::Normal), |cell| (wrap(&cell.text, *width), cell.tone))
        })
        .collect();
    let height = wrapped.iter().map(|(lines, _)| lines.len()).max().unwrap_or(1);
    for at in 0..height {
        let mut line = Line::default();
        for (n, (column, width)) in columns.iter().zip(widths).enumerate() {
            if n > 0 {
                line.pieces.push((" ".repeat(GAP), Tone::Normal));
            }
            let (lines, tone) = &wrapped[n];
            let text = lines.get(at).cloned().unwrap_or_default();
            let pad = " ".repeat(width.saturating_sub(text.width()));
            if column.right {
                line.pieces.push((pad, Tone::Normal));
                line.pieces.push((text, *tone));
            } else {
                line.pieces.push((text, *tone));
                line.pieces.push((pad, Tone::Normal));
            }
        }
        body.push(line);
    }
}

/// Breaks text into lines of at most `width` columns, at spaces where there are any. Always at least one line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if line.width() + gap + word.width() <= width {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            if line.width() + c.width().unwrap_or(0) > width && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Text cut to `width` columns, with an ellipsis when something is missing.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width() + c.width().unwrap_or(0) + 1 > width {
            break;
        }
        short.push(c);
    }
    if width > 0 {
        short.push('…');
    }
    short
}

/// Text without what could steer a terminal or turn its direction, tabs and line breaks as spaces.
fn printable(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\t' | '\n' | '\r' => Some(' '),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
            c if c.is_control() => None,
            c => Some(c),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn full() -> Card {
        Card::new("A title that is so long that it cannot stand on one line of a card of eighty columns at all")
            .pair("name", "Renée 山田太郎 Calloway")
            .pair("a label that is far too long for its place in the card", "x".repeat(200))
            .text(Cell::new("prose ".repeat(60), Tone::Bad))
            .heading("Heading")
            .table(
                &[column("day"), prose("what"), number("effect")],
                vec![
                    vec!["2026-01-01".into(), "words ".repeat(40).into(), Cell::new("-12.50", Tone::Bad)],
                    vec!["2026-01-02".into(), "w".repeat(150).into(), "3.00".into(), "too many".into()],
                    vec!["2026-01-03".into()],
                ],
            )
            .table(
                &[column("a"), column("b"), column("c"), number("d")],
                vec![vec!["a".repeat(90).into(), "b".repeat(90).into(), "c".repeat(90).into(), "1".repeat(90).into()]],
            )
    }

    fn widths(card: &Card, style: Style) -> Vec<usize> {
        card.render(style).iter().map(|line| line.width()).collect()
    }

    #[test]
    fn no_line_is_wider_than_eighty_columns_and_boxes_are_straight() {
        let boxed = widths(&full(), Style { boxes: true, color: false });
        assert!(boxed.iter().all(|w| *w == WIDTH), "{boxed:?}");
        assert!(widths(&full(), Style::default()).iter().all(|w| *w <= WIDTH));
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let strip = |line: &String| {
            let mut out = String::new();
            let mut rest = line.as_str();
            while let Some(at) = rest.find('\u{1b}') {
                out.push_str(&rest[..at]);
                rest = rest[at..].split_once('m').unwrap().1;
            }
            out.push_str(rest);
            out
        };
        let plain = full().render(Style { boxes: true, color: false });
        let painted = full().render(Style { boxes: true, color: true });
        assert!(painted.iter().any(|line| line.contains('\u{1b}')));
        assert_eq!(painted.iter().map(strip).collect::<Vec<_>>(), plain);
    }

    #[test]
    fn plain_has_neither_frames_nor_escapes() {
        for line in full().render(Style::default()) {
            assert!(!line.contains(['╭', '│', '╰', '\u{1b}']), "{line}");
            assert_eq!(line.trim_end(), line);
        }
    }

    #[test]
    fn nothing_of_the_text_is_lost_and_nothing_steers_the_terminal() {
        let card = Card::new("t").text("one\u{1b}[2Jtwo\u{202e} three\nfour");
        let text = card.render(Style::default()).join("\n");
        assert!(text.contains("one[2Jtwo three four"), "{text}");
        let long = Card::new("t").pair("k", "x".repeat(200)).render(Style::default()).join("");
        assert_eq!(long.matches('x').count(), 200);
    }

    #[test]
    fn numbers_are_aligned_right() {
        let lines = Card::new("t")
            .table(&[prose("what"), number("n")], vec![vec!["a".into(), "1".into()], vec!["b".into(), "1000".into()]])
            .render(Style { boxes: true, color: false });
        let ends: Vec<usize> = lines[2..4].iter().map(|l| l.trim_end_matches([' ', '│']).width()).collect();
        assert_eq!(ends[0], ends[1], "{lines:?}");
    }
}
