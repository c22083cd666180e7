//! How long a plan's messages are: so many bytes at most, and the parts of the request that come on top.

use super::{
    functions::Function,
    plan::{METHODS, Node, Plan, Signature},
    scheme::Scheme,
    stamps::{Clock, Form, Series, Shape, Unit},
    template::{Expr, Name},
};

/// The length of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Size {
    /// The bytes that are always there, at most.
    pub bytes: usize,
    /// What comes on top: `path`, `query`, `body`, `API key` …, some as `base64 of body`.
    pub parts: Vec<String>,
}

impl Size {
    fn fixed(bytes: usize) -> Self {
        Self {
            bytes,
            parts: Vec::new(),
        }
    }

    fn part(name: &str) -> Self {
        Self {
            bytes: 0,
            parts: vec![name.to_owned()],
        }
    }

    fn plus(mut self, other: Self) -> Self {
        self.bytes += other.bytes;
        for part in other.parts {
            if !self.parts.contains(&part) {
                self.parts.push(part);
            }
        }
        self
    }

    /// With the bytes changed, and the parts told as `word of part`.
    fn encoded(mut self, word: &str, bytes: impl Fn(usize) -> usize) -> Self {
        self.bytes = bytes(self.bytes);
        for part in &mut self.parts {
            *part = format!("{word} of {part}");
        }
        self
    }

    /// Whether the message fits into so many bytes whatever the request says.
    pub fn always_fits(&self, bytes: usize) -> bool {
        self.within(bytes) == Fit::Always
    }

    /// How the message fits into so many bytes.
    pub fn within(&self, limit: usize) -> Fit {
        match (limit.checked_sub(self.bytes), self.parts.as_slice()) {
            (None, _) => Fit::Never,
            (Some(_), []) => Fit::Always,
            (Some(room), parts) => Fit::Where(parts.join(" + "), room),
        }
    }
}

/// How messages fit into a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// Whatever the request says.
    Always,
    /// Where these parts of it have at most so many bytes.
    Where(String, usize),
    /// What is always there is too long.
    Never,
}

impl std::fmt::Display for Fit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Always => f.write_str("fits"),
            Self::Where(parts, room) => write!(f, "fits where {parts} has at most {room} bytes"),
            Self::Never => f.write_str("never fits"),
        }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = self.parts.join(" + ");
        match (self.parts.is_empty(), self.bytes) {
            (true, bytes) => write!(f, "{bytes} bytes"),
            (false, 0) => f.write_str(&parts),
            (false, bytes) => write!(f, "{parts} + {bytes} bytes"),
        }
    }
}

impl Scheme {
    /// The sizes of the messages of REST requests, each once; the usual one first.
    pub fn sizes(&self) -> Vec<Size> {
        let mut sizes = Vec::new();
        for plan in self.rest_plans() {
            for Signature { message, .. } in &plan.signatures {
                let size = self.size(plan, &message.0);
                if !sizes.contains(&size) {
                    sizes.push(size);
                }
            }
        }
        sizes
    }

    /// The size of a plan's first message.
    pub(crate) fn first_size(&self, plan: &Plan) -> Size {
        let first = plan.signatures.first();
        first
            .map(|first| self.size(plan, &first.message.0))
            .unwrap_or_default()
    }

    fn size(&self, plan: &Plan, parts: &[Expr]) -> Size {
        let sizes = parts.iter().map(|part| match part {
            Expr::Text(text) => Size::fixed(text.len()),
            Expr::Name(name) => self.size_of(plan, *name),
            Expr::Call(function, arguments) => self.result(plan, *function, arguments),
        });
        sizes.fold(Size::default(), Size::plus)
    }

    fn result(&self, plan: &Plan, function: Function, arguments: &[Expr]) -> Size {
        let all = |arguments: &[Expr]| self.size(plan, arguments);
        match function {
            Function::Sha256 => Size::fixed(32),
            Function::Sha512 => Size::fixed(64),
            Function::Md5 => Size::fixed(16),
            Function::Plus => Size::fixed(20),
            Function::Hex => all(arguments).encoded("hex", |bytes| bytes * 2),
            Function::Base64 | Function::Base64Url | Function::Payload => {
                all(arguments).encoded("base64", |bytes| bytes.div_ceil(3) * 4)
            }
            Function::PercentEncode | Function::EncodedFields => {
                all(arguments).encoded("percent-encoding", |bytes| bytes * 3)
            }
            Function::When | Function::After => all(&arguments[1..]),
            Function::Field | Function::Omit => all(&arguments[..1]),
            // A separator between each two.
            Function::Sort => all(arguments).plus(Size::fixed(arguments.len() - 1)),
            Function::Digits => Size::fixed(20),
            Function::Upper
            | Function::Lower
            | Function::PercentDecode
            | Function::FormDecode
            | Function::Join
            | Function::Form
            | Function::PlainFields
            | Function::SortedJson
            | Function::RawForm
            | Function::Pairs
            | Function::Flatten
            | Function::Number
            | Function::Word => all(arguments),
        }
    }

