//! What policies say of a request: the same of what is sent as of what was asked for.

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use hsmsign::{
    caller::Caller,
    error::Error,
    exchange::{Prepared, Scheme, Template},
    policy::Policy,
};

use super::{signing::schemes, told::told};

/// Rules that look into fields.
const LOOKING: &str = r#"policy = 1
symbols = ["XBTUSD", "BTCUSDT", "BTC-USDT", "btc_usdt"]
values = { type = ["limit"] }
[[deny]]
fields = ["leverage"]
[[cap]]
field = "volume"
request = "0.1"
[[cap]]
field = "quantity"
times = "price"
request = "100"
[[cap]]
field = "amount"
request = "1"
"#;

static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy::parse(LOOKING, "looking").unwrap());
static CALLER: LazyLock<Caller> = LazyLock::new(Caller::this_process);

/// The templates of the exchange.
fn templates(scheme: &Scheme) -> &'static [Policy] {
    static ALL: OnceLock<HashMap<String, Vec<Policy>>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let of = |scheme: &Scheme| {
            let wanted = [Template::ReadOnly, Template::Trade, Template::TradeNoLeverage];
            let texts = wanted
                .into_iter()
                .filter_map(|one| scheme.policy_template(one).ok());
            texts
                .map(|text| Policy::parse(&text, "template").unwrap())
                .collect()
        };
        let each = schemes().iter().map(|(id, (scheme, _))| (id.clone(), of(scheme)));
        each.collect()
    });
    all.get(scheme.id()).map_or(&[], Vec::as_slice)
}

/// What each of them says against the request.
pub fn denials(prepared: &Prepared<'_>, scheme: &Scheme) -> Vec<Option<Error>> {
    let all = std::iter::once(&*POLICY).chain(templates(scheme));
    let judge = |policy: &Policy| {
        policy
            .judge(prepared, &CALLER, Duration::from_secs(1_790_000_000))
            .err()
    };
    let denials: Vec<_> = all.map(judge).collect();
    denials.iter().flatten().for_each(told);
    denials
}
