//! Exchanges whose requests no key on a token can sign, or not yet, and why. Ids are ccxt's.

/// An exchange that cannot be served.
#[derive(Debug, Clone, Copy)]
pub struct Impossible {
    /// What `--exchange` would take.
    pub id: &'static str,
    /// The name for people.
    pub name: &'static str,
    /// Why not, as the end of a sentence that begins with the name.
    pub why: &'static str,
}

const SENT: &str = "wants the secret itself sent with each request, so no token can hide it";
const KECCAK: &str =
    "wants requests signed on the curve secp256k1 over a Keccak hash, which no token here computes";
const STARKNET: &str = "wants orders signed on Starknet's curve, which no token here computes";

/// Sorted by id.
const LIST: [Impossible; 18] = [
    of("alpaca", "Alpaca", SENT),
    of("aster", "Aster", KECCAK),
    of("bitteam", "BIT.TEAM", SENT),
    of("blockchaincom", "Blockchain.com", SENT),
    of(
        "cryptomus",
        "Cryptomus",
        "wants the MD5 of the request and the secret, which is no MAC that a token computes",
    ),
    of("derive", "Derive", KECCAK),
    of("dydx", "dYdX", KECCAK),
    of("extended", "Extended", STARKNET),
    of("grvt", "GRVT", KECCAK),
    of(
        "hibachi",
        "Hibachi",
        "signs an order's numbers packed as its list of markets says, which no scheme file can do; where the exchange \
         issued the key, a `generic` key of hmac-sha256 MACs what your client packs (hsmsign hmac)",
    ),
    of("hyperliquid", "Hyperliquid", KECCAK),
    of(
        "lighter",
        "Lighter",
        "wants orders signed for a zero-knowledge proof, by a hash and a curve that no token here computes",
    ),
    of("luno", "Luno", SENT),
    of("mudrex", "Mudrex", SENT),
    of("nado", "Nado", KECCAK),
    of("onetrading", "One Trading", SENT),
    of("paradex", "Paradex", STARKNET),
    of("polymarket", "Polymarket", KECCAK),
];

const fn of(id: &'static str, name: &'static str, why: &'static str) -> Impossible {
    Impossible { id, name, why }
}

/// All of them, sorted by id.
pub const fn impossible() -> &'static [Impossible] {
    &LIST
}

#[cfg(test)]
mod tests {
    use super::impossible;
    use crate::exchange::builtin;

    #[test]
    fn none_of_them_is_built_in() {
        assert!(impossible().is_sorted_by_key(|exchange| exchange.id));
        for exchange in impossible() {
            assert!(builtin(exchange.id).is_none(), "{}", exchange.id);
        }
    }
}
