//! Method, host and path of a request, each from a closed set or of strict characters.

use percent_encoding::percent_decode_str;

use super::{analyse::is_path_char, glob, plan::METHODS, scheme::Scheme};
use crate::{
    error::{Result, bad_input},
    request::Request,
};

/// Where a request goes.
pub(crate) struct Target {
    /// One of the methods; empty for a WebSocket login.
    pub method: &'static str,
    /// `https://` and the host.
    pub origin: String,
    /// The host, with its port where it is not the usual one.
    pub host: String,
    /// The path; empty for a WebSocket login without one.
    pub path: String,
    /// The query that stood in the path or URL.
    pub query: Option<String>,
    /// Whether it goes to the exchange's testnet.
    pub testnet: bool,
}

/// Reads method, host and path.
pub(crate) fn read(scheme: &Scheme, request: &Request, base_url: Option<&str>) -> Result<Target> {
    let base = base_url
        .map(origin)
        .transpose()
        .map_err(|error| error.within("the key's base URL"))?;
    if request.websocket && request.method.is_some() {
        return Err(bad_input("a WebSocket login has no method").fix("leave `method` out"));
    }
    let (asked, path) = match (&request.url, &request.path, &request.host) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            return Err(bad_input("the request has a `url` and parts of one beside it")
                .fix("give `url`, or `host` and `path`"));
        }
        (Some(url), None, None) => {
            let after = url.find("://").map_or(0, |at| at + 3);
            let end = url[after..]
                .find(['/', '?', '#'])
                .map_or(url.len(), |at| after + at);
            (
                Some(origin(&url[..end]).map_err(|error| error.within("`url`"))?),
                Some(url[end..].to_owned()),
            )
        }
        (None, path, host) => {
            let host = host.as_ref().map(|host| origin(&format!("https://{host}")));
            (
                host.transpose().map_err(|error| error.within("`host`"))?,
                path.clone(),
            )
        }
    };
    let has_body = request.body.is_some() || request.params.is_some();
    let (path, query) = match path {
        None if request.websocket => {
            let only = scheme
                .websocket()?
                .choose("", has_body)
                .paths
                .first()
                .filter(|path| !path.contains('*'));
            (only.cloned().unwrap_or_default(), None)
        }
        None => {
            return Err(bad_input("the request has no path").fix("give `path`, as \"/0/private/Balance\""));
        }
        Some(path) => match path.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (path, None),
        },
    };
    if request.websocket && !path.is_empty() {
        let sockets = scheme.websocket()?;
        if !sockets.has_path(&path) && !sockets.choose(&path, has_body).facts.signs_path {
            return Err(
                bad_input("this exchange's WebSocket login does not depend on this path")
                    .fix("leave `path` out"),
            );
        }
    }
    if !(request.websocket && path.is_empty()) {
        check_path(&path)?;
    }
    let method = match &request.method {
        None if request.websocket => "",
        None => {
            return Err(
                bad_input("the request has no method").fix(format!("give one of {}", METHODS.join(", ")))
            );
        }
        Some(method) => METHODS
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(method))
            .ok_or_else(|| {
                let shown: String = method.chars().take(20).collect();
                bad_input(format!("there is no method {shown:?}")).fix(format!("use {}", METHODS.join(", ")))
            })?,
    };
    let of_testnet = |host: &str| scheme.sending().testnet().iter().any(|(_, test)| test == host);
    let named = asked
        .as_ref()
        .is_some_and(|(_, host)| of_testnet(host) && !scheme.hosts().contains(host));
    let testnet = request.testnet || named && base.is_none();
    let (scheme_name, host) = if testnet {
        ("https", testnet_host(scheme, request, asked, base, &path)?)
    } else {
        choose(scheme, asked, base, &path)?
    };
    Ok(Target {
        method,
        origin: format!("{scheme_name}://{host}"),
        host,
        path,
        query,
        testnet,
    })
}

