//! What is to be known of an exchange, so that a policy for its requests can be proposed.

/// What the exchange's file says of requests.
pub trait Told {
    /// Whether one of this method and path only looks.
    fn looks(&self, method: &str, path: &str) -> bool;
    /// The endpoints that close or trade what no amount says, and that the signature for such a request fits as well; `has`
    /// says which fields it has, by their folded names.
    fn closings(&self, method: &str, path: &str, has: &dyn Fn(&str) -> bool) -> Vec<&str>;
    /// What the signature covers of one.
    fn signs(&self, method: &str, path: &str) -> Signs;
    /// The paths of which it is not told apart, since the same word stands for them in what is signed.
    fn alike(&self, method: &str, path: &str) -> Vec<&str>;
}

/// A key of no exchange, which signs no requests: of those there is nothing to tell.
#[derive(Debug)]
pub struct NoExchange;

impl Told for NoExchange {
    fn looks(&self, _: &str, _: &str) -> bool {
        false
    }

    fn closings(&self, _: &str, _: &str, _: &dyn Fn(&str) -> bool) -> Vec<&str> {
        Vec::new()
    }

    fn signs(&self, _: &str, _: &str) -> Signs {
        Signs {
            method: true,
            path: true,
            path_goes_on: false,
            fields: true,
        }
    }

    fn alike(&self, _: &str, _: &str) -> Vec<&str> {
        Vec::new()
    }
}

/// What the exchange's signature covers of a request.
#[derive(Debug, Clone, Copy)]
pub struct Signs {
    /// Whether it covers the method.
    pub method: bool,
    /// Whether it covers the path.
    pub path: bool,
    /// Whether that runs into what follows it.
    pub path_goes_on: bool,
    /// Whether it covers the fields.
    pub fields: bool,
}
