//! Rules of a policy that are found by how their patterns begin decide as they do when each is gone through.

use std::{sync::LazyLock, time::Duration};

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use super::{Exchange, exchanges};
use crate::{
    caller::Caller,
    exchange::{
        Scheme,
        glob::{fits, parts},
        plan::METHODS,
    },
    policy::{Policy, Subject as _},
    request::Request,
};

static ALL: LazyLock<Vec<(Scheme, Vec<String>)>> = LazyLock::new(|| {
    let known = |exchange: Exchange| {
        let classes = exchange.scheme.classes.iter();
        let of_classes = classes.flat_map(|classes| classes.read.iter().chain(&classes.trade));
        let listed = of_classes.map(|path| path.rsplit(' ').next().unwrap_or_default().to_owned());
        let mut paths: Vec<String> = listed.collect();
        paths.extend(exchange.withdrawals().into_iter().map(|(_, path)| path));
        paths.extend(["/a/close".into(), "/a/order.json".into()]);
        (exchange.scheme, paths)
    };
    exchanges().map(known).collect()
});

/// What is made of a path: of the request's own, and of patterns.
fn changed(path: &str, change: u8, pattern: bool) -> String {
    let path = format!("/{}", path.replace('*', "x").trim_start_matches('/'));
    let half = path.len() / 2;
    match change {
        0 if pattern => format!("{}*", &path[..half]),
        1 if pattern => format!("*{}", &path[half..]),
        2 if pattern => format!("{}*{}", &path[..half], &path[half + 1..]),
        3 if pattern => "*".into(),
        4 => path[..half.max(1)].to_owned(),
        5 => format!("{path}1"),
        6 => format!("{path}.json"),
        7 => format!("{path}/x"),
        _ => path,
    }
}

fn rule() -> impl Strategy<Value = (u8, Index, u8, Option<&'static str>, u8)> {
    let method = select(vec![None, None, Some("GET"), Some("POST")]);
    (0..5_u8, any::<Index>(), 0..9_u8, method, 0..5_u8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_by_its_path_decides_as_each_rule_in_turn(
        at in any::<Index>(),
        rules in vec(rule(), 1..12),
        path in any::<Index>(),
        change in 4..12_u8,
        method in select(METHODS.to_vec()),
        fields in vec(select(vec![("symbol", "A"), ("amount", "1"), ("side", "buy"), ("close", "true"), ("a[b]", "2"), ("type", "7")]), 0..4),
        place in select(vec!["params", "query", "form", "json"]),
        symbols in any::<bool>(),
        before in vec(select(vec![("symbol", "B"), ("amount", "3"), ("close", "true"), ("x", "1")]), 0..3),
        before_place in select(vec!["params", "query", "form", "json"]),
    ) {
        let (scheme, paths) = at.get(ALL.as_slice());
        let mut text = "policy = 1\n".to_owned();
        if symbols {
            text.push_str("symbols = [\"A\"]\n");
        }
        for (kind, path, change, method, more) in rules {
            let pattern = changed(path.get(paths).as_str(), change, true);
            let method = method.map(|method| format!("method = {method:?}\n")).unwrap_or_default();
            let fields = if more == 0 { "fields = [\"symbol\", \"amount\"]\n" } else { "" };
            let path = format!("path = {pattern:?}\n");
            text.push_str(&match kind {
                0 | 1 => format!("[[allow]]\n{method}{path}{fields}"),
                2 => format!("[[deny]]\n{method}{path}{fields}"),
                3 => format!("[[confirm]]\n{method}{path}{fields}"),
                _ => format!("[[cap]]\nfield = \"amount\"\nrequest = \"{more}\"\nday = \"9\"\n{path}"),
            });
        }
        let policy = Policy::parse(&text, "p").unwrap();
        let each = policy.gone_through();
        let path = changed(path.get(paths).as_str(), change, false);
        let line = |place: &str, fields: Vec<(&str, &str)>| {
            let fields: serde_json::Map<_, _> = fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            serde_json::json!({"method": method, "path": path, place: fields}).to_string()
        };
        let request = |line: &str| Request::parse_line(line).map_err(|(_, error)| error).unwrap();
        let kind = scheme.kind(None).unwrap();
        let (caller, now) = (Caller::this_process(), Duration::from_secs(1_790_000_000));
        // What was asked before, of the same endpoint, changes nothing.
        if let Ok(before) = scheme.prepare(&request(&line(before_place, before)), kind, None) {
            policy.tell(&before, &caller, now);
        }
        let line = line(place, fields);
        let Ok(prepared) = scheme.prepare(&request(&line), kind, None) else {
            return Ok(());
        };
        prop_assert_eq!(policy.tell(&prepared, &caller, now), each.tell(&prepared, &caller, now), "{} {}\n{}", scheme.id(), line, text);
        if let Some(sole) = prepared.sole_path() {
            for pattern in paths.iter().map(|path| changed(path, change, true)) {
                let apart = parts(&pattern, sole);
                prop_assert!(!apart || !prepared.could_be(&pattern) && !fits(&pattern, sole), "{} {line} {pattern}", scheme.id());
            }
        }
    }
}
