use super::*;
use crate::domain::CredentialId;

fn http(status: u16, meaning: Meaning) -> CallErrorKind {
    CallErrorKind::Http { status, meaning }
}

fn not_allowed() -> CallErrorKind {
    CallErrorKind::HostNotAllowed { host: "h".into(), credential_id: CredentialId::nil() }
}

#[test]
fn the_table_of_key_verdicts() {
    use ValidationCause as Cause;
    use ValidationStatus::{Invalid, Unreachable, Unsupported, Valid};
    for (kind, status, cause) in [
        (http(401, Meaning::BadKey), Some(Invalid), Cause::BadKey),
        (http(403, Meaning::BadKey), Some(Invalid), Cause::BadKey),
        (http(403, Meaning::NoPermission), Some(Valid), Cause::NoPermission),
        (http(402, Meaning::NoCredit), Some(Valid), Cause::NoCredit),
        (http(429, Meaning::NoCredit), Some(Valid), Cause::NoCredit),
        (http(429, Meaning::RateLimited), None, Cause::RateLimited),
        (http(408, Meaning::RateLimited), None, Cause::RateLimited),
        (http(529, Meaning::RateLimited), None, Cause::RateLimited),
        (http(500, Meaning::ServerError), None, Cause::ServerError),
        (http(503, Meaning::ServerError), None, Cause::ServerError),
        (http(404, Meaning::NoSuchCall), Some(Unsupported), Cause::UnexpectedAnswer),
        (http(400, Meaning::Refused), Some(Unreachable), Cause::UnexpectedAnswer),
        (CallErrorKind::UnexpectedAnswer { status: Some(200) }, Some(Unreachable), Cause::UnexpectedAnswer),
        (CallErrorKind::TooLarge, Some(Unreachable), Cause::UnexpectedAnswer),
        (CallErrorKind::NameResolution, Some(Unreachable), Cause::Network),
        (CallErrorKind::Connect, Some(Unreachable), Cause::Network),
        (CallErrorKind::Tls, Some(Unreachable), Cause::Network),
        (CallErrorKind::Timeout, Some(Unreachable), Cause::Network),
        (CallErrorKind::AddressRefused, Some(Unreachable), Cause::Network),
        (not_allowed(), Some(Unreachable), Cause::HostNotAllowed),
        (CallErrorKind::BadSecret, Some(Invalid), Cause::BadKey),
    ] {
        let verdict = KeyVerdict::of_error(&CallError::new(kind.clone(), "m"));
        assert_eq!((verdict.status, verdict.cause), (status, cause), "{kind:?}");
    }
}

#[test]
fn the_table_of_model_verdicts() {
    use AvailabilityCause as Cause;
    for (kind, decided, cause) in [
        (http(401, Meaning::BadKey), true, Cause::Credential),
        (http(403, Meaning::NoPermission), true, Cause::Permission),
        (http(429, Meaning::NoCredit), true, Cause::NoCredit),
        (http(404, Meaning::UnknownModel), true, Cause::UnknownModel),
        (http(404, Meaning::NoSuchCall), true, Cause::UnknownModel),
        (http(429, Meaning::RateLimited), false, Cause::RateLimited),
        (http(529, Meaning::RateLimited), false, Cause::RateLimited),
        (http(500, Meaning::ServerError), true, Cause::ServerError),
        (CallErrorKind::UnexpectedAnswer { status: Some(200) }, true, Cause::UnexpectedAnswer),
        (CallErrorKind::Timeout, true, Cause::Network),
        (not_allowed(), true, Cause::HostNotAllowed),
        (CallErrorKind::BadSecret, true, Cause::Credential),
    ] {
        let verdict = ModelVerdict::of_error(&CallError::new(kind.clone(), "m"), Duration::ZERO);
        let status = decided.then_some(AvailabilityStatus::Unavailable);
        assert_eq!((verdict.status, verdict.cause), (status, cause), "{kind:?}");
    }
}

#[test]
fn what_is_not_decided_keeps_the_former_status_of_the_same_secret() {
    let undecided = KeyVerdict::of_error(&CallError::new(http(429, Meaning::RateLimited), "m"));
    let former = KeyVerdict::valid().over(&Validation::default(), 3, Timestamp::from_micros(1));
    let after = undecided.over(&former, 3, Timestamp::from_micros(2));
    assert_eq!((after.status, after.cause), (ValidationStatus::Valid, ValidationCause::RateLimited));
    assert_eq!(after.last_validate_time, Some(Timestamp::from_micros(2)));
    assert_eq!(undecided.over(&former, 4, Timestamp::from_micros(2)).status, ValidationStatus::Unknown);

    let undecided = ModelVerdict::of_error(&CallError::new(http(529, Meaning::RateLimited), "m"), Duration::ZERO);
    let former =
        ModelVerdict::of(Ok(Tried::Answers), Duration::ZERO).over(&Availability::default(), Timestamp::from_micros(1));
    assert_eq!(undecided.over(&former, Timestamp::from_micros(2)).status, AvailabilityStatus::Available);
}
