//! The log as one page for a person to look at: nothing in it is fetched, nothing in it runs.

mod hours;
mod page;

use std::collections::BTreeMap;

use super::{Filter, SetBack, show::program};
use crate::json::Json;

/// What the page shows, gathered line by line.
#[derive(Debug, Default)]
pub struct Report {
    /// Which lines are wanted.
    filter: Filter,
    /// How many there are, wanted or not; how many of those are wanted; and how many cannot be read.
    all: u64,
    back: SetBack,
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
struct Counted {
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
            back: SetBack::of(&filter),
            filter,
            ..Self::default()
        }
    }

    /// How many lines it is of, and how many there are.
    pub const fn lines(&self) -> (u64, u64) {
        (self.lines, self.all)
    }

    /// That lines are missed since the clock was set back.
    pub fn set_back(&self) -> Option<String> {
        self.back.told()
    }

    /// Takes note of lines that could not be read.
    pub fn passed_over(&mut self, count: usize) {
        self.unread += count;
    }

    /// Takes a line in, where it is wanted.
    pub fn take(&mut self, line: &Json) {
        self.all += 1;
        self.back.take(line);
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
}

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
