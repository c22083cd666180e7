//! The log as one page for a person to look at: nothing in it is fetched, nothing in it runs.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Filter, hours::over_time, line::misleads, show::program};
use crate::json::Json;

/// What the page shows, gathered line by line.
#[derive(Debug, Default)]
pub struct Report {
    /// Which lines are wanted.
    filter: Filter,
    /// How many there are, wanted or not; how many of those are wanted; and how many cannot be read.
    all: u64,
    lines: u64,
    unread: usize,
    first: String,
    last: String,
    hours: BTreeMap<String, Counted>,
    keys: BTreeMap<String, Counted>,
    endpoints: BTreeMap<String, Counted>,
    programs: BTreeMap<String, Counted>,
    rules: BTreeMap<String, u64>,
    /// Microseconds of signatures, by their power of two.
    latencies: BTreeMap<u32, u64>,
    changes: Vec<(String, String)>,
    denials: Vec<[String; 4]>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counted {
    pub signed: u64,
    pub denied: u64,
    pub failed: u64,
}

/// How many rows a table has at most.
const ROWS: usize = 50;
/// How many changes are shown, the last ones.
const CHANGES: usize = 200;

impl Report {
    /// Of these lines alone.
    pub fn of(filter: Filter) -> Self {
        Self {
            filter,
            ..Self::default()
        }
    }

    /// How many lines it is of, and how many there are.
    pub const fn lines(&self) -> (u64, u64) {
        (self.lines, self.all)
    }

    /// Takes note of lines that could not be read.
    pub fn passed_over(&mut self, count: usize) {
        self.unread += count;
    }

    /// Takes a line in, where it is wanted.
    pub fn take(&mut self, line: &Json) {
        self.all += 1;
        if !self.filter.wants(line) {
            return;
        }
        let text = |name: &str| line.get(name).and_then(Json::scalar).unwrap_or_default();
        let time = text("t");
        self.lines += 1;
        // Lines stand in the order in which they were written, and a clock may be set back.
        if self.first.is_empty() || time < self.first.as_str() {
            time.clone_into(&mut self.first);
        }
        if time > self.last.as_str() {
            time.clone_into(&mut self.last);
        }
        match text("what") {
            "sign" | "raw" => {
                let program = program(line).unwrap_or("unknown");
                let endpoint = match text("what") {
                    "raw" => "raw MAC".to_owned(),
                    _ => format!("{} {}", text("method"), text("path")),
                };
                let places = [
                    self.hours
                        .entry(time.get(..13).unwrap_or_default().to_owned())
                        .or_default(),
                    self.keys.entry(text("key").to_owned()).or_default(),
                    self.endpoints.entry(endpoint.clone()).or_default(),
                    self.programs
                        .entry(format!("{program} (uid {})", text("uid")))
                        .or_default(),
                ];
                for counted in places {
                    match text("outcome") {
                        "signed" => counted.signed += 1,
                        "denied" => counted.denied += 1,
                        _ => counted.failed += 1,
                    }
                }
                if text("outcome") == "signed" {
                    let micros = text("us").parse::<u64>().unwrap_or_default().max(1);
                    *self.latencies.entry(micros.ilog2()).or_default() += 1;
                } else {
                    *self.rules.entry(text("message").to_owned()).or_default() += 1;
                    if self.denials.len() == ROWS {
                        self.denials.remove(0);
                    }
                    self.denials
                        .push([time, text("key"), &endpoint, text("message")].map(str::to_owned));
                }
            }
            "begin" | "seal" => {}
            what => {
                let told = [
                    what,
                    text("key"),
                    text("detail"),
                    text("outcome"),
                    text("message"),
                ];
                let told: Vec<_> = told.into_iter().filter(|part| !part.is_empty()).collect();
                self.changes.push((time.to_owned(), told.join(" · ")));
            }
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut report = Report::default();
        let mut take = |line: String| report.take(&Json::parse(&line).unwrap());
        take(r#"{"n":1,"t":"2026-01-01T00:00:00.000000Z","what":"policy","key":"k","detail":"removed","outcome":"done"}"#.into());
        for n in 2..=CHANGES + 2 {
            take(format!(
                r#"{{"n":{n},"t":"2026-01-01T00:00:01.000000Z","what":"op","detail":"{n}","outcome":"denied"}}"#
            ));
        }
        for n in 0..400 {
            let (day, hour) = (n / 24 + 1, n % 24);
            take(format!(
                r#"{{"n":1,"t":"2026-01-{day:02}T{hour:02}:00:00.000000Z","what":"sign","key":"k","outcome":"denied","message":"{n}"}}"#
            ));
        }
        let page = report.page();
        for told in [
            "<tr><td>and 2 earlier<",
            "<p class=span>and 72 earlier hours<",
            "<tr><td>and 350 more<",
        ] {
            assert!(page.contains(told), "{told}");
        }
        assert!(!page.contains("removed"));
    }

    #[test]
    fn a_part_of_the_log_says_which() {
        let only = Filter {
            key: Some("k<".to_owned()),
            since: Some("2026-01-02T00:00:00.000000Z".to_owned()),
            ..Filter::default()
        };
        let mut report = Report::of(only);
        for (day, key) in [(1, "k<"), (2, "k<"), (3, "other")] {
            let line = format!(
                r#"{{"n":1,"t":"2026-01-0{day}T00:00:00.000000Z","what":"sign","key":"{key}","outcome":"signed"}}"#
            );
            report.take(&Json::parse(&line).unwrap());
        }
        report.passed_over(4);
        let page = report.page();
        for told in [
            "1 of the 3 lines of the log",
            "only key k&lt;, since 2026-01-02T00:00:00.000000Z",
            "4 lines could not be read",
            "<b id=signed>1</b>",
        ] {
            assert!(page.contains(told), "{told}: {page}");
        }
        let mut none = Report::of(Filter {
            uid: Some(7),
            ..Filter::default()
        });
        none.take(&Json::parse(r#"{"n":1,"what":"sign","outcome":"signed","uid":8}"#).unwrap());
        assert!(none.page().contains("none of the 1 lines of the log"));
    }

    #[test]
    fn what_a_bot_wrote_is_no_markup() {
        let mut report = Report::default();
        let line = r#"{"n":1,"t":"2026-01-01T00:00:00.000000Z","what":"sign","key":"k","method":"GET","path":"/<script>alert(1)</script>","outcome":"denied","message":"\"<b>'&\u0007\u202e","exe":"/x<y"}"#;
        report.take(&Json::parse(line).unwrap());
        let page = report.page();
        assert!(!page.contains("<script"), "{page}");
        assert!(
            page.contains("/&lt;script&gt;alert(1)&lt;/script&gt;")
                && page.contains("&quot;&lt;b&gt;&#39;&amp;\\u{7}\\u{202e}")
        );
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains(" src="));
    }
}
