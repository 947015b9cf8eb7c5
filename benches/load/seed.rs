//! Configurations of a given size. One provider with an endpoint and a model is made through the API; the others are
//! copies of their rows, which the server finds when it starts.

use modelward::proto::v1;
use modelward::store::Engine;

use crate::home::Home;
use crate::server::Server;

/// How many models a provider has, at most.
pub const PER_PROVIDER: usize = 1000;

const PROVIDER: &str = "id, revision, create_time, update_time, created_by, updated_by, labels, name, name_key, kind, \
    description, is_active, sync_enabled, sync_interval_ns, delete_time, purge_time";
const ENDPOINT: &str = "id, provider_id, revision, create_time, update_time, created_by, updated_by, labels, name, \
    name_key, base_url, api_version, region, connect_timeout_ns, read_timeout_ns, retry_max_attempts, \
    retry_initial_backoff_ns, retry_max_backoff_ns, is_default, is_active, priority, weight, check_enabled, \
    check_interval_ns, check_timeout_ns, check_unhealthy_threshold, check_healthy_threshold, \
    check_degraded_latency_ns, check_path";
const MODEL: &str = "id, provider_id, revision, create_time, update_time, created_by, updated_by, labels, model_id, \
    name, description, version, model_type, context_window, max_output_tokens, currency, input_per_1k_nanos, \
    output_per_1k_nanos, capabilities, recommended_uses, default_parameters, is_active, status, source, \
    pinned_fields, field_sources, is_default";

const CREDENTIAL: &str = "id, provider_id, revision, create_time, update_time, created_by, updated_by, labels, alias, \
    description, hint, fingerprint, secret_version, allowed_hosts, allowed_hosts_explicit, expire_time, quota_limit, \
    quota_unit, quota_period, is_active, revoke_time, rotate_time, previous_secret_expire_time";
const SECRET: &str = "credential_id, version, master_key_id, wrapped_key, ciphertext, create_time, expire_time, \
    status_revision";

/// What the ids of the copies begin with.
#[derive(Clone, Copy)]
pub enum Kind {
    Provider = 1,
    Endpoint = 2,
    Model = 3,
    Credential = 4,
}

/// The id of the copy with this number.
pub fn id(kind: Kind, number: usize) -> String {
    format!("{:08x}-0000-7000-8000-{number:012x}", kind as u8)
}

/// What everything is copied from.
pub struct Template {
    pub provider: String,
    pub endpoint: String,
    pub credential: String,
    pub model: String,
}

impl Template {
    /// Makes it through the API.
    pub fn create(server: &Server, base_url: &str) -> anyhow::Result<Self> {
        let request = v1::CreateProviderRequest { provider: Some(provider("template")), ..Default::default() };
        let made: v1::CreateProviderResponse = server.ask("ProviderService/CreateProvider", &request)?;
        let provider = made.provider.unwrap_or_default().id;
        let request =
            v1::CreateEndpointRequest { endpoint: Some(endpoint(&provider, "main", base_url)), ..Default::default() };
        let made: v1::CreateEndpointResponse = server.ask("EndpointService/CreateEndpoint", &request)?;
        let endpoint = made.endpoint.unwrap_or_default().id;
        let secret =
            Some(v1::CredentialSecret { api_key: Some("sk-0123456789abcdef".to_owned()), ..Default::default() });
        let (provider_id, alias) = (Some(provider.clone()), Some("main".to_owned()));
        let credential = Some(v1::Credential { provider_id, alias, secret, ..Default::default() });
        let request = v1::CreateCredentialRequest { credential, ..Default::default() };
        let made: v1::CreateCredentialResponse = server.ask("CredentialService/CreateCredential", &request)?;
        let credential = made.credential.unwrap_or_default().id;
        let request = v1::CreateModelRequest { model: Some(model(&provider, "template")), ..Default::default() };
        let made: v1::CreateModelResponse = server.ask("ModelService/CreateModel", &request)?;
        Ok(Self { provider, endpoint, credential, model: made.model.unwrap_or_default().id })
    }

    /// Copies it while no server runs: `models`, shared out among as many providers as they need.
    pub fn copy_models(&self, home: &Home, models: usize) -> anyhow::Result<()> {
        let providers = models.div_ceil(PER_PROVIDER);
        let sql = Sql(home.engine());
        self.copy_providers(home, providers)?;
        home.sql(&sql.copy(
            "models",
            MODEL,
            ("id", &self.model),
            models,
            &[
                ("id", sql.id(Kind::Model, "i")),
                ("provider_id", sql.id(Kind::Provider, &format!("i / {PER_PROVIDER}"))),
                ("model_id", "'vendor/model-' || i".to_owned()),
                ("name", "'Model ' || i".to_owned()),
            ],
        ))
    }

    /// Copies it while no server runs: endpoints, ten to a provider, on the template's base URL.
    pub fn copy_endpoints(&self, home: &Home, endpoints: usize) -> anyhow::Result<()> {
        self.copy_rows(home, endpoints, 10)
    }

