use std::cmp::Ordering;
use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::change::{Operation, Resource};
use crate::domain::credential::CredentialState;
use crate::domain::error::{Error, Violations};
use crate::domain::health::{EndpointHealth, HealthStatus};
use crate::domain::image::{Image, StatusBatch, StatusRevision, StatusValue};
use crate::domain::model::{Capability, Model, ModelStatus, ModelType, Price};
use crate::domain::plan::Edit;
use crate::domain::provider::{Provider, ProviderKind};
use crate::snapshot::StatusBoard;
use crate::snapshot::fixtures::{self, at, change, head, id, put};

fn request<T: Listed>(size: i32, order_by: &str, cursor: Option<Cursor>) -> PageRequest {
    let mut violations = Violations::default();
    let request = PageRequest::read::<T>(size, order_by, cursor, &mut violations);
    violations.into_result().unwrap();
    request
}

/// The numbers of the ids on all pages, in order. Checks that no page is too long and that totals stay the same.
fn walk<T: Listed>(size: i32, order_by: &str, mut page: impl FnMut(&PageRequest) -> Result<Page<T>>) -> Vec<u128> {
    let (mut found, mut cursor, mut total) = (Vec::new(), None, None);
    loop {
        let page = page(&request::<T>(size, order_by, cursor)).unwrap();
        assert!(page.items.len() <= usize::try_from(size).unwrap());
        assert_eq!(*total.get_or_insert(page.total_size), page.total_size);
        found.extend(page.items.iter().map(|entry| entry.value().uuid().as_u128()));
        cursor = page.next;
        if cursor.is_none() {
            return found;
        }
    }
}

fn present(board: &Board) -> Present<'_> {
    Present { now: at(100), board }
}

fn models(snapshot: &Snapshot, filter: &ModelFilter, size: i32, order_by: &str) -> Vec<u128> {
    let board = Board::default();
    walk(size, order_by, |request| snapshot.list_models(filter, present(&board), request, |_| true))
}

fn world() -> Image {
    let mut image = fixtures::image();
    image.providers = (1..=3).map(|number| Arc::new(fixtures::provider(number))).collect();
    image.endpoints = (1..=3).map(|number| Arc::new(fixtures::endpoint(number, number))).collect();
    image.credentials = (1..=3).map(|number| Arc::new(fixtures::credential(number, number))).collect();
    image
}

fn with_models(models: impl IntoIterator<Item = Model>) -> Snapshot {
    let mut image = world();
    image.models = models.into_iter().map(Arc::new).collect();
    Snapshot::from_image(image)
}

#[test]
fn page_sizes_have_a_default_and_a_maximum() {
    let read = |size| {
        let mut violations = Violations::default();
        let size = PageSize::read(size, &mut violations).get();
        violations.into_result().map(|()| size)
    };
    assert_eq!(
        [read(0), read(1), read(1000), read(1001), read(i32::MAX)].map(Result::unwrap),
        [50, 1, 1000, 1000, 1000]
    );
    assert!(matches!(read(-1), Err(Error::InvalidField { violations }) if violations[0].field == "page_size"));
}

#[test]
fn pages_follow_each_other_without_gaps() {
    let snapshot = with_models((1..=10).map(|number| fixtures::model(number, 1 + number % 3)));
    for size in [1, 3, 5, 9, 10, 11] {
        assert_eq!(models(&snapshot, &ModelFilter::default(), size, ""), (1..=10).collect::<Vec<_>>());
        assert_eq!(
            models(&snapshot, &ModelFilter { provider_id: Some(id(1)), ..ModelFilter::default() }, size, ""),
            [3, 6, 9]
        );
        assert_eq!(models(&snapshot, &ModelFilter::default(), size, "name desc"), [9, 8, 7, 6, 5, 4, 3, 2, 10, 1]);
    }
}

#[test]
fn the_last_full_page_has_no_next() {
    let snapshot = with_models((1..=4).map(|number| fixtures::model(number, 1)));
    let board = Board::default();
    let page = snapshot
        .list_models(&ModelFilter::default(), present(&board), &request::<Model>(4, "", None), |_| true)
        .unwrap();
    assert_eq!((page.items.len(), page.total_size, page.next), (4, 4, None));
}

