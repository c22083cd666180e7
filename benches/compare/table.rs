//! The table at the end.

use std::fmt;

use comfy_table::{Table as Lines, presets::ASCII_MARKDOWN};

#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 6]>,
    notes: Vec<String>,
    missed: bool,
}

#[derive(Clone, Copy)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Table {
    /// A ratio with its target.
    pub fn row(
        &mut self,
        what: impl Into<String>,
        measured: impl Into<String>,
        against: impl Into<String>,
        ratio: f64,
        target: Target,
    ) {
        let (met, target) = match target {
            Target::AtMost(limit) => (ratio <= limit, format!("<= {limit:.1}")),
            Target::AtLeast(limit) => (ratio >= limit, format!(">= {limit:.1}")),
        };
        self.push(
            [
                what.into(),
                measured.into(),
                against.into(),
                format!("{ratio:.2}"),
                target,
            ],
            met,
        );
    }

    /// A figure with the most that it may be, and what it is of that.
    pub fn limit(
        &mut self,
        what: impl Into<String>,
        measured: impl Into<String>,
        against: impl Into<String>,
        ratio: f64,
        most: f64,
    ) {
        let row = [
            what.into(),
            measured.into(),
            against.into(),
            format!("{ratio:.2}"),
            format!("<= {most:.1}"),
        ];
        self.push(row, ratio <= 1.0);
    }

    /// A count that has to be exactly what it should be.
    pub fn count(
        &mut self,
        what: impl Into<String>,
        measured: impl Into<String>,
        against: impl Into<String>,
        count: usize,
        target: usize,
    ) {
        let row = [
            what.into(),
            measured.into(),
            against.into(),
            String::new(),
            format!("{target}"),
        ];
        self.push(row, count == target);
    }

    /// A line below the table.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Whether a target was missed.
    pub fn missed(&self) -> bool {
        self.missed
    }

    fn push(&mut self, [what, measured, against, ratio, target]: [String; 5], met: bool) {
        self.missed |= !met;
        self.rows.push([
            what,
            measured,
            against,
            ratio,
            target,
            if met { "ok" } else { "miss" }.to_owned(),
        ]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines::new();
        lines.load_style(ASCII_MARKDOWN);
        lines.set_header(["what", "measured", "against", "ratio", "target", "verdict"]);
        lines.add_rows(&self.rows);
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        write!(f, "{lines}")
    }
}