    /// Copies it while no server runs: credentials, ten to a provider. Their secrets are sealed for another credential
    /// and do not open; they take the same room.
    pub fn copy_credentials(&self, home: &Home, credentials: usize) -> anyhow::Result<()> {
        let sql = Sql(home.engine());
        self.copy_providers(home, credentials.div_ceil(10))?;
        home.sql(&sql.copy(
            "credentials",
            CREDENTIAL,
            ("id", &self.credential),
            credentials,
            &[
                ("id", sql.id(Kind::Credential, "i")),
                ("provider_id", sql.id(Kind::Provider, "i / 10")),
                ("alias", "'credential ' || i".to_owned()),
            ],
        ))?;
        home.sql(&sql.copy(
            "credential_secrets",
            SECRET,
            ("credential_id", &self.credential),
            credentials,
            &[("credential_id", sql.id(Kind::Credential, "i"))],
        ))
    }

    fn copy_providers(&self, home: &Home, providers: usize) -> anyhow::Result<()> {
        self.copy_rows(home, providers, 1)
    }

    fn copy_rows(&self, home: &Home, endpoints: usize, per_provider: usize) -> anyhow::Result<()> {
        let sql = Sql(home.engine());
        let providers = endpoints.div_ceil(per_provider);
        home.sql(&sql.copy(
            "providers",
            PROVIDER,
            ("id", &self.provider),
            providers,
            &[
                ("id", sql.id(Kind::Provider, "i")),
                ("name", "'provider ' || i".to_owned()),
                ("name_key", "'provider ' || i".to_owned()),
            ],
        ))?;
        home.sql(&sql.copy(
            "endpoints",
            ENDPOINT,
            ("id", &self.endpoint),
            endpoints,
            &[
                ("id", sql.id(Kind::Endpoint, "i")),
                ("provider_id", sql.id(Kind::Provider, &format!("i / {per_provider}"))),
                ("name", "'endpoint ' || i".to_owned()),
                ("name_key", "'endpoint ' || i".to_owned()),
                ("is_default", format!("i % {per_provider} = 0")),
            ],
        ))
    }
}

/// The engine, for what it spells differently.
struct Sql(Engine);

impl Sql {
    /// The id that [`id`] writes, of the number that an expression gives.
    fn id(&self, kind: Kind, number: &str) -> String {
        let begin = format!("{:08x}000070008000", kind as u8);
        match self.0 {
            Engine::Sqlite => format!("unhex('{begin}' || printf('%012x', {number}))"),
            Engine::Postgres => format!("('{begin}' || lpad(to_hex({number}), 12, '0'))::uuid"),
        }
    }

    /// Copies the row with this key `count` times, numbered by `i`, with other values in some columns.
    fn copy(
        &self,
        table: &str,
        columns: &str,
        (key, row): (&str, &str),
        count: usize,
        other: &[(&str, String)],
    ) -> String {
        if count == 0 {
            return String::new();
        }
        let value = |column| {
            let given = other.iter().find(|(name, _)| *name == column);
            given.map_or_else(|| format!("t.{column}"), |(_, expression)| expression.clone())
        };
        let values: Vec<_> = columns.split(", ").map(value).collect();
        let row = match self.0 {
            Engine::Sqlite => format!("x'{}'", row.replace('-', "")),
            Engine::Postgres => format!("'{row}'"),
        };
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) \
             INSERT INTO {table} ({columns}) SELECT {} FROM n, {table} AS t WHERE t.{key} = {row}",
            values.join(", ")
        )
    }
}

pub fn provider(name: &str) -> v1::Provider {
    let kind = Some(v1::ProviderKind::OpenaiCompatible.into());
    v1::Provider { name: Some(name.to_owned()), kind, ..Default::default() }
}

pub fn endpoint(provider: &str, name: &str, base_url: &str) -> v1::Endpoint {
    v1::Endpoint {
        provider_id: Some(provider.to_owned()),
        name: Some(name.to_owned()),
        base_url: Some(base_url.to_owned()),
        ..Default::default()
    }
}

/// A model as catalogues have them.
pub fn model(provider: &str, model_id: &str) -> v1::Model {
    let capability = |capability: v1::Capability, score| v1::ModelCapability {
        capability: Some(capability.into()),
        score: Some(score),
    };
    v1::Model {
        provider_id: Some(provider.to_owned()),
        model_id: Some(model_id.to_owned()),
        name: Some(format!("The model {model_id}")),
        description: Some("A general model for chat, tools and structured answers.".to_owned()),
        context_window: Some(128_000),
        max_output_tokens: Some(16_384),
        pricing: Some(v1::Pricing {
            input_per_1k: Some("0.0025".to_owned()),
            output_per_1k: Some("0.01".to_owned()),
            currency: Some("USD".to_owned()),
        }),
        capabilities: vec![
            capability(v1::Capability::Chat, 5),
            capability(v1::Capability::FunctionCalling, 4),
            capability(v1::Capability::StructuredOutput, 4),
            capability(v1::Capability::Streaming, 0),
        ],
        labels: [("tier".to_owned(), "standard".to_owned())].into(),
        ..Default::default()
    }
}
