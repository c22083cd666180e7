//! Signing by the agent where one runs, and by the token itself where none does.

use hsmsign::{
    agent::client::Client,
    error::{Code, Result},
    keyring::KeyName,
    policy::Caller,
    request::{Request, SignedRequest},
    signer::Signer,
};

use super::Around;

/// Signs a request.
pub fn sign(request: &Request) -> Result<SignedRequest> {
    reach(
        |agent| agent.sign(request),
        |signer| {
            let signed = signer.sign(request, &Caller::this_process());
            settled(signer, signed)
        },
    )
}

/// MACs bytes.
pub fn hmac(key: &KeyName, message: &[u8]) -> Result<Vec<u8>> {
    reach(
        |agent| agent.hmac(key, message),
        |signer| {
            let mac = signer.hmac(key, message, &Caller::this_process());
            settled(signer, mac)
        },
    )
}

/// What was signed is given out when it is in the log; a refusal is told though it could not be written.
pub fn settled<T>(signer: &Signer, done: Result<T>) -> Result<T> {
    let settled = signer.settle(false);
    let done = done?;
    settled.map(|()| done)
}

/// An agent of the system need not know a key that the user has besides.
fn reach<T>(
    by_agent: impl FnOnce(&mut Client) -> Result<T>,
    here: impl FnOnce(&Signer) -> Result<T>,
) -> Result<T> {
    let Some(mut agent) = Client::find()? else {
        return here(&Around::find()?.signer()?);
    };
    match by_agent(&mut agent) {
        Err(error) if error.code() == Code::UnknownKey && !agent.told => {
            match Around::find()
                .and_then(|around| around.signer())
                .and_then(|signer| here(&signer))
            {
                Err(_) => Err(error),
                done => done,
            }
        }
        done => done,
    }
}
