//! Proxies, as the environment names them and curl uses them: HTTPS by CONNECT, plain HTTP forwarded, SOCKS for both.

use base64::{Engine, prelude::BASE64_STANDARD};
use ureq::{
    Agent, Error, Proxy, ProxyProtocol,
    config::{Config, ConfigBuilder},
    http::Uri,
    typestate::AgentScope,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{
            Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, TcpConnector,
            Transport,
        },
    },
};

use crate::failure::{Failure, Result};

/// Variables that name the proxy of a scheme; the first that is set does.
const HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const HTTP: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/// An agent that goes through the proxies of the environment, to `url` and to whatever it redirects to.
pub fn agent(config: ConfigBuilder<AgentScope>, url: &str) -> Result<Agent> {
    let (plain, secure) = (named(HTTP)?, named(HTTPS)?);
    let (forward, tunnel) = match plain {
        Some(proxy) if proxy.protocol() == ProxyProtocol::Http => (Some(proxy), secure),
        plain if url.starts_with("http:") => (None, plain),
        _ => (None, secure),
    };
    let config = config.proxy(tunnel).build();
    let forward = Forward(forward);
    Ok(Agent::with_parts(config, forward.clone(), forward))
}

/// The proxy that the first of these variables names, and what it is not for.
fn named(variables: [&str; 4]) -> Result<Option<Proxy>> {
    let Some((variable, address)) = variables.iter().find_map(|name| set(name)) else {
        return Ok(None);
    };
    let except = set("no_proxy").or_else(|| set("NO_PROXY"));
    let except = except.map_or(String::new(), |(_, hosts)| hosts);
    let proxy = parsed(&address, &except).map_err(|_| {
        // The address may have a password in it.
        let scheme = address.split_once("://").map_or("", |(scheme, _)| scheme);
        Failure::Hub(format!(
            "{variable} names a proxy that cannot be used ({scheme}…): http, https, socks4, socks4a, socks5 and socks5h can, \
             as {variable}=http://HOST:PORT"
        ))
    })?;
    Ok(Some(proxy))
}

/// A variable with its value, where it has one.
fn set(name: &str) -> Option<(&str, String)> {
    let value = std::env::var(name).ok()?;
    (!value.is_empty()).then_some((name, value))
}

fn parsed(address: &str, except: &str) -> std::result::Result<Proxy, Error> {
    let proxy = Proxy::new(address)?;
    let mut builder = Proxy::builder(proxy.protocol())
        .host(proxy.host())
        .port(proxy.port());
    if let Some(name) = proxy.username() {
        builder = builder.username(name);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    for host in except.split([',', ' ']).filter(|host| !host.is_empty()) {
        // A name stands for the hosts below it, too.
        let below = format!(".{}", host.trim_start_matches(['*', '.']));
        builder = builder
            .no_proxy(host)
            .no_proxy(host.trim_start_matches('.'))
            .no_proxy(&below);
    }
    builder.build()
}

/// The proxy that plain HTTP is forwarded by, if there is one.
#[derive(Debug, Clone)]
struct Forward(Option<Proxy>);

impl Forward {
    fn of(&self, uri: &Uri) -> Option<&Proxy> {
        let proxy = self.0.as_ref()?;
        (uri.scheme_str() == Some("http") && !proxy.is_no_proxy(uri)).then_some(proxy)
    }
}

impl Resolver for Forward {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, Error> {
        let to = self.of(uri).map_or(uri, Proxy::uri);
        DefaultResolver::default().resolve(to, config, timeout)
    }
}

impl Connector for Forward {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<()>,
    ) -> std::result::Result<Option<Self::Out>, Error> {
        let Some(proxy) = self.of(details.uri) else {
            return DefaultConnector::default().connect(details, chained);
        };
        let connection = ConnectionDetails {
            addrs: self.resolve(details.uri, details.config, details.timeout)?,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
            ..*details
        };
        let opened = Connector::<()>::connect(&TcpConnector::default(), &connection, None)?;
        let Some(inner) = opened else { return Ok(None) };
        let host = details
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        let host = host.rsplit('@').next().unwrap_or(host);
        let credentials = proxy.username().map(|name| {
            let both = format!("{name}:{}", proxy.password().unwrap_or(""));
            format!(
                "Proxy-Authorization: Basic {}\r\n",
                BASE64_STANDARD.encode(both)
            )
        });
        Ok(Some(Box::new(Forwarded {
            inner,
            host: format!("http://{host}"),
            credentials: credentials.unwrap_or_default(),
        })))
    }
}

/// A connection to the proxy, on which requests name their host.
#[derive(Debug)]
struct Forwarded<T> {
    inner: T,
    host: String,
    credentials: String,
}

impl<T: Transport> Transport for Forwarded<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(
        &mut self,
        amount: usize,
        timeout: NextTimeout,
    ) -> std::result::Result<(), Error> {
        let output = self.inner.buffers().output();
        let Some(request) = rewritten(&output[..amount], &self.host, &self.credentials) else {
            return self.inner.transmit_output(amount, timeout);
        };
        let place = output.get_mut(..request.len());
        let place = place.ok_or_else(|| std::io::Error::other("a request of such a length"))?;
        place.copy_from_slice(&request);
        self.inner.transmit_output(request.len(), timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> std::result::Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}

/// A request's head as a proxy wants it: the whole address in its first line. None for what is no head.
fn rewritten(output: &[u8], host: &str, credentials: &str) -> Option<Vec<u8>> {
    let method = ["GET ", "HEAD "]
        .into_iter()
        .find(|method| output.starts_with(method.as_bytes()))?;
    let end = output.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let (line, rest) = output[method.len()..].split_at(end - method.len());
    Some(
        [
            method.as_bytes(),
            host.as_bytes(),
            line,
            credentials.as_bytes(),
            rest,
        ]
        .concat(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_no_proxy_stands_for_the_hosts_below_it() {
        let proxy = parsed("http://me:s%40@proxy:3128", "hub.org, .corp.net,127.0.0.1").unwrap();
        assert_eq!(
            (proxy.username(), proxy.password()),
            (Some("me"), Some("s@"))
        );
        let passed = |uri: &'static str| proxy.is_no_proxy(&Uri::from_static(uri));
        for uri in [
            "http://hub.org/x",
            "https://a.hub.org",
            "http://corp.net",
            "http://127.0.0.1:8/",
        ] {
            assert!(passed(uri), "{uri}");
        }
        assert!(!passed("http://github.org/") && !passed("http://hub.org.evil/"));
        parsed("ftp://proxy", "").unwrap_err();
    }
}
