use proptest::prelude::*;

use super::*;
use crate::wire::arbitrary;

fn raw(event: Event, body: Vec<Bytes>) -> RawWatch {
    RawWatch {
        event,
        body,
        revision: Revision(7),
        last_of_revision: true,
        resume_token: "token".into(),
        watch_id: Arc::from("id"),
    }
}

fn declared(event: v1::WatchEvent) -> v1::WatchResponse {
    v1::WatchResponse {
        event: event.into(),
        revision: 7,
        last_of_revision: true,
        resume_token: "token".into(),
        watch_id: "id".into(),
        ..Default::default()
    }
}

fn reads_as(raw: &RawWatch, expected: &v1::WatchResponse) {
    let bytes = raw.encode_to_vec();
    assert_eq!(bytes.len(), raw.encoded_len());
    assert_eq!(&v1::WatchResponse::decode(&*bytes).unwrap(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn changes_decode_as_the_declared_message(changes in prop::collection::vec(arbitrary::change(), 0..4)) {
        let mut body = BytesMut::new();
        for change in &changes {
            changed(change, &mut body);
        }
        let expected = v1::WatchResponse {
            changes: changes.iter().map(change::watched).collect(),
            ..declared(v1::WatchEvent::Changes)
        };
        reads_as(&raw(Event::Changes, vec![body.freeze()]), &expected);
    }

    #[test]
    fn state_decodes_as_the_declared_message(found in arbitrary::model()) {
        let mut body = BytesMut::new();
        let of = StateOf {
            kind: ResourceKind::Model,
            id: found.id.uuid(),
            revision: found.meta.revision,
            update_time: found.meta.update_time,
        };
        state(of, &model::config_bytes(&found), &mut body);
        let change = v1::Change {
            revision: found.meta.revision.0,
            resource_kind: v1::ResourceKind::Model.into(),
            resource_id: id::write(found.id.uuid()),
            operation: v1::Operation::Create.into(),
            time: Some(time::write(found.meta.update_time)),
            after: Some(v1::Resource { resource: Some(v1::resource::Resource::Model(model::config(&found))) }),
            ..Default::default()
        };
        let expected = v1::WatchResponse { changes: vec![change], ..declared(v1::WatchEvent::State) };
        reads_as(&raw(Event::State, vec![body.freeze()]), &expected);
    }
}

#[test]
fn an_empty_message_is_as_short_as_it_can_be() {
    reads_as(&RawWatch::default(), &v1::WatchResponse { event: v1::WatchEvent::Bookmark.into(), ..Default::default() });
}
