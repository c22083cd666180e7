//! Requests whose signature logs in to a socket as well: a login's message is often that of a request for its path, as
//! `{timestamp}GET/v2/websocket` is.

use super::{
    endpoint::{self, Found, collect},
    plan::{METHODS, Plan},
    prepare::Prepared,
    sockets::Sockets,
    template::{Expr, Name},
};
use crate::{algorithm::Algorithm, policy::Subject as _};

/// Patterns of the paths that stand in the messages of logins, as [`endpoint::plain`]. What a file cuts from a path before it
/// is signed may stand in front.
pub(super) fn paths_of_logins(sockets: &Sockets) -> Vec<String> {
    let mut found = Vec::new();
    for plan in sockets.plans() {
        for signature in &plan.signatures {
            paths_of(plan, &signature.message.0, &mut found);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn paths_of(plan: &Plan, parts: &[Expr], found: &mut Vec<String>) {
    let pattern = |path: &str| format!("*{}", endpoint::plain(path));
    for part in parts {
        match part {
            Expr::Text(text) => found.extend(path_in(text).map(pattern)),
            Expr::Name(Name::Path) => found.extend(plan.paths.iter().map(|path| pattern(path))),
            Expr::Name(Name::Let(at)) => paths_of(plan, &plan.lets[*at].1.0, found),
            Expr::Name(_) | Expr::Call(..) => {}
        }
    }
}

/// The path in a text: from its first slash on, without a method behind it.
fn path_in(text: &str) -> Option<&str> {
    let path = text[text.find('/')?..].split_whitespace().next()?;
    let path = METHODS
        .iter()
        .find_map(|method| path.strip_suffix(method))
        .unwrap_or(path);
    (path.len() > 1 && !path.starts_with("//")).then_some(path)
}

impl Prepared<'_> {
    /// Whether it is a login, behind which nothing is signed.
    pub(super) fn is_login(&self) -> bool {
        let facts = &self.plan.facts;
        let signs_some = facts.signs_query || facts.signs_body || facts.signs_path;
        self.endpoint.websocket && (!signs_some || self.fits_a_logon())
    }

    /// Whether it is a request whose signature may be that of a login.
    pub(super) fn logs_in(&self) -> bool {
        if self.endpoint.websocket {
            return false;
        }
        match self.plan.facts.signs_path {
            true => self.scheme.logins.iter().any(|path| self.could_be(path)),
            false => self.fits_a_logon(),
        }
    }

    /// Whether its message is that of a login among messages that sign their fields: one without fields of its own, as
    /// Binance's session.logon. No exchange takes a MAC for that.
    fn fits_a_logon(&self) -> bool {
        let Some(sockets) = &self.scheme.websocket else {
            return false;
        };
        if self.plan.facts.signs_path || !matches!(self.kind.algorithm, Algorithm::Signature(_)) {
            return false;
        }
        let adds = |plan: &Plan, name: &str| {
            plan.add
                .iter()
                .any(|member| member.name.eq_ignore_ascii_case(name))
        };
        let fits = |fields: &Found<'_>| {
            sockets.plans().filter(|plan| plan.facts.signs_body).any(|plan| {
                let given = |name: &str| fields.iter().any(|(have, _)| have.eq_ignore_ascii_case(name));
                let mut added = plan.add.iter();
                fields.iter().all(|(name, _)| adds(plan, name))
                    && added.all(|member| adds(self.plan, &member.name) || given(&member.name))
            })
        };
        // Query and body stand side by side in the message, so that one name may be cut in two.
        let both = [self.query.as_str(), self.parameters()];
        let mut joined = Vec::new();
        let joined_text = both.concat();
        if !both.contains(&"") {
            collect(&joined_text, &mut joined);
        }
        fits(&self.fields()) || !joined.is_empty() && fits(&joined)
    }
}

#[cfg(test)]
mod tests {
    use crate::exchange::{Scheme, builtin};

    #[test]
    fn where_there_is_no_login_it_is_said_what_there_is() {
        let advice = |name: &str| {
            let scheme = Scheme::parse(builtin(name).unwrap(), name).unwrap();
            scheme.websocket().map(drop).unwrap_err().advice().to_owned()
        };
        assert!(advice("kraken").contains("GetWebSocketsToken"));
        assert!(advice("bittrex").contains("closed in December 2023"));
        assert!(advice("bit2c").contains("its file has requests alone"));
    }

    #[test]
    fn the_paths_of_logins_are_found_in_their_messages() {
        let logins = |name: &str| Scheme::parse(builtin(name).unwrap(), name).unwrap().logins;
        assert_eq!(logins("bitvavo"), ["*/v2/websocket"]);
        assert_eq!(logins("blofin"), ["*/users/self/verify"]);
        assert_eq!(logins("btcmarkets"), ["*/users/self/subscribe"]);
        assert_eq!(logins("cryptocom"), ["*/auth"]);
        assert!(logins("kraken").is_empty() && logins("coincheck").is_empty());
    }
}
