//! Logging in: a PIN is tried once, and not at all where a wrong one would lock the token.

use cryptoki_sys::*;

use super::{
    Pkcs11Token, choose::Present, codes::Refused, find::is_opencryptoki, module::SessionHandle, open::Stop,
};
use crate::{
    secret::Secret,
    token::{PinRequest, Result, TokenError, Wanted},
};

impl Pkcs11Token {
    pub(super) fn login(
        &self,
        token: &Present,
        session: SessionHandle,
        pin: &mut Option<Secret>,
    ) -> Result<(), Stop> {
        if !token.has(CKF_LOGIN_REQUIRED) {
            return Ok(());
        }
        let label = &token.identity.label;
        let locked = |what: String, fix: &str| {
            Stop::Final(TokenError::Locked {
                what,
                fix: fix.to_owned(),
            })
        };
        if token.has(CKF_USER_PIN_LOCKED) {
            return Err(locked(
                format!("the token {label:?} has locked its user PIN after wrong ones"),
                "set a new user PIN with the security officer's PIN, with the token's own tool",
            ));
        }
        if !token.has(CKF_USER_PIN_INITIALIZED) {
            // Where another program is just logging in to SoftHSM, it looks like this too.
            return Err(Stop::Again(TokenError::Locked {
                what: format!("the token {label:?} has no user PIN yet"),
                fix: "set one with the security officer's PIN, with the token's own tool".to_owned(),
            }));
        }
        let keypad = token.has(CKF_PROTECTED_AUTHENTICATION_PATH);
        if !keypad && pin.is_none() {
            let request = PinRequest {
                what: Wanted::Pin,
                label: label.clone(),
                serial: token.identity.serial.clone(),
                count_low: token.has(CKF_USER_PIN_COUNT_LOW),
                final_try: token.has(CKF_USER_PIN_FINAL_TRY),
                tries_left: token.has(CKF_USER_PIN_FINAL_TRY).then_some(1),
            };
            if self.pin.interactive() {
                if request.final_try && self.pin.has_given() {
                    // It is forgotten, so that a person gives it anew for the last try.
                    self.pin.forget();
                }
                return Err(Stop::Ask(request));
            }
            if request.final_try {
                return Err(locked(
                    format!(
                        "the token {label:?} has one try left before it locks the user PIN, and hsmsign does not spend it by itself"
                    ),
                    "log in once with the right PIN, typed at the terminal or with the token's own tool; that restores the tries",
                ));
            }
            *pin = Some(self.ask(&request).map_err(Stop::Final)?);
        }
        let answer = self
            .loaded
            .module
            .login(session, CKU_USER, pin.as_ref().map(Secret::expose));
        match answer {
            Ok(()) => Ok(()),
            Err(refused) if refused.code == CKR_USER_ALREADY_LOGGED_IN => Ok(()),
            Err(refused) => Err(self.login_failed(token, refused)),
        }
    }

    /// What a failed login means. A PIN that was sent is sent again only where the module is known to fail by itself.
    fn login_failed(&self, token: &Present, refused: Refused) -> Stop {
        let flags = self
            .loaded
            .module
            .token_info(token.slot)
            .map_or(0, |info| info.flags);
        let tries_left = (flags & CKF_USER_PIN_FINAL_TRY != 0).then_some(1);
        let label = &token.identity.label;
        match refused.code {
            CKR_PIN_INCORRECT | CKR_PIN_LEN_RANGE | CKR_PIN_INVALID => {
                self.pin.refused(tries_left);
                if flags & CKF_USER_PIN_LOCKED != 0 {
                    return Stop::Final(TokenError::Locked {
                        what: format!(
                            "the token {label:?} refused the PIN from {} and has locked it",
                            self.pin.describe()
                        ),
                        fix: "set a new user PIN with the security officer's PIN, with the token's own tool"
                            .into(),
                    });
                }
                Stop::Final(TokenError::WrongPin {
                    tries_left,
                    from: self.pin.describe(),
                })
            }
            CKR_PIN_LOCKED | CKR_PIN_EXPIRED => Stop::Final(TokenError::Locked {
                what: format!("the token {label:?} does not let the user in: {refused}"),
                fix: "set a new user PIN with the token's own tool".into(),
            }),
            CKR_USER_ANOTHER_ALREADY_LOGGED_IN => Stop::Final(TokenError::Busy(format!(
                "the security officer is logged in to the token {label:?}"
            ))),
            _ if breaks_when_shared(&token.identity.module) => Stop::Again(refused.into()),
            _ => Stop::Final(refused.into()),
        }
    }

    pub(super) fn ask(&self, request: &PinRequest) -> Result<Secret> {
        self.pin
            .pin(request)
            .map_err(|error| TokenError::of_provider(&error))
    }
}

/// Whether the module's login is known to fail when another process logs in at that moment.
fn breaks_when_shared(module: &str) -> bool {
    is_opencryptoki(module) || module.to_lowercase().contains("softhsm")
}
