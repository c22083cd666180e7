//! The part of the page that shows requests over time.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Counted, page::escaped};

/// How many days are shown at most: the last ones with requests.
const DAYS: usize = 14;
/// How tall the bars of the hour with most requests are, in pixels.
const HEIGHT: u64 = 120;
/// How far it is from an hour to the next.
const STEP: u64 = 8;

/// Signatures and refusals an hour, as bars: a picture for each day, so that hours without any are seen, and however many
/// there are, they go on in the next row.
pub(super) fn over_time(page: &mut String, hours: &BTreeMap<String, Counted>) {
    let mut days: BTreeMap<&str, Vec<(&str, &Counted)>> = BTreeMap::new();
    for (hour, counted) in hours {
        let day = hour.get(..10).unwrap_or_default();
        days.entry(day).or_default().push((hour, counted));
    }
    let earlier = days.len().saturating_sub(DAYS);
    let shown = || days.iter().skip(earlier);
    let total = |one: &Counted| one.signed + one.denied + one.failed;
    let all = shown().flat_map(|(_, hours)| hours);
    let most = all.map(|(_, one)| total(one)).max().unwrap_or(1).max(1);
    page.push_str("<h2>By hour (UTC)</h2><div id=hours>");
    for (day, hours) in shown() {
        let (wide, tall) = (24 * STEP, HEIGHT + 20);
        let _ = write!(
            page,
            "<svg width={wide} height={tall} role=img><rect class=foot y={HEIGHT} width={} height=1 /><text y={}>{}</text>",
            wide - 1,
            HEIGHT + 14,
            escaped(day)
        );
        for (hour, one) in hours {
            bars(page, hour, one, most);
        }
        page.push_str("</svg>");
    }
    page.push_str("</div>");
    let earlier: usize = days.values().take(earlier).map(Vec::len).sum();
    if earlier > 0 {
        let _ = write!(page, "<p class=span>and {earlier} earlier hours</p>");
    }
}

/// The bars of an hour, where it stands in its day; `most` is how many requests the tallest are.
fn bars(page: &mut String, hour: &str, one: &Counted, most: u64) {
    let of_day = hour.get(11..).and_then(|hour| hour.parse::<u64>().ok());
    let x = of_day.unwrap_or_default().min(23) * STEP;
    let _ = write!(
        page,
        "<g><title>{}: {} signed, {} denied, {} failed</title>",
        escaped(hour),
        one.signed,
        one.denied,
        one.failed
    );
    let mut y = HEIGHT;
    for (class, count) in [
        ("signed", one.signed),
        ("denied", one.denied),
        ("failed", one.failed),
    ] {
        let tall = (count * HEIGHT).div_ceil(most).min(y);
        y -= tall;
        if tall > 0 {
            let _ = write!(
                page,
                "<rect class={class} x={x} y={y} width={} height={tall} />",
                STEP - 1
            );
        }
    }
    page.push_str("</g>");
}