#[test]
fn a_page_ends_where_the_caller_says_but_never_empty() {
    let snapshot = with_models((1..=5).map(|number| fixtures::model(number, 1)));
    let board = Board::default();
    for order_by in ["", "create_time"] {
        let mut lengths = Vec::new();
        let found = walk(100, order_by, |request| {
            let mut room = 2;
            let page = snapshot.list_models(&ModelFilter::default(), present(&board), request, |_| {
                room -= 1;
                room >= 0
            })?;
            lengths.push(page.items.len());
            Ok(page)
        });
        assert_eq!((found, lengths), (vec![1, 2, 3, 4, 5], vec![2, 2, 1]));
        let alone = walk(100, order_by, |request| {
            snapshot.list_models(&ModelFilter::default(), present(&board), request, |_| false)
        });
        assert_eq!(alone, [1, 2, 3, 4, 5]);
    }
}

#[test]
fn absent_values_come_last_in_both_directions() {
    let snapshot = with_models([(1, None), (2, Some(5)), (3, Some(9)), (4, None)].map(|(number, window)| Model {
        context_window: window,
        pricing: window.map(|window| fixtures::pricing(10 - window)),
        ..fixtures::model(number, 1)
    }));
    for size in 1..5 {
        assert_eq!(models(&snapshot, &ModelFilter::default(), size, "context_window"), [2, 3, 1, 4]);
        assert_eq!(models(&snapshot, &ModelFilter::default(), size, "context_window desc"), [3, 2, 1, 4]);
        assert_eq!(models(&snapshot, &ModelFilter::default(), size, "input_price"), [3, 2, 1, 4]);
    }
}

#[test]
fn a_cursor_of_another_order_is_refused() {
    let snapshot = with_models((1..=3).map(|number| fixtures::model(number, 1)));
    let board = Board::default();
    let page =
        |request: &PageRequest| snapshot.list_models(&ModelFilter::default(), present(&board), request, |_| true);
    let cursor = page(&request::<Model>(1, "name", None)).unwrap().next;
    for order_by in ["", "create_time", "name,create_time"] {
        let error = page(&request::<Model>(1, order_by, cursor.clone())).unwrap_err();
        assert_eq!(error, Error::InvalidPageToken);
    }
    let error = snapshot.list_models_by_capability(Capability::Chat, 0, &request::<Model>(1, "", cursor), |_| true);
    assert_eq!(error.unwrap_err(), Error::InvalidPageToken);
}

#[test]
fn an_unknown_or_deleted_provider_is_not_found() {
    let mut image = world();
    image.providers.push(Arc::new(Provider { delete_time: Some(at(1)), ..fixtures::provider(9) }));
    image.models.push(Arc::new(fixtures::model(1, 9)));
    let snapshot = Snapshot::from_image(image);
    let board = Board::default();
    for number in [9, 77] {
        let provider_id = Some(id(number));
        for model_id in [None, Some("model-1".to_owned())] {
            let filter = ModelFilter { provider_id, model_id, ..ModelFilter::default() };
            let page = snapshot.list_models(&filter, present(&board), &request::<Model>(1, "", None), |_| true);
            assert!(matches!(page, Err(Error::NotFound { .. })));
        }
        let filter = EndpointFilter { provider_id, ..EndpointFilter::default() };
        assert!(snapshot.list_endpoints(&filter, present(&board), &request::<Model>(1, "", None), |_| true).is_err());
    }
    assert!(models(&snapshot, &ModelFilter::default(), 5, "").is_empty());
}

