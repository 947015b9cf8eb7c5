//! The ways to move a target, most of them as data.

use modelward::proto::v1::{self, ProviderKind};

use super::Stage;
use super::special::{SPECIAL, Special};
use crate::support::recorder::{EMPTY_LIST, Recorder};

/// One way. In texts `{a}` is the host that is allowed, `{b}` the other one, `{pa}` and `{pb}` are their ports.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// An editor gives the endpoint another base URL.
    MoveTo(&'static str),
    /// An editor gives it another region, version of the API, path of the health check.
    Region(&'static str),
    ApiVersion(&'static str),
    HealthPath(&'static str),
    /// An editor adds a model with this identifier, which gets into paths.
    ModelId(ProviderKind, &'static str),
    /// The vendor answers with this.
    Answers(u16, &'static [(&'static str, &'static str)]),
    /// The vendor sends on to the next page.
    Pages(ProviderKind, &'static str),
    /// What takes more than one call.
    Special(&'static str, Special),
    /// No way, but the proof that a key would be found.
    AdminMovesTo(ProviderKind, &'static str),
}

const MOVES: &[&str] = &[
    "http://{b}/v1",
    "http://{b}",
    "HTTP://{b}/v1/",
    "http://127.0.0.2:{pb}/v1",
    "http://127.0.0.2:{pa}/v1",
    "http://localhost:{pb}/v1",
    "http://localhost:{pa}/v1",
    "http://LocalHost:{pa}/v1",
    "http://localhost.:{pa}/v1",
    "http://ⓛocalhost:{pa}/v1",
    "http://loc\u{ad}alhost:{pa}/v1",
    "http://[::1]:{pb}/v1",
    "http://[::ffff:127.0.0.1]:{pa}/v1",
    "http://[::ffff:127.0.0.1]:{pb}/v1",
    "http://2130706434:{pb}/v1",
    "http://0x7f.1:{pb}/v1",
    "http://127.0.0.1.:{pb}/v1",
    "http://127.0.0.1:0{pb}/v1",
    "https://{a}/v1",
    "https://{b}/v1",
    "http://{b}/http://{a}/v1",
    "http://{b}/v1/../../{a}",
    "http://{a}@{b}/v1",
    "http://{b}#@{a}/v1",
    "http://{b}?@{a}/v1",
    "http://{b}\\@{a}/v1",
    "http://{a}%40{b}/v1",
    "http://{b} /v1",
    "http:{b}/v1",
    "http:///{b}/v1",
    "//{b}/v1",
    "gopher://{b}/v1",
];

const REGIONS: &[&str] = &["{b}/", "us-east-1@{b}", "{b}#", "../{b}", "us-east-1.{b}"];
const VERSIONS: &[&str] = &["2024-10-21#@{b}", "//{b}/", "preview@{b}", "2024-10-21&host={b}", "../../../{b}"];
const HEALTH_PATHS: &[&str] = &["/@{b}/models", "/..//{b}/", "/:80@{b}/", "/%2f%2f{b}/"];
const MODEL_IDS: &[&str] = &["../../../../{b}/x", "@{b}/x", "http://{b}/x", "..\\..\\{b}", "x?@{b}#", "//{b}/x"];
/// Kinds that put a model's identifier into a path.
const WITH_PATHS: &[ProviderKind] =
    &[ProviderKind::Gemini, ProviderKind::AwsBedrock, ProviderKind::AzureOpenai, ProviderKind::Openai];

const ANSWERS: &[(u16, &[(&str, &str)])] = &[
    (300, &[("location", "http://{b}/v1/models")]),
    (301, &[("location", "http://{b}/v1/models")]),
    (302, &[("location", "http://{b}/v1/models")]),
    (303, &[("location", "http://{b}/v1/models")]),
    (304, &[("location", "http://{b}/v1/models")]),
    (305, &[("location", "http://{b}/")]),
    (307, &[("location", "http://{b}/v1/models")]),
    (308, &[("location", "http://{b}/v1/models")]),
    (307, &[("location", "//{b}/v1/models")]),
    (308, &[("location", "https://{b}/v1/models")]),
    (307, &[("location", "http://{a}@{b}/v1/models")]),
    (201, &[("location", "http://{b}/v1/models"), ("content-location", "http://{b}/v1/models")]),
    (200, &[("refresh", "0; url=http://{b}/v1/models"), ("link", "<http://{b}/v1/models>; rel=\"next\"")]),
    (200, &[("alt-svc", "h2=\"{b}\"; ma=60, http/1.1=\"{b}\"")]),
    (401, &[("www-authenticate", "Bearer realm=\"http://{b}/token\""), ("location", "http://{b}/")]),
    (407, &[("proxy-authenticate", "Basic realm=\"{b}\""), ("location", "http://{b}/")]),
    (421, &[("location", "http://{b}/"), ("alt-svc", "h2=\"{b}\"")]),
    (426, &[("upgrade", "h2c"), ("location", "http://{b}/")]),
    (429, &[("retry-after", "0"), ("location", "http://{b}/")]),
    (503, &[("retry-after-ms", "1"), ("location", "http://{b}/")]),
];

const PAGES: &[(ProviderKind, &str)] = &[
    (ProviderKind::Anthropic, r#"{"data":[{"id":"m"}],"has_more":true,"last_id":"x#@{b}/"}"#),
    (ProviderKind::Anthropic, r#"{"data":[{"id":"m"}],"has_more":true,"last_id":"http://{b}/"}"#),
    (ProviderKind::Gemini, r#"{"models":[{"name":"models/m"}],"nextPageToken":"//{b}/#"}"#),
    (ProviderKind::Gemini, r#"{"models":[{"name":"models/m"}],"nextPageToken":"@{b}"}"#),
    (
        ProviderKind::AwsBedrock,
        r#"{"modelSummaries":[],"inferenceProfileSummaries":[],"nextToken":"http://{b}/?x=#","next":"http://{b}/"}"#,
    ),
];

/// All of them.
pub fn ways() -> Vec<Way> {
    let models = WITH_PATHS.iter().flat_map(|kind| MODEL_IDS.iter().map(|id| Way::ModelId(*kind, id)));
    let mut ways: Vec<_> = MOVES.iter().map(|url| Way::MoveTo(url)).chain(models).collect();
    ways.extend(REGIONS.iter().map(|text| Way::Region(text)));
    ways.extend(VERSIONS.iter().map(|text| Way::ApiVersion(text)));
    ways.extend(HEALTH_PATHS.iter().map(|text| Way::HealthPath(text)));
    ways.extend(ANSWERS.iter().map(|(status, headers)| Way::Answers(*status, headers)));
    ways.extend(PAGES.iter().map(|(kind, body)| Way::Pages(*kind, body)));
    ways.extend(SPECIAL.iter().map(|(name, special)| Way::Special(name, *special)));
    ways
}

/// A text for these two hosts. The other one listens at every address of this machine.
pub fn filled(text: &str, vendor: &Recorder, other: &Recorder) -> String {
    let (a, pa, pb) = (vendor.address.to_string(), vendor.port().to_string(), other.port().to_string());
    text.replace("{a}", &a).replace("{b}", &format!("127.0.0.1:{pb}")).replace("{pa}", &pa).replace("{pb}", &pb)
}

impl Way {
    pub fn kind(&self) -> ProviderKind {
        match self {
            Self::Region(_) => ProviderKind::AwsBedrock,
            Self::ApiVersion(_) => ProviderKind::AzureOpenai,
            Self::ModelId(kind, _) | Self::Pages(kind, _) | Self::AdminMovesTo(kind, _) => *kind,
            Self::MoveTo(_) | Self::HealthPath(_) | Self::Answers(..) | Self::Special(..) => ProviderKind::Openai,
        }
    }

    /// Whether the credential has a list of its own from the beginning.
    pub fn lists_hosts(&self) -> bool {
        matches!(self, Self::Special(name, _) if name.contains("explicit"))
    }

    /// Whether an editor brings a secret of his own, and with it the right to say where it goes.
    pub fn replaces_the_secret(&self) -> bool {
        matches!(self, Self::Special(name, _) if name.contains("of his own"))
    }

    pub fn model_id(&self, vendor: &Recorder, other: &Recorder) -> String {
        match self {
            Self::ModelId(_, id) => filled(id, vendor, other),
            _ => "some-model".to_owned(),
        }
    }

    pub async fn go(&self, stage: &Stage) {
        let filled = |text: &str| filled(text, &stage.vendor, &stage.other);
        match self {
            Self::MoveTo(url) => stage.edit(v1::Endpoint { base_url: Some(filled(url)), ..Default::default() }).await,
            Self::Region(text) => stage.edit(v1::Endpoint { region: Some(filled(text)), ..Default::default() }).await,
            Self::ApiVersion(text) => {
                stage.edit(v1::Endpoint { api_version: Some(filled(text)), ..Default::default() }).await;
            }
            Self::HealthPath(text) => {
                let health_check = Some(v1::HealthCheckPolicy { path: Some(filled(text)), ..Default::default() });
                stage.edit(v1::Endpoint { health_check, ..Default::default() }).await;
            }
            Self::ModelId(..) => {}
            Self::Answers(status, headers) => {
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, filled(value))).collect();
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                stage.vendor.answer(*status, &headers, EMPTY_LIST);
            }
            Self::Pages(_, body) => stage.vendor.answer(200, &[], &filled(body)),
            Self::Special(_, special) => special(stage).await,
            Self::AdminMovesTo(_, url) => {
                let endpoint =
                    v1::Endpoint { id: stage.endpoint.clone(), base_url: Some(filled(url)), ..Default::default() };
                let request = v1::UpdateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
                stage.admin.endpoints().update_endpoint(request).await.unwrap();
            }
        }
    }
}

impl Stage {
    /// An editor changes the endpoint. What is refused moves nothing either.
    pub async fn edit(&self, change: v1::Endpoint) {
        let endpoint = Some(v1::Endpoint { id: self.endpoint.clone(), ..change });
        let request = v1::UpdateEndpointRequest { endpoint, ..Default::default() };
        drop(self.editor.endpoints().update_endpoint(request).await);
    }
}
