//! What each vendor answers.

use crate::domain::model::ModelType;
use crate::domain::provider::ProviderKind;

pub struct Row {
    pub kind: ProviderKind,
    /// The path of the base URL.
    pub base: &'static str,
    pub api_version: &'static str,
    /// Where the key is sent, as it is; `authorization` with `Bearer` before it.
    pub key_header: &'static str,
    /// Another header that every call has.
    pub also: Option<(&'static str, &'static str)>,
    /// The body of a 200 for each path with its query.
    pub answers: &'static [(&'static str, &'static str)],
    /// What is listed.
    pub ids: &'static [&'static str],
    pub deprecated: &'static [&'static str],
    /// One of them, its type and its window.
    pub model: &'static str,
    pub model_type: Option<ModelType>,
    pub window: Option<i64>,
    pub bad_key: (u16, &'static str),
    pub no_permission: Option<(u16, &'static str)>,
    pub no_credit: Option<(u16, &'static str)>,
    /// Types of models whose test is one request.
    pub tested: &'static [ModelType],
    pub unknown_model: (u16, &'static str),
}

const CHAT: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"p"},"finish_reason":"length"}]}"#;
const VECTOR: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.01]}]}"#;
const NO_MODEL: (u16, &str) = (
    404,
    r#"{"error":{"code":"model_not_found","message":"The model `x` does not exist","type":"invalid_request_error"}}"#,
);
const CHAT_AND_VECTOR: &[ModelType] = &[ModelType::Chat, ModelType::Embedding];

