//! The report, in a real browser without a window.

use std::process::Command;

use crate::bench::Place;

fn browser() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            Command::new(name)
                .arg("--version")
                .output()
                .is_ok_and(|done| done.status.success())
        });
    if found.is_none() {
        eprintln!("SKIPPED: no Chromium is installed (Debian: chromium)");
    }
    found
}

#[test]
fn the_report_shows_what_happened_in_a_browser_and_fetches_nothing() {
    let Some(place) = Place::with_kraken() else { return };
    let line = "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}\n";
    assert_eq!(place.run(&["sign", "--json"], &line.repeat(17)).code, 0);
    for _ in 0..3 {
        place.refused(
            &["sign", "kraken", "POST", "/0/private/Withdraw"],
            "",
            3,
            "move money out",
        );
    }
    let page = place.path().join("report.html");
    place.ok(&["audit", "report", "--output", page.to_str().unwrap()]);
    let text = std::fs::read_to_string(&page).unwrap();
    for outside in ["http://", "https://", "<script", " src=", "@import", "url("] {
        assert!(!text.contains(outside), "{outside}");
    }
    let Some(browser) = browser() else { return };
    let profile = place.path().join("profile");
    let shot = place.path().join("shot.png");
    let run = |what: &[&str]| {
        let done = Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--virtual-time-budget=2000",
                "--window-size=1200,1600",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(what)
            .arg(format!("file://{}", page.display()))
            .env("HOME", place.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    // What the browser made of it, element by element.
    let shown = run(&["--dump-dom"]);
    for part in [
        "<b id=\"signed\">17</b>",
        "<b id=\"denied\" class=\"denied\">3</b>",
        "<b id=\"failed\" class=\"failed\">0</b>",
        "<td>POST /0/private/Balance</td><td>17</td>",
        "<td>kraken</td><td>17</td><td class=\"denied\">3</td>",
        "import · kraken",
        "rect class=\"signed\"",
        "rect class=\"denied\"",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    run(&[&format!("--screenshot={}", shot.display())]);
    // The picture is not blank: it has more than a few colours' worth of bytes.
    assert!(std::fs::metadata(&shot).unwrap().len() > 10_000);
}