/// The host: the one asked for, if it is the scheme's or the base URL's; else the base URL's; else the scheme's by path.
fn choose(
    scheme: &Scheme,
    asked: Option<(&'static str, String)>,
    base: Option<(&'static str, String)>,
    path: &str,
) -> Result<(&'static str, String)> {
    let Some((protocol, host)) = asked else {
        let by_path = scheme
            .host_for
            .iter()
            .find(|(pattern, _)| glob::fits(pattern, path))
            .map(|(_, host)| host);
        let usual = by_path.or(scheme.hosts().first()).cloned().unwrap_or_default();
        return Ok(base.unwrap_or(("https", usual)));
    };
    if let Some((base_protocol, base_host)) = &base
        && *base_host == host
    {
        return Ok((base_protocol, host));
    }
    if scheme.hosts().contains(&host) {
        if protocol != "https" {
            return Err(bad_input(format!("{host} is reached through https only")));
        }
        return Ok(("https", host));
    }
    Err(
        bad_input(format!("{} has no host {host}", scheme.name())).fix(format!(
            "its hosts are {}; another is set with: hsmsign set KEY --base-url URL",
            scheme.hosts().join(", ")
        )),
    )
}

/// The testnet's host: the one asked for, if the scheme names it; else the one that stands in for the scheme's by path.
fn testnet_host(
    scheme: &Scheme,
    request: &Request,
    asked: Option<(&'static str, String)>,
    base: Option<(&'static str, String)>,
    path: &str,
) -> Result<String> {
    if request.websocket {
        return Err(bad_input("a WebSocket login does not go to a host").fix("leave `testnet` out"));
    }
    let hosts = scheme.sending().testnet();
    if hosts.is_empty() {
        return Err(
            bad_input(format!("{} has no testnet that its file names", scheme.name()))
                .fix("for one that you know, give a key of its own its host: hsmsign set KEY --base-url URL"),
        );
    }
    if base.is_some() {
        return Err(
            bad_input("the key has its own base-url, and the testnet is at another host")
                .fix("leave the testnet out, or take the base-url away: hsmsign set KEY --base-url ''"),
        );
    }
    if let Some((protocol, host)) = &asked
        && *protocol == "https"
        && hosts.iter().any(|(_, test)| test == host)
    {
        return Ok(host.clone());
    }
    let (_, host) = choose(scheme, asked, None, path)?;
    let test = hosts.iter().find(|(real, _)| *real == host);
    test.map(|(_, test)| test.clone()).ok_or_else(|| {
        let known: Vec<_> = hosts.iter().map(|(host, _)| host.as_str()).collect();
        bad_input(format!("no testnet stands in for {host}"))
            .fix(format!("there is one for {}", known.join(", ")))
    })
}

/// The protocol and host of `https://host[:port]`; plain http only within the machine.
pub(crate) fn origin(url: &str) -> Result<(&'static str, String)> {
    let (protocol, host) = url.split_once("://").unwrap_or(("", url));
    let host = host.strip_suffix('/').unwrap_or(host).to_ascii_lowercase();
    let (name, port) = match host.rfind(':') {
        Some(at) if !host.ends_with(']') => (&host[..at], Some(&host[at + 1..])),
        _ => (host.as_str(), None),
    };
    let is_name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        }
    };
    let port_fits =
        port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
    if !is_name || !port_fits {
        let shown: String = url.chars().take(80).collect();
        return Err(bad_input(format!("{shown:?} has no host that can be used"))
            .fix("write https://host or https://host:port"));
    }
    match protocol.to_ascii_lowercase().as_str() {
        "https" => Ok((
            "https",
            if port == Some("443") {
                name.to_owned()
            } else {
                host
            },
        )),
        "http" if is_loopback(name) => Ok(("http", if port == Some("80") { name.to_owned() } else { host })),
        "http" => Err(bad_input("http without TLS is for this machine alone").fix("write https://")),
        _ => Err(bad_input("a URL must begin with https://")),
    }
}

fn is_loopback(name: &str) -> bool {
    name == "localhost"
        || name == "[::1]"
        || name
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Refuses every path that could be read in two ways.
fn check_path(path: &str) -> Result<()> {
    if !path.starts_with('/') {
        let shown: String = path.chars().take(60).collect();
        return Err(bad_input(format!("the path {shown:?} does not begin with `/`")));
    }
    let at = path.bytes().position(|byte| !is_path_char(char::from(byte)));
    if let Some(odd) = at.and_then(|at| path[at..].chars().next()) {
        return Err(bad_input(format!("the path has {odd:?} in it"))
            .fix("percent-encode it, as %20 for a space; a query goes behind `?` or in `query`"));
    }
    let encoded = path.bytes().any(|byte| byte == b'%');
    if encoded {
        check_escapes("path", path)?;
    }
    if path.as_bytes().windows(2).any(|two| two == b"//") {
        return Err(bad_input("the path has `//` in it").fix("write it with single slashes"));
    }
    let decoded = match encoded {
        false => path.into(),
        true => percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| bad_input("the path's escapes are not UTF-8"))?,
    };
    if encoded && (decoded.chars().any(char::is_control) || path.len() != decoded.len() && hides(path)) {
        return Err(bad_input(
            "the path has an encoded slash, backslash, `?`, `#` or control character in it",
        ));
    }
    let mut segments = decoded.as_bytes().split(|byte| *byte == b'/');
    if segments.any(|segment| matches!(segment, b"." | b"..")) {
        return Err(bad_input("the path has `.` or `..` as a segment").fix("write the path as it is meant"));
    }
    Ok(())
}

/// Whether an escape stands for a character that splits a path.
fn hides(path: &str) -> bool {
    path.split('%').skip(1).any(|rest| {
        let code = rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        code.is_some_and(|code| matches!(code, b'/' | b'\\' | b'?' | b'#' | b'%'))
    })
}

/// Refuses a `%` without two hex digits behind it.
pub(crate) fn check_escapes(what: &str, text: &str) -> Result<()> {
    let whole = text.split('%').skip(1).all(|rest| {
        let hex = rest.as_bytes();
        hex.len() >= 2 && hex[..2].iter().all(u8::is_ascii_hexdigit)
    });
    if whole {
        return Ok(());
    }
    Err(
        bad_input(format!("the {what} has a `%` without two hex digits behind it"))
            .fix("write a percent sign as %25"),
    )
}
