use super::*;
use crate::domain::image::Image;
use crate::snapshot::fixtures;

fn image() -> Image {
    let mut image = fixtures::image();
    image.providers.push(Arc::new(fixtures::provider(1)));
    image.endpoints.push(Arc::new(fixtures::endpoint(10, 1)));
    image.credentials.push(Arc::new(fixtures::credential(20, 1)));
    image.models.extend((30..35).map(|number| Arc::new(fixtures::model(number, 1))));
    image.sealed.push(fixtures::sealed(20, 1));
    image
}

fn differences(held: Image, stored: Image) -> Differences {
    let mut check = Check::begin(Arc::new(Snapshot::from_image(held)), stored.head, &stored.keyring);
    stored.into_pages().iter().for_each(|page| check.page(page));
    check.finish()
}

#[test]
fn the_check_names_what_is_missing_and_what_differs() {
    let mut stored = image();
    stored.providers = vec![Arc::new(Provider { is_active: false, ..fixtures::provider(1) })];
    stored.endpoints.push(Arc::new(fixtures::endpoint(11, 1)));
    stored.models.remove(2);
    stored.sealed = vec![SealedSecret { ciphertext: Arc::new([9, 9]), ..fixtures::sealed(20, 1) }];
    let found = differences(image(), stored);
    let lines = [
        "provider 00000000-0000-0000-0000-000000000001: differs",
        "endpoint 00000000-0000-0000-0000-00000000000b: missing in the snapshot",
        "model 00000000-0000-0000-0000-000000000020: missing in the database",
        "SealedSecret(00000000-0000-0000-0000-000000000014 v1 under k1): differs",
    ];
    assert_eq!(found, Differences { count: 4, lines: lines.map(Into::into).into(), rewrapped: Vec::new() });
}

#[test]
fn pages_of_any_size_lead_to_the_same_result() {
    for missing in 0..5 {
        let mut models = image().models;
        models.remove(missing);
        for size in 1..=4 {
            let held = Arc::new(Snapshot::from_image(image()));
            let mut check = Check::begin(held, image().head, &image().keyring);
            let rest = Image { models: Vec::new(), ..image() };
            rest.into_pages().iter().filter(|page| !page.is_empty()).for_each(|page| check.page(page));
            models.chunks(size).for_each(|models| check.page(&Page::Models(models.to_vec())));
            let found = check.finish();
            let line = format!("model {}: missing in the database", fixtures::model(30 + missing as u128, 1).id);
            assert_eq!((found.count, found.lines), (1, vec![line]), "{size} at a time");
        }
    }
}

#[test]
fn a_wrapping_that_differs_is_told_apart_because_it_has_no_revision() {
    let mut stored = image();
    stored.sealed =
        vec![SealedSecret { master_key_id: "k2".into(), wrapped_key: Arc::new([9, 9]), ..fixtures::sealed(20, 1) }];
    let found = differences(image(), stored);
    assert_eq!((found.count, found.rewrapped), (0, vec![(fixtures::id(20), 1)]));
}

#[test]
fn of_many_differences_the_first_few_are_described() {
    let found = differences(image(), Image { endpoints: Vec::new(), models: Vec::new(), ..image() });
    assert_eq!((found.count, found.lines.len()), (6, SHOWN));
}