#[test]
fn models_are_filtered_by_each_field() {
    let base = |number| fixtures::model(number, 1);
    let able =
        |number, scores: &[(Capability, i32)]| Model { capabilities: scores.iter().copied().collect(), ..base(number) };
    let labelled = Model {
        meta: crate::domain::Meta {
            labels: [("a".into(), "1".into()), ("b".into(), "2".into())].into(),
            ..Default::default()
        },
        ..base(9)
    };
    let snapshot = with_models([
        Model { name: "Über".into(), ..base(1) },
        Model { model_type: ModelType::Embedding, is_default: true, ..base(2) },
        Model { status: ModelStatus::Maintenance, ..base(3) },
        Model { is_active: false, description: "grosse ÜBERsicht".into(), ..base(4) },
        able(5, &[(Capability::Vision, 3), (Capability::Chat, 5)]),
        able(6, &[(Capability::Vision, 0)]),
        Model { context_window: Some(8000), ..base(7) },
        Model { provider_id: id(2), model_id: "model-1".into(), ..base(8) },
        labelled,
    ]);
    let check = |filter: ModelFilter, expected: &[u128]| {
        assert_eq!(models(&snapshot, &filter, 2, ""), expected, "{filter:?}");
        assert_eq!(models(&snapshot, &filter, 2, "update_time"), expected, "{filter:?}");
    };
    let any = ModelFilter::default;
    let label = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    check(ModelFilter { name: Some("Über".into()), ..any() }, &[1]);
    check(ModelFilter { name: Some("über".into()), ..any() }, &[]);
    check(ModelFilter { model_id: Some("model-1".into()), ..any() }, &[1, 8]);
    check(ModelFilter { model_id: Some("model-1".into()), provider_id: Some(id(2)), ..any() }, &[8]);
    check(ModelFilter { model_type: Some(ModelType::Embedding), ..any() }, &[2]);
    check(ModelFilter { is_default: Some(true), ..any() }, &[2]);
    check(ModelFilter { status: Some(ModelStatus::Maintenance), ..any() }, &[3]);
    check(ModelFilter { is_active: Some(false), ..any() }, &[4]);
    check(ModelFilter { usable: Some(false), ..any() }, &[3, 4]);
    check(ModelFilter { usable: Some(true), provider_id: Some(id(2)), ..any() }, &[8]);
    check(ModelFilter { capabilities: vec![Capability::Vision], ..any() }, &[5, 6]);
    check(ModelFilter { capabilities: vec![Capability::Vision, Capability::Chat], ..any() }, &[5]);
    check(ModelFilter { capabilities: vec![Capability::Vision], min_score: Some(1), ..any() }, &[5]);
    check(ModelFilter { capabilities: vec![Capability::Vision], min_score: Some(4), ..any() }, &[]);
    check(ModelFilter { min_score: Some(4), ..any() }, &[5]);
    check(ModelFilter { min_context_window: Some(8000), ..any() }, &[7]);
    check(ModelFilter { min_context_window: Some(8001), ..any() }, &[]);
    check(ModelFilter { query: Needle::new("über"), ..any() }, &[1, 4]);
    check(ModelFilter { query: Needle::new("MODEL-9"), ..any() }, &[9]);
    check(ModelFilter { labels: label("a", "1"), ..any() }, &[9]);
    check(ModelFilter { labels: label("a", "2"), ..any() }, &[]);
}

#[test]
fn usable_asks_the_provider_too() {
    let mut image = world();
    image.providers = vec![
        Arc::new(Provider { is_active: false, ..fixtures::provider(1) }),
        Arc::new(fixtures::provider(2)),
        Arc::new(Provider { kind: ProviderKind::Ollama, ..fixtures::provider(3) }),
    ];
    image.credentials.clear();
    image.models = (1..=3).map(|number| Arc::new(fixtures::model(number, number))).collect();
    let snapshot = Snapshot::from_image(image);
    assert_eq!(models(&snapshot, &ModelFilter { usable: Some(true), ..ModelFilter::default() }, 9, ""), [3]);
    assert_eq!(models(&snapshot, &ModelFilter { usable: Some(false), ..ModelFilter::default() }, 9, ""), [1, 2]);
}

#[test]
fn providers_are_listed_without_deleted_ones_unless_asked() {
    let mut image = world();
    image.providers[1] = Arc::new(Provider { delete_time: Some(at(1)), ..fixtures::provider(2) });
    image.providers[2] = Arc::new(Provider { kind: ProviderKind::Ollama, is_active: false, ..fixtures::provider(3) });
    let snapshot = Snapshot::from_image(image);
    let found = |filter: ProviderFilter| walk(1, "", |request| snapshot.list_providers(&filter, request, |_| true));
    let any = ProviderFilter::default;
    assert_eq!(found(any()), [1, 3]);
    assert_eq!(found(ProviderFilter { show_deleted: true, ..any() }), [1, 2, 3]);
    assert_eq!(found(ProviderFilter { kind: Some(ProviderKind::Ollama), ..any() }), [3]);
    assert_eq!(found(ProviderFilter { is_active: Some(true), ..any() }), [1]);
    assert_eq!(found(ProviderFilter { name: Some("Provider 3".into()), ..any() }), [3]);
    assert_eq!(found(ProviderFilter { query: Needle::new("VIDER 1"), ..any() }), [1]);
}

