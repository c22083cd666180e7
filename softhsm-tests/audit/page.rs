//! The report, in a real browser without a window: what its elements say, and what its picture shows.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64ct::Encoding as _;
use hsmsign::{audit::Report, json::Json};

use crate::bench::Place;

/// How tall the bars are together in the hour that has most, in pixels.
const TALL: u32 = 120;
/// How wide a bar is, in pixels.
const WIDE: u32 = 7;
/// How far it is from one bar to the next.
const STEP: u32 = 8;

struct Browser {
    program: &'static str,
    folder: PathBuf,
}

impl Browser {
    fn find(place: &Place) -> Option<Self> {
        let works = |name: &&str| {
            let asked = Command::new(name).arg("--version").output();
            asked.is_ok_and(|done| done.status.success())
        };
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let Some(program) = names.into_iter().find(works) else {
            eprintln!("SKIPPED: no Chromium is installed (Debian: chromium)");
            return None;
        };
        let folder = place.path().join("browser");
        Some(Self { program, folder })
    }

    /// What a page is when it is shown, element by element; and a picture of it.
    fn show(&self, page: &Path, picture: &Path) -> String {
        let done = Command::new(self.program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--virtual-time-budget=5000",
                "--window-size=1200,1600",
                "--dump-dom",
            ])
            .arg(format!("--screenshot={}", picture.display()))
            .arg(format!("--user-data-dir={}", self.folder.display()))
            .arg(format!("file://{}", page.display()))
            .env("HOME", &self.folder)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Where a picture has the colours of bars, as the browser reads it.
    fn look(&self, picture: &Path) -> Picture {
        let image = base64ct::Base64::encode_string(&fs::read(picture).unwrap());
        let page = picture.with_extension("html");
        fs::write(&page, LOOK.replace("IMAGE", &image)).unwrap();
        let shown = self.show(&page, &picture.with_extension("again.png"));
        let mut found = Picture::default();
        for line in shown.lines() {
            let words: Vec<&str> = line
                .trim_start_matches("<html><head></head><body><pre id=\"out\">")
                .split(' ')
                .collect();
            if let [class @ ("signed" | "denied" | "failed"), y, from, to] = words[..] {
                let [y, from, to] = [y, from, to].map(|number| number.parse().unwrap());
                found.runs.insert((from, y), (class.to_owned(), to));
            }
        }
        found
    }
}

/// Reads an image, and writes each run of pixels that has a bar's colour: class, line, first column, column behind.
const LOOK: &str = r#"<!doctype html><pre id=out></pre><script>
const image = new Image();
image.onload = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, image.width, image.height).data;
  const classes = {"58,125,68": "signed", "192,57,43": "denied", "214,137,16": "failed"};
  let out = "";
  for (let y = 0; y < image.height; y++) {
    let was = "", from = 0;
    for (let x = 0; x <= image.width; x++) {
      const at = 4 * (y * image.width + x);
      const is = x < image.width && classes[data.slice(at, at + 3).join()] || "";
      if (is === was) continue;
      if (was) out += "\n" + [was, y, from, x].join(" ");
      [was, from] = [is, x];
    }
  }
  document.getElementById("out").textContent = out + "\n";
};
image.src = "data:image/png;base64,IMAGE";
</script>"#;

/// Runs of a bar's colour: column and line of the first pixel, class, and the column behind the last.
#[derive(Default)]
struct Picture {
    runs: BTreeMap<(u32, u32), (String, u32)>,
}

impl Picture {
    /// The class of each line of a bar at this column, from its foot upwards.
    fn bar(&self, x: u32, foot: u32) -> Vec<&str> {
        let line = |y: u32| self.runs.get(&(x, y)).filter(|(_, to)| *to == x + WIDE);
        (0..=foot)
            .rev()
            .map_while(|y| line(y).map(|(class, _)| class.as_str()))
            .collect()
    }

    /// Whether the bars are those of these hours: how many requests were signed, denied and failed in each.
    fn shows(&self, hours: &[[u32; 3]]) -> Result<(), String> {
        let total = |hour: &[u32; 3]| hour.iter().sum::<u32>();
        let most = hours.iter().map(total).max().unwrap_or(1);
        let tallest = hours.iter().position(|hour| total(hour) == most).unwrap_or(0);
        // The foot of the tallest bar: nothing else in the picture is so tall and so wide.
        let feet = self.runs.keys().filter(|(x, y)| {
            !self.runs.contains_key(&(*x, y + 1)) && self.bar(*x, *y).len().abs_diff(TALL as usize) <= 2
        });
        let (x, foot) = *feet.min().ok_or("no bar is as tall as the tallest must be")?;
        let first = x
            .checked_sub(u32::try_from(tallest).unwrap() * STEP)
            .ok_or("bars are missing in front")?;
        for (at, hour) in (0..).zip(hours) {
            let bar = self.bar(first + at * STEP, foot);
            let mut above = bar.as_slice();
            let mut left = TALL;
            for (class, count) in ["signed", "denied", "failed"].into_iter().zip(hour) {
                let wanted = (count * TALL).div_ceil(most).min(left);
                left -= wanted;
                let tall = above.iter().take_while(|&&line| line == class).count();
                above = &above[tall..];
                if tall.abs_diff(wanted as usize) > 1 {
                    return Err(format!(
                        "hour {at}: {tall} lines are {class}, and {wanted} should be"
                    ));
                }
            }
            if !above.is_empty() {
                return Err(format!("hour {at}: {above:?} stands above its bars"));
            }
        }
        let behind = first + u32::try_from(hours.len()).unwrap() * STEP;
        match self.bar(behind, foot).is_empty() {
            true => Ok(()),
            false => Err("there is a bar too many".into()),
        }
    }
}

