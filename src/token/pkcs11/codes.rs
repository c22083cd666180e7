//! What a module answers, in words: the names of the codes, and what each means for the caller.

use std::fmt;

use cryptoki_sys::*;

use crate::token::TokenError;

/// A call that a module refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    /// The function, as `C_Sign`.
    pub call: &'static str,
    /// The code (PKCS #11 v2.40, section 5.1).
    pub code: CK_RV,
}

impl Refused {
    /// What is to be done about it.
    pub fn kind(self) -> Kind {
        match self.code {
            CKR_KEY_HANDLE_INVALID | CKR_OBJECT_HANDLE_INVALID => Kind::Handle,
            CKR_SESSION_HANDLE_INVALID
            | CKR_SESSION_CLOSED
            | CKR_DEVICE_REMOVED
            | CKR_DEVICE_ERROR
            | CKR_TOKEN_NOT_PRESENT
            | CKR_TOKEN_NOT_RECOGNIZED
            | CKR_USER_NOT_LOGGED_IN
            | CKR_CRYPTOKI_NOT_INITIALIZED
            | CKR_SLOT_ID_INVALID => Kind::Session,
            CKR_HOST_MEMORY
            | CKR_DEVICE_MEMORY
            | CKR_SESSION_COUNT
            | CKR_TOKEN_RESOURCE_EXCEEDED
            | CKR_FUNCTION_CANCELED => Kind::Transient,
            CKR_FUNCTION_NOT_SUPPORTED
            | CKR_MECHANISM_INVALID
            | CKR_MECHANISM_PARAM_INVALID
            | CKR_KEY_TYPE_INCONSISTENT
            | CKR_KEY_SIZE_RANGE
            | CKR_DATA_LEN_RANGE
            | CKR_TOKEN_WRITE_PROTECTED
            | CKR_CURVE_NOT_SUPPORTED
            | CKR_DOMAIN_PARAMS_INVALID => Kind::Unsupported,
            _ => Kind::Other,
        }
    }

    /// Whether a plainer template may be accepted where this one was not.
    pub fn is_about_the_template(self) -> bool {
        matches!(
            self.code,
            CKR_GENERAL_ERROR
                | CKR_ATTRIBUTE_TYPE_INVALID
                | CKR_ATTRIBUTE_VALUE_INVALID
                | CKR_TEMPLATE_INCONSISTENT
        )
    }
}

/// What a refusal means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The object's handle is no longer good: find it again.
    Handle,
    /// The session, login or token is gone: open again.
    Session,
    /// Try later.
    Transient,
    /// The token cannot do this.
    Unsupported,
    /// Anything else.
    Other,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered {} ({:#x})", self.call, name(self.code), self.code)
    }
}

impl From<Refused> for TokenError {
    fn from(refused: Refused) -> Self {
        let text = refused.to_string();
        if matches!(
            refused.code,
            CKR_DEVICE_REMOVED | CKR_TOKEN_NOT_PRESENT | CKR_TOKEN_NOT_RECOGNIZED
        ) {
            return Self::Missing {
                what: text,
                fix: "see that the token's device is plugged in and its folder is there".to_owned(),
            };
        }
        match refused.kind() {
            Kind::Handle | Kind::Session => Self::Stale(text),
            Kind::Transient => Self::Transient(text),
            Kind::Unsupported => Self::Unsupported(text),
            Kind::Other => Self::Failed(text),
        }
    }
}

