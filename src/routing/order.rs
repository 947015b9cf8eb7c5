//! The order in which our own calls to a vendor try its endpoints.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{Class, check_provider};
use crate::domain::endpoint::Endpoint;
use crate::domain::error::{Error, Result};
use crate::domain::id::ProviderId;
use crate::domain::view::View as _;
use crate::snapshot::{Board, Snapshot};

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefer {
    /// The provider's default endpoint while it serves, then as below: for synchronisation.
    Default,
    /// The lowest tier, within it those that serve before degraded ones, heavy before light.
    Priority,
}

/// All active endpoints of a provider, in the order to try them. Unhealthy ones come last but do come: a probe may be
/// wrong or old, and whoever asks for a call wants it made.
///
/// # Errors
/// [`Error::NotFound`], [`Error::ProviderDisabled`], [`Error::NoEndpoint`].
pub fn order(snapshot: &Snapshot, board: &Board, provider: ProviderId, prefer: Prefer) -> Result<Vec<Arc<Endpoint>>> {
    check_provider(snapshot, provider)?;
    let mut endpoints = snapshot.endpoints_of(provider);
    endpoints.retain(|endpoint| endpoint.is_active);
    if endpoints.is_empty() {
        return Err(Error::NoEndpoint { provider_id: provider.uuid() });
    }
    endpoints.sort_by_key(|endpoint| {
        let class = Class::of(endpoint, board);
        let first = prefer == Prefer::Default && endpoint.is_default && class == Class::Serving;
        let (tier, weight) = (endpoint.priority, endpoint.weight);
        (Reverse(first), class == Class::Unhealthy, tier, class, Reverse(weight), endpoint.id)
    });
    Ok(endpoints)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::{EndpointHealth, HealthStatus};
    use crate::domain::provider::Provider;
    use crate::snapshot::StatusBoard;
    use crate::snapshot::fixtures::{self, id};

    fn numbers(found: Result<Vec<Arc<Endpoint>>>) -> Vec<u128> {
        found.unwrap().iter().map(|endpoint| endpoint.id.uuid().as_u128()).collect()
    }

    #[test]
    fn better_endpoints_come_first_and_unhealthy_ones_last() {
        let endpoint = |number, priority, weight| Endpoint { priority, weight, ..fixtures::endpoint(number, 1) };
        let mut image = fixtures::image();
        image.providers.push(Arc::new(fixtures::provider(1)));
        image.endpoints = [
            endpoint(1, 1, 9),
            Endpoint { is_default: true, ..endpoint(2, 5, 1) },
            endpoint(3, 0, 1),
            endpoint(4, 0, 2),
            endpoint(5, 0, 9),
            endpoint(6, 0, 9),
            Endpoint { is_active: false, ..endpoint(7, 0, 9) },
        ]
        .map(Arc::new)
        .into();
        let snapshot = Snapshot::from_image(image);
        let board = StatusBoard::default();
        let set = |number, status| board.set_local(id(number), EndpointHealth { status, ..EndpointHealth::default() });
        set(5, HealthStatus::Degraded);
        set(6, HealthStatus::Unhealthy);
        let order = |prefer| numbers(order(&snapshot, &board.load(), id(1), prefer));
        assert_eq!(order(Prefer::Priority), [4, 3, 5, 1, 2, 6]);
        assert_eq!(order(Prefer::Default), [2, 4, 3, 5, 1, 6]);
        set(2, HealthStatus::Degraded);
        assert_eq!(order(Prefer::Default), [4, 3, 5, 1, 2, 6]);
    }

    #[test]
    fn a_provider_that_cannot_be_called_is_refused() {
        let mut image = fixtures::image();
        image.providers =
            vec![Arc::new(fixtures::provider(1)), Arc::new(Provider { is_active: false, ..fixtures::provider(2) })];
        let snapshot = Snapshot::from_image(image);
        let order = |number| order(&snapshot, &Board::default(), id(number), Prefer::Priority).unwrap_err();
        assert!(matches!(order(1), Error::NoEndpoint { .. }));
        assert!(matches!(order(2), Error::ProviderDisabled { .. }));
        assert!(matches!(order(3), Error::NotFound { .. }));
    }
}