/// What the log itself has of each hour.
fn hours(place: &Place) -> Vec<[u32; 3]> {
    let mut hours: BTreeMap<String, [u32; 3]> = BTreeMap::new();
    for line in place.log(&["--what", "sign"]) {
        let outcome = line["outcome"].as_str().unwrap();
        let at = ["signed", "denied", "failed"]
            .iter()
            .position(|known| *known == outcome);
        let hour = line["t"].as_str().unwrap()[..13].to_owned();
        hours.entry(hour).or_default()[at.unwrap()] += 1;
    }
    hours.into_values().collect()
}

/// Fourteen days, of which the last hour alone has a denial.
#[test]
fn the_newest_hour_is_seen_behind_two_weeks_of_others() {
    let place = Place::new();
    let Some(browser) = Browser::find(&place) else {
        return;
    };
    let mut report = Report::default();
    for hour in 0..14 * 24 {
        let (day, of_day) = (hour / 24 + 1, hour % 24);
        let outcome = if hour == 14 * 24 - 1 { "denied" } else { "signed" };
        let line = format!(
            r#"{{"n":1,"t":"2026-01-{day:02}T{of_day:02}:00:00.000000Z","what":"sign","key":"k","outcome":"{outcome}"}}"#
        );
        report.take(&Json::parse(&line).unwrap());
    }
    let (page, shot) = (place.path().join("report.html"), place.path().join("shot.png"));
    fs::write(&page, report.page()).unwrap();
    browser.show(&page, &shot);
    let picture = browser.look(&shot);
    let whole = |class: &str| {
        let feet = picture
            .runs
            .keys()
            .filter(|(x, y)| !picture.runs.contains_key(&(*x, y + 1)));
        feet.filter(|(x, y)| {
            let bar = picture.bar(*x, *y);
            bar.len().abs_diff(TALL as usize) <= 2 && bar.iter().all(|line| *line == class)
        })
        .count()
    };
    assert_eq!((whole("signed"), whole("denied")), (14 * 24 - 1, 1));
}

#[test]
fn the_report_shows_what_happened_in_a_browser_and_fetches_nothing() {
    let Some(place) = Place::with_kraken() else { return };
    let line = "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}\n";
    assert_eq!(place.run(&["sign", "--json"], &line.repeat(17)).code, 0);
    let withdraw = line.replace("Balance", "Withdraw").repeat(4);
    let bad = line.replace("/0/private/Balance", "/0//x").repeat(2);
    assert_eq!(place.run(&["sign", "--json"], &(withdraw + &bad)).code, 1);
    let page = place.path().join("report.html");
    place.ok(&["audit", "report", "--output", page.to_str().unwrap()]);
    let text = fs::read_to_string(&page).unwrap();
    for outside in ["http://", "https://", "<script", " src=", "@import", "url("] {
        assert!(!text.contains(outside), "{outside}");
    }
    let Some(browser) = Browser::find(&place) else {
        return;
    };
    let shot = place.path().join("shot.png");
    let shown = browser.show(&page, &shot);
    for part in [
        "<b id=\"signed\">17</b>",
        "<b id=\"denied\" class=\"denied\">4</b>",
        "<b id=\"failed\" class=\"failed\">2</b>",
        "<td>POST /0/private/Balance</td><td>17</td><td class=\"denied\">0</td><td class=\"failed\">0</td>",
        "<td>POST /0/private/Withdraw</td><td>0</td><td class=\"denied\">4</td><td class=\"failed\">0</td>",
        "<td>kraken</td><td>17</td><td class=\"denied\">4</td><td class=\"failed\">2</td>",
        "moves money out</td><td>4</td>",
        "<td>100.0 %</td>",
        "import · kraken",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let picture = browser.look(&shot);
    let hours = hours(&place);
    assert_eq!(hours.iter().flatten().sum::<u32>(), 23);
    picture.shows(&hours).unwrap();
    // Another log's picture is told apart: by one request more, by an outcome changed for another, by an hour.
    let last = hours.len() - 1;
    let change = |change: &dyn Fn(&mut Vec<[u32; 3]>)| {
        let mut other = hours.clone();
        change(&mut other);
        other
    };
    for other in [
        change(&|hours| hours[last][0] += 3),
        change(&|hours| hours[last][1] += 2),
        change(&|hours| hours[last][2] = 0),
        change(&|hours| hours[last].swap(0, 1)),
        change(&|hours| hours[last].swap(1, 2)),
        change(&|hours| hours.push([1, 1, 1])),
        change(&|hours| hours.insert(0, [5, 0, 0])),
    ] {
        assert!(picture.shows(&other).is_err(), "{other:?} looks like {hours:?}");
    }
}
