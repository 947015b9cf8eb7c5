//! A page of 100 models put together from kept encodings, beside encoding each model for each page: both in this
//! process, without a network.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use modelward::domain::model::Model;
use modelward::proto::v1;
use modelward::wire;
use modelward::wire::page::{RawItem, RawPage};
use prost::Message as _;

use crate::duel::ROUNDS;
use crate::report::{Table, median, time};
use crate::seed::{Kind, id, model};

const MODELS: usize = 100;
const PAGES: u32 = 5_000;

pub fn run() -> anyhow::Result<()> {
    let models = (0..MODELS).map(example).collect::<anyhow::Result<Vec<_>>>()?;
    let kept: Vec<_> = models.iter().map(wire::model::config_bytes).collect();
    let rounds = (0..ROUNDS).map(|_| (timed(|| encoded(&models)), timed(|| assembled(&kept))));
    let rounds: Vec<(Duration, Duration)> = rounds.collect();
    let middle = |pick: fn(&(Duration, Duration)) -> Duration| median(rounds.iter().map(pick)).unwrap_or_default();
    let ratio = median(rounds.iter().map(|(slow, fast)| slow.as_secs_f64() / fast.as_secs_f64())).unwrap_or_default();
    let mut table = Table::new(&["each model encoded", "kept encodings", "times as fast"]);
    table.row(vec![time(middle(|pair| pair.0)), time(middle(|pair| pair.1)), format!("{ratio:.1}")]);
    table.print("A page of 100 models");
    Ok(())
}

fn timed(page: impl Fn() -> Vec<u8>) -> Duration {
    let begun = Instant::now();
    for _ in 0..PAGES {
        black_box(page());
    }
    begun.elapsed() / PAGES
}

fn encoded(models: &[Model]) -> Vec<u8> {
    let models = models.iter().map(|model| wire::model::full(model, None, None)).collect();
    v1::ListModelsResponse { models, ..Default::default() }.encode_to_vec()
}

fn assembled(kept: &[Bytes]) -> Vec<u8> {
    let item = |config: &Bytes| RawItem { config: config.clone(), status: wire::model::status_bytes(None, None) };
    RawPage { items: kept.iter().map(item).collect(), ..RawPage::default() }.encode_to_vec()
}

fn example(number: usize) -> anyhow::Result<Model> {
    let message = v1::Model {
        id: id(Kind::Model, number),
        r#type: Some(v1::ModelType::Chat.into()),
        version: Some(String::new()),
        is_active: Some(true),
        status: Some(v1::ModelStatus::Available.into()),
        source: v1::ModelSource::Manual.into(),
        create_time: Some(prost_types::Timestamp::default()),
        update_time: Some(prost_types::Timestamp::default()),
        created_by: "admin".to_owned(),
        updated_by: "admin".to_owned(),
        ..model(&id(Kind::Provider, 0), &format!("vendor/model-{number}"))
    };
    wire::model::read(message).map_err(|error| anyhow::anyhow!("{error}"))
}