/// The name of a code in the standard; of a vendor's own, that it is one.
fn name(code: CK_RV) -> &'static str {
    macro_rules! names {
        ($($code:ident)*) => {
            match code {
                $($code => stringify!($code),)*
                _ if code & CKR_VENDOR_DEFINED != 0 => "a code of its vendor",
                _ => "an unknown code",
            }
        };
    }
    names! {
        CKR_OK CKR_CANCEL CKR_HOST_MEMORY CKR_SLOT_ID_INVALID CKR_GENERAL_ERROR CKR_FUNCTION_FAILED
        CKR_ARGUMENTS_BAD CKR_NO_EVENT CKR_NEED_TO_CREATE_THREADS CKR_CANT_LOCK CKR_ATTRIBUTE_READ_ONLY
        CKR_ATTRIBUTE_SENSITIVE CKR_ATTRIBUTE_TYPE_INVALID CKR_ATTRIBUTE_VALUE_INVALID CKR_ACTION_PROHIBITED
        CKR_DATA_INVALID CKR_DATA_LEN_RANGE CKR_DEVICE_ERROR CKR_DEVICE_MEMORY CKR_DEVICE_REMOVED
        CKR_FUNCTION_CANCELED CKR_FUNCTION_NOT_PARALLEL CKR_FUNCTION_NOT_SUPPORTED CKR_KEY_HANDLE_INVALID
        CKR_KEY_SIZE_RANGE CKR_KEY_TYPE_INCONSISTENT CKR_KEY_FUNCTION_NOT_PERMITTED CKR_KEY_UNEXTRACTABLE
        CKR_KEY_INDIGESTIBLE CKR_KEY_NEEDED CKR_KEY_NOT_WRAPPABLE CKR_SAVED_STATE_INVALID CKR_STATE_UNSAVEABLE
        CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT CKR_WRAPPING_KEY_HANDLE_INVALID CKR_WRAPPING_KEY_SIZE_RANGE
        CKR_WRAPPING_KEY_TYPE_INCONSISTENT CKR_WRAPPED_KEY_INVALID CKR_ENCRYPTED_DATA_INVALID
        CKR_MECHANISM_INVALID CKR_MECHANISM_PARAM_INVALID CKR_OBJECT_HANDLE_INVALID CKR_OPERATION_ACTIVE
        CKR_OPERATION_NOT_INITIALIZED CKR_PIN_INCORRECT CKR_PIN_INVALID CKR_PIN_LEN_RANGE CKR_PIN_EXPIRED
        CKR_PIN_LOCKED CKR_SESSION_CLOSED CKR_SESSION_COUNT CKR_SESSION_HANDLE_INVALID
        CKR_SESSION_PARALLEL_NOT_SUPPORTED CKR_SESSION_READ_ONLY CKR_SESSION_EXISTS
        CKR_SESSION_READ_ONLY_EXISTS CKR_SESSION_READ_WRITE_SO_EXISTS CKR_SIGNATURE_INVALID
        CKR_SIGNATURE_LEN_RANGE CKR_TEMPLATE_INCOMPLETE CKR_TEMPLATE_INCONSISTENT CKR_TOKEN_NOT_PRESENT
        CKR_TOKEN_NOT_RECOGNIZED CKR_TOKEN_WRITE_PROTECTED CKR_USER_ALREADY_LOGGED_IN CKR_USER_NOT_LOGGED_IN
        CKR_USER_PIN_NOT_INITIALIZED CKR_USER_TYPE_INVALID CKR_USER_ANOTHER_ALREADY_LOGGED_IN
        CKR_USER_TOO_MANY_TYPES CKR_RANDOM_NO_RNG CKR_DOMAIN_PARAMS_INVALID CKR_CURVE_NOT_SUPPORTED
        CKR_BUFFER_TOO_SMALL CKR_INFORMATION_SENSITIVE CKR_CRYPTOKI_NOT_INITIALIZED
        CKR_CRYPTOKI_ALREADY_INITIALIZED CKR_MUTEX_BAD CKR_MUTEX_NOT_LOCKED CKR_FIPS_SELF_TEST_FAILED
        CKR_LIBRARY_LOAD_FAILED CKR_PIN_TOO_WEAK CKR_FUNCTION_REJECTED CKR_TOKEN_RESOURCE_EXCEEDED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_call_and_the_code() {
        let refused = |code| Refused {
            call: "C_CreateObject",
            code,
        };
        assert_eq!(
            refused(CKR_TEMPLATE_INCONSISTENT).to_string(),
            "C_CreateObject answered CKR_TEMPLATE_INCONSISTENT (0xd1)"
        );
        assert_eq!(
            refused(CKR_VENDOR_DEFINED | 5).to_string(),
            "C_CreateObject answered a code of its vendor (0x80000005)"
        );
    }
}
