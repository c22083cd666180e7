//! The page itself: what was gathered, as tables and words.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{CHANGES, Counted, ROWS, Report, hours::over_time};
use crate::audit::line::misleads;

impl Report {
    /// The page.
    pub fn page(&self) -> String {
        let total = self.keys.values().fold(Counted::default(), |sum, one| Counted {
            signed: sum.signed + one.signed,
            denied: sum.denied + one.denied,
            failed: sum.failed + one.failed,
        });
        let mut page = String::from(HEAD);
        let _ = write!(
            page,
            "<h1>hsmsign: what was signed</h1><p class=span>{}</p><p class=totals><b id=signed>{}</b> signed <b id=denied class=denied>{}</b> denied <b id=failed class=failed>{}</b> failed</p>",
            self.span(),
            total.signed,
            total.denied,
            total.failed
        );
        over_time(&mut page, &self.hours);
        for (id, title, counted) in [
            ("keys", "By key", &self.keys),
            ("endpoints", "By endpoint", &self.endpoints),
            ("programs", "By program", &self.programs),
        ] {
            table(&mut page, id, title, counted);
        }
        self.latency(&mut page);
        page.push_str("<h2>Why requests were refused</h2><table id=rules><tr><th>reason<th>times");
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let more = rules.len().saturating_sub(ROWS);
        for (rule, count) in rules.into_iter().take(ROWS) {
            let _ = write!(page, "<tr><td>{}<td>{count}", escaped(rule));
        }
        left_out(&mut page, more, "more");
        page.push_str(
            "</table><h2>The last refusals</h2><table id=denials><tr><th>time<th>key<th>endpoint<th>reason",
        );
        for denial in self.denials.iter().rev() {
            page.push_str("<tr>");
            for part in denial {
                let _ = write!(page, "<td>{}", escaped(part));
            }
        }
        page.push_str("</table><h2>What changed</h2><table id=changes><tr><th>time<th>change");
        for (time, change) in self.changes.iter().rev().take(CHANGES) {
            let _ = write!(page, "<tr><td>{}<td>{}", escaped(time), escaped(change));
        }
        left_out(&mut page, self.changes.len().saturating_sub(CHANGES), "earlier");
        page.push_str("</table></main></body></html>\n");
        page
    }

    /// Of what the page is: nobody is to take a part of the log for all of it, or a log for one that was verified.
    fn span(&self) -> String {
        let mut told = match (self.lines, self.all) {
            (0, 0) => "there is no log yet".to_owned(),
            (0, all) => format!("none of the {all} lines of the log is of these"),
            (lines, all) => format!(
                "{} to {}, {lines} of the {all} lines of the log",
                escaped(&self.first),
                escaped(&self.last)
            ),
        };
        let asked = self.filter.told();
        if !asked.is_empty() {
            let _ = write!(told, "<br><b id=only>only {}</b>", escaped(&asked.join(", ")));
        }
        if self.unread > 0 {
            let _ = write!(
                told,
                "<br><b id=unread class=failed>{} lines could not be read and are not here</b>",
                self.unread
            );
        }
        if let Some(back) = self.set_back() {
            let _ = write!(told, "<br><b id=back class=failed>{}</b>", escaped(&back));
        }
        told.push_str("<br>whether the log was changed tells <code>hsmsign audit verify</code>");
        told
    }

    fn latency(&self, page: &mut String) {
        let total: u64 = self.latencies.values().sum();
        page.push_str(
            "<h2>How long signatures took</h2><table id=latencies><tr><th>up to<th>signatures<th>of all",
        );
        let mut sum = 0;
        for (power, count) in &self.latencies {
            sum += count;
            let micros = 1_u64 << (power + 1).min(63);
            let shown = match micros {
                0..1_000 => format!("{micros} µs"),
                1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
                _ => format!("{:.1} s", micros as f64 / 1e6),
            };
            let _ = write!(
                page,
                "<tr><td>{shown}<td>{count}<td>{:.1} %",
                sum as f64 * 100.0 / total as f64
            );
        }
        page.push_str("</table>");
    }
}

fn table(page: &mut String, id: &str, title: &str, counted: &BTreeMap<String, Counted>) {
    let _ = write!(
        page,
        "<h2>{title}</h2><table id={id}><tr><th><th>signed<th>denied<th>failed"
    );
    let mut rows: Vec<_> = counted.iter().collect();
    rows.sort_by_key(|(name, one)| {
        (
            std::cmp::Reverse(one.signed + one.denied + one.failed),
            (*name).clone(),
        )
    });
    let more = rows.len().saturating_sub(ROWS);
    for (name, one) in rows.into_iter().take(ROWS) {
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td class=denied>{}<td class=failed>{}",
            escaped(name),
            one.signed,
            one.denied,
            one.failed
        );
    }
    left_out(page, more, "more");
    page.push_str("</table>");
}

/// A last row that says how many there is no room for, so that nobody hides what they did behind many others.
fn left_out(page: &mut String, count: usize, which: &str) {
    if count > 0 {
        let _ = write!(page, "<tr><td>and {count} {which}");
    }
}

/// Text of the log in a page: what a bot wrote there is shown, and is no markup.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char if misleads(char) => out.extend(char.escape_unicode()),
            char => out.push(char),
        }
    }
    out
}

const HEAD: &str = "<!doctype html><html lang=en><head><meta charset=utf-8><title>hsmsign: what was signed</title>\
<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">\
<style>:root{color-scheme:light dark}body{font:15px/1.45 system-ui,sans-serif;margin:2rem}main{max-width:72rem;margin:auto}\
h1{font-size:1.5rem}h2{font-size:1.05rem;margin:2rem 0 .4rem}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #8884;overflow-wrap:anywhere;vertical-align:top}\
th{font-weight:600}.span{color:#777}.totals b{font-size:1.6rem;margin-left:1.2rem}.totals b:first-child{margin:0}\
rect.signed{fill:#3a7d44}rect.denied{fill:#c0392b}rect.failed{fill:#d68910}b.denied,td.denied{color:#c0392b}\
b.failed,td.failed{color:#b9770e}#hours{line-height:0}text{fill:currentColor;font-size:11px}rect.foot{fill:#8884}</style></head><body><main>";
