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
        |signer| signer.sign(request, &Caller::this_process()),
    )
}

/// MACs bytes.
pub fn hmac(key: &KeyName, message: &[u8]) -> Result<Vec<u8>> {
    reach(
        |agent| agent.hmac(key, message),
        |signer| signer.hmac(key, message, &Caller::this_process()),
    )
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
