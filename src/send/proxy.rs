//! The proxy that the environment names. TLS goes through it from end to end: it learns the exchange's host, and that
//! something was sent.

use ureq::{Proxy, ProxyProtocol};

use crate::error::{Code, Error, Result, bad_input};

/// The proxy for a host: of `https_proxy`, `HTTPS_PROXY`, `all_proxy` and `ALL_PROXY` the first that is set, unless
/// `no_proxy` or `NO_PROXY` leaves the host out. This machine itself is never asked for through a proxy.
///
/// # Errors
/// When it is not `http://[user:password@]host[:port]`. The error does not show it, since it may hold a password.
pub(super) fn from_environment(host: &str, get: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>> {
    let name = host_name(host);
    let set = |names: &[&'static str]| {
        names.iter().find_map(|name| {
            get(name)
                .filter(|value| !value.is_empty())
                .map(|value| (*name, value))
        })
    };
    let Some((variable, url)) = set(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]) else {
        return Ok(None);
    };
    let left_out = set(&["no_proxy", "NO_PROXY"]).is_some_and(|(_, list)| is_left_out(&list, name));
    if left_out || is_this_machine(name) {
        return Ok(None);
    }
    let proxy = Proxy::new(&url).map_err(|_| {
        bad_input(format!("{variable} is not a proxy's URL")).fix("write http://host:port, or leave it unset")
    })?;
    if proxy.protocol() != ProxyProtocol::Http {
        return Err(Error::new(
            Code::Unsupported,
            format!("{variable} names a proxy that is not reached by http"),
        )
        .fix("use one that takes CONNECT, as http://host:port: TLS goes through it from end to end"));
    }
    Ok(Some(proxy))
}

/// The host without its port, in lower case as hosts are kept.
fn host_name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_start_matches('[').trim_end_matches(']')
}

fn is_this_machine(name: &str) -> bool {
    name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether a list as `example.com,.internal,*` names the host: itself, or a domain that it is in.
fn is_left_out(list: &str, name: &str) -> bool {
    list.split([',', ' '])
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            let entry = host_name(entry).to_ascii_lowercase();
            let domain = entry.trim_start_matches("*.").trim_start_matches('.');
            entry == "*"
                || name == domain
                || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(host: &str, set: &[(&str, &str)]) -> Option<String> {
        let get = |name: &str| {
            set.iter()
                .find(|(have, _)| *have == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let found = from_environment(host, get).unwrap();
        found.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn the_first_that_is_set_is_the_proxy() {
        let both = [
            ("HTTPS_PROXY", "http://upper:1"),
            ("https_proxy", "http://lower:2"),
        ];
        assert_eq!(proxy("api.x.com", &both).as_deref(), Some("lower:2"));
        assert_eq!(
            proxy("api.x.com", &[("HTTPS_PROXY", "plain:3")]).as_deref(),
            Some("plain:3")
        );
        assert_eq!(
            proxy("api.x.com", &[("ALL_PROXY", "http://all")]).as_deref(),
            Some("all:80")
        );
        for unused in [
            ("HTTP_PROXY", "http://p:1"),
            ("http_proxy", "http://p:1"),
            ("HTTPS_PROXY", ""),
        ] {
            assert_eq!(proxy("api.x.com", &[unused]), None, "{unused:?}");
        }
    }

    #[test]
    fn hosts_that_are_left_out_and_this_machine_are_reached_without_it() {
        let through = |host: &str, list: &str| {
            proxy(host, &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", list)]).is_some()
        };
        for (host, list) in [
            ("api.x.com", "*"),
            ("api.x.com", "api.x.com"),
            ("api.x.com:8443", "api.x.com"),
            ("api.x.com", "y.com, x.com"),
            ("api.x.com", ".x.com"),
            ("api.x.com", "*.X.com"),
            ("localhost:1", "-"),
            ("127.0.0.9", "-"),
            ("[::1]:5", "-"),
        ] {
            assert!(!through(host, list), "{host} with {list}");
        }
        for (host, list) in [
            ("api.x.com", "-"),
            ("api.x.com", "pi.x.com"),
            ("x.com", "api.x.com"),
        ] {
            assert!(through(host, list), "{host} with {list}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_being_shown() {
        for url in [
            "socks5://user:hunter2@p:1",
            "https://user:hunter2@p:1",
            "r32/?//52:**hunter2",
        ] {
            let error = from_environment("api.x.com", |name| {
                (name == "HTTPS_PROXY").then(|| url.to_owned())
            })
            .unwrap_err();
            assert!(error.message().starts_with("HTTPS_PROXY"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}
