//! What a vendor's error means: a table over status and codes, shared by all kinds.
//!
//! Codes are looked at before the status, because several vendors answer a bad key with 400 or 403 and an unknown
//! model with 401.

use super::vendor_error::VendorError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    BadKey,
    /// The key is good, but this is not allowed with it.
    NoPermission,
    /// The key is good, but the account has no money or no quota left.
    NoCredit,
    /// Asks to be spared: decides nothing.
    RateLimited,
    UnknownModel,
    /// The vendor or server has no such call.
    NoSuchCall,
    /// A parameter is refused that another model may want.
    WrongParameter,
    ServerError,
    /// Any other refusal.
    Refused,
}

const CODES: &[(&[&str], Meaning)] = &[
    (
        &[
            "insufficient_quota",
            "credit_balance_exhausted",
            "exceeded_current_quota_error",
            "billing_error",
            "billing_not_active",
            "billing_hard_limit_reached",
            "insufficient_balance",
            "1113",
            // Limits of Zhipu's plans, and Ark's.
            "1308",
            "1310",
            "quotaexceeded",
            "arrearage",
            "accountoverdueerror",
            "servicequotaexceededexception",
        ],
        Meaning::NoCredit,
    ),
    (
        &[
            "invalid_model",
            "model_not_found",
            "modelnotfound",
            "deploymentnotfound",
            "invalidendpointormodel.notfound",
            // Moonshot and vLLM.
            "resource_not_found_error",
            "notfounderror",
            "1211",
        ],
        Meaning::UnknownModel,
    ),
    (
        &[
            "invalid_api_key",
            "invalidapikey",
            "api_key_invalid",
            "invalid_iam_token",
            "invalid_appid",
            "unrecognizedclientexception",
            "invalidclienttokenid",
            "invalidsignatureexception",
            "expiredtokenexception",
            "missingauthenticationtoken",
            "missingauthenticationtokenexception",
            "incompletesignature",
            // Zhipu.
            "1000",
            "1001",
            "1002",
            "1003",
        ],
        Meaning::BadKey,
    ),
    (
        &["access_denied", "accessdenied", "no_parameter_permission", "modelnotopen", "permissiondenied"],
        Meaning::NoPermission,
    ),
    (&["unsupported_parameter"], Meaning::WrongParameter),
];

/// What an answer outside 2xx means, or an error inside 2xx.
#[must_use]
pub fn meaning(status: u16, error: &VendorError) -> Meaning {
    // A server that is ill says nothing about keys and models, whatever its body claims.
    if status < 500
        && let Some(meaning) = by_code(error)
    {
        return meaning;
    }
    match status {
        401 => Meaning::BadKey,
        402 => Meaning::NoCredit,
        403 => Meaning::NoPermission,
        404 | 405 | 501 => Meaning::NoSuchCall,
        408 | 429 | 529 => Meaning::RateLimited,
        400 | 422 => by_message(&error.message),
        500.. => Meaning::ServerError,
        _ => Meaning::Refused,
    }
}

fn by_code(error: &VendorError) -> Option<Meaning> {
    let known = |code: &String| {
        let code = code.to_ascii_lowercase();
        let find = |code: &str| CODES.iter().find(|(codes, _)| codes.contains(&code)).map(|(_, meaning)| *meaning);
        // Ark puts what exactly is used up behind a dot.
        find(&code).or_else(|| find(code.split('.').next()?))
    };
    error.codes.iter().find_map(known)
}

fn by_message(message: &str) -> Meaning {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["max_tokens", "max_completion_tokens"]) {
        Meaning::WrongParameter
    } else if says(&["api key not valid", "api key expired"]) {
        Meaning::BadKey
    } else if says(&["credit balance", "spend limit", "usage limit"]) {
        Meaning::NoCredit
    } else if says(&["model"]) && says(&["not exist", "not found", "invalid model", "identifier is invalid"]) {
        Meaning::UnknownModel
    } else {
        Meaning::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_before_the_status_and_the_status_before_the_text() {
        let error = |code: &str, message: &str| VendorError {
            codes: vec![code.into()],
            message: message.into(),
            retry_after: None,
        };
        for (status, code, message, expected) in [
            (401, "", "", Meaning::BadKey),
            (401, "invalid_model", "No permission to use the model", Meaning::UnknownModel),
            (401, "invalid_iam_token", "", Meaning::BadKey),
            (400, "API_KEY_INVALID", "", Meaning::BadKey),
            (403, "UnrecognizedClientException", "", Meaning::BadKey),
            (403, "AccessDeniedException", "", Meaning::NoPermission),
            (403, "AccountOverdueError", "", Meaning::NoCredit),
            (402, "", "Insufficient Balance", Meaning::NoCredit),
            (429, "insufficient_quota", "", Meaning::NoCredit),
            (429, "1113", "", Meaning::NoCredit),
            (429, "1310", "", Meaning::NoCredit),
            (429, "QuotaExceeded.Trial", "", Meaning::NoCredit),
            (429, "RateLimitExceeded.EndpointRPMExceeded", "", Meaning::RateLimited),
            (429, "Throttling.AllocationQuota", "", Meaning::RateLimited),
            (429, "1302", "", Meaning::RateLimited),
            (404, "InvalidEndpointOrModel.NotFound", "", Meaning::UnknownModel),
            (401, "PermissionDenied", "", Meaning::NoPermission),
            (200, "1001", "", Meaning::BadKey),
            (400, "", "You have reached your specified API usage limits", Meaning::NoCredit),
            (429, "rate_limit_exceeded", "", Meaning::RateLimited),
            (529, "overloaded_error", "", Meaning::RateLimited),
            (408, "", "", Meaning::RateLimited),
            (404, "model_not_found", "", Meaning::UnknownModel),
            (404, "", "", Meaning::NoSuchCall),
            (405, "", "", Meaning::NoSuchCall),
            (501, "", "", Meaning::NoSuchCall),
            (500, "invalid_api_key", "", Meaning::ServerError),
            (503, "slow_down", "", Meaning::ServerError),
            (400, "unsupported_parameter", "", Meaning::WrongParameter),
            (400, "", "Unsupported parameter: 'max_tokens'", Meaning::WrongParameter),
            (400, "", "Model Not Exist", Meaning::UnknownModel),
            (400, "", "Your credit balance is too low", Meaning::NoCredit),
            (400, "", "messages must not be empty", Meaning::Refused),
            (418, "", "", Meaning::Refused),
        ] {
            assert_eq!(meaning(status, &error(code, message)), expected, "{status} {code} {message}");
        }
    }
}