/// What the rows of vendors have in common that speak OpenAI's API.
const OPENAI: Row = Row {
    kind: ProviderKind::OpenAi,
    base: "/v1",
    api_version: "",
    key_header: "authorization",
    also: None,
    answers: &[
        (
            "/v1/models",
            r#"{"object":"list","data":[{"id":"gpt-4o-mini","object":"model","created":1721172741,"owned_by":"system"},
                {"id":"gpt-old","shutdown_date":"2025-01-01"}]}"#,
        ),
        ("/v1/chat/completions", CHAT),
        ("/v1/embeddings", VECTOR),
    ],
    ids: &["gpt-4o-mini", "gpt-old"],
    deprecated: &["gpt-old"],
    model: "gpt-4o-mini",
    model_type: Some(ModelType::Chat),
    window: Some(128_000),
    bad_key: (401, r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#),
    no_permission: Some((403, r#"{"error":{"message":"You have insufficient permissions","code":null}}"#)),
    no_credit: Some((429, r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"quota"}}"#)),
    tested: CHAT_AND_VECTOR,
    unknown_model: NO_MODEL,
};

pub const ROWS: &[Row] = &[
    OPENAI,
    Row {
        kind: ProviderKind::OpenAiCompatible,
        window: None,
        no_credit: Some((402, r#"{"error":"Payment required"}"#)),
        unknown_model: (404, r#"{"detail":"Not Found"}"#),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::Vllm,
        answers: &[
            ("/v1/models", r#"{"object":"list","data":[{"id":"Qwen/Qwen3-8B","parent":null,"max_model_len":40960}]}"#),
            ("/v1/chat/completions", CHAT),
            ("/v1/embeddings", VECTOR),
        ],
        ids: &["Qwen/Qwen3-8B"],
        deprecated: &[],
        model: "Qwen/Qwen3-8B",
        model_type: None,
        window: Some(40_960),
        bad_key: (401, r#"{"error":"Unauthorized"}"#),
        no_credit: None,
        unknown_model: (
            404,
            r#"{"object":"error","message":"The model does not exist.","type":"NotFoundError","code":404}"#,
        ),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::Ollama,
        base: "",
        answers: &[
            (
                "/api/tags",
                r#"{"models":[{"name":"llama3.2:3b","model":"llama3.2:3b","details":{"context_length":131072},
                    "capabilities":["completion","tools"]}]}"#,
            ),
            ("/api/show", r#"{"capabilities":["completion"]}"#),
            ("/api/chat", r#"{"message":{"role":"assistant","content":"p"},"done":true}"#),
            ("/api/embed", r#"{"embeddings":[[0.1]]}"#),
        ],
        ids: &["llama3.2:3b"],
        deprecated: &[],
        model: "llama3.2:3b",
        window: Some(131_072),
        bad_key: (401, r#"{"error":"unauthorized"}"#),
        no_permission: None,
        no_credit: None,
        unknown_model: (404, r#"{"error":"model 'x' not found"}"#),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::Tongyi,
        base: "/compatible-mode/v1",
        answers: &[
            (
                "/compatible-mode/v1/models",
                r#"{"object":"list","data":[{"id":"qwen-plus"},{"id":"text-embedding-v4"}]}"#,
            ),
            (
                "/api/v1/models?page_no=1&page_size=100",
                r#"{"output":{"total":2,"page_no":1,"models":[{"model":"qwen-plus"},{"model":"text-embedding-v4"}]}}"#,
            ),
            ("/compatible-mode/v1/chat/completions", CHAT),
            ("/compatible-mode/v1/embeddings", VECTOR),
        ],
        ids: &["qwen-plus", "text-embedding-v4"],
        deprecated: &[],
        model: "qwen-plus",
        window: None,
        no_permission: Some((403, r#"{"code":"AccessDenied","message":"Access denied.","request_id":"r"}"#)),
        no_credit: Some((400, r#"{"code":"Arrearage","message":"Access denied, please pay.","request_id":"r"}"#)),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::Baidu,
        base: "/v2",
        answers: &[
            ("/v2/models", r#"{"object":"list","data":[{"id":"ernie-4.5-turbo-128k","owned_by":"","created":0}]}"#),
            ("/v2/chat/completions", CHAT),
            ("/v2/embeddings", VECTOR),
        ],
        ids: &["ernie-4.5-turbo-128k"],
        deprecated: &[],
        model: "ernie-4.5-turbo-128k",
        window: None,
        bad_key: (401, r#"{"error":{"code":"invalid_iam_token","message":"IAM Certification failed"},"id":"as-1"}"#),
        no_permission: Some((401, r#"{"error":{"code":"access_denied","message":"Access denied"}}"#)),
        no_credit: None,
        unknown_model: (401, r#"{"error":{"code":"invalid_model","message":"No permission to use the model"}}"#),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::DeepSeek,
        base: "",
        answers: &[
            ("/models", r#"{"object":"list","data":[{"id":"deepseek-chat","object":"model","owned_by":"deepseek"}]}"#),
            ("/user/balance", r#"{"is_available":true,"balance_infos":[{"currency":"CNY","total_balance":"110.00"}]}"#),
            ("/chat/completions", CHAT),
        ],
        ids: &["deepseek-chat"],
        deprecated: &[],
        model: "deepseek-chat",
        window: None,
        bad_key: (401, r#"{"error":{"message":"Authentication Fails","type":"authentication_error"}}"#),
        no_permission: None,
        no_credit: Some((200, r#"{"is_available":false,"balance_infos":[]}"#)),
        tested: &[ModelType::Chat],
        unknown_model: (400, r#"{"error":{"message":"Model Not Exist","type":"invalid_request_error"}}"#),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::Doubao,
        base: "/api/v3",
        answers: &[
            (
                "/api/v3/models",
                r#"{"object":"list","data":[{"id":"doubao-seed-x","name":"doubao-seed","domain":"LLM","status":"Active",
                    "modalities":{"input_modalities":["text","image"]},"token_limits":{"context_window":262144}},
                    {"id":"doubao-gone","status":"Shutdown"}]}"#,
            ),
            ("/api/v3/chat/completions", CHAT),
            ("/api/v3/embeddings", VECTOR),
        ],
        ids: &["doubao-gone", "doubao-seed-x"],
        deprecated: &["doubao-gone"],
        model: "doubao-seed-x",
        window: Some(262_144),
        bad_key: (401, r#"{"error":{"code":"AuthenticationError","message":"The API key is invalid."}}"#),
        no_permission: Some((404, r#"{"error":{"code":"ModelNotOpen","message":"not activated"}}"#)),
        no_credit: Some((403, r#"{"error":{"code":"AccountOverdueError","message":"overdue"}}"#)),
        unknown_model: (404, r#"{"error":{"code":"InvalidEndpointOrModel.NotFound","message":"does not exist"}}"#),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::Zhipu,
        base: "/api/paas/v4",
        answers: &[
            ("/api/paas/v4/models", r#"{"object":"list","data":[{"id":"glm-9-x","object":"model"}]}"#),
            ("/api/paas/v4/chat/completions", CHAT),
            ("/api/paas/v4/embeddings", VECTOR),
        ],
        ids: &["glm-9-x"],
        deprecated: &[],
        model: "glm-9-x",
        model_type: None,
        window: None,
        bad_key: (401, r#"{"error":{"code":"1002","message":"token expired or incorrect"}}"#),
        no_permission: None,
        no_credit: Some((429, r#"{"error":{"code":"1113","message":"no balance"}}"#)),
        unknown_model: (400, r#"{"error":{"code":"1211","message":"unknown"}}"#),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::Moonshot,
        answers: &[
            (
                "/v1/models",
                r#"{"object":"list","data":[{"id":"kimi-k9","context_length":262144,"supports_image_in":true}]}"#,
            ),
            (
                "/v1/users/me/balance",
                r#"{"code":0,"data":{"available_balance":49.58,"cash_balance":-3.0},"status":true}"#,
            ),
            ("/v1/chat/completions", CHAT),
        ],
        ids: &["kimi-k9"],
        deprecated: &[],
        model: "kimi-k9",
        model_type: None,
        window: Some(262_144),
        bad_key: (401, r#"{"error":{"message":"Invalid Authentication","type":"invalid_authentication_error"}}"#),
        no_permission: Some((403, r#"{"error":{"type":"permission_denied_error","message":"no"}}"#)),
        no_credit: Some((200, r#"{"code":0,"data":{"available_balance":-0.5,"voucher_balance":0},"status":true}"#)),
        tested: &[ModelType::Chat],
        unknown_model: (404, r#"{"error":{"type":"resource_not_found_error","message":"Not found the model x"}}"#),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::Mistral,
        answers: &[
            (
                "/v1/models",
                r#"{"object":"list","data":[
                    {"id":"mistral-x","max_context_length":131072,"deprecation":"2099-01-01T00:00:00Z","type":"base",
                     "capabilities":{"completion_chat":true,"function_calling":true,"vision":true}},
                    {"id":"mistral-y","deprecation":"2024-01-01T00:00:00Z","type":"base",
                     "capabilities":{"completion_chat":true}}]}"#,
            ),
            ("/v1/chat/completions", CHAT),
            ("/v1/embeddings", VECTOR),
        ],
        ids: &["mistral-x", "mistral-y"],
        deprecated: &["mistral-y"],
        model: "mistral-x",
        window: Some(131_072),
        bad_key: (401, r#"{"detail":"Unauthorized"}"#),
        no_permission: None,
        no_credit: Some((402, r#"{"message":"Payment required"}"#)),
        unknown_model: (400, r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"}"#),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::AzureOpenAi,
        base: "",
        api_version: "2024-10-21",
        key_header: "api-key",
        answers: &[
            (
                "/openai/models?api-version=2024-10-21",
                r#"{"object":"list","data":[{"id":"gpt-new","capabilities":{"chat_completion":true,"embeddings":false},
                    "lifecycle_status":"generally-available","deprecation":{"inference":4000000000}},
                    {"id":"gpt-older","capabilities":{"chat_completion":true},"deprecation":{"inference":1600000000}}]}"#,
            ),
            ("/openai/deployments/gpt-new/chat/completions?api-version=2024-10-21", CHAT),
            ("/openai/deployments/gpt-new/embeddings?api-version=2024-10-21", VECTOR),
        ],
        ids: &["gpt-new", "gpt-older"],
        deprecated: &["gpt-older"],
        model: "gpt-new",
        window: None,
        bad_key: (401, r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}"#),
        no_permission: Some((403, r#"{"error":{"code":"PermissionDenied","message":"lacks the data action"}}"#)),
        no_credit: None,
        unknown_model: (404, r#"{"error":{"code":"DeploymentNotFound","message":"does not exist"}}"#),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::Anthropic,
        base: "",
        key_header: "x-api-key",
        also: Some(("anthropic-version", "2023-06-01")),
        answers: &[
            (
                "/v1/models?limit=1000",
                r#"{"data":[{"type":"model","id":"claude-b","display_name":"Claude B","max_input_tokens":200000,
                    "max_tokens":64000,"capabilities":{"image_input":{"supported":true}}}],
                    "has_more":true,"last_id":"claude-b"}"#,
            ),
            (
                "/v1/models?limit=1000&after_id=claude-b",
                r#"{"data":[{"type":"model","id":"claude-a","display_name":"Claude A"}],"has_more":false}"#,
            ),
            ("/v1/models?limit=1", r#"{"data":[],"has_more":true}"#),
            ("/v1/messages", r#"{"type":"message","content":[],"stop_reason":"max_tokens"}"#),
        ],
        ids: &["claude-a", "claude-b"],
        deprecated: &[],
        model: "claude-b",
        window: Some(200_000),
        bad_key: (401, r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#),
        no_permission: Some((403, r#"{"type":"error","error":{"type":"permission_error","message":"no"}}"#)),
        no_credit: Some((
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#,
        )),
        tested: &[ModelType::Chat],
        unknown_model: (404, r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::Gemini,
        base: "/v1beta",
        key_header: "x-goog-api-key",
        answers: &[
            (
                "/v1beta/models?pageSize=1000",
                r#"{"models":[{"name":"models/gemini-x","displayName":"Gemini X","inputTokenLimit":1048576,
                    "supportedGenerationMethods":["generateContent","countTokens"],"thinking":true}],
                    "nextPageToken":"a+b/c="}"#,
            ),
            (
                "/v1beta/models?pageSize=1000&pageToken=a%2Bb%2Fc%3D",
                r#"{"models":[{"name":"models/embed-x","supportedGenerationMethods":["embedContent"]}]}"#,
            ),
            ("/v1beta/models?pageSize=1", r#"{"models":[{"name":"models/gemini-x"}],"nextPageToken":"t"}"#),
            ("/v1beta/models/gemini-x:generateContent", r#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#),
            ("/v1beta/models/gemini-x:embedContent", r#"{"embedding":{"values":[0.1]}}"#),
        ],
        ids: &["embed-x", "gemini-x"],
        deprecated: &[],
        model: "gemini-x",
        window: Some(1_048_576),
        bad_key: (
            400,
            r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT",
                "details":[{"reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
        ),
        no_permission: Some((403, r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#)),
        no_credit: None,
        unknown_model: (404, r#"[{"error":{"code":404,"message":"models/x is not found","status":"NOT_FOUND"}}]"#),
        ..OPENAI
    },
    Row {
        kind: ProviderKind::AwsBedrock,
        base: "",
        key_header: "sigv4",
        answers: &[
            (
                "/foundation-models",
                r#"{"modelSummaries":[
                    {"modelId":"amazon.nova-x-v1:0","modelName":"Nova X","inputModalities":["TEXT","IMAGE"],
                     "outputModalities":["TEXT"],"inferenceTypesSupported":["ON_DEMAND","INFERENCE_PROFILE"],
                     "modelLifecycle":{"status":"ACTIVE"}},
                    {"modelId":"maker.only-profile-v1:0","outputModalities":["TEXT"],
                     "inferenceTypesSupported":["INFERENCE_PROFILE"],"modelLifecycle":{"status":"LEGACY"}}]}"#,
            ),
            (
                "/inference-profiles?maxResults=1000",
                r#"{"inferenceProfileSummaries":[{"inferenceProfileId":"us.amazon.nova-x-v1:0","type":"SYSTEM_DEFINED",
                    "models":[{"modelArn":"arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-x-v1:0"}]}],
                    "nextToken":"n/2"}"#,
            ),
            (
                "/inference-profiles?maxResults=1000&nextToken=n%2F2",
                r#"{"inferenceProfileSummaries":[{"inferenceProfileId":"us.maker.only-profile-v1:0","type":"SYSTEM_DEFINED",
                    "models":[{"modelArn":"arn:aws:bedrock:us-west-2::foundation-model/maker.only-profile-v1:0"}]}]}"#,
            ),
            ("/foundation-models?byInferenceType=PROVISIONED", r#"{"modelSummaries":[]}"#),
            ("/model/amazon.nova-x-v1%3A0/converse", r#"{"output":{"message":{}},"stopReason":"max_tokens"}"#),
            ("/model/amazon.nova-x-v1%3A0/invoke", r#"{"embedding":[0.1],"inputTextTokenCount":2}"#),
        ],
        ids: &["amazon.nova-x-v1:0", "us.amazon.nova-x-v1:0", "us.maker.only-profile-v1:0"],
        deprecated: &["us.maker.only-profile-v1:0"],
        model: "amazon.nova-x-v1:0",
        window: None,
        bad_key: (
            403,
            r#"{"__type":"x","code":"UnrecognizedClientException","message":"The security token is invalid."}"#,
        ),
        no_permission: Some((403, r#"{"code":"AccessDeniedException","message":"not authorized to perform"}"#)),
        no_credit: None,
        unknown_model: (400, r#"{"code":"ValidationException","message":"The provided model identifier is invalid."}"#),
        ..OPENAI
    },
];
