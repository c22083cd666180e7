//! Where a passphrase stands in a request, so that what is only shown can hide it.

use super::{
    plan::{Node, Place, Plan},
    scheme::Scheme,
    template::{Name, Template},
};

/// The parts of a request that hold the passphrase, or a signature of it that never changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reveals {
    /// Names of headers.
    pub headers: Vec<String>,
    /// The query.
    pub query: bool,
    /// The body.
    pub body: bool,
}

impl Scheme {
    /// What a request with this method and path reveals.
    pub fn reveals(&self, method: &str, path: &str) -> Reveals {
        let plan = self.plan_for(method, path);
        let members = || {
            plan.add
                .iter()
                .chain(&plan.attach)
                .filter(|member| in_node(plan, &member.value))
        };
        let headers = plan
            .headers
            .iter()
            .filter(|(_, template)| in_template(plan, template));
        Reveals {
            headers: headers.map(|(name, _)| name.clone()).collect(),
            query: members().any(|member| matches!(member.place, Place::Query | Place::Params)),
            body: members().any(|member| member.place != Place::Query)
                || plan.body.as_ref().is_some_and(|body| in_template(plan, body)),
        }
    }
}

fn in_node(plan: &Plan, node: &Node) -> bool {
    let mut found = false;
    node.templates(&mut |template| found |= in_template(plan, template));
    found
}

fn in_template(plan: &Plan, template: &Template) -> bool {
    let mut found = false;
    template.names(&mut |name| {
        found |= match name {
            Name::Passphrase => true,
            Name::Let(at) => in_template(plan, &plan.lets[at].1),
            Name::Json(at) => in_node(plan, &plan.jsons[at].1),
            Name::Signature(at) => in_template(plan, &plan.signatures[at].message),
            _ => false,
        };
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::builtin;

    fn scheme(lines: &str) -> Scheme {
        let head = "id = \"x\"\nname = \"X\"\nhosts = [\"x.com\"]\n\
                    key = { algorithm = \"hmac-sha256\", secret = \"ascii\", encoding = \"hex\" }\n";
        Scheme::parse(&format!("{head}{lines}"), "x").unwrap()
    }

    #[test]
    fn the_headers_with_a_passphrase_are_known() {
        let exchange = Scheme::parse(builtin("coinbaseexchange").unwrap(), "x").unwrap();
        assert_eq!(
            exchange.reveals("GET", "/accounts").headers,
            ["CB-ACCESS-PASSPHRASE"]
        );
        let kraken = Scheme::parse(builtin("kraken").unwrap(), "x").unwrap();
        assert_eq!(kraken.reveals("POST", "/0/private/Balance"), Reveals::default());
    }

    #[test]
    fn a_passphrase_is_found_behind_other_names_too() {
        let twice = scheme(
            "signature = [{ name = \"p\", message = \"{passphrase}\" }, { message = \"{path}\" }]\n\
             headers = { S = \"{signature}\", P = \"{p}\", L = \"{l}\" }\nlet.l = \"x{passphrase}\"",
        );
        let mut headers = twice.reveals("GET", "/").headers;
        headers.sort();
        assert_eq!(headers, ["L", "P"]);
        let fields = scheme("signature = { message = \"{path}\" }\nadd.query = { p = \"{passphrase}\" }");
        assert_eq!(
            fields.reveals("GET", "/"),
            Reveals {
                query: true,
                ..Reveals::default()
            }
        );
        let body = scheme("signature = { message = \"{path}\" }\nadd.json = { p = \"{passphrase}\" }");
        assert_eq!(
            body.reveals("POST", "/"),
            Reveals {
                body: true,
                ..Reveals::default()
            }
        );
    }
}
