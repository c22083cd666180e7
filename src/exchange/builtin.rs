//! The files that ship inside the program.

macro_rules! files {
    ($($id:literal $($alias:literal)*;)*) => {
        &[$(($id, &[$($alias),*], include_str!(concat!("schemes/", $id, ".toml")))),*]
    };
}

/// Each row: the id, which names the file, then its aliases. Sorted by id.
const FILES: &[(&str, &[&str], &str)] = files! {
    "apex";
    "backpack";
    "bequant";
    "bigone";
    "binance" "binancecoinm" "binanceusdm";
    "binanceus";
    "bingx";
    "bit2c";
    "bitbank";
    "bitbns";
    "bitfinex" "bitfinex2";
    "bitflyer";
    "bitget";
    "bithumb";
    "bithumb-legacy";
    "bitmex";
    "bitopro";
    "bitrue";
    "bitso";
    "bitstamp";
    "bitstamp-legacy";
    "bittrade";
    "bittrex";
    "bitvavo";
    "blofin";
    "btcbox";
    "btcmarkets";
    "btcturk";
    "btse";
    "bullish";
    "bybit";
    "bybiteu";
    "bybitid";
    "bydfi";
    "cex";
    "coinbase" "coinbaseadvanced" "coinbase-advanced";
    "coinbase-legacy";
    "coinbaseexchange" "coinbase-exchange" "cbpro" "coinbasepro";
    "coinbaseinternational";
    "coincheck";
    "coinmate";
    "coinone";
    "coinone-plain";
    "coinsph";
    "coinspot";
    "cryptocom" "crypto-com";
    "deepcoin";
    "delta";
    "deribit";
    "digifinex";
    "fmfwio";
    "foxbit";
    "gate" "gateio" "gate-io";
    "gateeu";
    "gemini";
    "hashkey";
    "hitbtc" "hitbtc3";
    "hollaex";
    "htx" "huobi" "huobipro";
    "independentreserve";
    "indodax";
    "kraken";
    "krakenfutures" "kraken-futures" "cryptofacilities";
    "kucoin" "kucoinfutures";
    "latoken";
    "lbank";
    "mercado";
    "mexc" "mexc3";
    "modetrade";
    "myokx";
    "ndax";
    "okx" "okex" "okex5";
    "okxus";
    "p2b";
    "pacifica";
    "paymium";
    "phemex";
    "poloniex";
    "poloniex-legacy";
    "revolutx";
    "tokocrypto";
    "toobit";
    "upbit";
    "weex";
    "whitebit";
    "woo" "woox";
    "woofipro";
    "xt";
    "zaif";
    "zebpay";
};

const IDS: [&str; FILES.len()] = {
    let mut ids = [""; FILES.len()];
    let mut at = 0;
    while at < ids.len() {
        ids[at] = FILES[at].0;
        at += 1;
    }
    ids
};

/// The text of a built-in file, by its id or one of its aliases.
pub fn builtin(id_or_alias: &str) -> Option<&'static str> {
    let named =
        |(id, aliases, _): &&(&str, &[&str], &str)| *id == id_or_alias || aliases.contains(&id_or_alias);
    FILES.iter().find(named).map(|(_, _, text)| *text)
}

/// The ids of the built-in files, sorted.
pub const fn builtin_ids() -> &'static [&'static str] {
    &IDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Scheme;

    #[test]
    fn ids_are_sorted_and_names_agree_with_the_files() {
        assert!(builtin_ids().is_sorted());
        for (id, aliases, text) in FILES {
            let scheme = Scheme::parse(text, id).unwrap();
            assert_eq!(
                (scheme.id(), scheme.aliases()),
                (*id, aliases.map_to_strings().as_slice())
            );
        }
        assert!(builtin("nowhere").is_none());
    }

    trait Strings {
        fn map_to_strings(&self) -> Vec<String>;
    }
    impl Strings for &[&str] {
        fn map_to_strings(&self) -> Vec<String> {
            self.iter().map(|name| (*name).to_owned()).collect()
        }
    }

    #[test]
    fn every_file_reproduces_its_own_rows() {
        for (id, _, text) in FILES {
            let scheme = Scheme::parse(text, id).unwrap();
            assert!(!scheme.tests().is_empty(), "{id} has no [[test]]");
            for test in scheme.tests() {
                test.run(&scheme).unwrap_or_else(|error| panic!("{id}: {error}"));
            }
        }
    }
}