#[test]
fn endpoints_are_filtered_by_health_and_credentials_by_state() {
    let mut image = world();
    let mut revoked = fixtures::credential(4, 1);
    revoked.revoke_time = Some(at(1));
    let mut expired = fixtures::credential(5, 1);
    expired.expire_time = Some(at(100));
    image.credentials.extend([Arc::new(revoked), Arc::new(expired)]);
    let snapshot = Snapshot::from_image(image);
    let board = StatusBoard::default();
    let sick = EndpointHealth { status: HealthStatus::Unhealthy, ..EndpointHealth::default() };
    board.apply(&StatusBatch { revision: StatusRevision(1), values: vec![StatusValue::Health(id(2), sick)] });
    let board = board.load();
    let endpoints = |health_status| {
        let filter = EndpointFilter { health_status, ..EndpointFilter::default() };
        walk(1, "", |request| snapshot.list_endpoints(&filter, present(&board), request, |_| true))
    };
    assert_eq!(endpoints(Some(HealthStatus::Unhealthy)), [2]);
    assert_eq!(endpoints(Some(HealthStatus::Unknown)), [1, 3]);
    assert_eq!(endpoints(None), [1, 2, 3]);
    let credentials = |state| {
        let filter = CredentialFilter { state, ..CredentialFilter::default() };
        walk(1, "", |request| snapshot.list_credentials(&filter, present(&board), request, |_| true))
    };
    assert_eq!(credentials(Some(CredentialState::Revoked)), [4]);
    assert_eq!(credentials(Some(CredentialState::Expired)), [5]);
    assert_eq!(credentials(Some(CredentialState::Active)), [1, 2, 3]);
    assert_eq!(credentials(None), [1, 2, 3, 4, 5]);
}

#[test]
fn models_by_capability_come_best_first() {
    let model = |number, score, price: Option<i64>, name: &str| Model {
        capabilities: [(Capability::Vision, score)].into(),
        pricing: price.map(fixtures::pricing),
        name: name.into(),
        ..fixtures::model(number, 1)
    };
    let snapshot = with_models([
        model(1, 0, Some(1), "unrated"),
        model(2, 5, None, "no price"),
        model(3, 5, Some(7), "dear"),
        model(4, 5, Some(2), "b"),
        model(5, 5, Some(2), "a"),
        model(6, 3, Some(0), "fair"),
        Model { is_active: false, ..model(7, 5, Some(2), "a") },
        fixtures::model(8, 1),
    ]);
    let found = |min_score, order_by: &str, size| {
        walk(size, order_by, |request| {
            snapshot.list_models_by_capability(Capability::Vision, min_score, request, |_| true)
        })
    };
    for size in 1..9 {
        assert_eq!(found(0, "", size), [5, 7, 4, 3, 2, 6, 1]);
        assert_eq!(found(4, "", size), [5, 7, 4, 3, 2]);
        assert_eq!(found(3, "input_price desc,name", size), [3, 5, 7, 4, 6, 2]);
    }
}

#[test]
fn all_tokens_are_listed() {
    let mut image = world();
    image.tokens = (1..=3).map(|number| Arc::new(fixtures::token(number))).collect();
    let snapshot = Snapshot::from_image(image);
    assert_eq!(walk(2, "", |request| snapshot.list_tokens(request, |_| true)), [1, 2, 3]);
    assert_eq!(walk(2, "name desc", |request| snapshot.list_tokens(request, |_| true)), [3, 2, 1]);
}

const ORDERS: [&str; 6] =
    ["", "name", "name desc", "context_window desc,name", "input_price,create_time desc", "update_time desc"];

fn any_model(number: u128) -> impl Strategy<Value = Model> {
    let score = prop::option::of(0..6);
    (1..4_u128, 0..3, prop::option::of(0..3_i64), prop::option::of(0..3_i64), score, any::<bool>()).prop_map(
        move |(provider, name, window, price, score, active)| Model {
            name: format!("n{name}"),
            context_window: window,
            pricing: price.map(fixtures::pricing),
            capabilities: score.map(|score| (Capability::Vision, score)).into_iter().collect(),
            is_active: active,
            ..fixtures::model(number, provider)
        },
    )
}

fn any_models() -> impl Strategy<Value = Vec<Model>> {
    (0..40_u128).prop_flat_map(|count| (1..=count).map(any_model).collect::<Vec<_>>())
}