    fn size_of(&self, plan: &Plan, name: Name) -> Size {
        let longest = |texts: &mut dyn Iterator<Item = usize>| Size::fixed(texts.max().unwrap_or(0));
        match name {
            Name::Method => longest(&mut METHODS.iter().map(|method| method.len())),
            Name::Host => longest(&mut self.hosts().iter().map(String::len)),
            Name::Path => Size::part("path"),
            Name::Query => Size::part("query"),
            Name::Body | Name::GivenBody => Size::part("body"),
            Name::Target => Size {
                bytes: 1,
                parts: vec!["path".into(), "query".into()],
            },
            Name::Url => Size::fixed("https://?".len())
                .plus(self.size_of(plan, Name::Host))
                .plus(Size::part("path"))
                .plus(Size::part("query")),
            Name::Timestamp => Size::fixed(plan.clock.map_or(0, stamp)),
            Name::Nonce => Size::fixed(match plan.nonce {
                None => 0,
                Some(Series::Count(unit)) => digits(unit),
                // A point stands between seconds and their decimals.
                Some(Series::Decimal(unit)) => digits(unit) + 1,
                Some(Series::Random {
                    shape: Shape::Uuid, ..
                }) => 36,
                Some(Series::Random {
                    shape: Shape::Hex, ..
                }) => 32,
                Some(Series::Timestamp | Series::Word) => plan.clock.map_or(0, stamp),
            }),
            Name::ContentType => Size::fixed("application/x-www-form-urlencoded".len()),
            Name::Endpoint => longest(&mut self.endpoints.iter().map(|(_, word)| word.len())),
            Name::ApiKey => Size::part("API key"),
            Name::Passphrase => Size::part("passphrase"),
            Name::Challenge => Size::fixed(36),
            Name::Let(at) => self.size(plan, &plan.lets[at].1.0),
            Name::Json(at) => self.node(plan, &plan.jsons[at].1),
            Name::Opt(at) => Size::fixed(plan.options[at].1.len()),
            Name::Credential(at) => Size::part(&self.shared.credentials[at]),
            Name::Set(at) => longest(
                &mut self
                    .kinds()
                    .iter()
                    .filter_map(|kind| kind.set.get(at))
                    .map(String::len),
            ),
            Name::Signature(_) => Size::part("signature"),
        }
    }

    fn node(&self, plan: &Plan, node: &Node) -> Size {
        match node {
            Node::Text(template) => self.size(plan, &template.0).plus(Size::fixed(2)),
            Node::Bool(_) => Size::fixed(5),
            Node::Number(number) => Size::fixed(number.len()),
            Node::List(items) => {
                let items = items
                    .iter()
                    .map(|item| self.node(plan, item).plus(Size::fixed(1)));
                items.fold(Size::fixed(1), Size::plus)
            }
            Node::Object(members) => {
                let members = members
                    .iter()
                    .map(|(name, value)| self.node(plan, value).plus(Size::fixed(name.len() + 4)));
                members.fold(Size::fixed(1), Size::plus)
            }
        }
    }
}

const fn digits(unit: Unit) -> usize {
    match unit {
        Unit::Seconds => 10,
        Unit::Millis => 13,
        Unit::Micros => 16,
        Unit::Nanos => 19,
    }
}

/// The length of a timestamp that is made.
const fn stamp(clock: Clock) -> usize {
    match clock.form {
        Form::Count(unit) => digits(unit),
        Form::Iso => 19,
        Form::IsoMillis => 24,
    }
}

#[cfg(test)]
mod tests {
    use crate::exchange::{Scheme, builtin};

    #[test]
    fn what_fits_into_a_limit_is_told_by_the_room_that_is_left() {
        for (exchange, fits) in [
            ("kraken", "fits where path has at most 32 bytes"),
            ("krakenfutures", "fits"),
            ("binance", "fits where query + body has at most 64 bytes"),
            ("gate", "never fits"),
        ] {
            let scheme = Scheme::parse(builtin(exchange).unwrap(), exchange).unwrap();
            let sizes = scheme.sizes();
            assert_eq!(sizes[0].within(64).to_string(), fits, "{exchange}");
            assert_eq!(sizes[0].always_fits(64), fits == "fits", "{exchange}");
        }
    }

    #[test]
    fn the_parts_of_a_request_come_on_top_of_what_is_always_there() {
        for (exchange, sizes) in [
            ("kraken", "path + 32 bytes"),
            ("krakenfutures", "32 bytes"),
            ("binance", "query + body"),
            ("okx", "path + query + body + 31 bytes"),
            ("gemini", "base64 of body"),
            ("gate", "path + query + 148 bytes"),
            ("bitstamp-legacy", "user_id + API key + 10 bytes"),
            ("bittrex", "path + query + 20 bytes"),
            ("htx", "path + percent-encoding of query + 27 bytes"),
        ] {
            let scheme = Scheme::parse(builtin(exchange).unwrap(), exchange).unwrap();
            let have: Vec<_> = scheme.sizes().iter().map(ToString::to_string).collect();
            assert_eq!(have.join(", "), sizes, "{exchange}");
        }
    }
}
