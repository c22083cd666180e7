//! The tables of the documents that are made from the scheme files. In a document they stand between
//! `<!-- begin NAME -->` and `<!-- end NAME -->`.

use std::collections::BTreeMap;

use hsmsign::exchange::{Scheme, builtin, builtin_ids, impossible};

/// What fits a YubiKey's HMAC slot.
const SMALL: usize = 64;

/// The document with its tables made anew.
pub fn renewed(text: &str) -> String {
    let mut text = text.to_owned();
    for (name, table) in [
        ("algorithms", algorithms as fn(&[Scheme]) -> String),
        ("exchanges", exchanges),
        ("hosts", hosts),
        ("sockets", sockets),
        ("withdrawals", withdrawals),
        ("notes", notes),
        ("impossible", |_| not_possible()),
    ] {
        let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
        let Some(from) = text.find(&begin).map(|at| at + begin.len()) else {
            continue;
        };
        let to = from + text[from..].find(&end).unwrap();
        text.replace_range(from..to, &format!("\n{}\n", table(&schemes())));
    }
    text
}

fn schemes() -> Vec<Scheme> {
    builtin_ids()
        .iter()
        .map(|id| Scheme::parse(builtin(id).unwrap(), id).unwrap())
        .collect()
}

fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let mut out = row(&header) + &"|---".repeat(header.len()) + "|\n";
    out.extend(rows.into_iter().map(|cells| row(&cells)));
    out
}

fn code<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    let words = words.into_iter().map(|word| format!("`{}`", word.as_ref()));
    words.collect::<Vec<_>>().join(", ")
}

fn algorithms_of(scheme: &Scheme) -> Vec<String> {
    let names = scheme
        .kinds()
        .iter()
        .map(|kind| kind.algorithm().name().to_owned());
    names.map(|name| name.replace("hmac-sha", "HMAC-SHA")).collect()
}

fn algorithms(schemes: &[Scheme]) -> String {
    let mut by_algorithm: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for scheme in schemes {
        for algorithm in algorithms_of(scheme) {
            by_algorithm.entry(algorithm).or_default().push(scheme.id());
        }
    }
    let rows = by_algorithm
        .into_iter()
        .map(|(algorithm, ids)| vec![algorithm, code(ids)]);
    table(&["The token must compute", "`--exchange`"], rows)
}

fn exchanges(schemes: &[Scheme]) -> String {
    let rows = schemes.iter().map(|scheme| {
        let mut ids = code([scheme.id()]);
        if !scheme.aliases().is_empty() {
            ids.push_str(&format!(", also {}", code(scheme.aliases())));
        }
        let mut secrets: Vec<String> = scheme.kinds().iter().map(|kind| kind.secret_looks()).collect();
        secrets.dedup();
        let mut key = secrets.join("; or ");
        if scheme.needs_passphrase() {
            key.push_str("; and a passphrase");
        }
        for name in scheme.credentials() {
            key.push_str(&format!("; and `--{}`", name.replace('_', "-")));
        }
        let sizes = scheme.sizes();
        let fits = if sizes.iter().all(|size| size.always_fits(SMALL)) {
            "always".to_owned()
        } else {
            match sizes.as_slice() {
                [size] if size.parts == ["path"] && size.bytes < SMALL => {
                    format!("paths up to {} bytes", SMALL - size.bytes)
                }
                _ => String::new(),
            }
        };
        let sizes: Vec<_> = sizes.iter().map(ToString::to_string).collect();
        let name = match scheme.docs() {
            Some(docs) => format!("[{}]({docs})", scheme.name()),
            None => scheme.name().to_owned(),
        };
        vec![
            name,
            ids,
            algorithms_of(scheme).join(", "),
            key,
            sizes.join("; or "),
            fits,
            scheme.checked_by().to_owned(),
        ]
    });
    let header = [
        "Exchange",
        "`--exchange`",
        "Algorithms",
        "The secret",
        "Longest message",
        "In 64 bytes",
        "Checked by",
    ];
    table(&header, rows)
}

fn hosts(schemes: &[Scheme]) -> String {
    let rows = schemes
        .iter()
        .map(|scheme| vec![code([scheme.id()]), code(scheme.hosts())]);
    table(&["Exchange", "Hosts, the usual one first"], rows)
}

/// What a file says, or whose it takes.
fn own(scheme: &Scheme, words: impl Fn() -> String) -> String {
    match scheme.like() {
        Some(other) => format!("as `{other}`"),
        None => words(),
    }
}

fn sockets(schemes: &[Scheme]) -> String {
    let rows = schemes.iter().map(|scheme| {
        let words = match scheme.instead_of_websocket() {
            Some(instead) => instead.to_owned(),
            None if scheme.has_websocket() => scheme.logins().join("; "),
            None => "none is known".to_owned(),
        };
        vec![code([scheme.id()]), words]
    });
    table(&["Exchange", "WebSocket"], rows)
}

fn withdrawals(schemes: &[Scheme]) -> String {
    let rows = schemes.iter().map(|scheme| {
        let signed = if scheme.signs_path() { "yes" } else { "no" };
        let rules = own(scheme, || code(scheme.withdrawals()));
        vec![code([scheme.id()]), signed.to_owned(), rules]
    });
    table(&["Exchange", "Path signed", "Refused"], rows)
}

fn notes(schemes: &[Scheme]) -> String {
    let notes = schemes.iter().filter_map(|scheme| {
        let words = scheme.closed().or(scheme.note())?;
        Some(format!("- `{}`: {words}.\n", scheme.id()))
    });
    notes.collect()
}

fn not_possible() -> String {
    let rows = impossible()
        .iter()
        .map(|exchange| vec![code([exchange.id]), format!("{} {}", exchange.name, exchange.why)]);
    table(&["ccxt's id", "Why not"], rows)
}
