//! Notes the moment from which bytes of a request may be on the wire: behind the TLS handshake, and behind a proxy's
//! answer to CONNECT.

use std::{io::ErrorKind, sync::Arc};

use ureq::{
    Error,
    unversioned::transport::{
        Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, NextTimeout, RustlsConnector,
        TcpConnector, Transport,
    },
};

use super::progress::Progress;

/// Connects by TCP, through a proxy where there is one, then by TLS where the URL says https.
pub(super) fn connector(progress: Arc<Progress>, proxied: bool) -> impl Connector {
    ().chain(ConnectProxyConnector::default())
        .chain(TcpConnector::default())
        .chain(RustlsConnector::default())
        .chain(Noting { progress, proxied })
}

/// Stands last in the chain: what comes through it is the request.
#[derive(Debug)]
struct Noting {
    progress: Arc<Progress>,
    proxied: bool,
}

impl<In: Transport> Connector<In> for Noting {
    type Out = Either<In, Noted<In>>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(inner) = chained else { return Ok(None) };
        // The connection to the proxy runs through this chain too, with the proxy taken out of its configuration: what
        // is written there is CONNECT.
        if self.proxied && details.config.proxy().is_none() {
            return Ok(Some(Either::A(inner)));
        }
        let progress = Arc::clone(&self.progress);
        progress.connecting();
        Ok(Some(Either::B(Noted { inner, progress })))
    }
}

#[derive(Debug)]
struct Noted<In> {
    inner: In,
    progress: Arc<Progress>,
}

impl<In: Transport> Transport for Noted<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        // Before, since a write that fails may have written some.
        if amount > 0 {
            self.progress.writing();
        }
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout).map_err(broken)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// An end without TLS's goodbye, or a reset: ureq would take it for the end of an answer that names no length.
fn broken(error: Error) -> Error {
    match error {
        Error::Io(error)
            if matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
            ) =>
        {
            Error::Other(error.into())
        }
        error => error,
    }
}