/// What a list means, written as plainly as possible.
fn plainly(models: &[Model], filter: &ModelFilter, order_by: &str) -> Vec<u128> {
    let mut found: Vec<_> = models
        .iter()
        .filter(|model| filter.provider_id.is_none_or(|id| model.provider_id == id))
        .filter(|model| filter.is_active.is_none_or(|active| model.is_active == active))
        .collect();
    let last = |a: Option<i64>, b: Option<i64>, sign: i64| {
        a.is_none().cmp(&b.is_none()).then_with(|| (a.unwrap_or(0) * sign).cmp(&(b.unwrap_or(0) * sign)))
    };
    let price = |model: &Model| model.pricing.as_ref().and_then(|p| p.input_per_1k).map(Price::nanos);
    found.sort_by(|a, b| {
        let order = match order_by {
            "name" => a.name.cmp(&b.name),
            "name desc" => b.name.cmp(&a.name),
            "context_window desc,name" => {
                last(a.context_window, b.context_window, -1).then_with(|| a.name.cmp(&b.name))
            }
            "input_price,create_time desc" => last(price(a), price(b), 1),
            _ => Ordering::Equal,
        };
        order.then_with(|| a.id.cmp(&b.id))
    });
    found.into_iter().map(|model| model.id.uuid().as_u128()).collect()
}

proptest! {
    #[test]
    fn any_list_in_any_order_and_page_size_is_what_it_means(
        all in any_models(),
        size in 1..12_i32,
        provider in prop::option::of(1..4_u128),
        active in any::<Option<bool>>(),
    ) {
        let snapshot = with_models(all.clone());
        let filter = ModelFilter { provider_id: provider.map(id), is_active: active, ..ModelFilter::default() };
        for order_by in ORDERS {
            prop_assert_eq!(models(&snapshot, &filter, size, order_by), plainly(&all, &filter, order_by), "{}", order_by);
        }
    }

    /// The index keeps the rank; the sort by the same order is the judge.
    #[test]
    fn the_rank_of_the_index_is_the_rank_of_the_order(all in any_models(), size in 1..12_i32, least in 0..6) {
        let snapshot = with_models(all.clone());
        let found = walk(size, "", |request| {
            snapshot.list_models_by_capability(Capability::Vision, least, request, |_| true)
        });
        let mut expected: Vec<_> = all
            .iter()
            .filter(|model| model.capabilities.get(&Capability::Vision).is_some_and(|score| *score >= least))
            .collect();
        let order = Order::by_rank(Capability::Vision);
        expected.sort_by(|a, b| order.compare(*a, *b));
        prop_assert_eq!(found, expected.iter().map(|model| model.id.uuid().as_u128()).collect::<Vec<_>>());
    }

    /// Writes between the pages: whatever was there all the time is seen exactly once, nothing is seen twice.
    #[test]
    fn writes_between_pages_neither_hide_nor_repeat_what_stays(
        all in any_models(),
        size in 1..6_i32,
        removed in prop::collection::vec(1..40_u128, 0..10),
        order in 0..ORDERS.len(),
    ) {
        let mut snapshot = with_models(all.clone());
        let (mut removed, mut added, mut revision) = (removed.into_iter(), 1000, 0);
        let mut gone = Vec::new();
        let board = Board::default();
        let found = walk(size, ORDERS[order], |request| {
            let page = snapshot.list_models(&ModelFilter::default(), present(&board), request, |_| true)?;
            revision += 1;
            added += 1;
            let mut edits = Vec::new();
            // Not for ever: behind the position, one per page would be a list without an end.
            if added < 1010 {
                edits.push(put(Operation::Create, Resource::Model(Arc::new(fixtures::model(added, 1)))));
            }
            if let Some(victim) = removed.next().and_then(|number| snapshot.model(id(number))) {
                gone.push(victim.id.uuid().as_u128());
                edits.push(Edit::destroy(Resource::Model(victim)));
            }
            let changes: Vec<_> = edits.into_iter().map(|edit| change(revision, edit)).collect();
            snapshot = snapshot.apply(&changes, &[], head(revision));
            Ok(page)
        });
        let mut once = found.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), found.len(), "twice");
        for model in &all {
            let number = model.id.uuid().as_u128();
            prop_assert!(gone.contains(&number) || found.contains(&number), "{} is missing", number);
        }
    }
}

#[test]
fn positions_hold_the_sort_keys_and_the_id() {
    let model = Model { context_window: Some(7), ..fixtures::model(5, 1) };
    let order = Order::read::<Model>("name desc, context_window, input_price", &mut Violations::default());
    assert_eq!(
        order.position(&model),
        Position {
            keys: vec![SortKey::Text("Model 5".into()), SortKey::Int(7), SortKey::None],
            id: Uuid::from_u128(5)
        }
    );
}
